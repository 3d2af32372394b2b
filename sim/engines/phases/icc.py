"""ICC by whole vote phases: heights one after another, as long as only rank 0 acts."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from sim.consensus.protocols.icc_messages import (
    BeaconShare,
    FinalizationShare,
    Notarization,
    NotarizationShare,
    Proposal,
)
from sim.consensus.protocols.messages import ResultVote
from sim.engines.events.world import FLUSHING, IDLE_S
from sim.engines.phases.backlog import Backlog, Unclear
from sim.engines.phases.course import Phases
from sim.engines.phases.cut import Cut
from sim.engines.phases.flow import Disturbed, Flow, Passed, Sent
from sim.engines.phases.icc_height import Height, Notaries
from sim.engines.phases.icc_quiet import odd_turns, odd_waits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from sim.network.keyed import Uniforms
    from sim.scenario.schema import Scenario

    Floats = NDArray[np.float64]


class IccFlow(Flow):
    """ICC, as long as only rank 0 acts.

    A replica begins a height when it has finished the one before, unless flow control keeps it, and knows the ranks
    once more than f beacon shares of the height before have come; those were sent when their senders knew the ranks of
    that height, or finished it without. It gives its notarization share when it has the block and the notary delay is
    over, or as soon as it finishes; under `propose`, not before it has executed. It finishes with a quorum of shares,
    with another's notarization, or with the next block, which carries one; then it gives its finalization share. A
    quorum of these, for the block or a later one, decides.

    Parameters
    ----------
    scenario, uniforms
        As for `Flow`.
    """

    def __init__(self, scenario: Scenario, uniforms: Callable[[int], Uniforms] | None = None) -> None:
        super().__init__(scenario, uniforms)
        self._check_phases()
        self._rank_s, self._notary_s = self.timeouts.of("rank"), self.timeouts.of("notary")
        self._last, self._free = scenario.run.blocks, np.zeros(self.n)
        self._notaries = Notaries(self.wire, self._quorum_of, self._more)
        self._always, self._never = np.full(self.n, -math.inf), np.full(self.n, math.inf)

    def _check_phases(self) -> None:
        """See that the arrows are those of the plain course."""
        phases, first = Phases(self._protocol), self._protocol.transitions[0].source
        ranks = phases.led_to(first, f"f+1 {BeaconShare.name}s")
        shared = phases.led_to(ranks, "turn of a valid block")
        (notarized,) = {phases.led_to(phase, "a block and its notarization") for phase in (first, ranks, shared)}
        decided = phases.led_to(notarized, f"q {self._protocol.ballots[-1].name}s")
        voted = phases.led_to(decided, "executed the block")
        (certified,) = {phases.led_to(phase, "q equal results") for phase in (decided, voted)}
        way = (self._protocol.ballots, decided, certified)
        if way != ((NotarizationShare, FinalizationShare), "decided", "certified"):
            raise ValueError(f"{self._protocol.__name__} goes another way: {way}")

    def blocks(self, cut: Cut) -> Iterator[Passed]:
        """Work out blocks, from a cut on (see `Flow.blocks`)."""
        self._stand_at(cut)
        try:
            while self._next.number <= self._last:
                self._work_out()
                while self._open and self._certain(self._open[0]):
                    yield self._passed(self._open.popleft())
            self._flush()
        except Unclear:
            raise Disturbed(self._cut()) from None
        empties = tuple(sent for at in self._open if at.number > self._last for sent in self._sent(at))
        while self._open and self._open[0].number <= self._last:
            at = self._open.popleft()
            yield self._passed(at, empties if at.number == self._last else ())

    # Where it stands.

    def _stand_at(self, cut: Cut) -> None:
        self._counted, self._devices = cut.counted, cut.devices.copy()
        self._backlog = Backlog(cut)
        self._settled = cut.height - 1
        self._open: deque[Height] = deque()
        self._over_at, self._closers = math.inf, np.zeros(self.n, bool)
        self._behind = self._always, self._always
        self._next = self._proposed(cut.height, cut.begun, cut.shared)
        self._begin(self._next, cut.begun)

    def _cut(self) -> Cut:
        """The first height that is not over yet."""
        at = self._open[0] if self._open else self._next
        before = at.devices if self.proposes or at.number <= self._settled else self._devices
        left = self._backlog.left_at(at.number, float(at.begun.min()))
        return Cut(at.number, at.begun, before.copy(), at.shared_below, self._counted, left)

    # One height.

    def _work_out(self) -> None:
        """Work out the next height, but for what the votes on its result bring, and begin the one after."""
        at = self._next
        failing = at.number <= self._last and self._weights[at.agree].sum() < self.quorum
        if failing or (at.number <= self._last and not self._honest[at.makers[0]]):
            raise Unclear
        self._open.append(at)
        self._notaries.take(at.number)
        self._finish(at, self._never)
        child = self._proposed(at.number + 1, self._entered(at), at.shared)
        sooner = np.maximum(np.maximum(at.begun, at.arrived), child.arrived) < at.finished
        if sooner.any():  # none of this is before the child's maker has begun
            self._finish(at, child.arrived)
            child.shared_below, child.ranked = at.shared, self._known(child.number, at.shared)
        self._check(at)
        self._settle(at.finished)
        self._behind = np.where(self._honest, at.begun, -math.inf), self._behind[0]
        self._begin(child, self._entered(at))
        self._next = child

    def _proposed(self, number: int, begun: Floats, shared: Floats | None) -> Height:
        """A height whose maker may have begun it, though others have not finished the one below."""
        makers = self.leaders.of(number)
        backs, agree, diverged = self._backing(number, makers[0])
        known, devices = self._known(number, shared), self._devices.copy()
        alone, maker = self._never.copy(), makers[0]
        alone[maker] = max(begun[maker], known[maker])
        executed = self._always.copy()
        if self._executed_first(number):
            alone = self._executions.done(number, alone, self._devices)
            executed[maker] = alone[maker]
        arrived = self._never
        if alone[maker] < math.inf:
            arrived = self.wire.from_one(Proposal, number, maker, float(alone[maker]), self._free)
        at = Height(number, makers, backs, agree, diverged, shared, devices, arrived, executed)
        at.ranked = known
        return at

    def _known(self, number: int, shared: Floats | None) -> Floats:
        """When each node knows the beacon of a height."""
        if shared is None:
            return self._always
        return self._more.reached(self.wire.from_all(BeaconShare, number - 1, shared, self._free))

    def _executed_first(self, number: int) -> bool:
        return self.proposes and number <= self._last

    def _begin(self, at: Height, begun: Floats) -> None:
        """All nodes begin a height, and those that execute before they vote do so once they have the block."""
        at.begun, at.ranked = begun, np.maximum(begun, at.ranked)
        at.turned = at.ranked + self._notary_s
        if self._notary_s:  # otherwise there is no timer, which would mean nothing after the end
            if self._over_at < math.inf and (at.turned == self._over_at).any():
                raise Unclear
            at.turned[at.turned > self._over_at] = math.inf
        if self._executed_first(at.number):
            maker = at.makers[0]
            start = np.maximum(begun, at.arrived)
            start[maker] = math.inf
            done = self._executions.done(at.number, start, self._devices)
            done[maker] = at.executed[maker]
            at.executed = done

    def _finish(self, at: Height, child: Floats) -> None:
        """See who goes on when, and what is decided by that."""
        self._notaries.finish(at, child)
        above = at.decided = at.finals
        for below in list(self._open)[-2::-1]:
            if not (above < below.decided).any():
                break
            above = below.decided = np.minimum(below.decided, above)

    def _entered(self, at: Height) -> Floats:
        """When each node begins the height after one; none does after the end."""
        entered = at.finished
        if not self.proposes:
            decided = {one.number: one.decided for one in self._open}
            entered = self._backlog.entered(at.number + 1, at.finished, decided)
        if at.number + 1 > self._last + FLUSHING:
            entered = entered + IDLE_S
        self._none_at_the_end(entered)
        return np.where(entered < self._over_at, entered, math.inf)

    # The vote on results.

    def _settle(self, certain: Floats) -> None:
        """Close heights, in order, as far as it is certain when they are decided: before these moments."""
        for at in self._open:
            if at.number <= self._settled:
                continue
            if (at.decided > certain).any():
                return
            self._settled, at.certified = at.number, at.decided
            if not self.proposes:
                self._certify(at)
            at.closed = self._backlog.close(at.number, at.decided, at.certified)

    def _certify(self, at: Height) -> None:
        at.devices = self._devices.copy()
        at.voted = at.decided
        if at.number <= self._last:
            at.voted = self._executions.done(at.number, at.decided, self._devices)
        votes = self.wire.from_all(ResultVote, at.number, at.voted, self._free)
        votes[:, ~at.agree] = math.inf
        at.certified = np.maximum(at.decided, self._quorum_of.reached(votes))
        self._judge(at, odd_waits(at.voted, at.certified, self.timeouts.result))

    # What is not the plain course.

    def _check(self, at: Height) -> None:
        self._judge(at, odd_turns(at, self._rank_s))
        asked = self._notaries.overtaken(at, *self._behind) if self.n > 1 else math.inf
        self._judge(at, asked)
        if asked < math.inf and self._over_at < math.inf:  # for that the end does not matter
            raise Unclear
        if len(self._open) > 1:
            below = self._open[-2]
            until = np.minimum(below.decided, at.finished)
            self._judge(below, odd_waits(below.finished, until, self.timeouts.result))

    def _judge(self, at: Height, odd: float) -> None:
        """Leave, unless something odd comes after the end; before that is known, empty heights just take note of it."""
        at.odd = min(at.odd, odd)
        waits = at.number > self._last and self._over_at == math.inf
        if at.odd <= self._over_at and at.odd < math.inf and not waits:
            raise Unclear

    def _none_at_the_end(self, times: Floats) -> None:
        """Leave if something happens just when the chain ends: it matters which is first; none is if it is the same."""
        if self._over_at < math.inf:
            just = times == self._over_at
            if just.any() and (just | self._closers).sum() > 1:
                raise Unclear

    # What is certain.

    @property
    def _horizon(self) -> float:
        """Nothing that is still to be found out comes before that."""
        wait, newest = self.timeouts.result, self._open[-1]
        ends = newest.finished + wait
        moments = [self._next.begun.min(), *(at.odd for at in self._open), *ends[newest.decided >= ends]]
        if not self.proposes:
            moments += [at.decided.min() + wait for at in self._open if at.number > self._settled]
        return float(min(moments))

    def _certain(self, at: Height) -> bool:
        """Whether all that belongs to a height is over before anything happens that is still to be found out."""
        if at.closed is None:
            return False
        horizon = self._horizon
        moments = (at.finished, at.shared, at.decided, at.closed, *self._late(at))
        return all((times[np.isfinite(times)] < horizon).all() for times in moments)

    def _late(self, at: Height) -> tuple[Floats, Floats]:
        """When nodes give their notarization share, and say their result; none that has forgotten the height."""
        forgotten = self._backlog.forgotten(at.number)
        voted = self._never if at.voted is None else at.voted
        given, voted = (np.where(times < forgotten, times, math.inf) for times in (at.given, voted))
        return given, voted

    def _passed(self, at: Height, empties: tuple[Sent, ...] = ()) -> Passed:
        assert at.closed is not None  # noqa: S101 -- it is certain
        latency = float(self._enough.reached(at.certified.copy())) - float(at.begun[at.makers[0]])
        given, voted = self._late(at)
        times = {BeaconShare.name: at.shared, NotarizationShare.name: given, "decide": at.decided}
        times |= dict.fromkeys((Notarization.name, FinalizationShare.name), at.finished)
        if not self.proposes:
            times |= {ResultVote.name: voted, "certify": at.certified}
        ended = float(at.closed[self._honest].max())
        return Passed(at.number, latency, at.diverged, self._sent(at), ended, times, empties)

    def _sent(self, at: Height) -> tuple[Sent, ...]:
        given, voted = self._late(at)
        vote = self.wire.size(BeaconShare)
        proposal = self.wire.size(Proposal, 1 + (at.number > 1))  # with its parent's notarization
        sent = [(Proposal, at.arrived[at.makers[:1]], proposal), (BeaconShare, at.shared, vote)]
        sent += [(NotarizationShare, given, vote), (Notarization, at.finished, vote)]
        sent += [(FinalizationShare, at.finished, vote), (ResultVote, voted, vote)]
        counted = [(kind, int(np.isfinite(times).sum()), size) for kind, times, size in sent]
        return tuple(Sent(kind, number * (self.n - 1), size) for kind, number, size in counted if number)

    # After the last block.

    def _flush(self) -> None:
        """Find out when the last block is over, and with that work out the heights after it once more."""
        last, after, behind = self._open[-1], self._next, self._behind
        while (over := self._over()) is None:
            if self._next.begun.min() >= min(at.odd for at in self._open):
                raise Unclear
            self._work_out()
        while self._open[-1].number > self._last:
            self._open.pop()
        self._backlog.reopen(self._last + 1)
        assert last.closed is not None  # noqa: S101 -- it is over
        self._over_at, self._closers = over, last.closed == over
        self._settled, self._behind = self._last, behind
        self._next = self._proposed(after.number, self._entered(last), after.shared_below)
        self._begin(self._next, self._entered(last))
        while np.isfinite(self._next.begun).any():
            self._work_out()
        self._settle(self._never)
        newest = self._open[-1]
        self._judge(newest, odd_waits(newest.finished, newest.decided, self.timeouts.result))

    def _over(self) -> float | None:
        """When the last block is over; None if that is not certain yet."""
        block = next(at for at in self._open if at.number == self._last)
        if block.closed is None:
            return None
        over = float(block.closed[self._honest].max())
        return over if over <= self._horizon else None
