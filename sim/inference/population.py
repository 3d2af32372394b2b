"""The honest nodes of a scenario, sorted by how they can differ.

Nodes that cannot be told apart by any law are counted together, and nodes that always answer alike are one unit:
all that never deviate, and all nodes of a group whose noise is wholly shared. What remains is a short list of units,
on which the exact law and the sampler both work.

A share s of the wrong answers may be equivalent to the reference output: then whoever gives one counts as not
deviating. Each table of the Chinese restaurant (concentration alpha) is equivalent with probability s, on its own. Of
such a coloured restaurant the rest is one again, of concentration alpha (1-s), and a customer is in it with a chance
V ~ Beta(alpha (1-s), alpha s) that all customers of a decision point have in common (Pitman 2006, chapters 3 and 4):

- alpha = inf: V = 1-s, so that chances to deviate shrink (`Unit.kept`);
- alpha = 0: V is 0 or 1, the one wrong answer is equivalent or not (`Population.harmless`);
- between, V is drawn, or summed over (`Population.equivalents`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sim.inference.difficulty.empirical import Empirical
from sim.inference.executors import Gpu

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from sim.inference.difficulty.base import Difficulty
    from sim.inference.executors import Cpu

    Floats = NDArray[np.float64]


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
    kept
        Chance that a deviating machine's answer is not equivalent to the reference output, where all differ.
    """

    count: int
    power: int
    nodes: int
    law: Difficulty | None
    hardware: str
    kept: float = 1.0

    def chance(self, hardness: Floats) -> Floats:
        """Probability that a machine deviates at a decision point of the given hardness, and counts as deviating."""
        return self.law.deviation_probability(hardness) * self.kept if self.law else np.zeros(np.shape(hardness))

    @property
    def shared_noise(self) -> float:
        """Share of its noise that a machine has in common with its class."""
        return self.law.shared_noise if self.law else 0.0


@dataclass(frozen=True, slots=True)
class Population:
    """All honest nodes: units, and how the wrong answers of those that deviate spread.

    Parameters
    ----------
    units
        Of different laws, powers and classes.
    alternatives
        Concentration alpha (1-s) of the wrong answers that are not equivalent to the reference output.
    equivalent
        Chance s that a wrong answer is; 0 where all differ, since `Unit.kept` then says it.
    """

    units: tuple[Unit, ...]
    alternatives: float
    equivalent: float = 0.0

    @property
    def equivalents(self) -> float:
        """Concentration alpha s of the wrong answers that are equivalent to the reference output."""
        return self.alternatives * self.equivalent / (1 - self.equivalent) if self.equivalent else 0.0

    @property
    def harmless(self) -> float:
        """Probability that all deviations of a decision point are equivalent, where all are or none."""
        return 0.0 if self.equivalents else self.equivalent

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
    def replayed(self) -> Empirical | None:
        """The recording that all its machines replay; None where they follow a law."""
        law = next((unit.law for unit in self.units if unit.law), None)
        return law if isinstance(law, Empirical) else None

    @property
    def laws(self) -> list[Difficulty]:
        """The different laws by which machines deviate."""
        return list(dict.fromkeys(unit.law for unit in self.units if unit.law))

    @classmethod
    def of(cls, groups: Iterable[HonestGroup], equivalent: float = 0.0) -> Population:
        """Sort the honest nodes of groups into units.

        Parameters
        ----------
        groups
            In a fixed order; groups that can deviate agree on `alternatives`, and those of a class on `shared_noise`.
        equivalent
            Chance that a wrong answer is equivalent to the reference output.
        """
        merged: dict[tuple[object, ...], Unit] = {}
        alternatives = 0.0
        for group in groups:
            if not group.count:
                continue
            unit = _unit(group, equivalent)
            alternatives = unit.law.alternatives if unit.law else alternatives
            rigid, key = _key(unit)
            if key not in merged:
                merged[key] = unit
            elif rigid:
                one = merged[key]
                merged[key] = replace(one, power=one.power + unit.power, nodes=one.nodes + unit.nodes)
            else:
                merged[key] = replace(merged[key], count=merged[key].count + unit.count)
        if np.isinf(alternatives):
            return cls(tuple(replace(unit, kept=1 - equivalent) for unit in merged.values()), alternatives)
        share = equivalent if equivalent < 1 else 0.0  # at 1 nobody is left who deviates
        return cls(tuple(merged.values()), alternatives * (1 - equivalent), share)


def unit_of(groups: Sequence[HonestGroup], equivalent: float = 0.0) -> list[int | None]:
    """Say which unit of `Population.of(groups, equivalent)` each group's nodes are in; None for one without nodes."""
    keys = [_key(_unit(group, equivalent))[1] if group.count else None for group in groups]
    order = {key: number for number, key in enumerate(dict.fromkeys(key for key in keys if key is not None))}
    return [None if key is None else order[key] for key in keys]


def _key(unit: Unit) -> tuple[bool, tuple[object, ...]]:
    """Whether all nodes of a unit are one machine, and what tells it from other units."""
    rigid = unit.law is None or unit.shared_noise == 1
    return rigid, (unit.law, unit.hardware) if rigid else (unit.law, unit.hardware, unit.power)


def _unit(group: HonestGroup, equivalent: float) -> Unit:
    law = group.executor.law if isinstance(group.executor, Gpu) else None
    if law is None or not law.rate or equivalent == 1:
        return Unit(1, group.count * group.power, group.count, None, "")
    if law.shared_noise == 1:
        return Unit(1, group.count * group.power, group.count, law, group.hardware)
    return Unit(group.count, group.power, 1, law, group.hardware if law.shared_noise or law.by_hardware else "")
