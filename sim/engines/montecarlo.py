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
from typing import TYPE_CHECKING

import numpy as np

from sim.consensus.faults import NEEDS_TIME
from sim.consensus.matching import Margin
from sim.consensus.tally import Outcome
from sim.engines import margin_draws
from sim.engines.appeal_draws import AppealDraws
from sim.engines.chains import engine as chains
from sim.engines.drawn import Blocks
from sim.engines.endorse_draws import EndorseDraws
from sim.engines.executor_draws import ExecutorDraws
from sim.engines.margin_draws import MarginDraws
from sim.engines.number_draws import WORK_MAX, NumberDraws, work
from sim.engines.vote_draws import VoteDraws
from sim.statistics.counts import Counts, Task
from sim.statistics.streams import CONTENTS, POSITIONS, cell_stream, first_among, stream_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sim.engines.drawn import Draws
    from sim.inference.sampler import PartitionSampler
    from sim.scenario.schema import Scenario

    Integers = NDArray[np.int64]

ENGINE = "montecarlo"
_WORK_PER_CELL = 8_192  # active blocks of one decision point: a few milliseconds
_NUMBERS_PER_CELL = 200_000  # comparisons of numbers: some ten milliseconds
_CELL_BITS_MAX = 29  # NumPy's hypergeometric law takes populations below 1e9


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

    @cached_property
    def _draws(self) -> Draws:
        """Draws blocks of a chain on which every node executes."""
        consensus = self.scenario.consensus
        if consensus.appeal is not None:
            return AppealDraws(self.scenario)
        return EndorseDraws(self.scenario) if consensus.result == "endorse" else VoteDraws(self.scenario)

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
            return self._cell(self._draws.sampler, _CELL_BITS_MAX)
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
            outcome, diverged = (column[:blocks] for column in self._whole.draw(stream, self.cell_blocks))
            drawn = Blocks(outcome, diverged, np.zeros_like(diverged))
            return self._counts(blocks, drawn, np.bincount(outcome, minlength=len(Outcome)))
        draws = self._draws
        active = int(stream.binomial(self.cell_blocks, draws.block_rate))
        hostile = int(stream.binomial(self.cell_blocks - active, draws.hostile_chance))
        drawn = draws.tally(stream, active)
        quiet = self.cell_blocks - active
        if blocks < self.cell_blocks:
            positions = cell_stream(self._key, cell, POSITIONS)
            kept = positions.choice(self.cell_blocks, size=active, replace=False) < blocks
            drawn = drawn.where(kept)
            within = blocks - len(drawn.outcome)
            hostile = first_among(self._key, cell, hostile, quiet, within)
            quiet = within
        outcomes = np.bincount(drawn.outcome, minlength=len(Outcome))
        extra, squares = _sums(drawn.extra)
        for end, number in zip(draws.quiet, (quiet - hostile, hostile), strict=True):
            outcomes[end.outcome] += number
            extra, squares = extra + number * end.extra, squares + number * end.extra**2
        return self._counts(blocks, drawn, outcomes, extra, squares)

    def _counts(self, blocks: int, drawn: Blocks, outcomes: Integers, extra: int = 0, squares: int = 0) -> Counts:
        ended = tuple(int(number) for number in outcomes)
        return Counts(self.task, blocks, ended, *_sums(drawn.diverged), extra, squares)


def _sums(numbers: Integers) -> tuple[int, int]:
    """Sum, and sum of squares."""
    return int(numbers.sum()), int((numbers * numbers).sum())


def refusal(scenario: Scenario) -> str | None:
    """Why this engine cannot answer a scenario; None if it can."""
    if scenario.faults.timed:
        return NEEDS_TIME
    if scenario.chained:
        return chains.refusal(scenario)
    if isinstance(scenario.consensus.matching, Margin) and MarginDraws(scenario).work > margin_draws.WORK_MAX:
        return "its nodes check too many close tokens in a block"
    if scenario.numeric and work(scenario) > WORK_MAX:
        return f"its {scenario.node_count:,} nodes are too many to compare their numbers pair by pair"
    return "recorded answers are the same in every block, so there is nothing to draw" if scenario.recorded else None
