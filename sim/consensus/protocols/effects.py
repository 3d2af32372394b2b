"""What a replica asks of whoever drives it.

A machine's inputs return a sequence of effects, to be carried out in order, at once. The driver answers `Advance` with
`enter`, `Execute` with `executed` when the work is done, and `SetTimer` with `expire` when the time has come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sim.consensus.protocols.messages import Message, Value


class Broadcast(NamedTuple):
    """Send a message to all other replicas; `copy` numbers repetitions of the same message."""

    message: Message
    copy: int = 0


class Send(NamedTuple):
    """Send a message to some replicas."""

    receivers: tuple[int, ...]
    message: Message
    copy: int = 0


class Timer(NamedTuple):
    """Which timer it is, and the height and round that it belongs to."""

    kind: str
    height: int
    round: int


class SetTimer(NamedTuple):
    """Call `expire` after that many seconds; it replaces an earlier timer of the same kind and lane.

    A timer is never cancelled: one that runs out when it means nothing any more has no effect. Who waits for something
    at several heights at once gives each its own lane.
    """

    timer: Timer
    seconds: float
    lane: int = 0


class Execute(NamedTuple):
    """Run the inferences of a height's block, then call `executed`."""

    height: int


class Enter(NamedTuple):
    """The replica enters a phase of its state diagram; for traces, nothing needs to be done."""

    height: int
    round: int
    phase: str


class Decide(NamedTuple):
    """The replica has seen q final votes for a value, itself or in another's certificate."""

    height: int
    round: int
    value: Value


class Certify(NamedTuple):
    """The replica leaves the vote on results: with a result that has q votes, or with None."""

    height: int
    result: int | None


class Leave(NamedTuple):
    """The replica has not decided, and has left its last round or is stuck; it still adopts what others decided."""

    height: int
    round: int


class Return(NamedTuple):
    """The replica was stuck, and goes on."""

    height: int


class Close(NamedTuple):
    """The replica is through with all heights below this one."""

    height: int


class Advance(NamedTuple):
    """The replica wants to `enter` a height; a pipelined one may not have closed those before."""

    height: int


Effect = Broadcast | Send | SetTimer | Execute | Enter | Decide | Certify | Leave | Return | Close | Advance
