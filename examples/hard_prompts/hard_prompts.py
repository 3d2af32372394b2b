"""Hard prompts: a known share of the prompts is hard, and on those every node deviates with one probability.

The simplest law that is not independent: with share s and rate p, a node deviates on a hard prompt with probability
p / s, and never on the others. With s = 1 it is `independent`. A block fails with s times what the one-line binomial
gives for p / s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from sim.base.model import Mistake
from sim.inference.difficulty.base import Difficulty

if TYPE_CHECKING:
    from sim.inference.difficulty.base import Floats


class HardPrompts(Difficulty):
    """Deviations on a share of the prompts only; by default one wrong answer."""

    difficulty: Literal["hard_prompts"] = "hard_prompts"
    share: Annotated[float, Field(gt=0, le=1)]
    """Share of the prompts that are hard, more than the rate."""

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """Hold the rate below the share: nodes do not deviate on every hard prompt."""
        yield from super().cross_checks(fields, data)
        if {"rate", "share"} <= fields.keys() and fields["rate"] >= fields["share"]:
            yield Mistake(("share",), f"must be more than the rate ({fields['rate']:g})", fields["share"])

    def deviation_probability(self, hardness: Floats) -> Floats:
        """The same on every hard prompt, and 0 on the others (see `Difficulty`)."""
        return np.where(np.asarray(hardness) < self.share, self.rate / self.share, 0.0)

    def edges(self, resolution: float) -> Floats:  # noqa: ARG002 -- on both sides of the step it is constant
        """The step (see `Difficulty`)."""
        return np.array([self.share] if self.share < 1 else [])
