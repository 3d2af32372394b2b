"""Simulates chains over time: blocks that depend on those before them.

A cell is one whole chain from slot 0; what it draws depends on its number alone, so that a longer run repeats a shorter
one, and goes on.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from sim.consensus.recovery import IN_SECONDS
from sim.consensus.tally import BOOSTED
from sim.engines.chains.led import LedWalk
from sim.engines.chains.measures import ChainCounts, batch_of, chain_result
from sim.engines.chains.slots import Machines, draw_slots
from sim.engines.chains.walk import Rules, Walk
from sim.engines.tracefile import write_header, write_line, writing
from sim.inference.repeats import RepeatSampler
from sim.inference.sampler import PartitionSampler
from sim.statistics.counts import Task
from sim.statistics.streams import BY_NODE, CONTENTS, POSITIONS, cell_stream, stream_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from os import PathLike
    from typing import IO

    from numpy.random import Generator

    from sim.engines.result import Result
    from sim.scenario.schema import Scenario

ENGINE = "montecarlo"
_LEADERS = 3  # a stream within a cell, beside contents, attempts and durations
SLOTS_MAX = 1e9
"""Slots in which nodes deviate that are walked through at most: an hour."""
_FIRST, _LARGEST = 32, 16_384  # slots drawn at once


class Chains:
    """Simulates the chains of one scenario.

    Parameters
    ----------
    scenario
        A validated scenario that is chained, and for which `refusal` is None.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario, self.election = scenario, scenario.election
        self.task = Task(scenario.scenario_id, ENGINE, scenario.run.seed)
        self.machines = Machines(scenario.population)
        self.rules = Rules(
            scenario.election,
            scenario.faults_tolerated,
            scenario.recovery,
            scenario.after_failure,
            scenario.retries,
        )
        self.blocks, self.chains = scenario.run.blocks, scenario.run.chains or 1
        self._key = stream_key(self.task.scenario_id, self.task.seed)

    @cached_property
    def sampler(self) -> PartitionSampler:
        """Draws the answers of honest nodes."""
        scenario, population = self.scenario, self.scenario.population
        if self.rules.on_failure == "retry":
            return RepeatSampler(population, self.election.relevant, skips=True)
        requests = scenario.workload.requests_per_block
        return PartitionSampler(population, self.election.relevant, requests, scenario.points_per_request)

    def walk(
        self, chain: int, tell: Callable[..., None] | None = None, beat: Callable[[Walk], None] | None = None
    ) -> Walk:
        """Let a chain run to its end; tell what happens, and show it from time to time."""
        stream = cell_stream(self._key, chain, CONTENTS)
        later = cell_stream(self._key, chain, POSITIONS)
        lengths = cell_stream(self._key, chain, BY_NODE)
        recovery = self.rules.recovery

        def durations(number: int) -> Sequence[int]:
            return recovery.draw(lengths, number).tolist() if recovery else ()

        stretch = _Stretch(self.sampler, self.machines, later)
        arguments = (self.rules, self.machines, stretch.again, durations, self.blocks, batch_of(self.scenario), tell)
        leads = self.scenario.consensus.result == "propose"
        walk = LedWalk(_uniforms(cell_stream(self._key, chain, _LEADERS)), *arguments) if leads else Walk(*arguments)
        number = _FIRST
        while not walk.over:
            if not self.sampler.block_rate:
                walk.quiet(self.blocks)
                break
            for place, (gap, groups) in enumerate(stretch.draw(stream, number)):
                walk.quiet(gap - 1)
                if walk.over:
                    break
                walk.eventful(groups, place)
                if walk.over:
                    break
            number = min(2 * number, _LARGEST)
            if beat:
                beat(walk)
        return walk


def _uniforms(stream: Generator) -> Callable[[], float]:
    """Draw numbers in [0, 1) one by one, from stretches of many."""
    buffer: list[float] = []

    def draw() -> float:
        if not buffer:
            buffer.extend(stream.random(4_096).tolist())
        return buffer.pop()

    return draw


