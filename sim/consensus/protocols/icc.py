"""Internet Computer Consensus, ICC0 and ICC1 (Camenisch, Drijvers, Hanke, Pignolet, Shoup and Williams, 2021).

**The story.** Every height has a random *beacon*: f+1 shares of it, which replicas broadcast one height ahead, rank all
replicas as block makers. The maker of rank r proposes a block when r rank delays have passed, unless it has a valid
block of a better rank by then: so rank 0 is alone at first. A replica gives a *notarization share* to a block of rank r
once the notary delay of that rank has passed, unless it has a valid block of a better rank. If it gets a second block
of a rank to which it has already given its share, the maker is faulty: the rank is *disqualified*, and no longer better
than any. q shares make a *notarization*. A replica that has a block with its notarization relays the notarization, and
goes on to the next height at once, where blocks extend a notarized one.

Slow networks and faulty makers let several blocks of a height be notarized; finality comes on top of that. A replica
that goes on with a block, and has given its share to no other one of that height, broadcasts a *finalization share* for
it. With q of those the block is final, and all that it extends: since two quorums share an honest replica, no other
block of that height can ever be notarized, so all later blocks extend it. A height that is left with two notarized
blocks is decided by the next one.

**Here.** Ranks are given (`leaders`), but a replica acts on them only with f+1 beacon shares; the first height's beacon
is part of the genesis. The paper's makers propose at their turn whatever else they have, and its replicas pass on every
block that they accept; here they echo blocks only when the next rank's turn comes without a notarization, or a maker
shows two: nothing is sent twice when nothing fails, as with the gossip of ICC1. If a replica has a notarization before
it has given a share, it still gives it, to that block. It counts as having left a height when the delay after its last
rank is over (not while it executes), but goes on with what is notarized later, until the height is closed for
everybody. Under `propose` a block carries its maker's result; a replica executes before it gives its notarization
share, and a block whose result differs from its own is not valid for it. A finalization share says nothing about
results. A block is agreed when it is final, which a later block may bring about; a height that all have left is
skipped: later blocks extend the one before it. The paper's channels never lose a message; here replicas ask for what
seems to be missing, and others repeat what they have said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.consensus.protocols.effects import Broadcast, Return, Timer
from sim.consensus.protocols.icc_chain import IccChain
from sim.consensus.protocols.icc_height import IccHeight
from sim.consensus.protocols.icc_messages import (
    BeaconShare,
    Echo,
    FinalizationShare,
    Notarization,
    NotarizationShare,
    Parent,
    Proposal,
)
from sim.consensus.protocols.messages import Certificate, Message, ResultVote, Value
from sim.consensus.protocols.pipelined import Pending
from sim.consensus.protocols.setting import Setting
from sim.consensus.protocols.transitions import RESULT_TRANSITIONS, Transition

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

REPEATS_MAX = 8
"""How often a replica asks for the beacon before it counts as having left."""
_WORKING = ("beacon", "ranks", "shared", "left")


class Icc(IccChain):
    """A replica of Internet Computer Consensus."""

    transitions = (
        Transition("beacon", "f+1 beacon shares", "ranks"),
        Transition("ranks", "turn of a valid block", "shared"),
        *(Transition(phase, "a block and its notarization", "notarized") for phase in _WORKING),
        Transition("notarized", "q finalization shares, for it or a later block", "decided"),
        *(Transition(phase, "another's proof", "decided") for phase in _WORKING),
        Transition("ranks", "last rank over", "left"),
        Transition("shared", "last rank over", "left"),
        Transition("beacon", "too few beacon shares for long", "left"),
        Transition("left", "f+1 beacon shares", "ranks"),
        *RESULT_TRANSITIONS,
    )
    timeouts = ("rank", "notary")
    proposals = (Proposal,)
    ballots = (NotarizationShare, FinalizationShare)
    usual = (BeaconShare, Proposal, NotarizationShare, Notarization, FinalizationShare, ResultVote)
    carries_over = False

    @classmethod
    def support(cls, height: int, round_: int, node: int, value: Value) -> tuple[Message, ...]:
        """All votes for a value (see `Machine.support`)."""
        return NotarizationShare(height, round_, node, value), FinalizationShare(height, round_, node, value)

    @classmethod
    def vouches(cls, message: Message) -> tuple[int, Hashable] | None:
        """Any share for a block: those of its descendants may have made it final (see `Machine.vouches`)."""
        return (message.height, message.value) if isinstance(message, cls.ballots) else None

    @classmethod
    def shows(cls, message: Message) -> Iterator[tuple[int, Certificate]]:
        """Certificates that a message carries (see `Machine.shows`)."""
        proposal = message.proposal if isinstance(message, Echo) else message
        if isinstance(proposal, Proposal) and proposal.parent is not None:
            yield proposal.parent
        if isinstance(message, Echo) and message.notarization is not None:
            yield message.height, message.notarization
        if isinstance(message, Notarization):
            yield message.height, message.certificate

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._rank_s, self._notary_s = setting.timeouts.of("rank"), setting.timeouts.of("notary")
        self._checking = False
        self._on |= {
            BeaconShare: self._on_beacon_share,
            Proposal: self._on_proposal,
            NotarizationShare: self._on_notarization_share,
            Notarization: self._on_notarization,
            Echo: self._on_echo,
        }

    def routine(self, timer: Timer) -> bool:
        """Whether a timer is that of rank 0's notary delay (see `Pipelined`)."""
        return timer.kind == "rank" and self._at(timer.height).turn == 0

    # The beacon.

    def _begin(self, pending: Pending) -> None:
        at = self._at(pending.height)
        if len(at.leaders) > self.setting.rounds:
            at.leaders = at.leaders[: self.setting.rounds]
        self._repeats = 0
        if at.done or at.decided is not None:
            self._go_to(at.height + 1)
            return
        self._enter(at.height, 0, "beacon")
        if at.height > 1:
            self._share_beacon(self._at(at.height - 1))
        if not self._begin_ranks():
            self._set_timer(at, "beacon", self._rank_s)
        self._consider()

    def _share_beacon(self, at: IccHeight) -> None:
        """Give one's share of the beacon after a height, once."""
        if not at.beaconed:
            at.beaconed = True
            self._broadcast(BeaconShare(at.height, 0, self.node))

    def _begin_ranks(self) -> bool:
        """Let rank 0 have its turn at the newest height once its beacon is known; whether it is."""
        at = self._newest
        if self._waiting(at) and (at.height == 1 or self._at(at.height - 1).beacon.total > self.setting.faults):
            self._come_back(at)
            self._start(at)
        return not self._waiting(at)

    def _on_beacon_share(self, message: BeaconShare) -> None:
        height = message.height
        if height + 1 < self.height or (height < self.height and not self._waiting(self._newest)):
            return
        self._at(height).beacon.add(message.sender, True)  # noqa: FBT003 -- the value is all the same
        if height + 1 == self.height and self._begin_ranks():
            self._consider()

    def _waiting(self, at: IccHeight) -> bool:
        """Whether a height lacks its beacon."""
        return not (at.started or at.done or at.finished or at.decided)

    def _start(self, at: IccHeight) -> None:
        """The ranks are known: begin with rank 0."""
        at.started = True
        if at.height > 1:
            self._at(at.height - 1).forget_beacon()
        self._enter(at.height, 0, "ranks")
        self._share_beacon(at)
        if self._notary_s:
            self._set_timer(at, "rank", self._notary_s)
        else:
            self._next_turn(at)
        self._await_own_turn(at)

    def _await_own_turn(self, at: IccHeight) -> None:
        rank = at.leaders.index(self.node) if self.node in at.leaders else None
        if rank == 0:
            self._propose(at)
        elif rank is not None:
            self._set_timer(at, "propose", rank * self._rank_s)

    # Timers.

    def _expired(self, timer: Timer) -> None:
        at = self._at(timer.height)
        actions: dict[str, Callable[[IccHeight], None]] = {
            "beacon": self._ask_for_beacon,
            "rank": self._next_turn,
            "propose": self._propose,
            "final": self._ask_for_finality,
            "ask": self._ask,
        }
        actions[timer.kind](at)

    def _ask_for_beacon(self, at: IccHeight) -> None:
        if at.height != self.height or not self._waiting(at):
            return
        self._repeats += 1
        self._fetch(at)
        self._out.append(Broadcast(BeaconShare(at.height - 1, 0, self.node), self._copies))
        self._set_timer(at, "beacon", self._rank_s)
        if self._repeats == REPEATS_MAX:
            self._leave(at.height, 0)

    def _come_back(self, at: IccHeight) -> None:
        """Go on with a height after all."""
        if at.left:
            at.left = False
            self._out.append(Return(at.height))

    def _next_turn(self, at: IccHeight) -> None:
        """The notary delay of the next rank is over."""
        if at.over or at.left or at.height != self.height:
            return
        if at.executing and at.turn + 1 == len(at.leaders):
            self._set_timer(at, "rank", self._rank_s)
            return
        at.turn += 1
        if at.turn:
            self._press(at)
        if at.turn == len(at.leaders):
            self._leave(at.height, at.round)
            self._repeats = 0
            self._ask(at)
        else:
            self._set_timer(at, "rank", self._rank_s)
        self._consider()

    def _press(self, at: IccHeight) -> None:
        """A rank's time is over, and nothing is notarized: something may have been lost, or kept from others."""
        for value in at.given.values():
            self._echo(at, value)
        if at.given or at.notarized or any(height > at.height for height in self._seen_at.values()):
            self._fetch(at)

    def _ask(self, at: IccHeight) -> None:
        """Ask what others know of a height that one has left, ever more rarely."""
        if at.left and at.decided is None and not at.done:
            self._fetch(at)
            self._set_timer(at, "ask", self._patience())

    def _rearm(self) -> None:
        at = self._newest
        self._repeats = 0
        if self._waiting(at):
            self._come_back(at)
            self._set_timer(at, "beacon", self._rank_s)
        elif at.left:
            self._ask(at)
        elif not at.over:
            self._set_timer(at, "rank", self._rank_s)
            if not at.due:
                self._await_own_turn(at)
        self._await_finality()

    # Blocks.

    def _echo(self, at: IccHeight, value: Value) -> None:
        block = at.block(value)
        if value not in at.echoed and block is not None:
            at.echoed.add(value)
            self._say(at, Echo(at.height, value.round, self.node, block, None))

    def _propose(self, at: IccHeight) -> None:
        """Make a block, when it is one's turn and there is no better one; under `propose` with the own result."""
        at.due = True
        if at.proposed or at.over or at.left or at.height != self.height:
            return
        if self.setting.proposes and at.results is None:
            self._execute(at)
            return
        rank = at.leaders.index(self.node)
        if any(self._valid(at, better) for better in range(rank) if better not in at.disqualified):
            return
        at.proposed = True
        height = self._tip_below(at.height)
        parent = Parent(height, self._tips[height]) if height else None
        result = at.results[0] if self.setting.proposes and at.results else None
        value = Value(self.node, rank, self.setting.variant, result, _name(parent))
        self._say(at, Proposal(at.height, rank, self.node, value, parent))

    def _on_proposal(self, message: Proposal) -> None:
        self._take(message)

    def _on_echo(self, message: Echo) -> None:
        if message.proposal.height == message.height:
            self._take(message.proposal)
            if message.notarization is not None:
                self._learn(message.height, message.notarization)

    def _take(self, proposal: Proposal) -> None:
        """Keep a block that its maker has signed, and act on it."""
        at, value, parent = self._at(proposal.height), proposal.value, proposal.parent
        self._hear(proposal)
        if (value.proposer, value.round, value.parent) != (proposal.sender, proposal.round, _name(parent)):
            return
        if parent is not None and not 0 < parent.height < at.height:
            return
        if at.height < self.open or at.block(value) is not None:
            return
        at.blocks[value.round][value] = proposal
        if parent is not None:
            self._learn(parent.height, parent.notarization)
        self._finalize(at)
        self._consider()

    def _ranked(self, at: IccHeight, value: Value) -> bool:
        """Whether a block's maker has the rank that it claims."""
        return value.round < len(at.leaders) and at.leaders[value.round] == value.proposer

    def _on_executed(self, pending: Pending) -> None:
        at = self._at(pending.height)
        if at.owes and at.finished is not None:
            at.owes = False
            if self._endorses(at, at.finished):
                self._give(at, at.finished)
        self._consider()

    # Notarization.

    def _consider(self) -> None:
        """See what can be done at the newest height: go on, or give shares to the blocks whose turn it is."""
        at = self._newest
        if self._checking or at.done or not at.leaders:
            return
        self._checking = True
        if self.setting.proposes and any(at.blocks.values()):
            self._execute(at)
        rank = 0
        while not self._finish(at) and rank <= at.turn and not at.over:
            if rank not in at.disqualified and self._check_rank(at, rank):
                rank = at.turn
            rank += 1
        self._checking = False
        if at.due:
            self._propose(at)

    def _check_rank(self, at: IccHeight, rank: int) -> bool:
        """Give a share to a block of a rank whose turn it is; whether it keeps worse ranks from having one."""
        valid = self._valid(at, rank)
        if not valid:
            return False
        if rank not in at.given:
            if not at.given and not at.left:
                self._enter(at.height, rank, "shared")
            self._give(at, valid[0])
        if len(valid) == 1:
            return True
        at.disqualified.add(rank)
        for value in valid:
            self._echo(at, value)
        return False

    def _valid(self, at: IccHeight, rank: int) -> list[Value]:
        """Blocks of a rank for which one's own results and the chain allow a share."""
        return [
            value
            for value in at.blocks.get(rank, ())
            if self._ranked(at, value) and self._endorses(at, value) and self._extends(at, value)
        ]

    def _give(self, at: IccHeight, value: Value) -> None:
        at.given[value.round] = value
        self._say(at, NotarizationShare(at.height, value.round, self.node, value))

    def _on_notarization_share(self, message: NotarizationShare) -> None:
        self._hear(message)
        at = self._at(message.height)
        if at.finished is not None or at.height < self.open or message.round != message.value.round:
            return
        votes = at.shares[message.round]
        if votes.add(message.sender, message.value) >= self.quorum and message.value not in at.notarized:
            self._learn(at.height, Certificate(message.round, message.value, votes.voters(message.value)))

    def _on_notarization(self, message: Notarization) -> None:
        self._hear(message)
        if self._at(message.height).finished is None:
            self._learn(message.height, message.certificate)

    def _learn(self, height: int, proof: Certificate) -> None:
        """Note that a block is notarized."""
        if height < self.open:
            return
        at = self._at(height)
        if proof.value not in at.notarized and self._power_of(set(proof.voters)) >= self.quorum:
            at.notarized[proof.value] = proof
            self._consider()

    def _finish(self, at: IccHeight) -> bool:
        """Go on to the next height with a notarized block that is in hand, if there is one."""
        proof = at.notarized_in_hand
        if at.finished is not None or at.decided is not None or proof is None:
            return at.finished is not None
        value = at.finished = proof.value
        self._come_back(at)
        self._enter(at.height, value.round, "notarized")
        if not at.given and self._endorses(at, value):
            self._give(at, value)
        at.owes = not at.given and at.executing
        self._say(at, Notarization(at.height, value.round, self.node, value, proof.voters))
        if self._supports_only(at, value):
            self._say(at, FinalizationShare(at.height, value.round, self.node, value))
        self._share_beacon(at)
        self._pass(at, proof)
        self._finalize(at)
        return True

    def _supports_only(self, at: IccHeight, value: Value) -> bool:
        """Whether one has given no notarization share to another block of the height."""
        return set(at.given.values()) <= {value}


def _name(parent: Parent | None) -> tuple[int, int] | None:
    """How a block names the one that it extends."""
    return (parent.height, parent.notarization.round) if parent else None
