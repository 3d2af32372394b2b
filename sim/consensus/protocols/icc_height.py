"""One height of ICC, at one replica: its blocks by rank, and the shares for them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sim.consensus.protocols.pipelined import Pending
from sim.consensus.protocols.votes import Votes

if TYPE_CHECKING:
    from sim.consensus.protocols.icc_messages import Proposal
    from sim.consensus.protocols.messages import Certificate, Message, Value


@dataclass(slots=True)
class IccHeight(Pending):
    """A height that a replica of ICC works on, or has heard of."""

    turn: int = -1
    """The last rank whose notary delay is over."""
    started: bool = False
    """Whether its beacon is known: ranks are, and their delays run."""
    due: bool = False
    """Whether it is the replica's own turn to propose."""
    proposed: bool = False
    beaconed: bool = False
    """Whether the replica has given its share of the next height's beacon."""
    beacon: Votes = field(init=False)
    """Shares of the next height's beacon."""
    blocks: dict[int, dict[Value, Proposal]] = field(init=False)
    """Blocks in hand, by rank and in the order in which they came."""
    shares: dict[int, Votes] = field(init=False)
    """Notarization shares, by rank."""
    given: dict[int, Value] = field(init=False)
    """The block of each rank to which the replica has given its own share."""
    disqualified: set[int] = field(default_factory=set)
    """Ranks of which it has seen two valid blocks."""
    notarized: dict[Value, Certificate] = field(init=False)
    finished: Value | None = None
    """The notarized block with which it has gone on to the next height."""
    owes: bool = False
    """Whether it has finished before it knew if it may give its share to that block."""
    finals: Votes = field(init=False)
    """Finalization shares."""
    final: tuple[int, ...] = ()
    """Whose finalization shares prove the decision."""
    backers: tuple[int, ...] = ()
    """Whose result votes prove a certified result, by another's word."""
    said: list[Message] = field(init=False)
    """Own messages, in case that they were lost."""
    echoed: set[Value] = field(init=False)

    def __post_init__(self) -> None:
        self.forget_beacon()
        self.forget()

    def forget_beacon(self) -> None:
        """Drop the shares of the next height's beacon: it is known."""
        self.beacon = Votes(self.result_votes.weights)

    def forget(self) -> None:
        """Drop blocks, what was counted, and what was said: the height is closed."""
        power = self.result_votes.weights
        self.result_votes = Votes(power)
        self.finals = Votes(power)
        self.shares = defaultdict(lambda: Votes(power))
        self.blocks = defaultdict(dict)
        self.notarized, self.given, self.said, self.echoed = {}, {}, [], set()

    @property
    def round(self) -> int:
        """The rank whose turn it is, and that of all better ones."""
        return min(max(self.turn, 0), max(len(self.leaders) - 1, 0))

    @property
    def over(self) -> bool:
        """Whether its replica gives no more shares to blocks of its choice."""
        return self.finished is not None or self.decided is not None or self.done

    def block(self, value: Value) -> Proposal | None:
        """The proposal of a block, if it is in hand."""
        return self.blocks[value.round].get(value)

    @property
    def notarized_in_hand(self) -> Certificate | None:
        """The notarization of a block in hand, the first that came."""
        return next((proof for value, proof in self.notarized.items() if self.block(value) is not None), None)

    def named(self, rank: int) -> Value | None:
        """The block of a rank that its children can mean: the notarized one, whatever else its maker has shown."""
        proven = [value for value in self.notarized if value.round == rank]
        return proven[0] if len(proven) == 1 else None
