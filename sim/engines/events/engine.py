"""What the events engine can answer, what it would cost, and the answer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from sim.consensus.protocols import PROTOCOLS
from sim.engines.chains.measures import ChainCounts, chain_result
from sim.engines.result import Result, counted_result
from sim.network.links import memory_bytes
from sim.network.schema import Network
from sim.network.topology import Complete, GraphFile
from sim.statistics.counts import Task
from sim.statistics.streams import named_key

if TYPE_CHECKING:
    from sim.engines.events.measures import Measures
    from sim.engines.events.trace import Trace
    from sim.scenario.schema import Scenario
    from sim.statistics.counts import Counts

MEMORY_SHARE = 0.5
"""Share of the machine's memory that a run may need."""
_BYTES_PER_VOTE = 110  # a dictionary entry in each of the phases' tallies, which grows in powers of two
_BYTES_PER_FLIGHT = 90  # a receiver and a time, as Python objects, for each message on its way
_BYTES_PER_NODE = 20_000
_BYTES_PER_REQUEST = 2_500  # a SimPy process that waits for a device
_PHASES = 4  # of a block, that are counted or on their way at the same time


def refusal(scenario: Scenario) -> str | None:
    """Why this engine cannot answer a scenario; None if it can."""
    return next(obstacles(scenario), None) or memory_refusal(scenario)


def obstacles(scenario: Scenario) -> Iterator[str]:
    """Yield why a scenario cannot be run message by message, whatever the memory."""
    protocol, known = scenario.consensus.protocol, PROTOCOLS.names()
    if not scenario.replicated:
        yield "it runs chains on which every node executes (verification replicate)"
    yield from _voting_obstacles(scenario)
    if protocol not in known:
        yield f"protocol {protocol} cannot be run message by message yet (it has {', '.join(known)})"
    if sum(scenario.faults.of(name) for name in scenario.nodes) == scenario.node_count:
        yield "no node is honest, so nobody decides anything"
    topology = scenario.network.topology if scenario.network else None
    if isinstance(topology, GraphFile) and topology.edges is None:
        yield "its graph file has not been read (load_scenario reads it)"
    if scenario.run.blocks > BLOCKS_MAX:
        yield f"{scenario.run.blocks:,} blocks are too many to simulate message by message (at most {BLOCKS_MAX:,})"


def memory_refusal(scenario: Scenario) -> str | None:
    """Why a run message by message does not fit in memory; None if it does."""
    return too_much(memory_needed(scenario), f"n^2 messages of {scenario.node_count:,} nodes, and their requests,")


def too_much(need: int, what: str) -> str | None:
    """Say that something needs more memory than a run may take; None if it does not."""
    have = machine_memory()
    if need <= MEMORY_SHARE * have:
        return None
    return (
        f"{what} need about {need / 2**30:,.1f} GiB of memory, more than {MEMORY_SHARE:.0%} of this machine's "
        f"{have / 2**30:,.1f} GiB"
    )


def _voting_obstacles(scenario: Scenario) -> Iterator[str]:
    """Yield ways to vote that its machines do not know."""
    if scenario.chained:
        yield from _chain_obstacles(scenario)
    if scenario.numeric:
        yield "its nodes do not compare numbers"
    if scenario.consensus.result == "endorse":
        yield "its nodes vote on whole blocks (result certify or propose)"
    if scenario.consensus.appeal is not None:
        yield "its nodes execute a request once (no consensus.appeal)"
    if scenario.consensus.tolerant or scenario.faults.answer is not None:
        yield "its nodes compare answers as texts (matching exact, no faults.answer)"


def _chain_obstacles(scenario: Scenario) -> Iterator[str]:
    """Yield what it does not know of chains over time."""
    recovery, election, protocol = scenario.recovery, scenario.election, scenario.consensus.protocol
    if protocol in PROTOCOLS.names() and PROTOCOLS.load(protocol).pipelined:
        yield f"{protocol} begins a block before it is known who diverged at the last one (protocol pbft or tendermint)"
    if scenario.after_failure == "retry":
        yield "its nodes execute a block once (no on_failure retry)"
    if recovery is None or recovery.never:
        return
    if recovery.seconds is None and max(election.invented, election.boost) and not election.unbreakable:
        yield "where Byzantine votes decide, its nodes come back after seconds (recovery.seconds)"
    if recovery.state_bytes and scenario.network and not isinstance(scenario.network.topology, Complete):
        yield "a state is fetched over a complete network (network.topology complete)"


BLOCKS_MAX = 100_000_000
"""Blocks of a run: eight bytes each are kept, for the percentiles of latency."""


def memory_needed(scenario: Scenario) -> int:
    """Bytes that a run needs at most, about."""
    n = scenario.node_count
    messages = n * n * (_BYTES_PER_VOTE + _BYTES_PER_FLIGHT) * _PHASES
    if any(group.executor.seconds_per_request is not None for group in scenario.nodes.values()):
        messages += n * scenario.workload.requests_per_block * _BYTES_PER_REQUEST
    return messages + n * _BYTES_PER_NODE + memory_bytes(n, scenario.network or Network()) + 8 * scenario.run.blocks


def machine_memory() -> int:
    """Bytes of memory of this machine."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 * 2**30


def run_events(
    scenario: Scenario,
    report: Callable[[Counts], None] | None = None,
    trace: Trace | None = None,
    failures: int | None = None,
) -> Result:
    """Answer a scenario for which `refusal` is None.

    Parameters
    ----------
    scenario
        A validated scenario.
    report
        Called with the counts after every block.
    trace
        Where everything that happens is written.
    failures
        End at that many failing blocks.

    Raises
    ------
    Stopped
        Ctrl-C; it has the result of the blocks that are over.
    """
    from sim.engines.events.measures import Measures
    from sim.engines.events.world import ENGINE, World

    def told(measures: Measures) -> None:
        if report:
            report(measures.counts)

    measures = Measures(Task(scenario.scenario_id, ENGINE, scenario.run.seed))
    chains = ChainCounts(measures.counts.task, scenario.run.blocks) if scenario.chained else None
    try:
        for chain in range(scenario.run.chains or 1):
            world = World(_nth_chain(scenario, chain), trace, told, failures, measures)
            try:
                world.run()
            finally:
                measures.ended(world.ended, world.ledger.violation)
                if chains and world.course:
                    chains.take(world.course.chronicle)
    except KeyboardInterrupt:
        raise Stopped(_result(scenario, measures, chains) if measures.blocks else None) from None
    return _result(scenario, measures, chains)


def _nth_chain(scenario: Scenario, chain: int) -> Scenario:
    """The same scenario with what another chain draws; the first chain is that of the seed itself."""
    if not chain:
        return scenario
    seed = named_key(f"chain {chain}", scenario.run.seed) >> 65
    return scenario.model_copy(update={"run": scenario.run.model_copy(update={"seed": seed})})


class Stopped(KeyboardInterrupt):
    """Ctrl-C; `result` has the blocks that are over, None if there are none."""

    def __init__(self, result: Result | None) -> None:
        super().__init__()
        self.result = result


def _result(scenario: Scenario, measures: Measures, chains: ChainCounts | None) -> Result:
    result = chain_result(scenario, chains) if chains else counted_result(scenario, measures.counts)
    return replace(result, timing=measures.timing())
