"""A chain that goes from block to block by whole vote phases."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.base.members import numbers
from sim.consensus.protocols.messages import ResultVote
from sim.consensus.protocols.pbft import Checkpoint
from sim.engines.phases.course import course_of
from sim.engines.phases.ground import Ground
from sim.engines.phases.quiet import QUIET, Times, pause, results_quiet
from sim.engines.phases.state import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from sim.consensus.protocols.messages import Message
    from sim.network.keyed import Uniforms
    from sim.scenario.schema import Scenario

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

GRACE_PART = 4  # of the result timeout: replicas that hear of the next height for so long ask for this one


class Step(NamedTuple):
    """A block that went through all phases.

    Parameters
    ----------
    before, after
        Where the chain stood, and stands.
    times
        When each node did what; infinite for those that take no part.
    latency
        Seconds from the leader's beginning to the moment at which enough nodes had the result.
    diverged
        Honest nodes that computed something else.
    sent
        Kind and number of the messages that were sent.
    """

    before: State
    after: State
    times: Times
    latency: float
    diverged: int
    sent: tuple[tuple[type[Message], int], ...]


class Voters(NamedTuple):
    """Who leads a block, who takes part, who votes for it, whose result wins, and how many computed another."""

    leader: int
    up: Bools
    backs: Bools
    agree: Bools
    diverged: int


class Chain(Ground):
    """A chain whose blocks are worked out phase by phase.

    Parameters
    ----------
    scenario
        One that the engine can answer.
    uniforms
        Makes the source of what is drawn, from its key; None: it is keyed, as for messages.
    """

    def __init__(self, scenario: Scenario, uniforms: Callable[[int], Uniforms] | None = None) -> None:
        super().__init__(scenario, uniforms)
        self._interval = self._interval if Checkpoint in self._kinds else 0
        self.course = course_of(self._protocol)
        protocol = scenario.consensus.protocol
        self._quiet, self.pause = QUIET[protocol], pause(protocol, self.timeouts)
        crashes = [
            crash
            for crash in scenario.faults.crashes or ()
            if self._honest[numbers(crash.nodes, scenario.numbering)].any()
        ]
        self._crashes = np.array(sorted(crash.at for crash in crashes))
        self._returns = np.array(sorted(crash.until for crash in crashes if crash.until is not None))

    def start(self) -> State:
        """Where it stands before its first block."""
        begun = np.where(self._honest, 0.0, math.inf)
        return State(1, begun, np.zeros(self.n), self._executions.idle.copy(), np.full(self.n, -math.inf))

    def step(self, before: State) -> Step | None:
        """Work out a block; None where a timer would run out, the block would fail, or nodes come and go."""
        height, voters = before.height, self.voters(before)
        if voters is None:
            return None
        self.wire.landed = before.first if (self._returns >= before.first).any() else None
        free, devices = before.free.copy(), before.devices.copy()
        times = self._times(before, voters, free, devices)
        checkpoints = bool(self._interval) and height % self._interval == 0
        if not self._undisturbed(voters, times) or (checkpoints and not self._in_time(height, times, free)):
            return None
        begun = times.closed + self.pause
        owes = np.isfinite(times.prepared) & (times.prepared > times.decided)
        owed = np.where(owes, times.prepared, -math.inf)
        after = before._replace(height=height + 1, begun=begun, free=free, devices=devices, owed=owed)
        if self._turning(before, after, times) or self._overtaken(times, begun) or self._out_of_order(times, height):
            return None
        known = float(self._enough.reached(times.closed.copy()))
        return Step(
            before,
            after,
            times,
            known - float(before.begun[voters.leader]),
            voters.diverged,
            self._sent(voters, times, checkpoints=checkpoints),
        )

    def leaves_alone(self, step: Step) -> bool:
        """Whether a block leaves alone the one before it: nobody is two heights behind, or still owes it a ballot."""
        before = step.before
        if before.height == 1 or self.n == 1:
            return True
        return before.last < self.soonest(step.after.begun) and bool((before.owed < step.times.decided).all())

    def race(self, before: State, voters: Voters) -> tuple[float, State]:
        """Seconds until enough nodes have the result, whatever the timers, and where the chain stands then."""
        free, devices = before.free.copy(), before.devices.copy()
        times = self._times(before, voters, free, devices)
        known = float(self._enough.reached(times.closed.copy()))
        after = before._replace(height=before.height + 1, begun=times.closed + self.pause, free=free, devices=devices)
        return known - float(before.begun[voters.leader]), after

    def _times(self, before: State, voters: Voters, free: Floats, devices: Floats) -> Times:
        times = self._ordered(before.height, voters, before.begun, free, devices)
        return times if self.proposes else self._certified(before.height, voters, times, free, devices)

    def voters(self, before: State) -> Voters | None:
        """Who takes part in a block; None where its leader does not, or no result can have a quorum."""
        up, answers = np.isfinite(before.begun), self.answers(before.height)
        leader = self.leaders.of(before.height)[0]
        if not up[leader]:
            return None
        agree, diverged = up, 0
        if len(answers.power) > 1:
            results = np.array(answers.results)
            winner = int(results[leader]) if self.proposes else 0
            agree = up & (results == winner)
            diverged = sum(answers.nodes) - answers.nodes[winner]
        if self._weights[agree].sum() < self.quorum:
            return None
        return Voters(leader, up, agree if self.proposes else up, agree, diverged)

    def _ordered(self, height: int, voters: Voters, begun: Floats, free: Floats, devices: Floats) -> Times:
        """From the beginning of a block to the decision."""
        course, leader, backs = self.course, voters.leader, voters.backs
        alone = np.full(self.n, math.inf)
        alone[leader] = begun[leader]
        if self.proposes:
            alone = self._executions.done(height, alone, devices)
        arrivals = self.wire.from_one(course.proposal, height, leader, float(alone[leader]), free)
        accepted = np.maximum(begun, arrivals)
        ready = accepted
        if self.proposes:
            ready = self._executions.done(height, np.where(alone < math.inf, math.inf, accepted), devices)
            ready[leader] = alone[leader]
        enough = prepared = ready
        for ballot in course.ballots[:-1]:
            enough, prepared = self._phase(ballot, height, voters, (accepted, prepared), free)
        votes = self.wire.from_all(course.ballots[-1], height, np.where(backs, prepared, math.inf), free)
        final = self._quorum_of.reached(votes)
        own = prepared if course.own_first else accepted
        late = ready if course.own_first else accepted
        decided = np.maximum(np.where(backs, own, late), final)
        decided[~voters.up] = math.inf
        leads = np.arange(self.n) == leader
        return Times(begun, accepted, leads, ready, enough, prepared, final, decided, None, decided)

    def _phase(
        self, ballot: type[Message], height: int, voters: Voters, since: tuple[Floats, Floats], free: Floats
    ) -> tuple[Floats, Floats]:
        """One vote phase: when each node has a quorum of any votes, and of those for the proposal."""
        (accepted, ready), backs, leader = since, voters.backs, voters.leader
        votes_first = self.course.proposal_votes and ballot is self.course.ballots[0]
        sent = ready if self.course.nil else np.where(backs, ready, math.inf)
        if votes_first:
            sent = sent.copy()
            sent[leader] = math.inf
        votes = self.wire.from_all(ballot, height, sent, free)
        if votes_first:
            votes[:, leader] = accepted
        diverged = self.course.nil and self.proposes and bool(voters.diverged)
        enough = np.maximum(ready, self._quorum_of.reached(votes.copy())) if diverged else ready
        if diverged:
            votes[:, ~backs] = math.inf
        prepared = np.maximum(ready, self._quorum_of.reached(votes))
        prepared[~backs] = math.inf
        return (enough if diverged else prepared), prepared

    def _certified(self, height: int, voters: Voters, times: Times, free: Floats, devices: Floats) -> Times:
        """The vote on results, after the decision."""
        voted = self._executions.done(height, times.decided, devices)
        votes = self.wire.from_all(ResultVote, height, voted, free)
        votes[:, ~voters.agree] = math.inf
        closed = np.maximum(times.decided, self._quorum_of.reached(votes))
        return times._replace(voted=voted, closed=closed)

    # When the phases are not all that happens.

    def _undisturbed(self, voters: Voters, times: Times) -> bool:
        there = times.only(voters.up)
        quiet = bool(np.isfinite(there.closed).all()) and self._quiet(there, self.timeouts)
        return quiet and results_quiet(there, self.timeouts)

    def _in_time(self, height: int, times: Times, free: Floats) -> bool:
        """Whether nobody learns from a checkpoint that others have closed the height before it does."""
        proofs = self._quorum_of.reached(self.wire.from_all(Checkpoint, height, times.closed, free))
        up = np.isfinite(times.begun)
        return bool((times.closed[up] <= proofs[up]).all())

    def soonest(self, begun: Floats) -> float:
        """When more than f nodes have begun a height."""
        return float(self._more.reached(begun.copy()))

    def _overtaken(self, times: Times, begun: Floats) -> bool:
        """Whether a node could hear of the next height for so long that it asks what it has missed."""
        soonest = self.soonest(begun)
        latest = float(times.closed[np.isfinite(times.closed)].max())
        return latest >= self.too_late(soonest)

    def too_late(self, soonest: float) -> float:
        """When nodes ask what they have missed that have not closed a height, where more than f have begun the next."""
        return soonest + self.timeouts.result / GRACE_PART

    def _turning(self, before: State, after: State, times: Times) -> bool:
        """Whether nodes come and go while a block is worked on, or come back while its messages are on their way."""
        if not len(self._crashes):
            return False
        last = max(after.last, float(after.devices[np.isfinite(after.devices)].max()))
        last = max(last, *(float(moment[np.isfinite(moment)].max()) for moment in (times.prepared, times.ready)))
        return self.turning(before.first, last, self.wire.landed)

    def turning(self, first: float, last: float, landed: float | None = None) -> bool:
        """Whether nodes crash or come back between two moments; `landed`, the last moment for coming back, if later."""
        crashes, returns = self._crashes, self._returns
        back = last if landed is None else max(last, landed)
        return bool(((crashes >= first) & (crashes <= last)).any() or ((returns >= first) & (returns <= back)).any())

    def _out_of_order(self, times: Times, height: int) -> bool:
        """Whether an uplink would send the messages of a node in another order than that of the phases."""
        if self.wire.bandwidth is None:
            return False
        up = np.isfinite(times.begun)
        casts = up & np.isfinite(times.prepared)
        if (times.prepared[casts] > times.decided[casts]).any() or (times.ready[up] > times.decided[up]).any():
            return True
        if times.voted is None:
            return False
        late = times.voted > times.closed
        if self._interval and height % self._interval == 0:
            late = times.voted >= times.closed
        return bool(late[up].any())

    def _sent(self, voters: Voters, times: Times, *, checkpoints: bool) -> tuple[tuple[type[Message], int], ...]:
        course = self.course
        up, backs = int(voters.up.sum()), int(voters.backs.sum())
        first = backs - course.proposal_votes
        if course.nil and backs < up:
            in_time = (times.ready <= times.decided) & (times.accepted <= times.final)
            first += int(in_time[voters.up & ~voters.backs].sum())
        senders: list[tuple[type[Message], int]] = [(course.proposal, 1), (course.ballots[0], first)]
        senders += [(ballot, backs) for ballot in course.ballots[1:]]
        senders += [(ResultVote, 0 if self.proposes else up), (Checkpoint, up if checkpoints else 0)]
        return tuple((kind, number * (self.n - 1)) for kind, number in senders if number)
