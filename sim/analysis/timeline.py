"""What happened to whom on a chain over time: read from a trace."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from sim.base.errors import Problem, ScenarioError
from sim.base.text import has_control_characters
from sim.engines.tracereader import reading, whole, word

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike
    from typing import Any

    from sim.engines.tracereader import Lines

LINES_MAX = 20_000_000
MACHINES_MAX = 10_000
STRETCHES_MAX = 1_000_000
_LEAVE, _RETURN = {"diverge", "crash", "cut"}, {"return", "recover"}
_STALL = "no quorum can vote again"


@dataclass(slots=True)
class Timeline:
    """One chain, in slots as the Monte Carlo engine counts them, or in seconds as messages take them.

    Parameters
    ----------
    name
        Of its scenario.
    machines
        Number of its machines: the honest ones where it counts slots, else all nodes.
    unit
        What places are.
    end
        Where it ended.
    away
        Stretches in which a machine was away because its answer lost: machine, from, until.
    down
        Stretches in which a machine was down for another reason.
    failures
        Stretches in which blocks fail: from, and how long.
    halt
        Why it halted; empty if it did not.
    """

    name: str
    machines: int
    unit: Literal["slots", "seconds"]
    end: float = 0
    away: list[tuple[int, float, float]] = field(default_factory=list)
    down: list[tuple[int, float, float]] = field(default_factory=list)
    failures: list[tuple[float, float]] = field(default_factory=list)
    halt: str = ""


def read_timeline(path: str | PathLike[str], chain: int = 0) -> Timeline:
    """Read one chain of a trace that `sim run --trace` wrote.

    Parameters
    ----------
    path
        The trace.
    chain
        Number of the chain.

    Raises
    ------
    ScenarioError
        The file cannot be read, is no trace, or has no such chain.
    """
    with reading(path) as lines:
        return _slots(lines, chain) if lines.header["engine"] == "montecarlo" else _seconds(lines, chain)


def _slots(lines: Lines, chain: int) -> Timeline:
    """Read one of the chains that the Monte Carlo engine wrote."""
    head = lines.header
    timeline = _begun(lines, whole(head, "machines", most=MACHINES_MAX), "slots", chain, whole(head, "chains"))
    since: dict[int, float] = {}
    for line in lines:
        _check_size(timeline, lines)
        if line["chain"] != chain:
            continue
        slot, event = whole(line, "slot"), line["event"]
        if event == "diverge":
            since |= dict.fromkeys((int(machine) for machine in line["machines"]), slot + 1)
        elif event == "return":
            timeline.away += [(machine, since.pop(machine), slot) for machine in line["machines"]]
        elif event == "fail":
            timeline.failures.append((slot, whole(line, "slots")))
        elif event == "halt":
            timeline.halt = word(line, "cause")
        else:
            timeline.end = slot
    timeline.away += [(machine, start, timeline.end) for machine, start in since.items()]
    return timeline


def _seconds(lines: Lines, chain: int) -> Timeline:
    """Read the chain that was run message by message."""
    timeline = _begun(lines, lines.scenario.node_count, "seconds", chain, 1)
    begun: dict[int, float] = {}
    gone: dict[int, tuple[list[tuple[int, float, float]], float]] = {}
    for line in lines:
        _check_size(timeline, lines)
        event = line["event"]
        if event == "send":
            continue
        now = timeline.end = _time(line)
        if event == "height":
            begun[whole(line, "height")] = now
        elif event == "over":
            start = begun.pop(whole(line, "height"))
            if line["outcome"] != "agreed":
                timeline.failures.append((start, now - start))
        elif event in {"halt", "stall"}:
            timeline.halt = timeline.halt or (word(line, "cause") if event == "halt" else _STALL)
        elif event in _LEAVE:
            gone.setdefault(_node(line, timeline), (timeline.away if event == "diverge" else timeline.down, now))
        elif event in _RETURN:
            _came_back(gone, _node(line, timeline), now)
    for node in sorted(gone):
        _came_back(gone, node, timeline.end)
    return timeline


def _came_back(gone: dict[int, tuple[list[tuple[int, float, float]], float]], node: int, now: float) -> None:
    stretches, start = gone.pop(node)
    stretches.append((node, start, now))


def _begun(lines: Lines, machines: int, unit: Literal["slots", "seconds"], chain: int, chains: int) -> Timeline:
    if not 0 <= chain < chains:
        raise ScenarioError([Problem("", f"has {chains:,} chain{'s' * (chains != 1)}, from 0 on", chain, lines.name)])
    name = str(lines.header["name"])
    if has_control_characters(name):
        raise ValueError("a name that cannot be shown")
    return Timeline(name, machines, unit)


def _check_size(timeline: Timeline, lines: Lines) -> None:
    if lines.number > LINES_MAX or len(timeline.away) + len(timeline.down) + len(timeline.failures) > STRETCHES_MAX:
        raise ValueError("too many lines")


def _time(line: Mapping[str, Any]) -> float:
    time = float(line["t"])
    if not 0 <= time < math.inf:
        raise ValueError(f"t must be a time (got {time})")
    return time


def _node(line: Mapping[str, Any], timeline: Timeline) -> int:
    return whole(line, "node", most=timeline.machines - 1)
