"""One chain, slot by slot: who is away, what is committed, and where it ends.

Slots in which nobody deviates are taken in one stride, up to the next return of a node. A slot that fails leaves
everybody's state as it is: there is no winner to lose to. Checkpoints count committed heights, so that a stalled chain
reaches none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sim.consensus.recovery import OnFailure, Recovery
    from sim.consensus.tally import Election
    from sim.engines.chains.slots import Machines

Cause = Literal["budget", "spent", "split", "fork"]
"""Why a chain halts.

`budget`: nodes that are away, and silent ones, are more than it tolerates; `fork`: two results are certified; `spent`:
the same answers would have passed with nobody away; `split`: they would not have.
"""
AGREED, NO_QUORUM, WRONG, FORKED = range(4)
_KNOWN_MAX = 10_000  # sets of nodes away, of which is remembered what a quiet slot gives
_NAMES = ("agreed", "no_quorum", "wrong_result", "forked")


class Verdict(NamedTuple):
    """Outcome of a slot, and the set of machines whose result is certified; 0 where it is none of theirs."""

    outcome: int
    winner: int


@dataclass(slots=True)
class Record:
    """What a stretch of a chain gave.

    Parameters
    ----------
    slots
        Slots that it covers.
    outcomes
        Blocks by outcome, each counted in the slot of its last attempt.
    retries
        Slots that failed and were followed by another attempt at their block.
    diverged
        Nodes that diverged.
    away
        Slots by the number of nodes that were away.
    """

    slots: int = 0
    outcomes: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    retries: int = 0
    diverged: int = 0
    away: dict[int, int] = field(default_factory=dict)


class Rules(NamedTuple):
    """What decides a chain's fate.

    Parameters
    ----------
    election
        Who votes.
    tolerated
        Votes f that may be faulty.
    recovery
        For how long a node is away; None: not at all.
    on_failure, max_retries
        What a failed slot is followed by.
    """

    election: Election
    tolerated: int
    recovery: Recovery | None
    on_failure: OnFailure
    max_retries: int


def members(machines: int) -> list[int]:
    """Numbers of the machines of a set.

    Examples
    --------
    >>> members(0b10110)
    [1, 2, 4]
    """
    return [place for place in range(machines.bit_length()) if machines >> place & 1]


def certified(election: Election, machines: Machines, groups: Sequence[int], active: int) -> Verdict:
    """Tally a slot, as `sim.consensus.tally.certify` does for many; sets are cut to those who are active."""
    first = second = winner = runner = 0
    for group in groups:
        present = group & active
        power = machines.power(present)
        if power > first:
            first, winner, second, runner = power, present, first, winner
        elif power > second:
            second, runner = power, present
    b, q = election.byzantine, election.quorum
    if not b:  # at most one result has more than half of the votes
        return Verdict(AGREED, winner) if first >= q else Verdict(NO_QUORUM, 0)
    if election.behaviour == "equivocate":
        first += b
    invented = {"random": election.largest_byzantine, "collude": b}.get(election.behaviour, 0)
    won_first, won_second = first >= q, second + election.boost >= q
    number = won_first + won_second + (invented >= q)
    if number != 1:
        return Verdict(FORKED if number else NO_QUORUM, 0)
    if won_first:
        return Verdict(AGREED if winner else WRONG, winner)
    fair = won_second and runner and second == machines.power(winner)
    return Verdict(AGREED if fair else WRONG, runner if won_second else 0)


class Walk:
    """One chain on its way.

    Parameters
    ----------
    rules
        What decides its fate.
    machines
        Its honest machines.
    again
        Draws the groups of another attempt at a slot, by its place in the current stretch of slots.
    durations
        Draws for how many slots nodes are away.
    horizon, batch
        Slots that it has, and slots of a batch, each of which is recorded by itself.
    tell
        Called with what happens: slot, event, and more by keyword.
    """

    def __init__(
        self,
        rules: Rules,
        machines: Machines,
        again: Callable[[int], Sequence[int]],
        durations: Callable[[int], Sequence[int]],
        horizon: int,
        batch: int,
        tell: Callable[..., None] | None = None,
    ) -> None:
        self.rules, self.machines, self.again, self.durations = rules, machines, again, durations
        self.horizon, self.batch, self.tell = horizon, batch, tell
        self.records = [Record() for _ in range(-(-horizon // batch))]
        self.slot = self.height = self.away = 0
        self.halted: Cause | None = None
        self.first_failure: int | None = None
        self.first_divergence: int | None = None
        self.stall = self.longest_stall = 0
        self._returns: list[tuple[int, int]] = []
        self._quiet: dict[int, int] = {}
        self._missing = 0  # who was away in the last slot
        self._waiting = 0  # for the next checkpoint
        self._every = rules.recovery.every if rules.recovery else None

    @property
    def over(self) -> bool:
        """Whether it has come to its end."""
        return self.halted is not None or self.slot >= self.horizon

    def quiet(self, blocks: int) -> None:
        """Walk through blocks in which nobody deviates."""
        while blocks and not self.over:
            outcome, before = self._quiet_outcome(), self.slot
            if outcome == WRONG and self.rules.recovery:  # everybody else diverges from it
                self.eventful([self.machines.everyone], 0)
                blocks -= 1
                continue
            until = min(self.slot + blocks, self.horizon)
            commits = outcome in {AGREED, WRONG}
            limit = self._next_change(until) if commits else self._next_return(until)
            if not commits and self.rules.on_failure != "skip":
                limit = self.slot + 1
            self._stride(limit, outcome)
            blocks -= self.slot - before
            if outcome in {NO_QUORUM, FORKED}:
                self._fail(outcome, [self.machines.everyone], None)

    def _quiet_outcome(self) -> int:
        """Outcome of a slot in which nobody deviates, which only depends on who is active."""
        known = self._quiet.get(self.away)
        if known is None:
            known, _ = certified(self.rules.election, self.machines, [self.machines.everyone], self._active)
            if len(self._quiet) < _KNOWN_MAX:
                self._quiet[self.away] = known
        return known

    @property
    def _active(self) -> int:
        return self.machines.everyone & ~self.away

    def eventful(self, groups: Sequence[int], place: int) -> None:
        """Walk through a slot in which somebody may deviate."""
        outcome, winner = certified(self.rules.election, self.machines, groups, self._active)
        lost = self._active & ~winner if outcome in {AGREED, WRONG} else 0
        self._stride(self.slot + 1, outcome, lost)
        if outcome in {NO_QUORUM, FORKED}:
            self._fail(outcome, groups, place)

    def _fail(self, outcome: int, groups: Sequence[int], place: int | None) -> None:
        """Follow up a slot that certified nothing, or two results."""
        rules = self.rules
        if rules.on_failure == "skip":
            return
        for _ in range(rules.max_retries if rules.on_failure == "retry" else 0):
            self._tries_again(outcome)
            if self.slot >= self.horizon:
                return
            groups = groups if place is None else self.again(place)
            outcome, winner = certified(rules.election, self.machines, groups, self._active)
            lost = self._active & ~winner if outcome in {AGREED, WRONG} else 0
            self._stride(self.slot + 1, outcome, lost)
            if outcome in {AGREED, WRONG}:
                return
        self._halt(outcome, groups)

    def _tries_again(self, outcome: int) -> None:
        """The last slot is followed by another attempt at its block: it was no block of its own."""
        if self.first_failure == self.slot - 1:
            self.first_failure = None  # the block may pass yet
        last = self.records[(self.slot - 1) // self.batch]
        last.outcomes[outcome] -= 1
        last.retries += 1

    def _halt(self, outcome: int, groups: Sequence[int]) -> None:
        self.halted = self._cause(outcome, groups)
        if self.tell:
            self.tell(slot=self.slot - 1, event="halt", cause=self.halted)

    def _cause(self, outcome: int, groups: Sequence[int]) -> Cause:
        if outcome == FORKED:
            return "fork"
        election = self.rules.election
        silent = election.byzantine if election.behaviour == "silent" else 0
        if self.machines.power(self._missing) + silent > self.rules.tolerated:
            return "budget"
        return "spent" if self._missing and self._passes_alone(groups) else "split"

    def _passes_alone(self, groups: Sequence[int]) -> bool:
        """Whether the answers would have passed with nobody away."""
        return certified(self.rules.election, self.machines, groups, self.machines.everyone).outcome == AGREED

    def _next_return(self, until: int) -> int:
        return min(until, self._returns[0][0]) if self._returns else until

    def _next_change(self, until: int) -> int:
        """Slot before which neither a return nor a checkpoint comes, while blocks are committed."""
        limit = self._next_return(until)
        if self._every and self._waiting:
            limit = min(limit, self.slot + self._every - self.height % self._every)
        return limit

    def _stride(self, until: int, outcome: int, lost: int = 0) -> None:
        """Take slots of one outcome, up to a place; in the last of them some machines diverge."""
        away, batch = self.machines.nodes(self.away), self.batch
        while self.slot < until:
            number = self.slot // batch
            record = self.records[number]
            end = (number + 1) * batch
            step = min(until, end) - self.slot
            record.slots += step
            record.outcomes[outcome] += step
            record.away[away] = record.away.get(away, 0) + step
            self._count(outcome, step)
            self.slot += step
        if lost:
            self._diverge(lost, record, outcome)
        self._missing = self.away
        self._come_back(outcome)

    def _count(self, outcome: int, step: int) -> None:
        if outcome in {AGREED, WRONG}:
            self.height += step
        if outcome == AGREED:
            self.stall = 0
            return
        if self.tell:
            self.tell(slot=self.slot, event="fail", slots=step, outcome=_NAMES[outcome])
        if self.first_failure is None:
            self.first_failure = self.slot
        if outcome == WRONG:
            self.stall = 0
            return
        self.stall += step
        self.longest_stall = max(self.longest_stall, self.stall)

    def _diverge(self, lost: int, record: Record, outcome: int) -> None:
        if outcome == AGREED:  # as everywhere, failed blocks count 0
            record.diverged += self.machines.nodes(lost)
        if self.first_divergence is None:
            self.first_divergence = self.slot - 1
        if self.tell:
            self.tell(slot=self.slot - 1, event="diverge", machines=members(lost))
        recovery = self.rules.recovery
        if recovery is None:
            return
        self.away |= lost
        if recovery.every:
            self._waiting |= lost
        elif not recovery.never:
            bits = [1 << place for place in members(lost)]
            for bit, duration in zip(bits, self.durations(len(bits)), strict=True):
                heappush(self._returns, (self.slot + duration, bit))

    def _come_back(self, outcome: int) -> None:
        """Let nodes return whose time has come, and those that waited for a checkpoint that was just committed."""
        before = self.away
        while self._returns and self._returns[0][0] <= self.slot:
            self.away &= ~heappop(self._returns)[1]
        if self._every and self._waiting and outcome in {AGREED, WRONG} and self.height % self._every == 0:
            self.away &= ~self._waiting
            self._waiting = 0
        if self.tell and before != self.away:
            self.tell(slot=self.slot, event="return", machines=members(before & ~self.away))
