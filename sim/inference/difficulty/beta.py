"""Beta: the deviation probability of a prompt follows a beta distribution, as recordings of repeated runs suggest.

Two numbers, both measurable: the rate, and the intra-prompt correlation rho (given that one node deviates, how much
likelier is another). With rho near 0 nodes are independent, with rho near 1 a prompt deviates everywhere or nowhere.
The count of deviating nodes is beta-binomial (Skellam 1948).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from sim.inference.binomial import BELOW_ONE, log_choose
from sim.inference.difficulty.base import Difficulty

if TYPE_CHECKING:
    from sim.inference.difficulty.base import Floats

_INDEPENDENT = 1e-15  # a correlation below which every prompt has the rate itself, in double precision


class Beta(Difficulty):
    """Deviation probabilities that vary over prompts as Beta(a, b); by default wrong answers compete (alpha = 1)."""

    difficulty: Literal["beta"] = "beta"
    correlation: Annotated[float, Field(gt=0, lt=1)]
    """Intra-prompt correlation rho of deviations, between 0 and 1."""

    @classmethod
    def default_alternatives(cls, shared_noise: float) -> float:
        """1; 0 where noise is partly shared."""
        return 0.0 if 0 < shared_noise < 1 else 1.0

    @property
    def shape(self) -> tuple[float, float]:
        """Parameters a and b of the beta distribution: mean `rate`, correlation 1 / (a + b + 1)."""
        scale = (1 - self.correlation) / self.correlation
        return self.rate * scale, (1 - self.rate) * scale

    def deviation_probability(self, hardness: Floats) -> Floats:
        """The (1-u)-quantile of Beta(a, b) (see `Difficulty`)."""
        from scipy.special import betainccinv

        if not self.rate or self.correlation < _INDEPENDENT:
            return np.full(np.shape(hardness), self.rate)
        quantile: Floats = betainccinv(*self.shape, np.asarray(hardness, dtype=float))
        # SciPy gives nan for the last 1e-16 of hardness at some shapes, where p is 1 in double precision
        clipped: Floats = np.clip(np.nan_to_num(quantile, nan=1.0), 0.0, BELOW_ONE)
        return clipped

    def edges(self, resolution: float) -> Floats:
        """Edges even in the angle arcsin(sqrt(p)), then geometric in p, 1-p and u (see `Difficulty`)."""
        from scipy.special import betainc, betaincc

        if not self.rate or self.correlation < _INDEPENDENT:
            return np.empty(0)
        a, b = self.shape
        steps = math.ceil(math.pi / 2 / min(0.4, 2 * resolution))
        angles = np.linspace(0, math.pi / 2, steps + 1)[1:-1]
        small = np.sin(angles[0]) ** 2 * np.exp(-min(1.5, 6 * resolution) * np.arange(1, 2000))
        near_one = small[small > 1e-18]
        small = small[small > 1e-18 * self.rate]
        octaves = np.exp(-min(2.0, 12 * resolution) * np.arange(1, 8000))
        edges: Floats = np.concatenate(
            [
                betaincc(a, b, np.concatenate([np.sin(angles) ** 2, small])),
                betainc(b, a, near_one),
                octaves[octaves > 1e-300],
                1 - octaves[octaves > 1e-15],
            ]
        )
        inside: Floats = edges[(edges > 0) & (edges < 1)]
        return inside

    def deviator_law(self, nodes: int) -> Floats:
        """Beta-binomial probabilities (see `Difficulty`), by products in which rho may be as small as one likes.

        C(n, D) prod_{i<D} (r + i rho) prod_{i<n-D} (s + i rho) / prod_{i<n} (1 - rho + i rho), with r = rate (1 -
        rho) and s = (1 - rate)(1 - rho): log-gamma differences would lose seven digits at rho = 1e-8.
        """
        if not self.rate:
            return np.where(np.arange(nodes + 1) == 0, 1.0, 0.0)
        steps = self.correlation * np.arange(nodes, dtype=np.float64)
        free = 1 - self.correlation
        log_deviate = _cumulative_logs(self.rate * free + steps)
        log_stay = _cumulative_logs((1 - self.rate) * free + steps)
        log_all = float(np.log(free + steps).sum())
        law: Floats = np.exp(log_choose(nodes) + log_deviate + log_stay[::-1] - log_all)
        return law


def _cumulative_logs(factors: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(np.log(factors))])
