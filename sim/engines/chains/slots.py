"""Slots in which somebody deviates, drawn many at a time: where they are, and who answers alike.

Nodes have numbers, so that those who are away can be left out: a group is a set of machines, one bit each. Which
machines of a unit are in a group of a given size is uniform, as they are interchangeable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.inference.sampler import Groups, PartitionSampler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    from sim.inference.population import Population

    Integers = NDArray[np.int64]

_SMALL = 62  # machines whose bits fit a 64-bit integer


class Machines:
    """Honest machines, numbered unit by unit; sets of them are bit masks.

    Parameters
    ----------
    population
        The honest nodes.
    """

    def __init__(self, population: Population) -> None:
        self.units = population.units
        self.count = sum(unit.count for unit in self.units)
        self.everyone = (1 << self.count) - 1
        starts = np.cumsum([0, *(unit.count for unit in self.units)]).tolist()
        self.starts: list[int] = starts[:-1]
        self._masks = [((1 << unit.count) - 1) << start for unit, start in zip(self.units, self.starts, strict=True)]
        self._power, self._nodes = [unit.power for unit in self.units], [unit.nodes for unit in self.units]
        self._alike = {(unit.power, unit.nodes) for unit in self.units} == {(1, 1)}

    def power(self, machines: int) -> int:
        """Voting power of a set."""
        if self._alike:
            return machines.bit_count()
        return sum(
            unit.power * (machines & mask).bit_count() for unit, mask in zip(self.units, self._masks, strict=True)
        )

    def nodes(self, machines: int) -> int:
        """Number of nodes in a set."""
        if self._alike:
            return machines.bit_count()
        return sum(
            unit.nodes * (machines & mask).bit_count() for unit, mask in zip(self.units, self._masks, strict=True)
        )

    def sets(self, stream: Generator, groups: Groups, slots: int) -> list[list[int]]:
        """Draw which machines are in each group, slot by slot.

        Parameters
        ----------
        stream
            Source of randomness.
        groups
            Their `block` is the slot.
        slots
            Number of slots.
        """
        order = np.argsort(groups.block, kind="stable")
        block, machines = groups.block[order], groups.machines[order]
        before = np.cumsum(machines, axis=0) - machines
        first = np.searchsorted(block, block)
        start = before - before[first]
        kind = np.int64 if self.count <= _SMALL else object
        masks = np.zeros(len(block), dtype=kind)
        for index, unit in enumerate(self.units):
            bits = np.array([1 << (self.starts[index] + place) for place in range(unit.count)], dtype=kind)
            shuffled = bits[np.argsort(stream.random((slots, unit.count)), axis=1)]
            sums = np.zeros((slots, unit.count + 1), dtype=kind)
            np.cumsum(shuffled, axis=1, out=sums[:, 1:])
            masks += sums[block, start[:, index] + machines[:, index]] - sums[block, start[:, index]]
        found: list[list[int]] = [[] for _ in range(slots)]
        for slot, mask in zip(block.tolist(), masks.tolist(), strict=True):
            found[slot].append(mask)
        return found


class Slots(NamedTuple):
    """Slots in which somebody may deviate.

    Parameters
    ----------
    gaps
        Slots from each to the one before it, at least 1.
    groups
        Sets of machines that answer alike; small groups are left out.
    """

    gaps: Sequence[int]
    groups: Sequence[Sequence[int]]


def draw_slots(stream: Generator, sampler: PartitionSampler, machines: Machines, number: int) -> Slots:
    """Draw that many slots, one after another."""
    gaps = stream.geometric(sampler.block_rate, number).tolist()
    return Slots(gaps, machines.sets(stream, sampler.draw(stream, number), number))
