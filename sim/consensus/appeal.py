"""Appeals: where no result has a quorum, the same request is executed and voted on again.

As in GenLayer, where an appeal doubles the validators. An attempt meets the hardness of the first one, and machines
that share their noise repeat themselves; only noise of its own lets a node answer otherwise than before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Annotated, Any

from pydantic import Field

from sim.base.fractions import ExactFraction
from sim.base.model import FrozenModel, Mistake, without_default

ROUNDS_MAX = 20
GROWTH_MAX = 1_000


class Appeal(FrozenModel):
    """Further attempts at a block that no result has a quorum for, by all nodes or by committees that grow."""

    rounds: Annotated[int, Field(ge=1, le=ROUNDS_MAX)]
    """Attempts after the first one, at most."""
    growth: Annotated[ExactFraction, Field(json_schema_extra=without_default)] = Fraction(1)
    """How many times larger each committee is than the one before, rounded down, up to all nodes. Default: 2, and 1
    where all nodes vote."""
    committee: Annotated[int, Field(ge=1)] | None = None
    """Nodes of the first committee; each is drawn afresh from all nodes. Left out, all nodes vote every time."""

    @classmethod
    def with_defaults(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Fill in `growth`, which depends on whether committees vote."""
        data.setdefault("growth", 1 if data.get("committee") is None else 2)
        return data

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """Bound the growth."""
        yield from super().cross_checks(fields, data)
        growth = fields.get("growth", 1)
        if not 1 <= growth <= GROWTH_MAX:
            yield Mistake(("growth",), f"must be at least 1, and at most {GROWTH_MAX}", data["growth"])
        elif growth > 1 and data.get("committee") is None:
            yield Mistake(("growth",), "must be 1 where committee is left out: all nodes vote", data["growth"])

    def sizes(self, nodes: int) -> tuple[int, ...]:
        """Nodes that vote in each attempt, of a chain of that many nodes.

        Examples
        --------
        >>> Appeal(rounds=3, committee=5).sizes(13), Appeal(rounds=2, committee=5, growth=1.5).sizes(13)
        ((5, 10, 13, 13), (5, 7, 11))
        >>> Appeal(rounds=1).sizes(13)
        (13, 13)
        """
        first = nodes if self.committee is None else self.committee
        return tuple(min(math.floor(first * self.growth**number), nodes) for number in range(self.rounds + 1))
