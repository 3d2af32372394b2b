"""HotStuff by whole phases: heights one after another, each vote an order statistic at one collector.

**What goes on.** The leader of a height proposes when it has q votes for the block below; with its proposal all others
learn that certificate, begin the height and vote, to the next leader. Who knows the certificates up to two heights
above a block decides it. Under `certify` it executes then, and sends its result to the leader of the third height
above, who shows q equal ones to all; so many decided blocks may wait for that, and no more (flow control). Under
`propose` nodes execute before they vote.

**Overtaking.** Proposals may overtake each other: then a node begins several heights at once, votes late, and decides
when the last certificate has come. All this is worked out for heights that come in order: whatever a later proposal
changes is later than the moment at which that proposal was sent, and so changes no quorum for it.

**Passing blocks on.** What is worked out is certain up to the moment of the latest proposal, or up to the one at which
a timer runs out. A block whose doings are all before it is certain; it is passed on when messages could take over right
above it (see `Cut`).
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from sim.consensus.protocols.hotstuff_messages import Certification
from sim.consensus.protocols.messages import ResultVote
from sim.consensus.protocols.pipelined import DEPTH, WINDOW
from sim.engines.events.world import FLUSHING, IDLE_S
from sim.engines.phases.course import Phases
from sim.engines.phases.cut import Cut
from sim.engines.phases.flow import Disturbed, Flow, Passed, Sent
from sim.engines.phases.hotstuff_height import Height
from sim.engines.phases.hotstuff_odds import Odds, first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from sim.consensus.protocols.messages import Message
    from sim.network.keyed import Uniforms
    from sim.scenario.schema import Scenario

    Floats = NDArray[np.float64]

CHAIN = 2
"""Heights above a block whose certificates commit it."""
_KEPT = 2 * WINDOW  # heights below the newest of which something may still be asked


class HotStuffFlow(Flow):
    """HotStuff's heights.

    Parameters
    ----------
    scenario
        One that the engine can answer.
    uniforms
        Makes the source of what is drawn, from its key; None: it is keyed, as for messages.

    Raises
    ------
    ValueError
        The protocol's phases are not those that are worked out here.
    """

    def __init__(self, scenario: Scenario, uniforms: Callable[[int], Uniforms] | None = None) -> None:
        super().__init__(scenario, uniforms)
        self._proposal, (self._vote,) = self._protocol.proposals[0], self._protocol.ballots
        self._check()
        self._last = scenario.run.blocks
        self._free = np.zeros(self.n)
        self._always, self._never = np.full(self.n, -math.inf), np.full(self.n, math.inf)
        self._heavy = self._weights >= self.quorum

    def _check(self) -> None:
        """See that the arrows are those of the plain course."""
        phases = Phases(self._protocol)
        way = [self._protocol.transitions[0].source]
        for event in (self._proposal.name, "three-chain", "executed the block", "another's proof"):
            way.append(phases.led_to(way[-1], event))
        early = phases.led_to(way[0], "proof of its result")
        if way[2:] != ["decided", "voted", "certified"] or early != "certified" or not self._protocol.collected:
            raise ValueError(f"{self._protocol.__name__} does not go from {' to '.join(way)}")

    # Where it stands.

    def _stand_at(self, cut: Cut) -> None:
        self._start = self._cut = cut
        self._first, self._devices = cut.height, cut.devices.copy()
        self._low = self._top = self._bottom = cut.height
        self._at: dict[int, Height] = {}
        self._odds = Odds(self.timeouts, self._at)
        self._over_at = math.inf
        self._held: list[Passed] = []
        self._asked = self._always
        at = self._ahead(cut.height)
        at.wanted = at.begun = cut.begun
        self._propose(at)

    def blocks(self, cut: Cut) -> Iterator[Passed]:
        """Work out blocks from a cut on (see `Flow`)."""
        self._stand_at(cut)
        while True:
            self._work_out()
            odd = self._odds.earliest(self._over_at)
            until = min(self._at[self._top].proposed, odd)
            self._pass(until)
            yield from self._let_go(until)
            if until >= self._over_at and self._over_at < odd:
                break
            if until >= odd:
                raise Disturbed(self._cut)
        self._finish()
        if self._odds.earliest(self._over_at) < math.inf:
            raise Disturbed(self._cut)
        yield from self._held

    def _ahead(self, number: int) -> Height:
        leader = self._leaders.of(number)[0]
        at = self._at[number] = Height.ahead(number, leader, self._backing(number, leader))
        at.devices, at.before = self._devices.copy(), self._asked
        return at

    # One height.

    def _work_out(self) -> None:
        """The votes of the newest height, the next proposal, and what its certificate leads to."""
        at = self._at[self._top]
        self._make_ready(at)
        after = self._ahead(at.number + 1)
        counted = self._counted(at, after.leader, at.ready)
        self._learn(at, np.where(np.arange(self.n) == after.leader, counted, math.inf), after)
        self._propose(after)
        known = after.arrived.copy()
        known[after.leader] = counted
        self._learn(at, known, after)
        self._correct(at)
        below = self._at.get(at.number - CHAIN)
        if below is not None:
            self._close(below)
        self._odds.look(at.number)
        self._top += 1
        while self._bottom < min(self._low - 1, self._top - _KEPT):
            del self._at[self._bottom]
            self._bottom += 1

    def _executes(self, at: Height) -> bool:
        """Whether nodes execute before they vote."""
        return self.proposes and at.number <= self._last

    def _make_ready(self, at: Height) -> None:
        """When nodes can vote: under `propose` once they have executed."""
        at.ready = np.maximum(at.begun, at.arrived)
        if self._executes(at):
            start = at.ready.copy()
            start[at.leader] = math.inf
            self._execute(at, start)
            at.ready = at.executed
            if self.scenario.rounds == 1:  # who computed something else says so with a new-view
                self._odds.note(first(at.ready, self._honest & ~at.backing.backs))

    def _execute(self, at: Height, start: Floats) -> None:
        """See when executions are done that are asked for at some times, first come, first served."""
        asks = np.isfinite(start)
        at.asked = np.where(asks, start, at.asked)
        early = asks & (start < self._asked) & self._executions.works
        self._asked = np.where(asks, np.maximum(self._asked, start), self._asked)
        done = self._executions.done(at.number, np.where(early, math.inf, start), self._devices)
        at.executed = np.where(asks, done, at.executed)
        if early.any():
            at.jumped = True
            for node in np.flatnonzero(early).tolist():
                self._execute_in_order(at, node)

    def _execute_in_order(self, at: Height, node: int) -> None:
        """Work out anew the executions of a node that asked for this one before it asked for some below."""
        heights = [self._at[number] for number in range(self._low, at.number + 1)]
        heights = heights[next(place for place, one in enumerate(heights) if one.asked[node] >= at.asked[node]) :]
        self._devices[node] = heights[0].devices[node]
        for one in sorted(heights, key=lambda height: float(height.asked[node])):
            above = self._at.get(one.number + 2)
            lost = self.proposes and above is not None and one.lost(one.asked, above.wanted)[node]
            alone = self._never.copy()
            alone[node] = math.inf if lost else one.asked[node]
            one.executed = one.executed.copy()
            one.executed[node] = self._executions.done(one.number, alone, self._devices)[node]

    def _counted(self, at: Height, collector: int, votes: Floats) -> float:
        """When the collector of a height has q votes."""
        if not self._honest[collector]:
            return math.inf
        votes = np.where(at.backing.backs, votes, math.inf)
        return float(self._quorum_of.reached(self.wire.to_one(self._vote, at.number, collector, votes)))

    def _learn(self, at: Height, known: Floats, after: Height) -> None:
        """Nodes learn the certificate of a height, want to begin the next, and decide two heights below."""
        at.known = known
        below = self._at.get(at.number - CHAIN)
        if below is not None:
            lower = self._at.get(below.number - 1)
            below.decided = np.maximum(np.maximum(below.known, self._at[below.number + 1].known), known)
            below.decided = below.decided if lower is None else np.maximum(below.decided, lower.linked)
        after.wanted = known
        after.begun = self._entered(after)

    def _propose(self, at: Height) -> None:
        """The leader proposes."""
        start = at.begun[at.leader]
        if self._executes(at) and start < math.inf:
            alone = self._never.copy()
            alone[at.leader] = start
            self._execute(at, alone)
            start = at.executed[at.leader]
        at.proposed = float(start)
        at.arrived = self._never
        if at.proposed < math.inf:
            at.arrived = self.wire.from_one(self._proposal, at.number, at.leader, at.proposed, self._free)
            at.arrived[~self._honest] = math.inf

    def _correct(self, at: Height) -> None:
        """Nodes that learn this height's certificate before those below begin heights earlier; some wait for longer."""
        for number in range(at.number, self._first, -1):
            lower = self._at[number]
            sooner = at.known < lower.wanted
            if sooner.any():
                lower.wanted = np.minimum(lower.wanted, at.known)
            elif not (lower.begun > self._decided(at.number - CHAIN)).any():
                break
            lower.begun = self._entered(lower)

    # The vote on results.

    def _close(self, at: Height) -> None:
        """When nodes know the result of a block that they have decided."""
        before = self._at.get(at.number - 1)
        at.counted = True
        if self.proposes:
            at.done = at.closed = at.decided
        else:
            self._certify(at)
            at.closed = np.maximum(at.done, self._closed(at.number - 1))
            self._odds.look_at_results(at.number)
            self._pass_over(at)
        linked = np.minimum(at.known, at.closed)  # who has closed a height waits for nothing of it
        at.linked = linked if before is None else np.maximum(linked, before.linked)
        if at.number >= self._last:
            self._see_over()

    def _see_over(self) -> None:
        """See when the last block is over."""
        over_at = float(self._at[self._last].closed[self._honest].max())
        if over_at == self._over_at:
            return
        self._over_at = over_at
        for number in range(self._last + 1, self._top + 2):
            at = self._at[number]
            at.begun = self._begun_in_time(at, at.begun)
            self._odds.note(over_at if over_at < at.proposed < math.inf else math.inf)

    def _certify(self, at: Height) -> None:
        at.devices, at.before = self._devices.copy(), self._asked
        at.executed = at.decided
        if at.number <= self._last:
            self._execute(at, at.decided)
        collector = self._leaders.of(at.number + CHAIN + 1)[0]
        votes = np.where(at.backing.agree, at.executed, math.inf)
        votes[list(at.strays)] = math.inf
        enough = float(self._quorum_of.reached(self.wire.to_one(ResultVote, at.number, collector, votes)))
        at.shown = max(float(at.decided[collector]), enough)
        if at.shown == math.inf:
            at.done = self._never
            return
        at.done = self.wire.from_one(Certification, at.number, collector, at.shown, self._free)
        at.done[~self._honest] = math.inf
        at.done = np.where(self._heavy, np.minimum(at.done, at.executed), at.done)

    def _pass_over(self, at: Height) -> None:
        """Close heights that a node has not decided when it hears of this one's result, sooner than of theirs."""
        below = self._at.get(at.number - 1)
        if below is None or not (sooner := np.minimum(below.decided, below.done) > at.done).any():
            return
        for node in np.flatnonzero(sooner & np.isfinite(at.done)).tolist():
            number, heard = at.number - 1, at.done[node]
            while (
                number > self._low and min(self._at[number - 1].decided[node], self._at[number - 1].done[node]) > heard
            ):
                number -= 1
            for one in (self._at[above] for above in range(number, at.number)):
                open_from = self._closed(one.number - 1)[node]
                moment = max(heard, open_from)
                one.closed = one.closed.copy()
                if moment < min(one.decided[node], one.done[node]):
                    one.closed[node] = moment
                    self._odds.note(moment if moment < one.known[node] else math.inf)  # it would not wait for that
                else:
                    one.closed[node] = max(open_from, one.done[node])
            at.closed[node] = max(heard, below.closed[node])

    # Flow control.

    def _entered(self, at: Height) -> Floats:
        """When nodes begin a height that they want to begin."""
        begun = at.wanted if self.proposes else self._unblocked(at)
        if at.number > self._last + FLUSHING:
            begun = begun + IDLE_S
        return self._begun_in_time(at, begun) if at.number > self._last else begun

    def _begun_in_time(self, at: Height, begun: Floats) -> Floats:
        """Nobody begins a height after the last block is over."""
        if self._over_at == math.inf or not (tied := begun == self._over_at).any():
            return np.where(begun < self._over_at, begun, math.inf)
        closes = self._at[self._last].closed == self._over_at
        if not self.proposes or at.number != self._last + CHAIN + 1 or (tied != closes).any():
            self._odds.note(self._over_at)
        places = np.flatnonzero(tied)  # in the order in which the proposal comes to them; it is over with the last
        late = np.arange(self.n) == places[((places - at.leader) % self.n).argmax()]
        return np.where((begun <= self._over_at) & ~late, begun, math.inf)

    def _unblocked(self, at: Height) -> Floats:
        """When fewer than `DEPTH` blocks are decided and not closed, from when it is wanted on."""
        wanted = at.wanted
        waits = np.isfinite(wanted)
        if not (self._closed(at.number - CHAIN - DEPTH) > wanted)[waits].any():
            return wanted
        begun, last = np.where(waits, math.inf, wanted), at.number - CHAIN - 1
        while (self._decided(last) > wanted)[waits].any():
            last -= 1
        while waits.any() and last <= self._top:
            moment, above = np.maximum(wanted, self._closed(last - DEPTH + 1)), self._decided(last + 1)
            tied = waits & (moment == above) & (moment > wanted)
            self._odds.note(first(moment, tied))
            here = waits & (moment < above)
            begun[here] = moment[here]
            waits &= ~here
            last += 1
        return begun

    def _closed(self, number: int) -> Floats:
        return self._at[number].closed if number >= self._first else self._below(number)[1]

    def _decided(self, number: int) -> Floats:
        if number < self._first:
            return self._below(number)[0]
        return self._at[number].decided if number in self._at else self._never

    def _below(self, number: int) -> tuple[Floats, Floats]:
        """When nodes decided, and closed, a height below the cut, if that was not long ago."""
        return self._start.backlog.get(number, (self._always, self._always))

    def _backlog(self, at: Height) -> dict[int, tuple[Floats, Floats]]:
        """What some node closes only after the first one begins a height."""
        backlog: dict[int, tuple[Floats, Floats]] = {}
        below, soonest = at.number - 1, float(at.begun.min())
        while (self._closed(below)[self._honest] > soonest).any():
            backlog[below] = self._decided(below), self._closed(below)
            below -= 1
        return backlog

    # Passing blocks on.

    def _pass(self, until: float) -> None:
        """Take note of blocks of which nothing can change any more."""
        while self._low < min(self._top - CHAIN, self._last) and self._certain(self._low, until):
            self._held.append(self._passed(self._at[self._low]))
            self._low += 1

    def _certain(self, number: int, until: float) -> bool:
        at, up = self._at[number], self._honest
        self._make_sure(at)
        if not at.counted or any((times[up] >= until).any() for times in (at.closed, at.decided, at.begun, at.ready)):
            return False
        return self.proposes or not ((at.executed >= until) & (self._forgotten(number) >= until))[up].any()

    def _make_sure(self, at: Height) -> None:
        """See again when nodes can vote, now that it is known who begins when."""
        at.ready = at.executed if self._executes(at) else np.maximum(at.begun, at.arrived)

    def _forgotten(self, number: int) -> Floats:
        """When nodes drop all that belongs to a height."""
        above = self._at.get(number + WINDOW)
        return self._never if above is None else above.closed

    def _let_go(self, until: float) -> Iterator[Passed]:
        """Pass on what is held, if messages could take over above it."""
        if self._held and self._takes_over(self._low, until):
            at = self._at[self._low]
            devices = at.devices if self.proposes or at.counted else self._devices.copy()
            self._cut = Cut(self._low, at.begun, devices, None, self._start.counted, self._backlog(at))
            held, self._held = self._held, []
            yield from held

    def _takes_over(self, number: int, until: float) -> bool:
        """Whether a chain that begins with a height goes on as it would with those below."""
        at, below, up = self._at[number], self._at[number - 1], self._honest
        if (at.begun[up] >= until).any() or (at.wanted < np.minimum(below.known, at.known)).any():
            return False
        above = [self._at[one].known for one in range(number, number + CHAIN + 1) if one in self._at]
        if len(above) == CHAIN + 1 and (below.linked > np.maximum.reduce(above))[up].any():
            return False
        higher = range(number, self._top + 1)
        return not any((one.jumped and (one.asked < at.before)[up].any()) for one in map(self._at.__getitem__, higher))

    def _passed(self, at: Height, empties: tuple[Sent, ...] = ()) -> Passed:
        known = float(self._enough.reached(at.done.copy()))
        sent, times = self._sent(at)
        latency = known - float(at.begun[at.leader])
        ended = float(at.closed[self._honest].max())
        return Passed(at.number, latency, at.backing.diverged, sent, ended, times, empties)

    def _sent(self, at: Height) -> tuple[tuple[Sent, ...], dict[str, Floats]]:
        """What was sent at a height, and when votes were cast, blocks decided and results known."""
        above, vote = self._at.get(at.number + 2), self._vote
        self._make_sure(at)
        votes = at.cast(self._never if above is None else above.wanted)
        votes[self._leaders.of(at.number + 1)[0]] = math.inf
        times = {vote.name: votes, "decide": at.decided}
        justified = 2 if at.number > 1 else 1
        others = self.n - 1
        sent = [Sent(self._proposal, others, self.wire.size(self._proposal, justified))]
        sent.append(Sent(vote, int(np.isfinite(votes).sum()), self.wire.size(vote)))
        if not self.proposes:
            collector = self._leaders.of(at.number + CHAIN + 1)[0]
            results = np.where(at.executed < self._forgotten(at.number), at.executed, math.inf)
            results[[collector, *(node for node, taken in at.strays.items() if node == taken)]] = math.inf
            times |= {ResultVote.name: results, "certify": at.done}
            sent.append(Sent(ResultVote, int(np.isfinite(results).sum()), self.wire.size(ResultVote)))
            if at.shown < math.inf:
                told = sum(bool(at.done[taken] < math.inf) for node, taken in at.strays.items() if node != taken)
                sent.append(Sent(Certification, others + told, self.wire.size(Certification)))
        broadcasts = (self._proposal, Certification)  # told even where nobody is there to receive them
        return tuple(one for one in sent if one.number or one.kind in broadcasts), times

    # After the last block.

    def _finish(self) -> None:
        """The last block is over: nobody begins a height any more, but what is under way still arrives."""
        if not self.proposes:
            for number in range(max(self._first, self._last + 1 - CHAIN), self._top - CHAIN):
                self._stray(self._at[number])
        empties: Counter[tuple[type[Message], int]] = Counter()
        for number in range(self._last + 1, self._top):
            for kind, count, size in self._sent(self._at[number])[0]:
                empties[kind, size] += count
        told = tuple(Sent(kind, number, size) for (kind, size), number in empties.items())
        while self._low <= self._last:
            self._held.append(self._passed(self._at[self._low], told if self._low == self._last else ()))
            self._low += 1

    def _stray(self, at: Height) -> None:
        """See who mistakes the collector of a height.

        Who has not begun the height of the last certificate that it took, as that was too late, takes whoever brought
        the one that was missing, and gets the result from there.
        """
        third, collector = self._at[at.number + CHAIN], self._leaders.of(at.number + CHAIN + 1)[0]
        unsure = np.isfinite(at.decided) & np.isinf(third.begun) & (at.decided != third.known)
        for node in np.flatnonzero(unsure).tolist():
            lower = (self._at[number] for number in range(max(self._low, self._first), at.number + CHAIN))
            brought = [one for one in lower if one.known[node] == at.decided[node]]
            taken = self._leaders.of(brought[0].number + 1)[0] if brought else node
            if taken != collector:
                at.strays[node] = taken
            above = self._at[at.number + 1].decided[node]
            if node == collector or above < at.decided[node]:
                self._odds.note(float(at.decided[node]))
        if at.strays and at.number > self._last:
            self._certify(at)
