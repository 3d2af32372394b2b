"""Messages that all protocols have, and the values that they agree on.

Channels are authenticated: `sender` is who it says. The size of a message follows from whether it carries a block, and
from the number of votes (signatures) in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple


class Value(NamedTuple):
    """What is ordered: a block, and under `propose` the result that its proposer computed.

    Parameters
    ----------
    proposer, round
        Who proposed it first, and in which round.
    variant
        Tells apart blocks that an equivocator proposes in one round.
    result
        The proposer's answer; None under `certify`.
    parent
        Height and round of the block that it extends, for protocols in which blocks name their parents.
    """

    proposer: int
    round: int
    variant: int
    result: int | None
    parent: tuple[int, int] | None = None


class Certificate(NamedTuple):
    """A value that had a quorum of votes in a round, and who voted."""

    round: int
    value: Value
    voters: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """What every message has: the height and the round (view) that it belongs to, and who sent it."""

    name: ClassVar[str] = ""
    block: ClassVar[bool] = False
    height: int
    round: int
    sender: int

    @property
    def weight(self) -> int:
        """Number of votes (signatures) in it."""
        return 1


@dataclass(frozen=True, slots=True)
class Fetch(Message):
    """I may be behind: whoever has decided this height, or a later one, please prove it."""

    name: ClassVar[str] = "fetch"


@dataclass(frozen=True, slots=True)
class Decision(Message):
    """A decided value with its final votes: a replica that is behind adopts it, and with it all heights before.

    Parameters
    ----------
    value, voters
        What was decided, and who cast the final votes.
    result, backers
        The certified result and who voted for it, if there is one (under `propose` it is in the value).
    closed
        Whether the sender has closed that height.
    """

    name: ClassVar[str] = "decision"
    block: ClassVar[bool] = True
    value: Value
    voters: tuple[int, ...]
    result: int | None
    backers: tuple[int, ...]
    closed: bool

    @property
    def weight(self) -> int:
        """The votes of its certificates."""
        return len(self.voters) + len(self.backers)


@dataclass(frozen=True, slots=True)
class ResultVote(Message):
    """What the sender computed for the block of this height (`certify`)."""

    name: ClassVar[str] = "result"
    result: int


@dataclass(frozen=True, slots=True)
class ValueMessage(Message):
    """A message that puts a value to the vote."""

    value: Value
