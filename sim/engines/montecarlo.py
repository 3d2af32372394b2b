"""The Monte Carlo engine: draws outputs for many blocks at once, tallies votes, counts outcomes.

What to use when: for every model and every attack that `exact` cannot answer, and as its independent check. Blocks in
which nobody deviates are not drawn, only counted, so that a billion blocks at a rate of 1e-4 take a fraction of a
second; memory does not grow with the number of blocks.

Blocks fall into cells, whose size is a function of the model alone. A cell is always drawn whole: first how many of its
blocks are active (and, under `propose`, how many of the quiet ones have a Byzantine leader), then the contents of the
active ones; their positions matter, and are drawn, only where a run ends within the cell.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.consensus.faults import NEEDS_TIME
from sim.consensus.matching import Margin
from sim.consensus.tally import NOBODY, Outcome, Verdict, certify, propose
from sim.engines.executor_draws import ExecutorDraws
from sim.engines.margin_draws import MarginDraws
from sim.engines.number_draws import WORK_MAX, NumberDraws, work
from sim.inference.sampler import Groups, PartitionSampler
from sim.statistics.counts import Counts, Task
from sim.statistics.streams import CONTENTS, POSITIONS, cell_stream, first_among, stream_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.random import Generator
    from numpy.typing import NDArray

    from sim.scenario.schema import Scenario

    Integers = NDArray[np.int64]

ENGINE = "montecarlo"
_WORK_PER_CELL = 8_192  # active blocks of one decision point: a few milliseconds
_NUMBERS_PER_CELL = 200_000  # comparisons of numbers: some ten milliseconds
_CELL_BITS_MAX = 29  # NumPy's hypergeometric law takes populations below 1e9


class _Blocks(NamedTuple):
    """Outcome of each block, and its honest nodes that are not in the certified group."""

    outcome: Integers
    diverged: Integers


class MonteCarlo:
    """Simulates one scenario, cell by cell.

    Parameters
    ----------
    scenario
        A validated scenario for which `refusal` is None.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.election = scenario.election
        self.task = Task(scenario.scenario_id, ENGINE, scenario.run.seed)
        self._key = stream_key(*self.task[::2])
        self._nodes = np.array([unit.nodes for unit in scenario.population.units], dtype=np.int64)
        self._leads = scenario.consensus.result == "propose"

    @cached_property
    def sampler(self) -> PartitionSampler:
        """Draws the answers of honest nodes."""
        workload, scenario = self.scenario.workload, self.scenario
        relevant = self.election.relevant
        return PartitionSampler(scenario.population, relevant, workload.requests_per_block, scenario.points_per_request)

    @cached_property
    def _whole(self) -> ExecutorDraws | NumberDraws | MarginDraws | None:
        """Draws every block, where nodes do more than vote on what they computed."""
        if self.scenario.numeric:
            return NumberDraws(self.scenario)
        if isinstance(self.scenario.consensus.matching, Margin):
            return MarginDraws(self.scenario)
        return None if self.scenario.replicated else ExecutorDraws(self.scenario)

    @cached_property
    def cell_blocks(self) -> int:
        """Blocks in a cell, a power of two: about the same work in every cell."""
        if self._whole is None:
            return self._cell(self.sampler, _CELL_BITS_MAX)
        most = _WORK_PER_CELL.bit_length() - 1  # every block is drawn
        if isinstance(self._whole, NumberDraws | MarginDraws):
            return 1 << min(most, int(_NUMBERS_PER_CELL // max(self._whole.work, 1)).bit_length())
        return self._cell(self._whole.sampler, most) if self._whole.compares else 1 << most

    def _cell(self, sampler: PartitionSampler, bits_max: int) -> int:
        population = self.scenario.population
        candidates = max(sampler.block_rate, self.scenario.points * sampler.point_rate)
        size = 1 + len(population.units)
        if population.alternatives:
            size += population.nodes // 50
        if 2 * sampler.threshold <= population.power:
            machines = sum(unit.count for unit in population.units)
            size += min(population.power // sampler.threshold, machines)
        bits = math.floor(math.log2(_WORK_PER_CELL / max(candidates * size, 1e-300)))
        return int(1 << min(max(bits, 0), bits_max))

    def cells(self, blocks: int) -> Iterator[tuple[int, int]]:
        """Yield the cells of a run of that many blocks: number, and blocks of it that the run covers."""
        full, rest = divmod(blocks, self.cell_blocks)
        for number in range(full):
            yield number, self.cell_blocks
        if rest:
            yield full, rest

    def count(self, cell: int, blocks: int) -> Counts:
        """Simulate a cell.

        Parameters
        ----------
        cell
            Its number, from 0.
        blocks
            How many of its blocks count: the first ones, at most `cell_blocks`.

        Returns
        -------
        Counts
            The same for the same task, cell and blocks, wherever it is computed.
        """
        stream = cell_stream(self._key, cell, CONTENTS)
        if self._whole is not None:
            drawn = _Blocks(*(column[:blocks] for column in self._whole.draw(stream, self.cell_blocks)))
            return self._counts(blocks, drawn, np.bincount(drawn.outcome, minlength=len(Outcome)))
        hostile_chance = self.election.byzantine / self.election.votes if self._leads else 0.0
        active = int(stream.binomial(self.cell_blocks, self.sampler.block_rate))
        hostile = int(stream.binomial(self.cell_blocks - active, hostile_chance))
        drawn = self._tally(stream, active)
        quiet = self.cell_blocks - active
        if blocks < self.cell_blocks:
            positions = cell_stream(self._key, cell, POSITIONS)
            kept = positions.choice(self.cell_blocks, size=active, replace=False) < blocks
            drawn = _Blocks(drawn.outcome[kept], drawn.diverged[kept])
            within = blocks - len(drawn.outcome)
            hostile = first_among(self._key, cell, hostile, quiet, within)
            quiet = within
        outcomes = np.bincount(drawn.outcome, minlength=len(Outcome))
        for verdict, number in zip(self._quiet_verdicts, (quiet - hostile, hostile), strict=True):
            outcomes[verdict.outcome[0]] += number
        return self._counts(blocks, drawn, outcomes)

    def _counts(self, blocks: int, drawn: _Blocks, outcomes: Integers) -> Counts:
        total = int(drawn.diverged.sum())
        squares = int((drawn.diverged * drawn.diverged).sum())
        return Counts(self.task, blocks, tuple(int(number) for number in outcomes), total, squares)

    @cached_property
    def _quiet_verdicts(self) -> tuple[Verdict, Verdict]:
        """Verdict where nobody deviates, under an honest and under a Byzantine leader."""
        power = self.scenario.population.power
        groups = np.array([[power if power >= self.election.relevant else 0]])
        if not self._leads:
            verdict = certify(self.election, groups)
            return verdict, verdict
        first, last = np.array([0]), np.array([self.election.votes - 1])
        return propose(self.election, groups, first), propose(self.election, groups, last)

    def _tally(self, stream: Generator, active: int) -> _Blocks:
        """Draw active blocks and tally their votes."""
        groups = self.sampler.draw(stream, active)
        power, nodes = self._table(groups, active)
        if self._leads:
            leader = stream.integers(0, self.election.votes, size=active)
            verdict = propose(self.election, power, leader)
        else:
            verdict = certify(self.election, power)
        winners = np.maximum(verdict.certified, 0)
        missing = self.scenario.population.nodes - nodes[np.arange(active), winners]
        return _Blocks(verdict.outcome, np.where(verdict.certified == NOBODY, 0, missing))

    def _table(self, groups: Groups, active: int) -> tuple[Integers, Integers]:
        """Power and nodes of each block's groups, the strongest first; shape (active, W)."""
        power = groups.machines @ self.sampler.power
        nodes = groups.machines @ self._nodes
        order = np.lexsort((-nodes, -power, groups.block))
        block = groups.block[order]
        rank = np.arange(len(block)) - np.searchsorted(block, block)
        width = int(rank.max(initial=0)) + 1
        tables = np.zeros((2, active, width), dtype=np.int64)
        tables[0, block, rank], tables[1, block, rank] = power[order], nodes[order]
        return tables[0], tables[1]


def refusal(scenario: Scenario) -> str | None:
    """Why this engine cannot answer a scenario; None if it can."""
    if scenario.faults.timed:
        return NEEDS_TIME
    if scenario.numeric and work(scenario) > WORK_MAX:
        return f"its {scenario.node_count:,} nodes are too many to compare their numbers pair by pair"
    return "recorded answers are the same in every block, so there is nothing to draw" if scenario.recorded else None
