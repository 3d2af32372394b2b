"""What the phases engine can answer, and the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from sim.consensus.protocols import PROTOCOLS
from sim.engines.events import engine as events
from sim.engines.phases.flows import FLOWS
from sim.engines.phases.quiet import QUIET
from sim.engines.result import Result, counted_result
from sim.network.schema import Network
from sim.network.topology import Complete
from sim.statistics.counts import Task

if TYPE_CHECKING:
    from sim.engines.events.measures import Measures
    from sim.engines.phases.base import PhasedRun
    from sim.scenario.schema import Scenario
    from sim.statistics.counts import Counts

ENGINE = "phases"
_BYTES_PER_PAIR = 64  # delays, arrivals, and what is made of them, as floats
_BYTES_PER_PAIR_OF = {"icc": 96}  # which looks at three kinds of messages together
_BYTES_PER_NODE = 2_000
_BYTES_PER_HEIGHT = 150  # times of a node at a height, where votes go to one collector
_HEIGHTS = 160  # that are in flight, or over and still asked for


def refusal(scenario: Scenario) -> str | None:
    """Why this engine cannot answer a scenario; None if it can."""
    return next(_obstacles(scenario), None)


def _obstacles(scenario: Scenario) -> Iterator[str]:
    yield from events.obstacles(scenario)
    protocol, faults = scenario.consensus.protocol, scenario.faults
    if protocol not in {*QUIET, *FLOWS.builtin}:
        yield f"it does not know the phases of {protocol} (it has {', '.join([*QUIET, *FLOWS.builtin])})"
    if scenario.chained:
        yield "its blocks do not depend on those before (no recovery, on_failure or run.chains)"
    if faults.crashes and protocol not in QUIET:
        yield f"nodes of {protocol} do not crash at given times (faults.crashes)"
    if scenario.election.byzantine and faults.behaviour != "silent":
        yield f"its Byzantine nodes are silent (faults.behaviour is {faults.behaviour})"
    network = scenario.network or Network()
    if not isinstance(network.topology, Complete):
        yield "its messages take the direct way (network.topology complete)"
    if network.loss or network.duplication or network.reordering or network.gst or network.partitions:
        yield "its messages all arrive in their ordinary time (no loss, duplication, reordering, gst or partitions)"
    if network.bandwidth is not None and protocol in FLOWS.builtin:
        yield f"with several blocks in flight ({protocol}), its uplinks send at once (no network.bandwidth)"
    n = scenario.node_count
    refused = events.too_much(memory_needed(scenario), f"n^2 delays of {n:,} nodes")
    if refused:
        yield refused


def memory_needed(scenario: Scenario) -> int:
    """Bytes that a run needs at most, about, while nothing is run message by message."""
    n, devices = scenario.node_count, max(group.devices or 1 for group in scenario.nodes.values())
    if scenario.consensus.protocol in FLOWS.builtin and PROTOCOLS.load(scenario.consensus.protocol).collected:
        return n * (_BYTES_PER_HEIGHT + 8 * devices) * _HEIGHTS + 8 * scenario.run.blocks
    pair = _BYTES_PER_PAIR_OF.get(scenario.consensus.protocol, _BYTES_PER_PAIR)
    return pair * n * n + n * (_BYTES_PER_NODE + 32 * devices) + 8 * scenario.run.blocks


def _run_of(
    scenario: Scenario, measures: Measures, report: Callable[[Measures], None], failures: int | None
) -> PhasedRun:
    """Make the run of a chain, that has one height at a time or several."""
    if scenario.consensus.protocol in FLOWS.builtin:
        from sim.engines.phases.pipelined import PipelinedRun

        return PipelinedRun(FLOWS.load(scenario.consensus.protocol)(scenario), measures, report, failures)
    from sim.engines.phases.chain import Chain
    from sim.engines.phases.run import Run

    return Run(Chain(scenario), measures, report, failures)


def run_phases(
    scenario: Scenario, report: Callable[[Counts], None] | None = None, failures: int | None = None
) -> Result:
    """Answer a scenario for which `refusal` is None.

    Parameters
    ----------
    scenario
        A validated scenario.
    report
        Called with the counts after every block, or stretch of blocks that are run message by message.
    failures
        End at that many failing blocks.

    Raises
    ------
    Stopped
        Ctrl-C; it has the result of the blocks that are over.
    """
    from sim.engines.events.measures import Measures

    def told(measures: Measures) -> None:
        if report:
            report(measures.counts)

    measures = Measures(Task(scenario.scenario_id, ENGINE, scenario.run.seed))
    run = _run_of(scenario, measures, told, failures)
    try:
        run.run()
    except KeyboardInterrupt:
        raise events.Stopped(_result(scenario, measures, run) if measures.blocks else None) from None
    return _result(scenario, measures, run)


def _result(scenario: Scenario, measures: Measures, run: PhasedRun) -> Result:
    measures.ended(run.ended, None)
    timing = replace(measures.timing(), blocks_by_messages=run.by_messages)
    return replace(counted_result(scenario, measures.counts), timing=timing)
