"""The honest nodes of a scenario, sorted by how they can differ.

Nodes that cannot be told apart by any law are counted together, and nodes that always answer alike are one unit:
all that never deviate, and all nodes of a group whose noise is wholly shared. What remains is a short list of units,
on which the exact law and the sampler both work.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sim.inference.executors import Gpu

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sim.inference.difficulty.base import Difficulty
    from sim.inference.executors import Cpu


@dataclass(frozen=True, slots=True)
class HonestGroup:
    """The honest nodes of one group."""

    count: int
    power: int
    hardware: str
    executor: Cpu | Gpu


@dataclass(frozen=True, slots=True)
class Unit:
    """Interchangeable honest machines; each is one node, or several that always answer alike.

    Parameters
    ----------
    count
        Number of machines that may answer differently from one another.
    power
        Voting power of each machine.
    nodes
        Number of nodes that each machine stands for.
    law
        When a machine deviates; None, never.
    hardware
        Hardware class whose noise they share; empty where each has its own.
    """

    count: int
    power: int
    nodes: int
    law: Difficulty | None
    hardware: str

    @property
    def shared_noise(self) -> float:
        """Share of its noise that a machine has in common with its class."""
        return self.law.shared_noise if self.law else 0.0


@dataclass(frozen=True, slots=True)
class Population:
    """All honest nodes: units, and how the wrong answers of those that deviate spread."""

    units: tuple[Unit, ...]
    alternatives: float

    @property
    def power(self) -> int:
        """Voting power of all honest nodes."""
        return sum(unit.count * unit.power for unit in self.units)

    @property
    def nodes(self) -> int:
        """Number of honest nodes."""
        return sum(unit.count * unit.nodes for unit in self.units)

    @property
    def can_differ(self) -> bool:
        """Whether two of its machines can answer differently: some deviate, and they are not one machine."""
        return bool(self.laws) and sum(unit.count for unit in self.units) > 1

    @property
    def laws(self) -> list[Difficulty]:
        """The different laws by which machines deviate."""
        return list(dict.fromkeys(unit.law for unit in self.units if unit.law))

    @classmethod
    def of(cls, groups: Iterable[HonestGroup]) -> Population:
        """Sort the honest nodes of groups into units.

        Parameters
        ----------
        groups
            In a fixed order; groups that can deviate agree on `alternatives`, and those of a class on `shared_noise`.
        """
        merged: dict[tuple[object, ...], Unit] = {}
        alternatives = 0.0
        for group in groups:
            if not group.count:
                continue
            unit = _unit(group)
            alternatives = unit.law.alternatives if unit.law else alternatives
            rigid, key = _key(unit)
            if key not in merged:
                merged[key] = unit
            elif rigid:
                one = merged[key]
                merged[key] = replace(one, power=one.power + unit.power, nodes=one.nodes + unit.nodes)
            else:
                merged[key] = replace(merged[key], count=merged[key].count + unit.count)
        return cls(tuple(merged.values()), alternatives)


def unit_of(groups: Sequence[HonestGroup]) -> list[int | None]:
    """Say which unit of `Population.of(groups)` each group's nodes are in; None for a group without nodes."""
    keys = [_key(_unit(group))[1] if group.count else None for group in groups]
    order = {key: number for number, key in enumerate(dict.fromkeys(key for key in keys if key is not None))}
    return [None if key is None else order[key] for key in keys]


def _key(unit: Unit) -> tuple[bool, tuple[object, ...]]:
    """Whether all nodes of a unit are one machine, and what tells it from other units."""
    rigid = unit.law is None or unit.shared_noise == 1
    return rigid, (unit.law, unit.hardware) if rigid else (unit.law, unit.hardware, unit.power)


def _unit(group: HonestGroup) -> Unit:
    law = group.executor.law if isinstance(group.executor, Gpu) else None
    if law is None or not law.rate:
        return Unit(1, group.count * group.power, group.count, None, "")
    if law.shared_noise == 1:
        return Unit(1, group.count * group.power, group.count, law, group.hardware)
    return Unit(group.count, group.power, 1, law, group.hardware if law.shared_noise else "")
