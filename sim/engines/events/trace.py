"""A trace: everything that happens in a run, as JSON Lines, written while it happens.

The first line holds the resolved scenario, its id, the seed and the version; with them the run can be repeated, and
gives the same bytes. Every other line is one event: `t` is the simulated time in seconds, `event` what happens, `node`
to whom.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from typing import IO, TYPE_CHECKING, Any

from sim.engines.tracefile import write_header, write_line, writing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim.consensus.attackers import Answers
    from sim.consensus.protocols.effects import Timer
    from sim.consensus.protocols.messages import Message, Value
    from sim.engines.chains.chronicle import Halt
    from sim.engines.events.ledger import Block
    from sim.engines.timing import Cause
    from sim.scenario.schema import Scenario


@contextmanager
def opened(
    path: str | PathLike[str] | IO[str] | None, scenario: Scenario, height: int | None = None, **more: int
) -> Iterator[Trace | None]:
    """Open a trace for writing (see `Trace`); with None as path there is none.

    Raises
    ------
    ScenarioError
        The file cannot be written.
    """
    if path is None:
        yield None
        return
    with writing(path) as stream:
        yield Trace(stream, scenario, height, **more)


class Trace:
    """Writes a trace.

    Parameters
    ----------
    stream
        An open text file.
    scenario
        What is run.
    height
        Write what happens at this height only, and to nodes as such; None: at all heights.
    more
        What the first line tells besides.
    """

    def __init__(self, stream: IO[str], scenario: Scenario, height: int | None = None, **more: int) -> None:
        self._stream, self._height = stream, height
        write_header(stream, scenario, "events", **({} if height is None else {"block": height}), **more)

    def _line(self, **fields: Any) -> None:
        if self._height in {None, fields.get("height", self._height)} or fields["event"] == "stall":
            write_line(self._stream, **fields)

    def block(self, now: float, block: Block) -> None:
        """A height is begun by the first node: its leaders, and what every node will compute (-1: a Byzantine node)."""
        answers: Answers = block.answers
        self._line(t=now, event="height", height=block.height, leaders=list(block.leaders), results=answers.results)

    def sent(self, now: float, message: Message, receivers: Sequence[int], times: Sequence[float]) -> None:
        """A message leaves its sender; when it arrives where, a lost one nowhere."""
        value = getattr(message, "value", None)
        fields: dict[str, Any] = {"value": _told(value)} if value is not None else {}
        result = getattr(message, "result", None)
        if result is not None:
            fields["result"] = result
        self._line(
            t=now,
            event="send",
            node=message.sender,
            height=message.height,
            round=message.round,
            type=message.name,
            **fields,
            to=list(receivers),
            at=list(times),
        )

    def phase(self, now: float, node: int, height: int, round_: int, phase: str) -> None:
        """A replica enters a phase of its state diagram."""
        self._line(t=now, event="phase", node=node, height=height, round=round_, phase=phase)

    def timeout(self, now: float, node: int, timer: Timer) -> None:
        """A timer runs out."""
        self._line(t=now, event="timeout", node=node, height=timer.height, round=timer.round, timer=timer.kind)

    def executed(self, now: float, node: int, height: int, results: Sequence[int]) -> None:
        """A node has its result; a Byzantine one tells which it supports."""
        self._line(t=now, event="executed", node=node, height=height, results=list(results))

    def decided(self, now: float, node: int, height: int, round_: int, value: Value) -> None:
        """A replica has seen q final votes."""
        self._line(t=now, event="decide", node=node, height=height, round=round_, value=_told(value))

    def certified(self, now: float, node: int, height: int, result: int | None) -> None:
        """A replica leaves the vote on results."""
        self._line(t=now, event="certify", node=node, height=height, result=result)

    def changed(self, now: float, event: str, node: int) -> None:
        """A node crashes, recovers, or is cut off for good; or it goes away because its answer lost, and returns."""
        self._line(t=now, event=event, node=node)

    def over(self, now: float, block: Block, cause: Cause | None) -> None:
        """A height is over."""
        fields = {"cause": cause} if cause else {}
        self._line(t=now, event="over", height=block.height, outcome=block.outcome.name, **fields)

    def halted(self, now: float, height: int, cause: Halt) -> None:
        """The chain halts at a height that failed."""
        self._line(t=now, event="halt", height=height, cause=cause)

    def stalled(self, now: float, height: int, blocks: int) -> None:
        """No quorum can ever vote again: that many blocks, from a height on, fail."""
        self._line(t=now, event="stall", height=height, blocks=blocks)


def _told(value: Value) -> list[object]:
    """A value as a list; a parent at its end where it has one."""
    return list(value if value.parent is not None else value[:-1])
