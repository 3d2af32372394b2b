"""Practical Byzantine fault tolerance (Castro and Liskov, OSDI 1999).

**The story.** In view v of a height, the primary sends a *pre-prepare* with a block to all. A replica that accepts it
answers with a *prepare* to all; the primary's pre-prepare is its prepare. A replica that has q prepares for what it
accepted is *prepared*: no other block can be prepared in this view, since two quorums share an honest replica. It tells
all with a *commit*, and with q commits the block is decided, since any later view will meet a replica that was
prepared.

A replica whose timer runs out first stops taking part in the view and asks for the next one with a *view-change*, which
carries the certificate of q prepares if it has one. The primary of the new view waits for q of these and sends a
*new-view*: with the block that was prepared in the latest view, or, if there is none, a block of its own; and with the
view-changes, so that every replica can check that choice. A replica joins a view change that more than f others ask
for, and doubles its timer with every view. Every `checkpoint_interval` heights replicas broadcast a *checkpoint*; q
equal ones prove a state that a replica which is behind can move to.

**Here.** Views start anew at every height, and the primaries of its views are given (`leaders`). Under `propose` the
pre-prepare carries the primary's result; a replica executes first and prepares only if its own result is the same. One
whose result differs never votes for it, but takes over what q commits decide. A replica sends its view-change again
when its timer runs out before q of them have come.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from sim.consensus.protocols.effects import Broadcast, Timer
from sim.consensus.protocols.messages import Certificate, Decision, Message, Value, ValueMessage
from sim.consensus.protocols.replica import Replica
from sim.consensus.protocols.setting import Setting
from sim.consensus.protocols.transitions import RESULT_TRANSITIONS, Transition
from sim.consensus.protocols.votes import Votes

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

REPEATS_MAX = 8
"""How often a view-change is sent again before the replica counts as stuck."""
_DOUBLINGS_MAX = 8
_WORKING = ("waiting", "pre-prepared", "diverged", "prepared", "view change", "stuck")


@dataclass(frozen=True, slots=True)
class PrePrepare(ValueMessage):
    """The primary puts a value to the vote; it counts as its prepare."""

    name: ClassVar[str] = "pre-prepare"
    block: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Prepare(Message):
    """The sender has accepted the value of this view."""

    name: ClassVar[str] = "prepare"
    value: Value


@dataclass(frozen=True, slots=True)
class Commit(Message):
    """The sender has seen q prepares for the value."""

    name: ClassVar[str] = "commit"
    value: Value


@dataclass(frozen=True, slots=True)
class ViewChange(Message):
    """The sender wants to enter view `round`; with what it had prepared latest, if anything."""

    name: ClassVar[str] = "view-change"
    prepared: Certificate | None

    @property
    def weight(self) -> int:
        """Its own signature, and those of the certificate."""
        return 1 + (len(self.prepared.voters) if self.prepared else 0)


@dataclass(frozen=True, slots=True)
class NewView(ValueMessage):
    """The primary of view `round` opens it with a value.

    Parameters
    ----------
    proof
        The view-changes that show that the value is allowed.
    votes
        Whether it counts as the primary's prepare: not if it carries a result over that differs from its own.
    """

    name: ClassVar[str] = "new-view"
    block: ClassVar[bool] = True
    proof: tuple[ViewChange, ...]
    votes: bool

    @property
    def weight(self) -> int:
        """Its own signature, and those of the view-changes."""
        return 1 + sum(change.weight for change in self.proof)


@dataclass(frozen=True, slots=True)
class Checkpoint(Message):
    """The sender has closed all heights up to this one; `state` is the last block and result that it knows."""

    name: ClassVar[str] = "checkpoint"
    state: tuple[int, Value, int | None]


class Prepared(NamedTuple):
    """A value with q prepares in a view."""

    round: int
    value: Value
    votes: Votes

    @property
    def certificate(self) -> Certificate:
        """The proof that others can check."""
        return Certificate(self.round, self.value, self.votes.voters(self.value))


class Pbft(Replica):
    """A PBFT replica."""

    transitions = (
        Transition("waiting", "pre-prepare", "pre-prepared"),
        Transition("pre-prepared", "q prepares", "prepared"),
        Transition("pre-prepared", "own result differs", "diverged"),
        Transition("prepared", "q commits", "decided"),
        Transition("diverged", "q commits", "decided"),
        Transition("view change", "too few answers for long", "stuck"),
        *(Transition(phase, "timer, or f+1 view-changes", "view change") for phase in _WORKING),
        *(Transition(phase, "new-view", "pre-prepared") for phase in _WORKING),
        *(Transition(phase, "timer in the last view", "left") for phase in _WORKING),
        *(Transition(phase, "another's proof", "decided") for phase in (*_WORKING, "left")),
        *RESULT_TRANSITIONS,
    )
    timeouts = ("view",)
    proposals = (PrePrepare, NewView)
    ballots = (Prepare, Commit)
    proposal_votes = True

    @classmethod
    def support(cls, height: int, round_: int, node: int, value: Value) -> tuple[Message, ...]:
        """All votes for a value (see `Replica.support`)."""
        return Prepare(height, round_, node, value), Commit(height, round_, node, value)

    @classmethod
    def vouches(cls, message: Message) -> tuple[int, Hashable] | None:
        """A checkpoint vouches for the last block that it knows (see `Machine.vouches`)."""
        return message.state[:2] if isinstance(message, Checkpoint) else super().vouches(message)

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.prepares: dict[int, Votes] = defaultdict(self._votes)
        self.commits: dict[int, Votes] = defaultdict(self._votes)
        self.changes: dict[int, dict[int, ViewChange]] = defaultdict(dict)
        self.prepared: Prepared | None = None
        self.changing = self._opened = False
        self._repeats = 0
        self._stable = 0
        self._checkpoints: dict[int, Votes] = {}
        self._on |= {
            PrePrepare: self._on_pre_prepare,
            Prepare: self._on_prepare,
            Commit: self._on_commit,
            ViewChange: self._on_view_change,
            NewView: self._on_new_view,
            Checkpoint: self._on_checkpoint,
        }
        self._late[ViewChange] = self._answer
        self._late[Checkpoint] = self._on_checkpoint

    def _begin(self) -> None:
        self.prepares = defaultdict(self._votes)
        self.commits = defaultdict(self._votes)
        self.changes = defaultdict(dict)
        self.prepared = None
        self.changing = self._opened = False
        self._enter("waiting")
        self._start_timer()
        if self.leader == self.node:
            self._propose()

    def _votes(self) -> Votes:
        return Votes(self.power)

    def _start_timer(self) -> None:
        self._repeats = 0
        self._set_timer("view", self.setting.timeouts.view * 2 ** min(self.round, _DOUBLINGS_MAX))

    def _rearm(self) -> None:
        self._start_timer()

    # The normal case.

    def _propose(self) -> None:
        """Put a value to the vote, as primary; under `propose` once the own result is there."""
        if self.setting.proposes and self.results is None:
            self._execute()
        elif self.round == 0:
            self._broadcast(PrePrepare(self.height, 0, self.node, self._own_value()))
        else:
            self._open_view()

    def _on_pre_prepare(self, message: PrePrepare) -> None:
        waiting = self.decided is None and not self.left and self.value is None
        if message.round == self.round == 0 and waiting and message.sender == self.leader:
            self._accept(message, votes=True)

    def _accept(self, message: ValueMessage, *, votes: bool) -> None:
        """Accept the primary's value; `votes` tells whether that is its prepare too."""
        self.value = message.value
        self._enter("pre-prepared")
        if votes:
            self.prepares[self.round].add(message.sender, message.value)
        if self.setting.proposes and self.results is None:
            self._execute()
        else:
            self._prepare()

    def _on_executed(self) -> None:
        if self.decided is not None or self.left:
            return
        if self.value is not None:
            self._prepare()
        elif self.leader == self.node and (self.round == 0 or self._ready()):
            self._propose()

    def _prepare(self) -> None:
        """Vote for the accepted value, if one's own result is the same."""
        value = self.value
        assert value is not None  # noqa: S101 -- called after accepting one
        if self._disowns(value):
            self._enter("diverged")
        elif self.leader != self.node:
            self._broadcast(Prepare(self.height, self.round, self.node, value))
        self._check_prepared()
        self._check_committed(self.round)

    def _on_prepare(self, message: Prepare) -> None:
        if self.prepared is not None and self.prepared.round == message.round:
            return  # more of them change nothing
        power = self.prepares[message.round].add(message.sender, message.value)
        if self.quorum <= power < self.quorum + self.power[message.sender]:  # with this vote, not before it
            self._check_prepared()

    def _check_prepared(self) -> None:
        """Commit to the accepted value if q replicas have prepared it."""
        value, votes = self.value, self.prepares[self.round]
        if self.decided is not None or self.changing or self.left or value is None:
            return
        if votes.power.get(value, 0) < self.quorum or (self.prepared and self.prepared.round == self.round):
            return
        if self._endorses(value):
            self.prepared = Prepared(self.round, value, votes)
            self._enter("prepared")
            self._broadcast(Commit(self.height, self.round, self.node, value))
            self._check_committed(self.round)
        elif self._disowns(value):
            self.prepared = Prepared(self.round, value, votes)

    def _on_commit(self, message: Commit) -> None:
        power = self.commits[message.round].add(message.sender, message.value)
        if self.quorum <= power < self.quorum + self.power[message.sender]:
            self._check_committed(message.round)

    def _check_committed(self, view: int) -> None:
        """Decide on q commits: in this view once prepared, or if that will never be; in another, at once."""
        votes = self.commits[view]
        if self.decided is not None or votes.total < self.quorum:
            return
        value = next((value for value, power in votes.power.items() if power >= self.quorum), None)
        if not isinstance(value, Value):
            return
        here = view == self.round and not self.changing and not self.left
        prepared = self.prepared is not None and self.prepared.round == view
        if not here or self._disowns(value) or (prepared and self.value == value):
            self._decide(view, value, votes)

    # Changing the view.

    def _expired(self, timer: Timer) -> None:
        if timer.kind != "view" or timer.round != self.round or self.decided is not None or self.left:
            return
        if self.changing and not self._followed():
            repeats = self._repeats + 1
            self._out.append(Broadcast(self.changes[self.round][self.node], repeats))
            self._start_timer()
            self._repeats = repeats
            if repeats >= REPEATS_MAX:
                self._be_stuck()
        elif self.round + 1 == self.setting.rounds:
            self._leave()
            self._check_committed(self.round)
        else:
            self._change_view(self.round + 1)

    def _change_view(self, view: int) -> None:
        past, self.round = self.round, view
        self.value, self.changing, self._opened = None, True, False
        self._enter("view change")
        self._check_committed(past)
        if self.decided is None:
            self._start_timer()
            certificate = self.prepared.certificate if self.prepared else None
            self._broadcast(ViewChange(self.height, view, self.node, certificate))

    def _ready(self) -> bool:
        """Whether q replicas want the current view."""
        return self._power(self.changes[self.round]) >= self.quorum

    def _followed(self) -> bool:
        """Whether q replicas have come as far as the current view: then waiting for more of them is no use."""
        later = [senders for view, senders in self.changes.items() if view >= self.round]
        return self._power(set().union(*later)) >= self.quorum

    def _power(self, senders: Iterable[int]) -> int:
        return sum(self.power[sender] for sender in senders)

    def _on_view_change(self, message: ViewChange) -> None:
        if self.decided is not None:
            self._answer(message)
            return
        if message.sender in self.changes[message.round]:
            return
        self.changes[message.round][message.sender] = message
        if self.left:
            return
        if message.round > self.round:
            wanted = {
                view: senders for view, senders in self.changes.items() if self.round < view < self.setting.rounds
            }
            if wanted and self._power(set().union(*wanted.values())) > self.setting.faults:
                self._change_view(min(view for view, senders in wanted.items() if senders))
        elif message.round == self.round and self.changing and self._ready() and not self._opened:
            self._opened = True
            self._start_timer()
            if self.leader == self.node:
                self._propose()

    def _open_view(self) -> None:
        """Open a view as its primary."""
        proof = tuple(self.changes[self.round].values())
        carried = _latest(proof)
        value = carried.value if carried else self._own_value()
        self._broadcast(NewView(self.height, self.round, self.node, value, proof, self._endorses(value)))

    def _on_new_view(self, message: NewView) -> None:
        news = message.round > self.round or (message.round == self.round and self.changing)
        if not news or message.round >= self.setting.rounds or not self._allowed(message):
            return
        if self.decided is not None or self.left or message.sender != self.leaders[message.round]:
            return
        self.round, self.value, self.changing = message.round, None, False
        self._start_timer()
        self._accept(message, votes=message.votes)

    def _allowed(self, message: NewView) -> bool:
        """Check the proof of a new view: q view-changes, and the value that they carry if they carry one."""
        proof = [change for change in message.proof if change.round == message.round and change.height == self.height]
        if self._power({change.sender for change in proof}) < self.quorum:
            return False
        carried = _latest(proof)
        if carried is None:
            return message.value.proposer == message.sender and message.value.round == message.round
        return carried.value == message.value and self._power(set(carried.voters)) >= self.quorum

    # Checkpoints, and replicas that are behind.

    def _closing(self) -> None:
        self._checkpoint()
        super()._closing()

    def _checkpoint(self) -> None:
        closed = self._closed
        if closed is not None and self.height % self.setting.checkpoint_interval == 0:
            state = (closed.decided.height, closed.decided.value, closed.result)
            self._broadcast(Checkpoint(self.height, 0, self.node, state))

    def _on_checkpoint(self, message: Checkpoint) -> None:
        if message.height <= self._stable:
            return
        votes = self._checkpoints.setdefault(message.height, Votes(self.power))
        if votes.add(message.sender, message.state) < self.quorum:
            return
        self._stable = message.height
        self._checkpoints = {height: kept for height, kept in self._checkpoints.items() if height > message.height}
        if message.height > self.height or (message.height == self.height and not self.done):
            height, value, result = message.state
            voters = votes.voters(message.state)
            self._on_decision(Decision(height, 0, message.sender, value, voters, result, voters, closed=True))

    def _ahead(self, message: Message) -> None:
        if isinstance(message, Checkpoint):
            self._on_checkpoint(message)
        else:
            super()._ahead(message)


def _latest(proof: Iterable[ViewChange]) -> Certificate | None:
    """The certificate of the latest view among view-changes."""
    return max((change.prepared for change in proof if change.prepared), key=lambda one: one.round, default=None)
