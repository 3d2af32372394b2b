"""How long a message is under way: one law for all pairs of nodes, or one for each pair of regions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer, PlainValidator

from sim.base.model import FrozenModel, Mistake, dumped
from sim.base.registry import Registry
from sim.statistics.durations import DURATIONS, BuiltIn, Duration, DurationLaw, duration_law

REGIONS_MAX = 100

LATENCIES = Registry(
    key="kind",
    builtin={**DURATIONS.builtin, "regions": "sim.network.latency:Regions"},
    group=DURATIONS.group,
)


class Regions(FrozenModel):
    """A law for each pair of regions, a region with itself among them."""

    kind: Literal["regions"] = "regions"
    between: Annotated[dict[str, dict[str, Duration]], Field(min_length=1, max_length=REGIONS_MAX)]
    """Region to region to law; where only one direction is given, the other is the same."""

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """A law for every pair of the regions named."""
        yield from super().cross_checks(fields, data)
        between = data.get("between")
        if not (isinstance(between, dict) and all(isinstance(entry, dict) for entry in between.values())):
            return
        names = list(dict.fromkeys([*between, *(name for entry in between.values() for name in entry)]))
        if len(names) > REGIONS_MAX:
            yield Mistake(("between",), f"must have at most {REGIONS_MAX} regions (has {len(names)})")
            return
        for number, first in enumerate(names):
            for second in names[number:]:
                if second not in between.get(first, {}) and first not in between.get(second, {}):
                    place = ("between", first) if first in between else ("between",)
                    yield Mistake(place, f"must have a law from {first} to {second}")

    @property
    def names(self) -> list[str]:
        """The regions, in the order first named."""
        return list(dict.fromkeys([*self.between, *(name for entry in self.between.values() for name in entry)]))

    def law(self, sender: str, receiver: str) -> DurationLaw:
        """The law from one region to another.

        Parameters
        ----------
        sender, receiver
            Two of `names`.
        """
        there = self.between.get(sender, {})
        return there[receiver] if receiver in there else self.between[receiver][sender]


Latency = Annotated[
    DurationLaw | Regions,
    PlainValidator(partial(duration_law, laws=LATENCIES), json_schema_input_type=float | BuiltIn | Regions),
    PlainSerializer(dumped),
]
"""A field that holds latencies: a number of seconds, a law chosen by its `kind`, or `regions`."""
