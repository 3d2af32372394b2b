"""Zero-inflated: most prompts never deviate, and all others do at one rate.

The simplest law of prompts that differ, and the contrast to `beta`, in which they differ by degrees. Parameters are
those of `beta`, the rate and the intra-prompt correlation: prompts that can deviate do with probability p = rate +
correlation (1 - rate), and are a share rate / p of all (Lambert 1992, with the binomial law).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from sim.inference.binomial import BELOW_ONE
from sim.inference.difficulty.base import Difficulty

if TYPE_CHECKING:
    from sim.inference.difficulty.base import Floats


class ZeroInflated(Difficulty):
    """Deviations at one rate, on a share of the prompts only; by default wrong answers compete (alpha = 1)."""

    difficulty: Literal["zero_inflated"] = "zero_inflated"
    correlation: Annotated[float, Field(gt=0, lt=1)]
    """Intra-prompt correlation of deviations, between 0 and 1."""

    @classmethod
    def default_alternatives(cls, shared_noise: float) -> float:
        """1; 0 where noise is partly shared."""
        return 0.0 if 0 < shared_noise < 1 else 1.0

    @property
    def chance(self) -> float:
        """Probability that a node deviates on a prompt on which nodes can."""
        return min(self.rate + self.correlation * (1 - self.rate), BELOW_ONE)

    @property
    def share(self) -> float:
        """Share of the prompts on which nodes can deviate."""
        return self.rate / self.chance

    def deviation_probability(self, hardness: Floats) -> Floats:
        """The same on the hardest prompts, and none on the others (see `Difficulty`)."""
        return np.where(np.asarray(hardness) < self.share, self.chance, 0.0)

    def edges(self, resolution: float) -> Floats:  # noqa: ARG002 -- p is constant on both sides of its one edge
        """The share of the prompts on which nodes can deviate (see `Difficulty`)."""
        return np.array([self.share]) if 0 < self.share < 1 else np.empty(0)
