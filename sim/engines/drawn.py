"""Blocks that were drawn: what the ways to draw them have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from sim.consensus.tally import NOBODY, Verdict

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from sim.inference.population import Population
    from sim.inference.sampler import Groups, PartitionSampler

    Integers = NDArray[np.int64]


class Blocks(NamedTuple):
    """Outcome of each block, its diverged nodes, and a second number, which the mechanism gives a meaning."""

    outcome: Integers
    diverged: Integers
    extra: Integers

    def where(self, chosen: NDArray[np.bool_]) -> Blocks:
        """Some of the blocks."""
        return Blocks(*(column[chosen] for column in self))


class Ballots(NamedTuple):
    """Power and nodes of the groups of each election, the strongest first; shape (elections, W)."""

    power: Integers
    nodes: Integers

    @classmethod
    def of(cls, groups: Groups, elections: int, power: Integers, nodes: Integers) -> Ballots:
        """Sort groups by election and strength.

        Parameters
        ----------
        groups
            Their `block` is the election.
        elections
            Number of elections.
        power, nodes
            Of a machine of each unit.
        """
        strength, size = groups.machines @ power, groups.machines @ nodes
        order = np.lexsort((-size, -strength, groups.block))
        block = groups.block[order]
        rank = np.arange(len(block)) - np.searchsorted(block, block)
        width = int(rank.max(initial=0)) + 1
        tables = np.zeros((2, elections, width), dtype=np.int64)
        tables[0, block, rank], tables[1, block, rank] = strength[order], size[order]
        return cls(*tables)

    def diverged(self, verdict: Verdict, honest: Integers | int) -> Integers:
        """Honest nodes that are not in the certified group, of `honest` in each election."""
        size = self.nodes[np.arange(len(self.nodes)), np.maximum(verdict.certified, 0)]
        return np.where(verdict.certified == NOBODY, 0, honest - size)


def machine_nodes(population: Population) -> Integers:
    """Nodes that a machine of each unit stands for."""
    return np.array([unit.nodes for unit in population.units], dtype=np.int64)


class Quiet(NamedTuple):
    """How a block ends in which nobody deviates: its outcome, and the second number of `Blocks`."""

    outcome: int
    extra: int = 0


class Draws(Protocol):
    """A way to draw blocks, of which only the active ones are drawn."""

    @property
    def sampler(self) -> PartitionSampler:
        """Draws the answers of honest nodes."""
        ...

    @property
    def block_rate(self) -> float:
        """Chance that a block is active."""
        ...

    @property
    def hostile_chance(self) -> float:
        """Chance that a Byzantine node leads a block, where that matters."""
        ...

    @property
    def quiet(self) -> tuple[Quiet, Quiet]:
        """How a block ends that is not active, under an honest and under a Byzantine leader."""
        ...

    def tally(self, stream: Generator, active: int) -> Blocks:
        """Draw active blocks and tally their votes."""
        ...
