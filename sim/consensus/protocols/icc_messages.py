"""The messages of ICC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from sim.consensus.protocols.messages import Certificate, Message, Value, ValueMessage


class Parent(NamedTuple):
    """The block that another one extends: its height, and its notarization."""

    height: int
    notarization: Certificate


@dataclass(frozen=True, slots=True)
class BeaconShare(Message):
    """The sender's share of the random beacon that ranks the block makers of the next height."""

    name: ClassVar[str] = "beacon share"


@dataclass(frozen=True, slots=True)
class Proposal(ValueMessage):
    """The block maker of rank `round` puts a block to the vote; `parent` is what it extends, None for the genesis."""

    name: ClassVar[str] = "proposal"
    block: ClassVar[bool] = True
    parent: Parent | None

    @property
    def weight(self) -> int:
        """The maker's signature, and the parent's notarization, which is one signature of many."""
        return 1 + (self.parent is not None)


@dataclass(frozen=True, slots=True)
class NotarizationShare(Message):
    """The sender has seen no valid block of a better rank than this one when its turn came."""

    name: ClassVar[str] = "notarization share"
    value: Value


@dataclass(frozen=True, slots=True)
class Notarization(Message):
    """The block of rank `round` had the notarization shares of `voters`: q of them, combined into one signature."""

    name: ClassVar[str] = "notarization"
    value: Value
    voters: tuple[int, ...]

    @property
    def certificate(self) -> Certificate:
        """What it proves."""
        return Certificate(self.round, self.value, self.voters)


@dataclass(frozen=True, slots=True)
class FinalizationShare(Message):
    """The sender has given, and will give, notarization shares to no other block of the height than this one."""

    name: ClassVar[str] = "finalization share"
    value: Value


@dataclass(frozen=True, slots=True)
class Echo(Message):
    """A block that the sender passes on, as its maker has signed it, with its notarization if the sender has one."""

    name: ClassVar[str] = "echo"
    block: ClassVar[bool] = True
    proposal: Proposal
    notarization: Certificate | None

    @property
    def value(self) -> Value:
        """Of which block."""
        return self.proposal.value

    @property
    def weight(self) -> int:
        """The proposal's signatures, and the notarization."""
        return self.proposal.weight + (self.notarization is not None)
