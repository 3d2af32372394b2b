"""What happened at one height of a chain, message by message: read from a trace."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from sim.base.errors import Problem, ScenarioError
from sim.base.text import shown
from sim.engines.tracereader import reading, whole, word

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike

    from sim.engines.tracereader import Lines
    from sim.scenario.schema import Scenario

COPIES_MAX = 200_000
EVENTS_MAX = 10_000
TIME_MAX = 1e12
_RANGES_TOLD = 8
_RESULTS_MAX = 10**6
_REPORT_EVERY = 20_000


class Flight(NamedTuple):
    """A message to one or many.

    Parameters
    ----------
    time
        When it left.
    sender
        Who sent it.
    round
        The round (view, rank) that it belongs to.
    kind
        Its type.
    about
        What it carries: a result, a value (proposer, round, variant, result), or None.
    copies
        Receiver and time of each arrival.
    """

    time: float
    sender: int
    round: int
    kind: str
    about: int | tuple[int | None, ...] | None
    copies: tuple[tuple[int, float], ...]


class Moment(NamedTuple):
    """Something happens to a node: `what` is an event, `name` which phase or timer, `about` what it concerns."""

    time: float
    node: int
    round: int
    what: str
    name: str
    about: int | tuple[int | None, ...] | None


class Ending(NamedTuple):
    """How a height ended: when, the outcome, and the cause of a failure (empty if there was none)."""

    time: float
    outcome: str
    cause: str


@dataclass(slots=True)
class Height:
    """One height of a trace.

    Parameters
    ----------
    scenario
        What was run.
    height
        Which height.
    started
        When the first node began it, in simulated seconds.
    leaders
        Leaders of its rounds.
    results
        What each node computed; below 0: a Byzantine one.
    flights
        Messages, in the order of their sending.
    moments
        Phases, executions, decisions, certifications and timeouts, in their order.
    changes
        Crashes and recoveries of nodes, and cuts from the network for good, from its beginning on.
    down
        Nodes that were down or cut off when it began.
    ending
        Its end; None where the trace ends before it.
    others
        Messages of other heights that were sent while it was open.
    """

    scenario: Scenario
    height: int
    started: float = 0.0
    leaders: tuple[int, ...] = ()
    results: tuple[int, ...] = ()
    flights: list[Flight] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    changes: list[Moment] = field(default_factory=list)
    down: set[int] = field(default_factory=set)
    ending: Ending | None = None
    others: int = 0


def read_height(path: str | PathLike[str], height: int, report: Callable[[int], None] | None = None) -> Height:
    """Read one height of a trace that the events engine wrote; the file may be of any length.

    Parameters
    ----------
    path
        The trace.
    height
        Which height, from 1.
    report
        Called with the bytes read, now and then.

    Raises
    ------
    ScenarioError
        The file cannot be read, is no such trace, has a line that is none, or has not that height.
    """
    with reading(path) as lines:
        lines.need("events")
        reader = _Reader(lines, height)
        for number, line in enumerate(lines):
            reader.take(line)
            if report and number % _REPORT_EVERY == 0:
                report(lines.bytes)
        if not reader.begun:
            raise ScenarioError([Problem("", f"has no height {height:,}: {reader.heights}", where=lines.name)])
        return reader.found


class _Reader:
    """Keeps of a trace what belongs to one height."""

    def __init__(self, lines: Lines, height: int) -> None:
        self.found = Height(lines.scenario, height)
        self._nodes, self._wanted = self.found.scenario.node_count, height
        self.begun = False
        self._copies = 0
        self._stalled: tuple[int, int] | None = None
        self._ranges: list[list[int]] = []
        self._take: dict[str, Callable[[Mapping[str, Any], float], None]] = {
            "height": self._height,
            "send": self._send,
            "phase": self._moment,
            "timeout": self._moment,
            "executed": self._moment,
            "decide": self._moment,
            "certify": self._moment,
            "over": self._over,
        }

    @property
    def heights(self) -> str:
        """Which heights the trace has."""
        if self._stalled:
            first, blocks = self._stalled
            stall = f"; from height {first:,} on all {blocks:,} fail, since no quorum can ever vote again"
        else:
            stall = ""
        if not self._ranges:
            return f"it has none{stall}"
        told = [f"{low:,} to {high:,}" if high > low else f"{low:,}" for low, high in self._ranges[:_RANGES_TOLD]]
        more = ", and more" if len(self._ranges) > _RANGES_TOLD else ""
        return f"it has {', '.join(told)}{more}{stall}"

    def take(self, line: Mapping[str, Any]) -> None:
        """Take the next line."""
        event, time = word(line, "event"), _seconds(line["t"])
        if event == "stall":
            self._stalled = whole(line, "height"), whole(line, "blocks")
        elif "height" not in line:
            self._changed(line, event, time)
        elif event not in self._take:
            raise ValueError(f"event {event!r} is unknown")
        elif whole(line, "height") == self._wanted:
            if not self.begun and event != "height":
                self._open(time)
            self._take[event](line, time)
        elif event == "height":
            self._known(line["height"])
        elif event == "send" and self.begun and self.found.ending is None:
            self.found.others += len(_listed(line["to"], COPIES_MAX))

    def _known(self, height: int) -> None:
        """Note that the trace has a height; they come in their order, nearly."""
        if self._ranges and self._ranges[-1][0] <= height <= self._ranges[-1][1] + 1:
            self._ranges[-1][1] = max(height, self._ranges[-1][1])
        elif len(self._ranges) <= _RANGES_TOLD:
            self._ranges.append([height, height])

    def _open(self, time: float) -> None:
        self.begun, self.found.started = True, time

    def _height(self, line: Mapping[str, Any], time: float) -> None:
        self._known(self._wanted)
        self._open(time)
        self.found.leaders = tuple(self._node(node) for node in _listed(line["leaders"], self._nodes))
        self.found.results = tuple(_result(one) for one in _listed(line["results"], self._nodes))
        if len(self.found.results) != self._nodes:
            raise ValueError(f"results must have {self._nodes:,} numbers (has {len(self.found.results):,})")

    def _send(self, line: Mapping[str, Any], time: float) -> None:
        receivers, times = _listed(line["to"], COPIES_MAX), _listed(line["at"], COPIES_MAX)
        if len(receivers) != len(times):
            raise ValueError(f"to has {len(receivers):,} receivers, and at {len(times):,} times")
        copies = tuple((self._node(node), max(_seconds(at), time)) for node, at in zip(receivers, times, strict=True))
        self._copies += len(copies)
        if self._copies > COPIES_MAX or len(self.found.flights) >= EVENTS_MAX:
            raise ValueError(f"height {self._wanted:,} has more messages than a picture can show")
        round_ = whole(line, "round", most=10**9)
        sent = Flight(time, self._node(line["node"]), round_, word(line, "type", 40), _about(line), copies)
        self.found.flights.append(sent)

    def _moment(self, line: Mapping[str, Any], time: float) -> None:
        event = line["event"]
        name = word(line, event if event == "phase" else "timer", 40) if event in {"phase", "timeout"} else ""
        round_ = whole(line, "round", most=10**9) if "round" in line else 0
        about: int | tuple[int | None, ...] | None = _about(line)
        if event == "executed":
            about = tuple(_result(one) for one in _listed(line["results"], self._nodes + 2))
        self._keep(Moment(time, self._node(line["node"]), round_, event, name, about))

    def _changed(self, line: Mapping[str, Any], event: str, time: float) -> None:
        """A node crashes, recovers or is cut off."""
        if event not in {"crash", "recover", "cut"}:
            raise KeyError("height")
        node = self._node(line["node"])
        if not self.begun:
            (self.found.down.discard if event == "recover" else self.found.down.add)(node)
        elif len(self.found.changes) < EVENTS_MAX:
            self.found.changes.append(Moment(time, node, 0, event, "", None))

    def _keep(self, moment: Moment) -> None:
        if len(self.found.moments) >= EVENTS_MAX:
            raise ValueError(f"at height {self._wanted:,} more happens than a picture can show")
        self.found.moments.append(moment)

    def _over(self, line: Mapping[str, Any], time: float) -> None:
        cause = word(line, "cause", 40) if "cause" in line else ""
        self.found.ending = Ending(time, word(line, "outcome", 40), cause)

    def _node(self, value: Any) -> int:
        return whole({"node": value}, "node", most=self._nodes - 1)


def _seconds(value: Any) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not known or not 0 <= value <= TIME_MAX:
        raise ValueError(f"a time must be a number of seconds up to {TIME_MAX:g} (got {shown(value)})")
    return float(value)


def _listed(value: Any, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"a list of at most {most:,} is expected (got {shown(value)})")
    return value


def _result(value: Any) -> int:
    return whole({"a result": value}, "a result", -_RESULTS_MAX, _RESULTS_MAX)


def _about(line: Mapping[str, Any]) -> int | tuple[int | None, ...] | None:
    """What a message or a decision carries."""
    if line.get("result") is not None:
        return _result(line["result"])
    value = line.get("value")
    if value is None:
        return None
    numbers = _listed(value, 4)
    if len(numbers) < 4:
        raise ValueError(f"a value has proposer, round, variant and result (got {shown(value)})")
    return (*map(_result, numbers[:3]), None if numbers[3] is None else _result(numbers[3]))
