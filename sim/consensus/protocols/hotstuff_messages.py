"""What HotStuff's replicas say to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from sim.consensus.protocols.messages import Message, Value, ValueMessage

if TYPE_CHECKING:
    from collections.abc import Hashable

View = tuple[int, int]
"""Height and round."""


class Qc(NamedTuple):
    """A quorum certificate: a block that had q votes, and who cast them."""

    height: int
    round: int
    value: Value
    voters: tuple[int, ...]

    @property
    def view(self) -> View:
        """Where it was proposed."""
        return self.height, self.round


GENESIS = Qc(0, 0, Value(0, 0, 0, None), ())
"""What the first block builds on."""


@dataclass(frozen=True, slots=True)
class Proposal(ValueMessage):
    """The leader of a view puts a block to the vote.

    Parameters
    ----------
    justify
        The certificate of its parent.
    proof
        Who wanted this view, q of them; nobody where it follows the parent directly.
    """

    name: ClassVar[str] = "proposal"
    block: ClassVar[bool] = True
    justify: Qc
    proof: tuple[int, ...]

    @property
    def weight(self) -> int:
        """Its own signature, and threshold signatures for the certificate and the proof."""
        return 1 + bool(self.justify.voters) + bool(self.proof)


@dataclass(frozen=True, slots=True)
class Vote(Message):
    """The sender supports the block of this view."""

    name: ClassVar[str] = "vote"
    value: Value


@dataclass(frozen=True, slots=True)
class NewView(Message):
    """The sender wants to enter this view; with the highest certificate that it knows."""

    name: ClassVar[str] = "new-view"
    high: Qc

    @property
    def weight(self) -> int:
        """Its own signature, and that of the certificate."""
        return 2


@dataclass(frozen=True, slots=True)
class Announce(Message):
    """A certificate that others may not know."""

    name: ClassVar[str] = "qc"
    certificate: Qc


@dataclass(frozen=True, slots=True)
class Certification(Message):
    """Results that replicas have voted for: q equal ones, or so many that no result can reach q."""

    name: ClassVar[str] = "certificate"
    votes: tuple[tuple[int, Hashable], ...]

    @property
    def weight(self) -> int:
        """One threshold signature for each result."""
        return len({result for _, result in self.votes})
