"""Adding up what a run shows: outcomes, latencies, messages, causes."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from sim.consensus.tally import Outcome
from sim.engines.timing import FAILED_TOLD_MAX, Cause, FailedBlock, Timing, Violation
from sim.statistics.counts import Counts

if TYPE_CHECKING:
    from sim.consensus.protocols.messages import Message
    from sim.engines.events.ledger import Block
    from sim.statistics.counts import Task

PERCENTILES = {"p50": 50, "p95": 95, "p99": 99}
_EMPTY = "empty"
_APART = ("checkpoint", "state-request", "state", _EMPTY)  # what a node fetches to catch up is told apart


class Measures:
    """What has been seen so far; eight bytes a block, whatever their number.

    Parameters
    ----------
    task
        What is counted.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._outcomes = [0] * len(Outcome)
        self._blocks = self._diverged = self._squares = self._rounds = 0
        self._latencies = array("d")
        self._messages: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._causes: Counter[Cause] = Counter()
        self._failed: list[FailedBlock] = []
        self._told_max = FAILED_TOLD_MAX
        self._elapsed = 0.0
        self._violation: Violation | None = None

    def sent(self, kind: type[Message], transmissions: int, size: int, *, empty: bool = False) -> None:
        """A message went out, that many times; `empty` tells that it belongs to a height after the last block."""
        name = _EMPTY if empty else kind.name
        self._messages[name] += transmissions
        self._bytes[name] += transmissions * size

    def over(self, block: Block, cause: Cause | None) -> None:
        """A block is over; it failed if there is a cause."""
        if cause is None:
            self.agreed(block)
        else:
            self.failed(block.height, block.outcome, cause)

    def agreed(self, block: Block) -> None:
        """A block was agreed."""
        latency = None if block.known_at is None else block.known_at - block.started
        self.agrees(block.diverged, block.rounds, latency)

    def agrees(self, diverged: int, rounds: int, latency: float | None) -> None:
        """A block was agreed, with so many honest nodes that computed something else, after so many rounds."""
        self._count(Outcome.agreed)
        self._diverged += diverged
        self._squares += diverged * diverged
        self._rounds += rounds
        if latency is not None:
            self._latencies.append(latency)

    def fresh(self) -> Measures:
        """The same, with nothing seen yet."""
        return Measures(self._task)

    def absorb(self, later: Measures) -> None:
        """Add what the blocks that follow have shown."""
        for outcome, blocks in enumerate(later._outcomes):
            self._count(Outcome(outcome), blocks)
        self._diverged += later._diverged
        self._squares += later._squares
        self._rounds += later._rounds
        self._latencies.extend(later._latencies)
        self._messages.update(later._messages)
        self._bytes.update(later._bytes)
        self._causes.update(later._causes)
        self._failed += later._failed[: self._told_max - len(self._failed)]
        self._violation = self._violation or later._violation

    def failed(self, height: int, outcome: Outcome, cause: Cause, blocks: int = 1) -> None:
        """A block failed, or that many in a row for one cause."""
        self._count(outcome, blocks)
        self._causes[cause] += blocks
        told = range(height, height + min(blocks, self._told_max - len(self._failed)))
        self._failed += [FailedBlock(one, outcome.name, cause) for one in told]

    def _count(self, outcome: Outcome, blocks: int = 1) -> None:
        self._blocks += blocks
        self._outcomes[outcome] += blocks

    @property
    def blocks(self) -> int:
        """Blocks that are over."""
        return self._blocks

    @property
    def failures(self) -> int:
        """Those that failed."""
        return self._blocks - self._outcomes[Outcome.agreed]

    @property
    def counts(self) -> Counts:
        """Outcomes, as every engine gives them."""
        return Counts(self._task, self._blocks, tuple(self._outcomes), self._diverged, self._squares)

    def ended(self, now: float, violation: Violation | None) -> None:
        """A chain has ended, at the time when its last block was over."""
        self._elapsed += now
        self._violation = self._violation or violation
        self._told_max = len(self._failed)

    def timing(self) -> Timing:
        """Sum up the chains that have ended."""
        now, agreed, blocks = self._elapsed, self._outcomes[Outcome.agreed], max(self._blocks, 1)
        latencies = np.frombuffer(self._latencies) if self._latencies else None
        counted = [name for name in self._messages if name not in _APART]
        return Timing(
            simulated_s=now,
            blocks_per_s=agreed / now if now else None,
            latency_s=None
            if latencies is None
            else {name: float(np.percentile(latencies, share)) for name, share in PERCENTILES.items()},
            rounds_per_block=self._rounds / agreed if agreed else None,
            messages_per_block=sum(self._messages[name] for name in counted) / blocks,
            bytes_per_block=sum(self._bytes[name] for name in counted) / blocks,
            messages_by_type={name: self._messages[name] / blocks for name in sorted(self._messages)},
            bytes_by_type={name: self._bytes[name] / blocks for name in sorted(self._bytes)},
            causes=dict(sorted(self._causes.items())),
            failed_blocks=tuple(self._failed),
            first_violation=self._violation,
        )
