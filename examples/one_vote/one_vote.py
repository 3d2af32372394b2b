"""One vote a height: the smallest protocol that never forks.

**The story.** The leader of a round sends a *proposal*, replicas answer with a *vote* to all, and q votes decide. When
the timer runs out first, the next leader proposes. But a replica votes once in a height, whatever the round: two blocks
with q votes each need an honest replica that voted twice. So it is safe, and a silent leader only costs a round; but
where a leader shows two blocks, or answers differ, votes may be spread so that no block can reach q, and it fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sim.consensus.protocols.effects import Timer
from sim.consensus.protocols.messages import Message, Value, ValueMessage
from sim.consensus.protocols.replica import Replica
from sim.consensus.protocols.setting import Setting
from sim.consensus.protocols.transitions import RESULT_TRANSITIONS, Transition
from sim.consensus.protocols.votes import Votes


@dataclass(frozen=True, slots=True)
class Proposal(ValueMessage):
    """The leader of the round puts a block to the vote."""

    name: ClassVar[str] = "proposal"
    block: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Vote(ValueMessage):
    """The sender's only vote at this height."""

    name: ClassVar[str] = "vote"


class OneVote(Replica):
    """A replica that votes once in a height."""

    transitions = (
        Transition("waiting", "proposal", "has voted"),
        *(Transition(phase, "timer", "waiting") for phase in ("waiting", "has voted")),
        *(Transition(phase, "timer in the last round", "left") for phase in ("waiting", "has voted")),
        *(Transition(phase, "q votes, or a proof", "decided") for phase in ("waiting", "has voted", "left")),
        *RESULT_TRANSITIONS,
    )
    timeouts, proposals, ballots, carries_over = ("view",), (Proposal,), (Vote,), False

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._on |= {Proposal: self._on_proposal, Vote: self._on_vote}

    @classmethod
    def support(cls, height: int, round_: int, node: int, value: Value) -> tuple[Message, ...]:
        return (Vote(height, round_, node, value),)

    def _begin(self) -> None:
        self.voted, self.proposed, self.votes = False, dict[int, Value](), dict[int, Votes]()
        self._start(0)

    def _start(self, round_: int) -> None:
        self.round = round_
        self._enter("waiting")
        self._rearm()
        self._on_executed()

    def _rearm(self) -> None:
        self._set_timer("view", self.setting.timeouts.view)

    def _on_executed(self) -> None:
        """Propose or vote, if it is time; under `propose`, after executing."""
        value = self.proposed.get(self.round)
        if self.decided or self.left or (value is None and self.leader != self.node):
            return
        if self.setting.proposes and self.results is None:
            self._execute()
        elif value is None:
            self._broadcast(Proposal(self.height, self.round, self.node, self._own_value()))
        elif not self.voted and self._endorses(value):
            self.voted = True
            self._enter("has voted")
            self._broadcast(Vote(self.height, self.round, self.node, value))

    def _on_proposal(self, message: Proposal) -> None:
        if 0 <= message.round < self.setting.rounds and message.sender == self.leaders[message.round]:
            self.proposed.setdefault(message.round, message.value)
            self._on_executed()

    def _on_vote(self, message: Vote) -> None:
        votes = self.votes.setdefault(message.round, Votes(self.power))
        if votes.add(message.sender, message.value) >= self.quorum and not self.decided:
            self._decide(message.round, message.value, votes)

    def _expired(self, timer: Timer) -> None:
        waiting = timer.round == self.round and not self.decided and not self.left
        if waiting and self.round + 1 < self.setting.rounds:
            self._start(self.round + 1)
        elif waiting:
            self._leave()
