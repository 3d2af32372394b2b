"""What happened to whom on a chain over time: read from a trace."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sim.base.errors import Problem, ScenarioError
from sim.base.text import has_control_characters
from sim.engines.tracereader import reading

if TYPE_CHECKING:
    from os import PathLike

    from sim.engines.tracereader import Lines

LINES_MAX = 1_000_000
MACHINES_MAX = 10_000


@dataclass(slots=True)
class Timeline:
    """One chain.

    Parameters
    ----------
    name
        Of its scenario.
    machines
        Number of its machines.
    slots
        Slots that it took.
    away
        Stretches in which a machine was away: machine, first slot, and the slot at which it was back.
    failures
        Stretches of failing slots: the first, and how many.
    halt
        Why it halted; empty if it did not.
    """

    name: str
    machines: int
    slots: int = 0
    away: list[tuple[int, int, int]] = field(default_factory=list)
    failures: list[tuple[int, int]] = field(default_factory=list)
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
        The file cannot be read, is no trace of chains over time, or has no such chain.
    """
    with reading(path) as lines:
        lines.need("montecarlo")
        return _read(lines, chain)


def _read(lines: Lines, chain: int) -> Timeline:
    timeline, since = _begun(lines, chain), dict[int, int]()
    for line in lines:
        if lines.number > LINES_MAX:
            raise ValueError("too many lines")
        if line["chain"] != chain:
            continue
        slot, event = int(line["slot"]), line["event"]
        if event == "diverge":
            since |= dict.fromkeys((int(machine) for machine in line["machines"]), slot + 1)
        elif event == "return":
            timeline.away += [(machine, since.pop(machine), slot) for machine in line["machines"]]
        elif event == "fail":
            timeline.failures.append((slot, int(line["slots"])))
        elif event == "halt":
            timeline.halt = str(line["cause"])
        else:
            timeline.slots = slot
    timeline.away += [(machine, start, timeline.slots) for machine, start in since.items()]
    return timeline


def _begun(lines: Lines, chain: int) -> Timeline:
    """Check the header of a trace."""
    head = lines.header
    machines, chains = int(head["machines"]), int(head["chains"])
    if not 0 <= chain < chains:
        raise ScenarioError([Problem("", f"has {chains:,} chains, from 0 on", chain, lines.name)])
    if not 0 <= machines <= MACHINES_MAX:
        raise ValueError("too many machines")
    if has_control_characters(str(head["name"])):
        raise ValueError("a name that cannot be shown")
    return Timeline(str(head["name"]), machines)
