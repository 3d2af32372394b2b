"""What happened to whom on a chain over time: read from a trace."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.base.errors import Problem, ScenarioError
from sim.base.text import has_control_characters

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

LINES_MAX = 1_000_000
MACHINES_MAX = 10_000
_LINE_CHARACTERS_MAX = 2_000_000


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
    name = str(path)
    try:
        with Path(path).open(encoding="utf-8") as file:
            return _read(_lines(file), chain, name)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ScenarioError([Problem("", f"cannot be read: {reason}", where=name)]) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError, StopIteration):
        message = "is no trace of chains over time, as sim run --trace writes it"
        raise ScenarioError([Problem("", message, where=name)]) from None


def _lines(file: Any) -> Iterator[dict[str, Any]]:
    for number in range(LINES_MAX):
        line = file.readline(_LINE_CHARACTERS_MAX)
        if not line:
            return
        plain = json.loads(line)
        if not number and (plain["engine"], plain["trace"]) != ("montecarlo", 1):
            raise ValueError("the events engine wrote it")
        yield plain
    raise ValueError("too many lines")


def _read(lines: Iterator[dict[str, Any]], chain: int, name: str) -> Timeline:
    head = next(lines)
    machines = int(head["machines"])
    if not 0 <= chain < int(head["chains"]):
        raise ScenarioError([Problem("", f"has {int(head['chains']):,} chains, from 0 on", chain, name)])
    if not 0 <= machines <= MACHINES_MAX:
        raise ValueError("too many machines")
    if has_control_characters(str(head["name"])):
        raise ValueError("a name that cannot be shown")
    timeline, since = Timeline(str(head["name"]), machines), dict[int, int]()
    for line in lines:
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
