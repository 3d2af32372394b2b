"""Draws blocks where one executor computes and the others check (see `executor_exact` for the ways a block can end)."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from sim.consensus.tally import Outcome
from sim.consensus.verification import Optimistic, Proof, SpotCheck, Tee
from sim.engines.executor_exact import Ends, delivery
from sim.inference.sampler import Groups, PartitionSampler

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from sim.scenario.schema import Scenario

    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]


class ExecutorDraws:
    """Draws how blocks of a scenario with one executor end.

    Parameters
    ----------
    scenario
        A validated scenario that is not replicated.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario, self.verification = scenario, scenario.verification
        self.ends = Ends(scenario)
        self.honest = scenario.population.nodes
        self.byzantine = scenario.node_count - self.honest
        units = scenario.population.units
        self.nodes = np.array([unit.nodes for unit in units], dtype=np.int64)
        self.power = np.array([unit.power for unit in units], dtype=np.int64)
        self.room = np.array([unit.count * unit.nodes for unit in units], dtype=np.int64)

    @cached_property
    def sampler(self) -> PartitionSampler:
        """Draws the answers of honest nodes, all groups of them."""
        scenario = self.scenario
        workload = scenario.workload
        return PartitionSampler(scenario.population, 1, workload.requests_per_block, scenario.points_per_request)

    @property
    def compares(self) -> bool:
        """Whether answers of nodes that can differ are compared."""
        return isinstance(self.verification, Optimistic | SpotCheck) and self.scenario.population.can_differ

    def draw(self, stream: Generator, blocks: int) -> tuple[Integers, Integers]:
        """Outcome of each block, and its diverged nodes, which there are none; shape (blocks,) each."""
        if isinstance(self.verification, Proof | Tee):
            forged, refused = self._attested(stream, blocks, self.verification)
        else:
            forged, refused = self._rechecked(stream, blocks)
        honest = np.where(refused, self.ends.refused, self.ends.stands)
        return np.where(forged, Outcome.wrong_result, honest), np.zeros(blocks, dtype=np.int64)

    def _attested(self, stream: Generator, blocks: int, verification: Proof | Tee) -> tuple[Flags, Flags]:
        """Whether a forged proof passes, and whether there is no valid one."""
        provers = verification.provers
        if provers == 1:
            hostile = (stream.random(blocks) < self.ends.hostile).astype(np.int64)
        else:
            hostile = stream.hypergeometric(self.byzantine, self.honest, provers, size=blocks)
        passes = verification.forgery if self.ends.posts else 0.0
        forged = stream.binomial(hostile, passes) > 0
        return forged, stream.binomial(provers - hostile, delivery(self.scenario, verification)) == 0

    def _rechecked(self, stream: Generator, blocks: int) -> tuple[Flags, Flags]:
        """Whether a forged result stands, and whether the posted one is refused."""
        verification = self.verification
        assert isinstance(verification, Optimistic | SpotCheck)  # noqa: S101 -- the other kinds prove
        panel = verification.panel(self.scenario.node_count - 1)
        led = stream.random(blocks) < self.ends.hostile
        sits = np.where(stream.random(blocks) < panel.chance, panel.drawn, 0)
        hostile = stream.hypergeometric(self.byzantine - led, self.honest - ~led, sits)
        look = stream.binomial(sits - hostile, panel.looks)
        forged = led & (look == 0) & self.ends.posts
        disputed = np.zeros(blocks, dtype=np.bool_)
        if self.compares:
            disputed = self._differ(stream, np.where(led, 0, look))
        if self.scenario.contested and self.ends.posts:
            disputed |= hostile > 0
        return forged, np.where(led, ~forged, disputed)

    def _differ(self, stream: Generator, look: Integers) -> Flags:
        """Whether one of those who look gets another answer than an honest executor."""
        blocks, sampler = len(look), self.sampler
        differ = np.zeros(blocks, dtype=np.bool_)
        active = np.flatnonzero(stream.random(blocks) < sampler.block_rate)
        if len(active):
            differ[active] = self._split(stream, sampler.draw(stream, len(active)), look[active])
        return differ

    def _split(self, stream: Generator, groups: Groups, look: Integers) -> Flags:
        """Draw executor and lookers of each block from its groups; tell whether they are of several."""
        order = np.argsort(groups.block, kind="stable")
        groups = Groups(groups.block[order], groups.prefix[order], groups.machines[order])
        row, unit = self._executors(stream, groups, len(look))
        mine = groups.machines[row] * self.nodes
        room = np.tile(self.room, (len(look), 1))
        rows = np.arange(len(look))
        mine[rows, unit] -= 1
        room[rows, unit] -= 1
        alike, left = np.ones(len(look), dtype=np.bool_), look.copy()
        for index in range(len(self.room)):
            beyond = room[:, index + 1 :].sum(axis=1)
            taken = stream.hypergeometric(room[:, index], beyond, left)
            alike &= stream.hypergeometric(mine[:, index], room[:, index] - mine[:, index], taken) == taken
            left = left - taken
        return ~alike

    def _executors(self, stream: Generator, groups: Groups, blocks: int) -> tuple[Integers, Integers]:
        """Row and unit of each block's executor, drawn by power; rows are in the order of blocks."""
        weight = groups.machines * (self.power / float(self.scenario.population.power))
        ends = weight.ravel().cumsum()  # a block after the other, each of length 1
        number, units = np.arange(blocks), len(self.power)
        first = np.searchsorted(groups.block, number) * units
        last = np.searchsorted(groups.block, number, side="right") * units - 1
        flat = np.clip(np.searchsorted(ends, number + stream.random(blocks), side="right"), first, last)
        empty = groups.machines.ravel()[flat] == 0  # where rounding puts the place on an edge
        flat[empty] = first[empty] + groups.machines[first[empty] // units].argmax(axis=1)
        return np.divmod(flat, units)
