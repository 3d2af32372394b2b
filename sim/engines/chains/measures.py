"""What chains over time give: counts that can be added, and measures whose intervals allow for what blocks share.

A node that is away is away in many blocks, so blocks of a chain are not independent. Intervals are those of a ratio of
sums over batches (stretches of chains, at least thirty in all), each batch counting as one observation; where fewer
failures were seen than such an interval needs, the one for independent blocks is kept too.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sim.consensus.tally import Outcome
from sim.engines.over_time import LENGTHS, Away, ChainMeasures
from sim.engines.result import Estimate, Mean, Result, shared_fields
from sim.statistics.intervals import clopper_pearson

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from sim.engines.chains.chronicle import Chronicle, Record
    from sim.scenario.schema import Scenario
    from sim.statistics.counts import Task

    Floats = NDArray[np.float64]

BATCHES_MIN = 32
_BATCHES_TOLD = 3  # below, batches tell nothing of how far a mean is off
_SLOTS, _OUTCOMES, _RETRIES, _DIVERGED, _AWAY = 0, slice(1, 5), 5, 6, 7
_COLUMNS = 8
_BLOCKS = [(column, 1) for column in range(1, 5)]


@dataclass(slots=True)
class ChainCounts:
    """What a number of chains gave.

    Parameters
    ----------
    task
        What was simulated.
    blocks
        Slots of each chain.
    chains, batches
        Number of chains, and of the stretches into which they were cut.
    sums, products
        Sum over batches of (slots, blocks by outcome, retries, diverged nodes, away nodes), and of their products;
        shapes (8,) and (8, 8), exact.
    away
        Slots by number of nodes away.
    halts
        Chains by why they halted.
    ends
        Slots that each chain took, and whether it halted at the end of them.
    first_failures, first_signs
        Where each chain first failed, and where it first failed or a node diverged, of those in which that happened.
    longest_stalls
        Longest run of failing slots of each chain.
    """

    task: Task
    blocks: int
    chains: int = 0
    batches: int = 0
    sums: list[int] = field(default_factory=lambda: [0] * _COLUMNS)
    products: list[list[int]] = field(default_factory=lambda: [[0] * _COLUMNS for _ in range(_COLUMNS)])
    away: Counter[int] = field(default_factory=Counter)
    halts: Counter[str] = field(default_factory=Counter)
    ends: list[tuple[int, bool]] = field(default_factory=list)
    first_failures: list[int] = field(default_factory=list)
    first_signs: list[int] = field(default_factory=list)
    longest_stalls: list[int] = field(default_factory=list)

    def take(self, chain: Chronicle) -> None:
        """Add a chain."""
        self.chains += 1
        for record in chain.records:
            if record.slots:
                self._take(record)
        self.ends.append((chain.slot, chain.halted is not None))
        self.longest_stalls.append(chain.longest_stall)
        if chain.halted is not None:
            self.halts[chain.halted] += 1
        if chain.first_failure is not None:
            self.first_failures.append(chain.first_failure)
        signs = [slot for slot in (chain.first_failure, chain.first_divergence) if slot is not None]
        if signs:
            self.first_signs.append(min(signs))

    def _take(self, record: Record) -> None:
        away = sum(nodes * slots for nodes, slots in record.away.items())
        row = [record.slots, *record.outcomes, record.retries, record.diverged, away]
        self.batches += 1
        for i, one in enumerate(row):
            self.sums[i] += one
            for j, other in enumerate(row):
                self.products[i][j] += one * other
        self.away.update(record.away)

    @property
    def slots(self) -> int:
        """Slots of all chains."""
        return self.sums[_SLOTS]

    @property
    def outcomes(self) -> tuple[int, ...]:
        """Blocks by outcome."""
        return tuple(self.sums[_OUTCOMES])

    def ratio(self, weights: Iterable[tuple[int, int]], per: Iterable[tuple[int, int]]) -> tuple[float, float]:
        """A ratio of sums over batches, and half the width of its interval.

        Parameters
        ----------
        weights, per
            Columns of numerator and denominator, with their factors.
        """
        above, below = np.zeros(_COLUMNS), np.zeros(_COLUMNS)
        for column, factor in weights:
            above[column] = factor
        for column, factor in per:
            below[column] = factor
        sums, products = np.array(self.sums, dtype=float), np.array(self.products, dtype=float)
        total = float(below @ sums)
        if not total:
            return 0.0, 0.0
        ratio = float(above @ sums) / total
        residual = above - ratio * below
        if self.batches < _BATCHES_TOLD:
            return ratio, math.inf
        from scipy.special import stdtrit

        spread = max(float(residual @ products @ residual), 0.0) * self.batches / (self.batches - 1)
        return ratio, float(stdtrit(self.batches - 1, 0.975)) * math.sqrt(spread) / total

    def share(self, columns: Iterable[int]) -> Estimate:
        """Share of blocks that end in some ways."""
        columns = list(columns)
        ratio, half = self.ratio([(column, 1) for column in columns], _BLOCKS)
        count, blocks = sum(self.sums[column] for column in columns), sum(self.outcomes)
        low, high = clopper_pearson(count, blocks)
        return Estimate(ratio, max(min(low, ratio - half), 0.0), min(max(high, ratio + half), 1.0), count)

    def mean(self, column: int, per: Iterable[tuple[int, int]], largest: int) -> Mean:
        """Mean of a number, at most `largest`, in a slot or a block."""
        ratio, half = self.ratio([(column, 1)], per)
        if not self.sums[column] and self.batches >= _BATCHES_TOLD:  # none seen: as if all or nothing
            return Mean(0.0, 0.0, largest * clopper_pearson(0, self.slots)[1])
        return Mean(ratio, max(ratio - half, 0.0), min(ratio + half, float(largest)))


def batch_of(scenario: Scenario) -> int:
    """Slots of a batch: as many batches as chains, and enough of them to tell how far a mean is off."""
    chains = scenario.run.chains or 1
    return max(1, -(-scenario.run.blocks * chains // max(BATCHES_MIN, chains)))


def chain_result(scenario: Scenario, counts: ChainCounts) -> Result:
    """Result of chains that were simulated."""
    names = tuple(outcome.name for outcome in Outcome)
    columns = dict(zip(names, range(1, 5), strict=True))
    return Result(
        **shared_fields(scenario, counts.task.engine),
        blocks=sum(counts.outcomes),
        outcomes={name: counts.share([column]) for name, column in columns.items()},
        block_failure=counts.share([column for name, column in columns.items() if name != "agreed"]),
        diverged_per_block=counts.mean(_DIVERGED, _BLOCKS, scenario.honest_nodes),
        over_time=measures(counts, scenario),
    )


def measures(counts: ChainCounts, scenario: Scenario) -> ChainMeasures:
    """Work out the measures of chains that were simulated."""
    away = counts.mean(_AWAY, [(_SLOTS, 1)], scenario.honest_nodes)
    total = max(counts.slots, 1)
    most = max(counts.away, default=0)
    halted = sum(counts.halts.values())
    exposed = counts.slots if not counts.first_failures else _exposure(counts)
    committed = counts.sums[1] + counts.sums[3]
    return ChainMeasures(
        chains=counts.chains,
        nodes_away=Away(
            away.mean, away.low, away.high, tuple(counts.away[number] / total for number in range(most + 1))
        ),
        availability=committed / max(counts.chains * counts.blocks, 1),
        retries_per_block=counts.ratio([(_RETRIES, 1)], _BLOCKS)[0],
        blocks_to_failure=exposed / len(counts.first_failures) if counts.first_failures else None,
        blocks_to_halt=counts.slots / halted if halted else None,
        longest_stall=max(counts.longest_stalls, default=0),
        halts=dict(sorted(counts.halts.items())),
        still_running=() if scenario.after_failure == "skip" else _survival(counts),
        looked_deterministic=_tests(counts),
    )


def _exposure(counts: ChainCounts) -> int:
    """Slots that chains ran up to and with their first failure."""
    untouched = counts.chains - len(counts.first_failures)
    return sum(slot + 1 for slot in counts.first_failures) + untouched * counts.blocks


def _survival(counts: ChainCounts) -> tuple[tuple[int, float], ...]:
    """Slots and share of chains that still run after them, where that changes; at most a hundred points."""
    halts = sorted(slots for slots, halted in counts.ends if halted)
    known = {slots: 1 - (index + 1) / counts.chains for index, slots in enumerate(halts)}  # of equals, the last
    every = max(1, -(-len(known) // 100))
    points = list(known.items())[::-1][::every][::-1]
    end = (counts.blocks, 1 - len(halts) / max(counts.chains, 1))
    return ((0, 1.0), *points, *([] if points and points[-1][0] == counts.blocks else [end]))


def _tests(counts: ChainCounts) -> tuple[tuple[int, float], ...]:
    """Tests of 1, 2, 5, 10 ... blocks, up to the length of a chain."""
    lengths = [length for length in LENGTHS if length <= counts.blocks]
    seen = np.sort(np.array(counts.first_signs, dtype=np.int64))
    return tuple((blocks, 1 - float(np.searchsorted(seen, blocks)) / max(counts.chains, 1)) for blocks in lengths)
