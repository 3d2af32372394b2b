"""Draws repeated runs from a known law, one node after the other: nothing is shared with what fits them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm

from sim.inference.calibration.partitions import Partitions
from sim.inference.difficulty.near_tie import NearTie

if TYPE_CHECKING:
    from numpy.random import Generator


def chances(stream: Generator, law: str, rate: float, correlation: float, prompts: int) -> list[float]:
    """Deviation probability of each prompt."""
    if law == "beta":
        scale = (1 - correlation) / correlation
        return stream.beta(rate * scale, (1 - rate) * scale, prompts).tolist()  # type: ignore[no-any-return]
    if law == "zero_inflated":
        p = rate + correlation * (1 - rate)
        return np.where(stream.random(prompts) < rate / p, p, 0.0).tolist()  # type: ignore[no-any-return]
    if law == "near_tie":
        margins = stream.random(prompts) * NearTie(rate=rate).margin_max
        return norm.sf(margins).tolist()  # type: ignore[no-any-return]
    return [rate] * prompts


def drawn(
    seed: int, law: str, *, rate: float, alternatives: float, correlation: float = 0.0, prompts: int, runs: int
) -> Partitions:
    """Groups of the runs of many prompts."""
    stream = np.random.default_rng(seed)
    points = []
    for number, p in enumerate(chances(stream, law, rate, correlation, prompts)):
        wrong: list[int] = []
        for turn in range(int(stream.binomial(runs, p))):
            new = stream.random() * (alternatives + turn) < alternatives or not wrong
            wrong.append(turn if new else wrong[int(stream.integers(turn))])
        sizes = tuple(Counter(wrong).values())
        points.append((number, (runs - len(wrong), *sizes) if len(wrong) < runs else sizes))
    return Partitions.of(points)
