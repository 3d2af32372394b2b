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
        answers: list[int] = []
        for _ in range(runs):
            if stream.random() >= p:
                answers.append(0)
                continue
            wrong = [answer for answer in answers if answer]
            new = stream.random() * (alternatives + len(wrong)) < alternatives or not wrong
            answers.append(max(answers, default=0) + 1 if new else int(stream.choice(wrong)))
        points.append((number, tuple(Counter(answers).values())))
    return Partitions.of(points)
