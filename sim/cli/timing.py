"""What a run message by message has shown, in lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sim.engines.timing import Timing
    from sim.scenario.schema import Scenario

MEANING = {
    "divergence": "honest nodes computed different results",
    "absence": "it would have passed, had nobody been away because an answer lost before",
    "attack": "Byzantine nodes decided it, led it, or left too few honest votes",
    "partition": "the network was split",
    "timeout": "messages or executions came too late, or never",
    "stall": "fewer than a quorum can ever vote again",
}


def timing_lines(timing: Timing, scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Yield a title and a text for each measure, and for the settings behind them, defaults filled in.

    Parameters
    ----------
    timing
        What was measured.
    scenario
        What was run.
    """
    if timing.latency_s:
        shown = ", ".join(f"{name} {seconds:.4g} s" for name, seconds in timing.latency_s.items())
        yield "latency", f"{shown}, from a block's start until more than f votes hold its result"
    rate = "no time passes" if timing.blocks_per_s is None else f"{timing.blocks_per_s:.4g} agreed blocks a second"
    yield "throughput", f"{rate} ({timing.simulated_s:,.4g} s simulated)"
    if timing.rounds_per_block is not None:
        yield "rounds", f"{timing.rounds_per_block:.4g} an agreed block"
    by_type = ", ".join(f"{name} {number:,.4g}" for name, number in timing.messages_by_type.items())
    yield "messages", f"{timing.messages_per_block:,.5g} a block, {_bytes(timing.bytes_per_block)} ({by_type})"
    if timing.blocks_by_messages:
        yield "by messages", f"{timing.blocks_by_messages:,} blocks, in which something fails, or may time out"
    for cause, number in timing.causes.items():
        yield "failed", f"{number:,} by {cause}: {MEANING[cause]}"
    if timing.first_violation:
        seen = timing.first_violation
        nodes = " and ".join(str(node) for node in seen.nodes)
        yield (
            "unsafe",
            f"{seen.property} violated first at height {seen.height:,}, {seen.time_s:.4g} s, by nodes {nodes}",
        )
    yield "network", _settings(_network(scenario))
    yield "timeouts", _settings(_timeouts(scenario))


def _bytes(number: float) -> str:
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.4g} GB"


def _network(scenario: Scenario) -> dict[str, Any]:
    from sim.network.schema import Network

    return (scenario.network or Network()).model_dump(mode="json", exclude_none=True)


def _timeouts(scenario: Scenario) -> dict[str, Any]:
    from sim.consensus.protocols import PROTOCOLS
    from sim.consensus.timeouts import Timeouts

    consensus = scenario.consensus
    wanted = list(PROTOCOLS.load(consensus.protocol).timeouts)
    if consensus.result == "certify":
        wanted.append("result")
    timeouts = consensus.timeouts or Timeouts()
    return {name: timeouts.of(name) for name in wanted} | {"max_rounds": scenario.rounds}


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_plain(value)}" for name, value in settings.items() if value not in ([], 0, 0.0))


def _plain(value: Any) -> str:
    from sim.base.text import shown

    if isinstance(value, dict) and set(value) == {"kind", "seconds"}:
        return f"{value['seconds']:g}"
    if isinstance(value, dict) and set(value) == {"kind"}:
        return str(value["kind"])
    return shown(value)
