"""The course of a chain whose blocks depend on those before them: who is away, what a failure is followed by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.consensus.tally import Outcome
from sim.engines.chains.chronicle import COMMITTED, Chronicle
from sim.engines.events.absences import Absences

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sim.engines.chains.chronicle import Halt
    from sim.engines.events.ledger import Block
    from sim.engines.events.world import World
    from sim.engines.timing import Cause


class Course:
    """What the world keeps of a chain over time; slots are attempts, as at the vote level.

    Parameters
    ----------
    world
        Where the chain runs.
    batch
        Slots of a batch.
    """

    def __init__(self, world: World, batch: int) -> None:
        scenario = world.scenario
        self._world = world
        self.chronicle = Chronicle(scenario.run.blocks, batch)
        self._absences = Absences(world, scenario.recovery) if scenario.recovery else None
        self._halts = scenario.after_failure != "skip"
        self._leads_again = scenario.after_failure == "next_leader"

    def begins(self, height: int) -> frozenset[int]:
        """A block begins.

        Returns
        -------
        frozenset of int
            Honest nodes that are away from it, or will be as soon as they hear that their last answer lost.
        """
        if self._absences is None:
            return frozenset()
        blocks = self._world.ledger.blocks
        before = [blocks[pending] for pending in sorted(blocks) if pending < height]
        self._absences.begins(*self._reached(before))
        leaving: set[int] = set()
        for number, block in enumerate(before, 1):
            if not self._absences.spares(self._reached(before[:number])[1]):
                leaving |= self._lost(block)
        return frozenset(self._absences.away | leaving)

    def _reached(self, pending: Iterable[Block]) -> tuple[int, int]:
        """Slots, and committed heights, up to some blocks that are not over."""
        pending = list(pending)
        slots = sum(self._attempts(block) for block in pending)
        committed = sum(block.outcome in COMMITTED for block in pending)
        return self.chronicle.slot + slots, self.chronicle.height + committed

    def _attempts(self, block: Block) -> int:
        if not self._leads_again:
            return 1
        return max(block.rounds, 1) if block.certified else self._world.rounds

    def _lost(self, block: Block) -> set[int]:
        """Honest nodes that computed something else than what was certified, those apart that were away."""
        if block.outcome not in COMMITTED:
            return set()
        (winner,) = block.certified
        nodes, results = self._world.nodes, block.answers.results
        gone = self._absences.away if self._absences else ()  # because of this block
        return {
            node
            for node in self._world.honest
            if results[node] != winner and node not in block.absent and (nodes[node].up or node in gone)
        }

    def closes(self, node: int) -> None:
        """A node has closed a height: it leaves if it knows by now that its answer lost."""
        if self._absences is None:
            return
        blocks = self._world.ledger.blocks
        for height in sorted(blocks):
            block = blocks[height]
            result = block.results.get(node)
            if result is not None and result != block.answers.results[node] and node not in block.absent:
                reached = self._reached(other for other in blocks.values() if other.height <= height)
                self._absences.lose(node, height, *reached)

    def over(self, block: Block, cause: Cause | None) -> None:
        """A block is over."""
        chronicle, outcome, away = self.chronicle, block.outcome, len(block.absent)
        for _ in range(min(self._attempts(block) - 1, chronicle.horizon - chronicle.slot - 1)):
            chronicle.take(chronicle.slot + 1, Outcome.no_quorum, away)
            chronicle.try_again(Outcome.no_quorum)
        chronicle.take(chronicle.slot + 1, outcome, away)
        lost = self._lost(block)
        if lost:
            chronicle.diverged(len(lost), outcome)
        if self._absences:
            for node in sorted(lost):
                self._absences.lose(node, block.height, chronicle.slot, chronicle.height)
        if outcome not in COMMITTED and self._halts:
            self._halt(self._why(block, cause))

    def stalls(self, blocks: int) -> int:
        """No quorum can ever vote again.

        Returns
        -------
        int
            How many of the blocks that are left are tried, all of which fail.
        """
        tried = min(blocks, 1) if self._halts else blocks
        self.chronicle.take(self.chronicle.slot + tried, Outcome.no_quorum, self._away)
        if tried and self._halts:
            self._halt("budget")
        return tried

    @property
    def _away(self) -> int:
        return len(self._absences.away) if self._absences else 0

    def _halt(self, cause: Halt) -> None:
        self.chronicle.halt(cause)
        if self._world.trace:
            self._world.trace.halted(self._world.clock.now, self._world.ledger.first - 1, cause)

    def _why(self, block: Block, cause: Cause | None) -> Halt:
        """Why the chain halts at a block that failed (see `Halt`)."""
        world = self._world
        if block.outcome == Outcome.forked:
            return "fork"
        missing = {n for n, node in enumerate(world.nodes) if n in block.absent or not (node.up and node.speaks)}
        if sum(world.power[node] for node in missing) > world.scenario.faults_tolerated:
            return "budget"
        passes = world.circumstances.passes
        if passes(block) and not passes(block, world.circumstances.honest - missing):
            return "spent"
        return cause if cause in {"attack", "partition", "timeout"} else "split"
