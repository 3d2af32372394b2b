"""HotStuff, chained (Yin, Malkhi, Reiter, Gueta and Abraham, PODC 2019).

**The story.** Every block names its parent and carries a *quorum certificate* for it: q votes, as one threshold
signature. The leader of a height proposes a block on top of the highest certificate that it knows; replicas send their
vote to the *next* leader only, who makes a certificate of q of them and proposes the next block with it. So one round
of votes serves several blocks at once: it is the first for the newest block, the second for its parent, the third for
the parent of that. A block is *committed*, with all before it, once two blocks follow it directly, each certified: a
*three-chain*. Only leaders send to all, so that messages grow as n.

A replica that sees a certificate for a block *locks* on its parent, which heads a two-chain. It votes for a proposal
only if that builds on its lock, or on a certificate newer than the lock: enough others have moved on then. If nothing
comes in time, the *pacemaker* takes it to the next view, with a longer timer: it sends a *new-view* with its highest
certificate to that view's leader, who needs q of these to propose, and shows them.

**Here.** The views of a height are its rounds, and their leaders are given. A view follows the one before it *directly*
if it is round 0 of the next height; a replica votes in such a view only if it has voted in none since the block below
was proposed, so that nothing can have been certified in between, as the three-chain needs. The votes of round 0 go to
the next height's first leader. If that one fails, or too few vote, the height is tried again in round 1: that leader
counts the votes for its proposal itself, and sends the certificate to all. After the last round the chain goes on with
the next height, and leaves this one out. New-views go to all once two views in a row have failed, and a replica joins
more than f others; whoever knows a later certificate answers with it. Timers double with every view that fails until
one succeeds, and are longer by a first one with every eighth until a block is committed: a three-chain needs four
leaders in a row to be in time. From then on, what was said in a view is said once more while it lasts; and after 128
failures, blocks that are certified and not committed count as left, too.

Under `certify`, a replica executes a block that is committed, and sends its result to the leader whose proposal carried
the commit. That one collects them, and shows q equal ones, or that no result can reach q, to all in a *certificate*. A
replica whose timer runs out sends its result to all, so that a faulty collector costs no more than time.

Under `propose`, a replica executes before it votes, and votes only for its own result; so a certificate says that q
results are equal, and a view that fails delays the three-chain of those before it, no more. With one round, one whose
result differs says so with a new-view at once, and the next leader goes on as soon as no certificate can come.
A good block then fails if the next leader is faulty, since nobody else has its votes.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sim.consensus.protocols.effects import Broadcast, Send, SetTimer, Timer
from sim.consensus.protocols.hotstuff_chain import Chain, direct
from sim.consensus.protocols.hotstuff_gaps import Gaps
from sim.consensus.protocols.hotstuff_messages import (
    GENESIS,
    Announce,
    Certification,
    NewView,
    Proposal,
    Qc,
    View,
    Vote,
)
from sim.consensus.protocols.hotstuff_patience import Patience
from sim.consensus.protocols.hotstuff_results import Collecting
from sim.consensus.protocols.messages import Certificate, Fetch, Message, ResultVote, Value
from sim.consensus.protocols.pipelined import DEPTH, WINDOW, Pending
from sim.consensus.protocols.setting import Setting
from sim.consensus.protocols.transitions import RESULT_TRANSITIONS, Transition
from sim.consensus.protocols.votes import Votes

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, MutableMapping

_REPEAT_PART = 3  # of a view's timer, after which what was said in it is said again
GRACE_PART = 4  # of the result timeout: so long may a certificate be overtaken by the next one
_WORKING = ("waiting", "supported", "diverged")


class HotStuff(Collecting):
    """A HotStuff replica."""

    transitions = (
        Transition("waiting", "proposal", "supported"),
        Transition("waiting", "own result differs", "diverged"),
        *(Transition(phase, "timer, or others went on", "waiting") for phase in _WORKING),
        *(Transition(phase, "last round over", "left") for phase in _WORKING),
        *(Transition(phase, "three-chain", "decided") for phase in (*_WORKING, "left")),
        *(Transition(phase, "proof of its result", "certified") for phase in ("waiting", "supported", "left")),
        *RESULT_TRANSITIONS,
    )
    timeouts = ("view",)
    carries_over, collected = False, True
    proposals = (Proposal,)
    ballots = (Vote,)
    usual = (Proposal, Vote, ResultVote, Certification)

    @classmethod
    def support(cls, height: int, round_: int, node: int, value: Value) -> tuple[Message, ...]:
        """All votes for a value (see `Machine.support`)."""
        return (Vote(height, round_, node, value),)

    @classmethod
    def vouches(cls, message: Message) -> tuple[int, Hashable] | None:
        """Who shows results has cast one of the votes (see `Machine.vouches`)."""
        if isinstance(message, Certification):
            cast = dict(message.votes)
            return (message.height, cast[message.sender]) if message.sender in cast else None
        return super().vouches(message)

    @classmethod
    def shows(cls, message: Message) -> Iterator[tuple[int, Certificate]]:
        """Certificates that a message carries (see `Machine.shows`)."""
        for name in ("justify", "high", "certificate"):
            shown = getattr(message, name, GENESIS)
            if shown != GENESIS:
                yield shown.height, Certificate(shown.round, shown.value, shown.voters)

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.view: View = (0, 0)
        self.chain = Chain(self._awaits)
        self.voted: View = (0, 0)
        self._started = self._telling = False
        self._patience = Patience(setting.timeouts.view)
        self._uttered: list[Broadcast | Send] = []
        self._proposed: dict[View, dict[int, Proposal]] = defaultdict(dict)
        self._votes: dict[View, Votes] = defaultdict(lambda: Votes(self.power))
        self._wants: dict[int, View] = {}
        self._said: set[View] = set()
        self._gaps = Gaps(self.node, setting.timeouts.result / GRACE_PART)
        self._on |= {
            Proposal: self._on_proposal,
            Vote: self._on_vote,
            NewView: self._on_new_view,
            Announce: self._on_announce,
        }

    # Beginning in the middle.

    def _stand_on(self, pending: Pending, value: Value, copies: object) -> None:  # noqa: ARG002
        self.view = self.voted = (pending.height, 0)
        self.chain.stand_on(Qc(*self.view, value, tuple(range(len(self.power)))))

    @property
    def carries_nothing(self) -> bool:
        """Whether nothing is left from what went wrong (see `Pipelined`)."""
        height = self.height
        in_turn = self.view == (height + 1, 0) and self.chain.high.view == (height, 0) and not self._telling
        told = any(told[0] >= height for told in self._told)
        return super().carries_nothing and in_turn and self._patience.calm and self._gaps.none and not told

    # Views.

    def _begin(self, pending: Pending) -> None:
        if pending.height > self.view[0]:
            self.view, self._started = (pending.height, 0), False
        if pending.height == self.view[0]:
            self._start_view()
        for round_ in range(self.setting.rounds):
            self._consider((pending.height, round_))

    def _go(self, view: View, *, leaving: bool = False, telling: bool = False) -> None:
        """Move to a later view; `leaving` tells that the heights passed over have had their last round."""
        if view <= self.view:
            return
        height, round_ = self.view
        passed = range(max(height, self.open, view[0] - DEPTH), view[0]) if leaving else ()
        self.view, self._started, self._telling = view, False, telling
        for left in passed:
            if not self.chain.certified(left, self.setting.rounds):
                self._leave(left, round_ if left == height else 0)
        if self._at(view[0]).leaders:
            self._start_view()
        else:
            self._go_to(view[0])

    def _start_view(self) -> None:
        """Begin the current view, whose height has been entered."""
        height, round_ = view = self.view
        self._started = True
        self._uttered = []
        self._phase(height, round_, "waiting")
        self._start_timer()
        if self._telling:
            self._tell(NewView(height, round_, self.node, self.chain.high), self._at(height).leaders[round_])
        if self.view == view:
            self._lead()
        if self.view == view:
            self._consider(view)

    def _start_timer(self) -> None:
        height, round_ = self.view
        seconds = self._patience.seconds
        self._out.append(SetTimer(Timer("view", height, round_), seconds))
        if self._patience.repeats:
            self._out.append(SetTimer(Timer("repeat", height, round_), seconds / _REPEAT_PART))

    def _rearm(self) -> None:
        self._out += self._gaps.again()
        if self._started:
            self._start_timer()

    def _expired(self, timer: Timer) -> None:
        if timer.kind == "missing":
            self._out += self._gaps.ask(timer)
            self._commit(self.chain.commit(), self.node)
            return
        height, round_ = self.view
        if (timer.height, timer.round) != self.view or not self._started:
            return
        if timer.kind == "repeat":
            self._out += [effect._replace(copy=1) for effect in self._uttered]
        else:
            self._patience.failed()
            following = (height, round_ + 1) if round_ + 1 < self.setting.rounds else (height + 1, 0)
            self._go(following, leaving=True, telling=True)
            if self._patience.gives_up:
                for passed in range(self.open, self.view[0]):
                    self._leave(passed, 0)

    def _tell(self, message: NewView, leader: int) -> None:
        """Bring a new-view to the leader of that view; to all if things go badly."""
        if self._patience.calls:
            self._uttered.append(Broadcast(message))
            self._broadcast(message)
        else:
            self._utter(leader, message)

    def _utter(self, receiver: int, message: Message) -> None:
        """Send what helps the current view along."""
        if receiver != self.node:
            self._uttered.append(Send((receiver,), message))
        self._send_to(receiver, message)

    def _send_to(self, receiver: int, message: Message) -> None:
        if receiver == self.node:
            self._on[type(message)](message)
        else:
            self._out.append(Send((receiver,), message))

    def _phase(self, height: int, round_: int, phase: str) -> None:
        """Enter a phase of a height that is not decided."""
        pending = self._at(height)
        if pending.decided is None and not pending.done:
            self._enter(height, round_, phase)

    def _on_new_view(self, message: NewView) -> None:
        view = (message.height, message.round)
        self._learn(message.high, message.sender)
        if message.high.view < self.chain.high.view and message.sender != self.node:
            self._retell(message.sender, Announce(*self.chain.high.view, self.node, self.chain.high))
        if view > self._wants.get(message.sender, (0, 0)):
            self._wants[message.sender] = view
        self._count_wants(view)

    def _count_wants(self, view: View) -> None:
        """See who wants which view: join more than f others; open one's own view when it is time."""
        later = {node: wanted for node, wanted in self._wants.items() if wanted > self.view}
        if self._power_of(later) > self.setting.faults:
            self._go(min(later.values()), leaving=True, telling=True)
        elif view > self.view and self._overdue(view):
            self._go(view, leaving=True, telling=True)
        if view == self.view and self._started:
            self._lead()

    def _wanting(self, view: View) -> set[int]:
        """Who wants a view; if heights have one round, whoever has voted below wants to go on, whatever comes of it."""
        height, round_ = view
        wanting = {node for node, wanted in self._wants.items() if wanted == view}
        if self.setting.rounds == 1 and (height - 1, round_) in self._votes:
            wanting.update(self._votes[height - 1, round_].choice)
        return wanting

    def _overdue(self, view: View) -> bool:
        """Whether q replicas want a view, and the block before it can get no certificate any more."""
        wanting = self._power_of(self._wanting(view))
        below = (view[0] - 1, 0)
        best = self._votes[below].best() if below in self._votes else 0
        return wanting >= self.quorum and (view[1] > 0 or best + self.all_power - wanting < self.quorum)

    # Proposals and votes.

    def _lead(self) -> None:
        """Propose, if one leads the current view and may; under `propose` once the own result is there."""
        height, round_ = view = self.view
        pending = self._at(height)
        if pending.leaders[round_] != self.node or self.node in self._proposed[view]:
            return
        follows = direct(view, self.chain.high.view)
        proof = () if follows else tuple(sorted(self._wanting(view)))
        if not follows and self._power_of(proof) < self.quorum:
            return
        if self.setting.proposes and pending.results is None:
            self._execute(pending)
            return
        result = pending.results[0] if self.setting.proposes and pending.results else None
        value = Value(self.node, round_, self.setting.variant, result, self.chain.high.view)
        proposal = Proposal(height, round_, self.node, value, self.chain.high, proof)
        self._uttered.append(Broadcast(proposal))
        self._broadcast(proposal)

    def _on_proposal(self, message: Proposal) -> None:
        view, justify = (message.height, message.round), message.justify
        if not self._sound(message) or message.sender in self._proposed[view]:
            return
        self._proposed[view][message.sender] = message
        self._learn(justify, message.sender)
        if not direct(view, justify.view):
            self._go(view, leaving=True)
        self._consider(view)

    def _sound(self, message: Proposal) -> bool:
        """Whether a proposal proves that its view may begin, and says on what it builds."""
        view, value, justify = (message.height, message.round), message.value, message.justify
        if not (message.round < self.setting.rounds and justify.view < view and self._valid(justify)):
            return False
        named = (value.proposer, value.round, value.parent) == (message.sender, message.round, justify.view)
        return named and (direct(view, justify.view) or self._power_of(set(message.proof)) >= self.quorum)

    def _valid(self, certificate: Qc) -> bool:
        return certificate == GENESIS or self._power_of(set(certificate.voters)) >= self.quorum

    def _proposal(self, view: View) -> Proposal | None:
        """What the leader of a view has proposed, if its height has been entered."""
        leaders = self._at(view[0]).leaders
        return self._proposed[view].get(leaders[view[1]]) if leaders and view in self._proposed else None

    def _consider(self, view: View) -> None:
        """Vote for the proposal of a view, once it can be judged; even if the votes of others were enough."""
        proposal = self._proposal(view)
        if proposal is None or view in self._said:
            return
        pending = self._at(view[0])
        certified = view in self.chain.known and self.chain.known[view].value == proposal.value
        if not certified and (view != self.view or pending.dead or not self._safe(proposal)):
            return
        if self.setting.proposes and pending.results is None:
            self._execute(pending)
            return
        self._said.add(view)
        if self._endorses(pending, proposal.value):
            self.voted = max(self.voted, view)
            if not certified:
                self._phase(*view, "supported")
            collector = pending.leaders[view[1]] if view[1] else pending.successor
            say = self._utter if view == self.view else self._send_to
            say(collector, Vote(*view, self.node, proposal.value))
        elif not certified:
            self._phase(*view, "diverged")
            if self.setting.rounds == 1:
                self._send_to(pending.successor, NewView(view[0] + 1, 0, self.node, self.chain.high))

    def _safe(self, proposal: Proposal) -> bool:
        """The voting rule: it builds on one's lock or on something newer, and nothing was voted for in between."""
        view, parent = (proposal.height, proposal.round), proposal.justify.view
        free = self.voted <= parent if direct(view, parent) else self.voted < view
        return free and parent >= self.chain.lock

    def _on_executed(self, pending: Pending) -> None:
        if pending.height == self.view[0] and self._started:
            self._lead()
        for round_ in range(self.setting.rounds):
            self._consider((pending.height, round_))

    def _on_vote(self, message: Vote) -> None:
        view = (message.height, message.round)
        votes = self._votes[view]
        power = votes.add(message.sender, message.value)
        if view in self.chain.known:
            return
        if power >= self.quorum:
            certificate = Qc(*view, message.value, votes.voters(message.value))
            if message.round:
                self._broadcast(Announce(*view, self.node, certificate))
            else:
                self._learn(certificate, self.node)
        elif self.setting.rounds == 1:
            self._count_wants((message.height + 1, 0))

    # Certificates.

    def _on_announce(self, message: Announce) -> None:
        self._learn(message.certificate, message.sender)

    def _learn(self, certificate: Qc, carrier: int) -> None:
        """Take a certificate: it locks, decides or commits, and the next height can begin.

        Parameters
        ----------
        certificate
            What has q votes.
        carrier
            Who brought it.
        """
        height, view, chain = certificate.height, certificate.view, self.chain
        if view in chain.known or height < self.open - WINDOW or not self._valid(certificate):
            return
        if view > chain.high.view:
            self._patience.certified()
        self._gaps.filled(view)
        below = certificate.value.parent
        if below is not None and below not in chain.known and below[0] >= self.open and self._at(below[0]).leaders:
            self._out += self._gaps.miss(below, carrier)
        self._commit(chain.add(certificate), carrier)
        self._go((height + 1, 0))
        if self.view == (height + 1, 0) and self._started:
            self._lead()

    def _awaits(self, view: View) -> bool:
        """Whether a certificate that is missing may still come, of a height that one has followed."""
        return view[0] >= self.open and self._gaps.waits(view)

    def _commit(self, blocks: list[Qc], carrier: int) -> None:
        if blocks:
            self._patience.committed()
        for block in reversed(blocks):
            self._collectors[block.height] = self._collector(block, carrier)
        for block in blocks:
            self._decide(block.height, block.round, block.value)

    def _collector(self, block: Qc, carrier: int) -> int:
        """Who proposed with the certificate that committed a block: the leader of the third height after it, or later.

        Who has missed which it was takes whoever brought that certificate.
        """
        third = self._at(block.height + 2)
        if self.chain.heads(block) and third.leaders:
            return third.successor
        above = min((height for height in self._collectors if height > block.height), default=None)
        return carrier if above is None else self._collectors[above]

    def _on_fetch(self, message: Fetch) -> None:
        if message.sender == self.node:
            return
        known = self.chain.known.get((message.height, message.round))
        if known is not None and known.voters:
            self._retell(message.sender, Announce(*known.view, self.node, known))
        if self.chain.high.height > message.height:
            self._retell(message.sender, Announce(*self.chain.high.view, self.node, self.chain.high))
        if self._shown is not None and self._shown.height >= message.height:
            self._retell(message.sender, self._certification(self._shown))

    def _given_up(self, pending: Pending) -> None:
        if pending.height == self.view[0]:
            self._go((pending.height + 1, 0), telling=True)

    def _afar(self, message: Message) -> None:
        if message.height > self.height and isinstance(message, (Proposal, Announce)):
            self._on[type(message)](message)

    def _settle(self) -> None:
        before = self.open
        super()._settle()
        if self.open > before:
            self._forget(self.open - WINDOW)
            self._commit(self.chain.commit(), self.node)

    def _forget(self, height: int) -> None:
        """Drop what belongs to heights that were closed long ago."""
        super()._forget(height)
        kept: MutableMapping[View, Any]
        for kept in (self._proposed, self._votes):
            for view in [view for view in kept if view[0] < height]:
                del kept[view]
        self._said.difference_update([view for view in self._said if view[0] < height])
        self.chain.forget(height)
        self._gaps.forget(self.open)
