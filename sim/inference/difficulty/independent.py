"""Independence: every node deviates at the same rate whatever the prompt.

The one-line binomial that most people have in mind. Real deviations concentrate on the same prompts, and this model
is then wrong by orders of magnitude: use it as the contrast only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from sim.inference.difficulty.base import Difficulty

if TYPE_CHECKING:
    from sim.inference.difficulty.base import Floats


class Independent(Difficulty):
    """Deviations that know nothing of the prompt; wrong answers all differ unless noise is shared."""

    difficulty: Literal["independent"] = "independent"

    @classmethod
    def default_alternatives(cls, shared_noise: float) -> float:
        """All wrong answers differ (.inf); 0 where noise is shared."""
        return 0.0 if shared_noise > 0 else np.inf

    def deviation_probability(self, hardness: Floats) -> Floats:
        """The rate, for every hardness (see `Difficulty`)."""
        return np.full(np.shape(hardness), self.rate)

    def edges(self, resolution: float) -> Floats:  # noqa: ARG002 -- a constant needs no panels
        """No edges: p is constant (see `Difficulty`)."""
        return np.empty(0)
