"""Empirical: no law at all, but the groups into which the runs of real prompts fell.

At a decision point one recorded prompt (or token, where the recording compares tokens) is drawn, and each node is given
one of its runs, none twice. What nodes answer then has the frequencies of the recording without bias, which a law with
plugged-in frequencies does not have: two runs drawn with replacement would agree too often. So a recording answers for
at most as many nodes as a prompt has runs.
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

_Sizes = Annotated[tuple[Annotated[int, Field(ge=0, le=1_000)], ...], Field(strict=False, min_length=1)]
_Table = Annotated[
    tuple[
        Annotated[int, Field(ge=1, le=10**9)],
        Annotated[tuple[_Sizes, ...], Field(strict=False, min_length=1, max_length=1_000)],
    ],
    Field(strict=False),
]


class Empirical(Difficulty):
    """Deviations as they were recorded; rate and alternatives are what the recording says."""

    difficulty: Literal["empirical"] = "empirical"
    recording: Annotated[Annotated[str, Field(min_length=1, max_length=1_000)] | None, Field(exclude=True)] = None
    """File of the recording, or of a table of counts, in the scenario's folder; what counts is what it holds."""
    columns: Annotated[tuple[Annotated[str, Field(max_length=200)], ...], Field(strict=False, min_length=1)]
    """Hardware classes of the recording; read from it."""
    tables: Annotated[tuple[_Table, ...], Field(strict=False, min_length=1, max_length=1_000_000)]
    """How many prompts had which groups, and of each group its runs on each hardware class; read from the recording."""

    @classmethod
    def with_defaults(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Fill in the rate: the share of runs outside the largest group of their prompt."""
        data = super().with_defaults(data)
        if "rate" not in data and isinstance(data.get("tables"), list | tuple):
            try:
                data["rate"] = _rate(data["tables"])
            except (TypeError, ValueError, ZeroDivisionError):
                data["rate"] = 0.0  # the tables are what is wrong, and are told
        elif "tables" not in data:
            data.setdefault("rate", 0.0)
        return data

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """Groups that are not empty and have a number for each class; nothing that only laws have."""
        yield from super().cross_checks(fields, data)
        columns = fields.get("columns", ())
        for index, (_, groups) in enumerate(fields.get("tables", ())):
            if any(len(sizes) != len(columns) or not sum(sizes) for sizes in groups):
                yield Mistake(("tables", index), "must have groups with a number of runs for each of the columns")
                break
        for key in ("shared_noise", "alternatives"):
            if fields.get(key):
                yield Mistake((key,), "must be left out: the recording says what nodes have in common", fields[key])
        if "tables" in fields and columns and abs(fields.get("rate", 0.0) - _rate(fields["tables"])) > 1e-12:
            yield Mistake(("rate",), "must be left out: the recording says it", fields.get("rate"))

    @property
    def runs(self) -> int:
        """Runs of the prompt that has the fewest."""
        return min(sum(map(sum, groups)) for _, groups in self.tables)

    def runs_on(self, hardware: str) -> int:
        """Runs on a hardware class, of the prompt that has the fewest."""
        column = self.column(hardware)
        if column is None:
            return self.runs
        return min(sum(sizes[column] for sizes in groups) for _, groups in self.tables)

    def column(self, hardware: str) -> int | None:
        """Which column a hardware class draws its runs from; None: from all together."""
        return self.columns.index(hardware) if hardware in self.columns and len(self.columns) > 1 else None

    @property
    def by_hardware(self) -> bool:
        """Whether runs of several hardware classes are told apart."""
        return len(self.columns) > 1

    def deviation_probability(self, hardness: Floats) -> Floats:
        """The rate: the hardness of a recorded prompt is not known (see `Difficulty`); engines replay groups."""
        return np.full(np.shape(hardness), self.rate)

    def edges(self, resolution: float) -> Floats:  # noqa: ARG002 -- nothing is integrated
        """No edges (see `Difficulty`)."""
        return np.empty(0)


def _rate(tables: Any) -> float:
    """Share of the runs that are not in the largest group of their prompt, prompts counting alike."""
    outside = prompts = 0.0
    for number, groups in tables:
        sizes = [sum(group) for group in groups]
        outside += number * (1 - max(sizes) / sum(sizes))
        prompts += number
    return float(outside / prompts)
