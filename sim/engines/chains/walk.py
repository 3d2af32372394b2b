"""One chain, slot by slot: who is away, what is committed, and where it ends.

Slots in which nobody deviates are taken in one stride, up to the next return of a node. A slot that fails leaves
everybody's state as it is: there is no winner to lose to. Checkpoints count committed heights, so that a stalled chain
reaches none.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

from sim.consensus.tally import Outcome
from sim.engines.chains.chronicle import COMMITTED, Chronicle, Halt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sim.consensus.recovery import OnFailure, Recovery
    from sim.consensus.tally import Election
    from sim.engines.chains.slots import Machines

_KNOWN_MAX = 10_000  # sets of nodes away, of which is remembered what a quiet slot gives


class Verdict(NamedTuple):
    """Outcome of a slot, and the set of machines whose result is certified; 0 where it is none of theirs."""

    outcome: Outcome
    winner: int


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
        return Verdict(Outcome.agreed, winner) if first >= q else Verdict(Outcome.no_quorum, 0)
    if election.behaviour == "equivocate":
        first += b
    invented = {"random": election.largest_byzantine, "collude": b}.get(election.behaviour, 0)
    won_first, won_second = first >= q, second + election.boost >= q
    number = won_first + won_second + (invented >= q)
    if number != 1:
        return Verdict(Outcome.forked if number else Outcome.no_quorum, 0)
    if won_first:
        return Verdict(Outcome.agreed if winner else Outcome.wrong_result, winner)
    fair = won_second and runner and second == machines.power(winner)
    return Verdict(Outcome.agreed if fair else Outcome.wrong_result, runner if won_second else 0)


class Walk(Chronicle):
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
        super().__init__(horizon, batch, tell)
        self.rules, self.machines, self.again, self.durations = rules, machines, again, durations
        self.away = 0
        self._returns: list[tuple[int, int]] = []
        self._quiet: dict[int, Outcome] = {}
        self._missing = 0  # who was away in the last slot
        self._waiting = 0  # for the next checkpoint
        self._every = rules.recovery.every if rules.recovery else None

    def quiet(self, blocks: int) -> None:
        """Walk through blocks in which nobody deviates."""
        while blocks and not self.over:
            outcome, before = self._quiet_outcome(), self.slot
            if outcome == Outcome.wrong_result and self.rules.recovery:  # everybody else diverges from it
                self.eventful([self.machines.everyone], 0)
                blocks -= 1
                continue
            until = min(self.slot + blocks, self.horizon)
            commits = outcome in COMMITTED
            limit = self._next_change(until) if commits else self._next_return(until)
            if not commits and self.rules.on_failure != "skip":
                limit = self.slot + 1
            self._stride(limit, outcome)
            blocks -= self.slot - before
            if outcome not in COMMITTED:
                self._fail(outcome, [self.machines.everyone], None)

    def _quiet_outcome(self) -> Outcome:
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
        lost = self._active & ~winner if outcome in COMMITTED else 0
        self._stride(self.slot + 1, outcome, lost)
        if outcome not in COMMITTED:
            self._fail(outcome, groups, place)

    def _fail(self, outcome: Outcome, groups: Sequence[int], place: int | None) -> None:
        """Follow up a slot that certified nothing, or two results."""
        rules = self.rules
        if rules.on_failure == "skip":
            return
        for _ in range(rules.max_retries if rules.on_failure == "retry" else 0):
            self.try_again(outcome)
            if self.slot >= self.horizon:
                return
            groups = groups if place is None else self.again(place)
            outcome, winner = certified(rules.election, self.machines, groups, self._active)
            lost = self._active & ~winner if outcome in COMMITTED else 0
            self._stride(self.slot + 1, outcome, lost)
            if outcome in COMMITTED:
                return
        self.halt(self._cause(outcome, groups))

    def _cause(self, outcome: Outcome, groups: Sequence[int]) -> Halt:
        if outcome == Outcome.forked:
            return "fork"
        election = self.rules.election
        silent = election.byzantine if election.behaviour == "silent" else 0
        if self.machines.power(self._missing) + silent > self.rules.tolerated:
            return "budget"
        return "spent" if self._missing and self._passes_alone(groups) else "split"

    def _passes_alone(self, groups: Sequence[int]) -> bool:
        """Whether the answers would have passed with nobody away."""
        return certified(self.rules.election, self.machines, groups, self.machines.everyone).outcome == Outcome.agreed

    def _next_return(self, until: int) -> int:
        return min(until, self._returns[0][0]) if self._returns else until

    def _next_change(self, until: int) -> int:
        """Slot before which neither a return nor a checkpoint comes, while blocks are committed."""
        limit = self._next_return(until)
        if self._every and self._waiting:
            limit = min(limit, self.slot + self._every - self.height % self._every)
        return limit

    def _stride(self, until: int, outcome: Outcome, lost: int = 0) -> None:
        """Take slots of one outcome, up to a place; in the last of them some machines diverge."""
        self.take(until, outcome, self.machines.nodes(self.away))
        if lost:
            self._diverge(lost, outcome)
        self._missing = self.away
        self._come_back(outcome)

    def _diverge(self, lost: int, outcome: Outcome) -> None:
        self.diverged(self.machines.nodes(lost), outcome)
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

    def _come_back(self, outcome: Outcome) -> None:
        """Let nodes return whose time has come, and those that waited for a checkpoint that was just committed."""
        before = self.away
        while self._returns and self._returns[0][0] <= self.slot:
            self.away &= ~heappop(self._returns)[1]
        if self._every and self._waiting and outcome in COMMITTED and self.height % self._every == 0:
            self.away &= ~self._waiting
            self._waiting = 0
        if self.tell and before != self.away:
            self.tell(slot=self.slot, event="return", machines=members(before & ~self.away))
