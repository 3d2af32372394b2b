"""Near ties: two tokens score almost the same, and numeric noise decides between them.

A language model picks the token with the highest score. When the runner-up is closer than the noise of the arithmetic
(another batch size, another reduction order), honest machines may pick differently. The density of the gap is flat
near zero, so the margin, in units of the noise, is uniform on [0, margin_max]: most prompts are safe, and the few
near ties split every set of replicas at once.
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

_SIGMA_MAX = 40.0  # beyond it Phi(-x) is zero in double precision
_FIRST_ORDER = 1e-8  # this close to 1/2 the mean is 1/2 - m phi(0) / 2
_SIGMA_BULK = 10.0  # beyond it even 100,000 nodes see no deviation worth a fine panel


class NearTie(Difficulty):
    """Deviation probability of a node whose noise meets a margin uniform near zero; by default one wrong answer."""

    difficulty: Literal["near_tie"] = "near_tie"
    rate: Annotated[float, Field(ge=0, lt=0.5)]
    """Probability that a node deviates at one decision point, below 1/2 (at an exact tie, half of the nodes do)."""

    def deviation_probability(self, hardness: Floats) -> Floats:
        """Phi(-margin), at a margin of hardness times `margin_max` (see `Difficulty`)."""
        from scipy.special import ndtr  # lazy: a quarter of a second to import

        if not self.rate:
            return np.zeros(np.shape(hardness))
        probability: Floats = ndtr(-self.margin_max * np.asarray(hardness))
        return probability

    def edges(self, resolution: float) -> Floats:
        """Edges evenly spaced in the margin, in units of the noise (see `Difficulty`)."""
        if not self.rate:
            return np.empty(0)
        bulk = np.linspace(0, _SIGMA_BULK, 1 + math.ceil(_SIGMA_BULK / min(0.5, 4 * resolution)))
        margins = np.concatenate([bulk[1:], np.arange(_SIGMA_BULK + 1, _SIGMA_MAX + 1)])
        hardness: Floats = margins / self.margin_max
        return hardness[hardness < 1]

    @cached_property
    def margin_max(self) -> float:
        """Largest margin, in standard deviations of the noise, at which the mean deviation equals `rate`.

        With Z standard normal and the margin uniform on [0, m], the mean is Phi(-m) + (phi(0) - phi(m)) / m, which
        falls from 1/2 to 0 as m grows; beyond m = 40 all but phi(0) / m vanishes in double precision.
        """
        density_0 = 1 / math.sqrt(2 * math.pi)
        if self.rate <= density_0 / _SIGMA_MAX:
            return density_0 / self.rate
        if self.rate > 0.5 - _FIRST_ORDER:
            return (0.5 - self.rate) * 2 / density_0
        from scipy.optimize import brentq

        def excess(m: float) -> float:
            density_drop = -math.expm1(-m * m / 2) * density_0  # phi(0) - phi(m), exact for small m
            return math.erfc(m / math.sqrt(2)) / 2 + density_drop / m - self.rate

        return float(brentq(excess, 1e-9, _SIGMA_MAX + 1, xtol=1e-300, rtol=1e-14))
