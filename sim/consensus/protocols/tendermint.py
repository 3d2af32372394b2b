"""Tendermint (Buchman, Kwon and Milosevic 2018, arXiv:1807.04938).

**The story.** Every round of a height has its own proposer. It sends a *proposal*; a replica answers with a *prevote*
for it, or for nil if it does not come in time or is not acceptable. q prevotes for the proposal are a *polka*: a
replica that sees it *locks* on the value and sends a *precommit*; with q precommits the value is decided. Otherwise it
precommits nil, and when the precommits give no decision in time the next round begins.

A locked replica prevotes for nothing else, unless a later round had a polka for it: so once a value may have been
decided, no other can be. The latest value that had a polka is the *valid* value; a proposer must propose it again, with
the round of its polka, which lets replicas with older locks vote for it. A replica joins a later round from which it
hears more than f others. Timeouts grow with every round, and between a decision and the next height there is
the commit timeout.

**Here.** Proposers are given (`leaders`). Under `propose` the proposal carries the proposer's result; a replica
executes before it prevotes, and votes for nil if its own result differs. It carries a valid value on all the same, and
takes over what q precommits decide. A proposal that has arrived in time is waited for while it is being executed. The
paper's channels never lose a message; here a replica that sees nothing happen for long sends its votes again, and asks
for a decision when it begins a round after the first.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from sim.consensus.protocols.effects import Broadcast, Timer
from sim.consensus.protocols.messages import Fetch, Message, Value, ValueMessage
from sim.consensus.protocols.replica import Replica
from sim.consensus.protocols.setting import Setting
from sim.consensus.protocols.transitions import RESULT_TRANSITIONS, Transition
from sim.consensus.protocols.votes import Votes

if TYPE_CHECKING:
    from collections.abc import Callable

REPEATS_MAX = 8
"""How often a replica repeats its votes in one round before it counts as stuck."""


_WORKING = ("propose", "prevote", "precommit", "stuck")


class Step(IntEnum):
    """Where a replica is within its round."""

    propose = 0
    prevote = 1
    precommit = 2


@dataclass(frozen=True, slots=True)
class Proposal(ValueMessage):
    """The proposer puts a value to the vote; `valid_round` is the round of its polka, -1 for a new value."""

    name: ClassVar[str] = "proposal"
    block: ClassVar[bool] = True
    valid_round: int


@dataclass(frozen=True, slots=True)
class Prevote(Message):
    """The sender accepts the value of this round; None is nil."""

    name: ClassVar[str] = "prevote"
    value: Value | None


@dataclass(frozen=True, slots=True)
class Precommit(Message):
    """The sender has seen a polka for the value, and is locked on it; None is nil."""

    name: ClassVar[str] = "precommit"
    value: Value | None


class _Owed(NamedTuple):
    """Votes for a decided value that a replica has not cast yet: its prevote if it is executing, and its precommit."""

    height: int
    round: int
    value: Value
    prevotes: Votes


class Tendermint(Replica):
    """A Tendermint replica."""

    transitions = (
        Transition("propose", "proposal, or propose timer", "prevote"),
        Transition("prevote", "polka, q nil prevotes, or prevote timer", "precommit"),
        *(Transition(phase, "precommit timer, or f+1 in a later round", "propose") for phase in _WORKING),
        *(Transition(phase, "q precommits, or another's proof", "decided") for phase in _WORKING),
        *(Transition(phase, "last round over", "left") for phase in _WORKING),
        *(Transition(phase, "nothing happens for long", "stuck") for phase in ("prevote", "precommit")),
        Transition("stuck", "polka, q nil prevotes, or prevote timer", "precommit"),
        Transition("left", "another's proof", "decided"),
        *RESULT_TRANSITIONS,
    )
    timeouts = ("propose", "prevote", "precommit", "growth", "commit")
    proposals = (Proposal,)
    ballots = (Prevote, Precommit)

    @classmethod
    def support(cls, height: int, round_: int, node: int, value: Value) -> tuple[Message, ...]:
        """All votes for a value (see `Replica.support`)."""
        return Prevote(height, round_, node, value), Precommit(height, round_, node, value)

    @classmethod
    def proposes_anew(cls, message: ValueMessage, value: Value) -> Proposal:
        """It claims no polka (see `Machine.proposes_anew`)."""
        return Proposal(message.height, message.round, message.sender, value, -1)

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.step = Step.propose
        self.proposed: dict[int, Proposal] = {}
        self.prevotes: dict[int, Votes] = defaultdict(self._votes)
        self.precommits: dict[int, Votes] = defaultdict(self._votes)
        self.locked: Value | None = None
        self.valid: Value | None = None
        self.locked_round = self.valid_round = -1
        self._waits: set[tuple[str, int]] = set()
        self._own: list[Message] = []
        self._repeats = 0
        self._owed: _Owed | None = None
        self._on |= {Proposal: self._on_proposal, Prevote: self._on_prevote, Precommit: self._on_precommit}
        self._late[Prevote] = self._pay

    def _begin(self) -> None:
        self.proposed = {}
        self.prevotes, self.precommits = defaultdict(self._votes), defaultdict(self._votes)
        self.locked = self.valid = None
        self.locked_round = self.valid_round = -1
        self._start_round(0)

    def _votes(self) -> Votes:
        return Votes(self.power)

    def _start_round(self, round_: int) -> None:
        self.round, self.step = round_, Step.propose
        self._waits, self._own, self._repeats = set(), [], 0
        self._enter("propose")
        self._set_timer("repeat", self._patience())
        if round_:
            self._out.append(Broadcast(Fetch(self.height, round_, self.node)))
        if self.leader == self.node:
            self._propose()
        else:
            self._set_timer("propose", self._timeout(self.setting.timeouts.propose))
        if round_ in self.proposed:
            self._consider()
        self._count_prevotes()
        self._count_precommits(round_)

    def _timeout(self, base: float) -> float:
        return base + self.round * self.setting.timeouts.growth

    def _patience(self) -> float:
        timeouts = self.setting.timeouts
        phases = timeouts.propose + timeouts.prevote + timeouts.precommit
        return 2 * (phases + 3 * self.round * timeouts.growth)

    def _rearm(self) -> None:
        self._waits.clear()
        self._set_timer("repeat", self._patience())
        if self.step == Step.propose and self.round not in self.proposed:
            self._set_timer("propose", self._timeout(self.setting.timeouts.propose))
        self._count_prevotes()
        self._count_precommits(self.round)

    # A round.

    def _propose(self) -> None:
        if self.valid is not None:
            value = self.valid
        elif self.setting.proposes and self.results is None:
            self._execute()
            return
        else:
            value = self._own_value()
        self._say(Proposal(self.height, self.round, self.node, value, self.valid_round))

    def _say(self, message: Message) -> None:
        """Broadcast, and remember it in case that it has to be repeated."""
        self._own.append(message)
        self._broadcast(message)

    def _on_proposal(self, message: Proposal) -> None:
        round_ = message.round
        if not 0 <= round_ < self.setting.rounds or message.sender != self.leaders[round_] or round_ in self.proposed:
            return
        self.proposed[round_] = message
        if round_ == self.round and self.decided is None and not self.left:
            self._consider()
        self._count_precommits(round_)
        self._join_later_round(round_)

    def _on_executed(self) -> None:
        if self.decided is not None or self.left or self.step != Step.propose:
            return
        if self.round in self.proposed:
            self._consider()
        elif self.leader == self.node:
            self._propose()

    def _consider(self) -> None:
        """Prevote on the proposal of the round, once it can be judged."""
        proposal = self.proposed[self.round]
        value, polka = proposal.value, proposal.valid_round
        if self.step != Step.propose:
            self._count_prevotes()
            return
        if polka >= 0 and (polka >= self.round or self.prevotes[polka].power.get(value, 0) < self.quorum):
            return
        if self.setting.proposes and self.results is None:
            self._execute()
            return
        free = self.locked_round <= polka or self.locked == value
        self._prevote(value if free and self._endorses(value) else None)

    def _prevote(self, value: Value | None) -> None:
        self.step = Step.prevote
        self._enter("prevote")
        self._say(Prevote(self.height, self.round, self.node, value))
        self._count_prevotes()

    def _on_prevote(self, message: Prevote) -> None:
        votes = self.prevotes[message.round]
        power = votes.add(message.sender, message.value)
        if self._owed is not None:
            self._pay(message)
        if votes.total < self.quorum or not power:
            self._join_later_round(message.round)
        elif message.round == self.round:
            self._count_prevotes()
        elif message.round < self.round and self.round in self.proposed and self.decided is None and not self.left:
            self._consider()
        else:
            self._join_later_round(message.round)

    def _count_prevotes(self) -> None:
        """See what the prevotes of the round allow, after one's own."""
        if self.step == Step.propose or self.decided is not None or self.left:
            return
        votes = self.prevotes[self.round]
        if votes.total < self.quorum:
            return
        proposal = self.proposed.get(self.round)
        if proposal is not None and votes.power.get(proposal.value, 0) >= self.quorum:
            self._polka(proposal.value)
        if self.step != Step.prevote:
            return
        if votes.power.get(None, 0) >= self.quorum:
            self._precommit(None)
        elif ("prevote", self.round) not in self._waits:
            self._waits.add(("prevote", self.round))
            self._set_timer("prevote", self._timeout(self.setting.timeouts.prevote))

    def _polka(self, value: Value) -> None:
        """Act on q prevotes for the proposal: it is valid, and whoever agrees locks on it."""
        if self.valid_round == self.round:
            return
        self.valid, self.valid_round = value, self.round
        if self.step == Step.prevote and self._endorses(value):
            self.locked, self.locked_round = value, self.round
            self._precommit(value)

    def _precommit(self, value: Value | None) -> None:
        self.step = Step.precommit
        self._enter("precommit")
        self._say(Precommit(self.height, self.round, self.node, value))

    def _on_precommit(self, message: Precommit) -> None:
        votes = self.precommits[message.round]
        votes.add(message.sender, message.value)
        if votes.total >= self.quorum:
            self._count_precommits(message.round)
        self._join_later_round(message.round)

    def _count_precommits(self, round_: int) -> None:
        """Decide on q precommits for a proposal, of any round."""
        votes = self.precommits[round_]
        if votes.total < self.quorum or self.decided is not None:
            return
        proposal = self.proposed.get(round_)
        if proposal is not None and votes.power.get(proposal.value, 0) >= self.quorum:
            self._owe(round_, proposal.value)
            self._decide(round_, proposal.value, votes)
        elif round_ == self.round and not self.left and ("precommit", round_) not in self._waits:
            self._waits.add(("precommit", round_))
            self._set_timer("precommit", self._timeout(self.setting.timeouts.precommit))

    def _owe(self, round_: int, value: Value) -> None:
        """A replica that decides before it has voted owes the others its votes: they may need them to decide."""
        voted = self.prevotes[round_].choice.get(self.node, value) == value
        if round_ == self.round and self.step != Step.precommit and voted:
            self._owed = _Owed(self.height, round_, value, self.prevotes[round_])

    def _executed_late(self, height: int, results: tuple[int, ...]) -> None:
        owed = self._owed
        if not self.setting.proposes:
            super()._executed_late(height, results)
        elif owed is None or owed.height != height:
            return
        elif owed.value.result in results:
            self._pay(Prevote(height, owed.round, self.node, owed.value))
            self._out.insert(0, Broadcast(Prevote(height, owed.round, self.node, owed.value)))
        else:
            self._owed = None

    def _pay(self, message: Prevote) -> None:
        owed = self._owed
        if owed is None or (message.height, message.round) != (owed.height, owed.round):
            return
        owed.prevotes.add(message.sender, message.value)
        mine = owed.prevotes.choice.get(self.node)
        if mine is not None and owed.prevotes.power.get(owed.value, 0) >= self.quorum:
            self._owed = None
            self._out.append(Broadcast(Precommit(owed.height, owed.round, self.node, owed.value)))

    # Rounds and timers.

    def _join_later_round(self, round_: int) -> None:
        """Go to a later round from which more than f others are heard."""
        if not self.round < round_ < self.setting.rounds or self.decided is not None or self.left:
            return
        senders = {*self.prevotes[round_].choice, *self.precommits[round_].choice}
        if round_ in self.proposed:
            senders.add(self.proposed[round_].sender)
        if sum(self.power[sender] for sender in senders) > self.setting.faults:
            self._start_round(round_)

    def _expired(self, timer: Timer) -> None:
        if timer.kind == "commit":
            if self.done:
                self._advance()
            return
        if self.decided is not None or self.left or timer.round != self.round:
            return
        actions: dict[str, Callable[[], None]] = {
            "propose": self._propose_timeout,
            "prevote": self._prevote_timeout,
            "precommit": self._next_round,
            "repeat": self._repeat,
        }
        actions[timer.kind]()

    def _propose_timeout(self) -> None:
        in_work = self.executing and self.round in self.proposed
        if self.step == Step.propose and not in_work:
            self._prevote(None)

    def _prevote_timeout(self) -> None:
        if self.step == Step.prevote:
            self._precommit(None)

    def _next_round(self) -> None:
        if self.round + 1 == self.setting.rounds:
            self._leave()
        else:
            self._start_round(self.round + 1)

    def _repeat(self) -> None:
        """Nothing has happened for long: messages may have been lost."""
        self._repeats += 1
        if self._repeats >= REPEATS_MAX:
            self._be_stuck()
        for message in [*self._own, Fetch(self.height, self.round, self.node)]:
            self._out.append(Broadcast(message, self._repeats))
        self._set_timer("repeat", self._patience())

    # Closing.

    def _closing(self) -> None:
        """Wait for late precommits before the next height."""
        if self.setting.timeouts.commit:
            self._set_timer("commit", self.setting.timeouts.commit)
        else:
            self._advance()
