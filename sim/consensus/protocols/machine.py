"""What every replica is: a state machine without clock, randomness or input and output.

There are two kinds. A `Replica` works on one height at a time; a `Pipelined` one has several in flight.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields, replace
from typing import TYPE_CHECKING, ClassVar

from sim.consensus.protocols.effects import Broadcast, Effect
from sim.consensus.protocols.messages import Certificate, Message, Value, ValueMessage
from sim.consensus.protocols.setting import Setting

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from sim.consensus.protocols.effects import Timer
    from sim.consensus.protocols.transitions import Transition

NOTHING: tuple[Effect, ...] = ()


class Machine(ABC):
    """One replica of a protocol, as its driver sees it.

    Parameters
    ----------
    setting
        What it knows from the start.
    """

    transitions: ClassVar[tuple[Transition, ...]]
    """The protocol's phases as data; its state diagram is drawn from them."""
    timeouts: ClassVar[tuple[str, ...]]
    """Which fields of `Timeouts` it uses."""
    proposals: ClassVar[tuple[type[ValueMessage], ...]]
    """Messages with which a leader puts a value to the vote."""
    ballots: ClassVar[tuple[type[Message], ...]]
    """Votes for a value, in the order of the phases; the last is the final one."""
    proposal_votes: ClassVar[bool] = False
    """Whether a leader's proposal is its first ballot too."""
    pipelined: ClassVar[bool] = False
    """Whether it begins heights before those below are closed, and needs some after the last block to close that."""
    carries_over: ClassVar[bool] = True
    """Whether a later leader of a height may have to propose a value again that an earlier one proposed."""
    collected: ClassVar[bool] = False
    """Whether votes go to one collector, which may be their sender: those of round 0 to the next height's leader."""

    @classmethod
    @abstractmethod
    def support(cls, height: int, round_: int, node: int, value: Value) -> tuple[Message, ...]:
        """All votes that a node can cast for a value in one round: what an equivocator sends at once."""

    @classmethod
    def proposes_anew(cls, message: ValueMessage, value: Value) -> ValueMessage:
        """What a lying leader says that proposes another value in place of the one which it has to carry over."""
        return replace(message, value=value)

    @classmethod
    def vouches(cls, message: Message) -> tuple[int, Hashable] | None:
        """Height and value, or result, that a message's sender says to be decided, or helps to decide; else None."""
        if not isinstance(message, cls.ballots[-1]):
            return None
        value: Value | None = getattr(message, "value", None)
        return None if value is None else (message.height, value)

    @classmethod
    def shows(cls, message: Message) -> Iterator[tuple[int, Certificate]]:
        """Certificates that a message carries, with their heights."""
        for field in fields(message):
            shown = getattr(message, field.name)
            if isinstance(shown, Certificate):
                yield message.height, shown

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.node, self.power, self.quorum = setting.node, setting.power, setting.quorum
        self.all_power = sum(setting.power)
        self.height = 0
        """The latest height that it has entered."""
        self._watched = setting.watched
        self._out: list[Effect] = []
        self._on: dict[type[Message], Callable[..., None]] = {}

    @abstractmethod
    def enter(self, height: int, leaders: Sequence[int], successor: int = 0) -> Sequence[Effect]:
        """Begin a height.

        Parameters
        ----------
        height
            Which.
        leaders
            Leaders of its rounds.
        successor
            The first leader of the next height.
        """

    @abstractmethod
    def receive(self, message: Message) -> Sequence[Effect]:
        """Take a message, of any height."""

    @abstractmethod
    def expire(self, timer: Timer) -> Sequence[Effect]:
        """A timer has run out; one that belongs to another height or round means nothing."""

    @abstractmethod
    def executed(self, height: int, results: tuple[int, ...]) -> Sequence[Effect]:
        """The inferences of a height are done.

        Parameters
        ----------
        height
            Which block.
        results
            What the node computed; a lying one may claim several, the first is the one that it proposes.
        """

    @abstractmethod
    def close(self, height: int) -> Sequence[Effect]:
        """The height has failed for everybody: drop all that belongs to it, and go on."""

    @abstractmethod
    def resume(self) -> Sequence[Effect]:
        """Work again after a crash: ask what was missed, and set the timers that were lost."""

    @property
    def messages(self) -> tuple[type[Message], ...]:
        """Every kind of message, in a fixed order."""
        return tuple(self._on)

    def _flush(self) -> Sequence[Effect]:
        out, self._out = self._out, []
        return out

    def _broadcast(self, message: Message) -> None:
        """Send to all others, and take one's own copy at once."""
        self._out.append(Broadcast(message))
        self._on[type(message)](message)
