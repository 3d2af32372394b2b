"""What happens on one chain, slot by slot, in batches each of which is recorded by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from sim.consensus.tally import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

Halt = Literal["budget", "spent", "split", "fork", "attack", "partition", "timeout"]
"""Why a chain halts, the first that holds.

`fork`: two results are certified; `budget`: nodes that are away, and silent or crashed ones, are more than it
tolerates; `spent`: the same answers would have passed with nobody away; `split`: they would not have. Where messages
take time, votes that would have been enough can fail to come together too: `attack`, `partition`, `timeout` (see
`sim.engines.timing.Cause`).
"""
COMMITTED = frozenset({Outcome.agreed, Outcome.wrong_result})
"""Outcomes of a block that the chain builds on, wrong or not."""


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


class Chronicle:
    """What happens on one chain.

    Parameters
    ----------
    horizon, batch
        Slots that it has, and slots of a batch.
    tell
        Called with what happens: slot, event, and more by keyword.
    """

    def __init__(self, horizon: int, batch: int, tell: Callable[..., None] | None = None) -> None:
        self.horizon, self.batch, self.tell = horizon, batch, tell
        self.records = [Record() for _ in range(-(-horizon // batch))]
        self.slot = self.height = 0
        self.halted: Halt | None = None
        self.first_failure: int | None = None
        self.first_divergence: int | None = None
        self.stall = self.longest_stall = 0

    @property
    def over(self) -> bool:
        """Whether it has come to its end."""
        return self.halted is not None or self.slot >= self.horizon

    def take(self, until: int, outcome: Outcome, away: int) -> None:
        """Take slots of one outcome, up to a place, in which that many nodes are away."""
        batch = self.batch
        while self.slot < until:
            number = self.slot // batch
            record = self.records[number]
            step = min(until, (number + 1) * batch) - self.slot
            record.slots += step
            record.outcomes[outcome] += step
            record.away[away] = record.away.get(away, 0) + step
            self._count(outcome, step)
            self.slot += step

    def _count(self, outcome: Outcome, step: int) -> None:
        if outcome in COMMITTED:
            self.height += step
        if outcome == Outcome.agreed:
            self.stall = 0
            return
        if self.tell:
            self.tell(slot=self.slot, event="fail", slots=step, outcome=outcome.name)
        if self.first_failure is None:
            self.first_failure = self.slot
        if outcome == Outcome.wrong_result:
            self.stall = 0
            return
        self.stall += step
        self.longest_stall = max(self.longest_stall, self.stall)

    def diverged(self, nodes: int, outcome: Outcome) -> None:
        """That many nodes did not compute what was committed in the last slot."""
        if outcome == Outcome.agreed:  # as everywhere, failed blocks count 0
            self.records[(self.slot - 1) // self.batch].diverged += nodes
        if self.first_divergence is None:
            self.first_divergence = self.slot - 1

    def try_again(self, outcome: Outcome) -> None:
        """Count the last slot as an attempt only: another one at its block follows."""
        if self.first_failure == self.slot - 1:
            self.first_failure = None  # the block may pass yet
        last = self.records[(self.slot - 1) // self.batch]
        last.outcomes[outcome] -= 1
        last.retries += 1

    def halt(self, cause: Halt) -> None:
        """Let it end with the last slot."""
        self.halted = cause
        if self.tell:
            self.tell(slot=self.slot - 1, event="halt", cause=cause)
