"""Logistic ties: near ties whose noise is logistic, with heavier tails than the normal noise of `near_tie`.

The margin between the two best tokens is uniform on [0, m], in units of the noise, and p = 1 / (1 + exp(margin)). Its
mean is (log 2 - log(1 + exp(-m))) / m, which sets m. For many nodes p exceeds the fault threshold t where the margin is
below log((1-t) / t); so blocks fail log((1-t) / t) / log 2 times as often as a node deviates: once at t = 1/3.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from sim.inference.difficulty.base import Difficulty

if TYPE_CHECKING:
    from sim.inference.difficulty.base import Floats

_MARGIN_MAX = 60.0  # beyond it p is below 1e-26, and adds nothing to a mean of doubles


class LogisticTie(Difficulty):
    """Deviation probability of a node whose logistic noise meets a uniform margin; by default one wrong answer."""

    difficulty: Literal["logistic_tie"] = "logistic_tie"
    rate: Annotated[float, Field(ge=0, le=0.49)]
    """Probability that a node deviates at one decision point, at most 0.49 (at an exact tie, half of the nodes do)."""

    @cached_property
    def margin_max(self) -> float:
        """Largest margin, in units of the noise, at which the mean deviation equals `rate`."""
        from scipy.optimize import brentq

        def excess(m: float) -> float:
            return (math.log(2) - math.log1p(math.exp(-m))) / m - self.rate

        return float(brentq(excess, 1e-6, math.log(2) / self.rate + 1, xtol=1e-300, rtol=1e-14))

    def deviation_probability(self, hardness: Floats) -> Floats:
        """The logistic function of the margin (see `Difficulty`)."""
        from scipy.special import expit

        if not self.rate:
            return np.zeros(np.shape(hardness))
        probability: Floats = expit(-self.margin_max * np.asarray(hardness))
        return probability

    def edges(self, resolution: float) -> Floats:
        """Edges evenly spaced in the margin (see `Difficulty`)."""
        if not self.rate:
            return np.empty(0)
        step = min(0.5, 4 * resolution)
        hardness: Floats = np.arange(step, _MARGIN_MAX, step) / self.margin_max
        return hardness[hardness < 1]