class _Stretch:
    """Slots that were drawn together, with what further attempts at them need."""

    def __init__(self, sampler: PartitionSampler, machines: Machines, later: Generator) -> None:
        self.sampler, self.machines, self.later = sampler, machines, later

    def draw(self, stream: Generator, number: int) -> Iterator[tuple[int, Sequence[int]]]:
        """Yield gaps, and groups that answer alike."""
        if not isinstance(self.sampler, RepeatSampler):
            slots = draw_slots(stream, self.sampler, self.machines, number)
            yield from zip(slots.gaps, slots.groups, strict=True)
            return
        gaps = stream.geometric(self.sampler.block_rate, number).tolist()
        self.environment, deviating = self.sampler.start(stream, number)
        groups = self.sampler.answers(stream, self.environment, self.sampler.counts - deviating, deviating)
        yield from zip(gaps, self.machines.sets(stream, groups, number), strict=True)

    def again(self, place: int) -> Sequence[int]:
        """Groups of another attempt at a slot: its hardness and class noise stay."""
        assert isinstance(self.sampler, RepeatSampler)  # noqa: S101 -- nobody else tries again
        chosen = np.zeros(self.environment.chances.shape[1], dtype=np.bool_)
        chosen[place] = True
        environment = self.environment.where(chosen)
        deviating = self.sampler.again(self.later, environment)
        groups = self.sampler.answers(self.later, environment, self.sampler.counts - deviating, deviating)
        return self.machines.sets(self.later, groups, 1)[0]


def run_chains(
    scenario: Scenario,
    progress: Callable[[ChainCounts, int], None] | None = None,
    trace: str | PathLike[str] | IO[str] | None = None,
) -> Result:
    """Simulate the chains of a scenario for which `refusal` is None.

    Parameters
    ----------
    scenario
        A validated scenario that is chained.
    progress
        Called with the counts, and slots of a chain that still runs, every now and then.
    trace
        A file (or stream) to which slots in which something happens are written, as JSON Lines.

    Raises
    ------
    Stopped
        Ctrl-C; it has the result of the chains that are over.
    """
    simulation = Chains(scenario)
    counts = ChainCounts(simulation.task, simulation.blocks)
    try:
        with writing(trace) if trace is not None else nullcontext() as stream:
            if stream:
                machines = simulation.machines.count
                write_header(stream, scenario, ENGINE, chains=simulation.chains, machines=machines)
            for chain in range(simulation.chains):
                tell = partial(write_line, stream, chain=chain) if stream else None
                beat = (lambda walk: progress(counts, walk.slot)) if progress else None
                walk = simulation.walk(chain, tell, beat)
                counts.take(walk)
                if tell:
                    tell(slot=walk.slot, event="end")
                if progress:
                    progress(counts, 0)
    except KeyboardInterrupt:
        raise Stopped(chain_result(scenario, counts) if counts.chains else None) from None
    return chain_result(scenario, counts)


class Stopped(KeyboardInterrupt):
    """Ctrl-C in the middle of a run; `result` has the chains that are over, None if there are none."""

    def __init__(self, result: Result | None) -> None:
        super().__init__()
        self.result = result


def refusal(scenario: Scenario) -> str | None:
    """Why chains over time cannot be simulated; None if they can."""
    return IN_SECONDS if scenario.recovery and scenario.recovery.timed else next(_obstacles(scenario), None)


def _eventful(scenario: Scenario) -> float:
    """Slots in which somebody may deviate, of all chains."""
    simulation = Chains(scenario)
    return simulation.blocks * simulation.chains * simulation.sampler.block_rate


def _obstacles(scenario: Scenario) -> Iterator[str]:
    if scenario.recorded:
        yield "recorded answers are the same in every block, so there is nothing to draw"
    election, led = scenario.election, scenario.consensus.result == "propose"
    if scenario.consensus.result == "endorse" or scenario.consensus.appeal is not None or not scenario.replicated:
        yield "chains over time are known for nodes that all execute (result certify or propose, no appeal)"
    if led and (election.behaviour in BOOSTED or election.byzantine >= election.quorum) and election.byzantine:
        yield "with leaders, Byzantine nodes must not decide over time (silent, random, or collude with b < q)"
    if led and any(group.power > 1 for group in scenario.nodes.values()):
        yield "with leaders, chains over time are known for nodes with a power of 1"
    if led and any(unit.nodes > 1 for unit in scenario.population.units):
        yield "with leaders, chains over time are known for nodes with noise of their own"
    if scenario.numeric or scenario.consensus.tolerant:
        yield "chains over time are known for answers that are compared as they are"
    if scenario.after_failure == "retry" and election.boost and not election.unbreakable:
        yield "a retry is known where Byzantine votes do not decide"
    if scenario.after_failure == "skip" and (slots := _eventful(scenario)) > SLOTS_MAX:
        yield f"it would walk through {slots:.2g} slots in which nodes deviate (at most {SLOTS_MAX:.0e}): fewer blocks"
    if scenario.after_failure == "retry" and (scenario.points > 1 or scenario.consensus.equivalent):
        yield "a retry meets the same hardness, which is known for one decision point a block, compared as it is"
