"""A run of a protocol that has several heights in flight: by whole phases, and message by message where disturbed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.base.errors import EngineError
from sim.engines.events import engine as events
from sim.engines.events.world import World
from sim.engines.phases.flow import Disturbed, Flow, Passed

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.engines.events.measures import Measures


class PipelinedRun:
    """One chain, from its first block to its last.

    Parameters
    ----------
    flow
        Works out its blocks.
    measures
        What they show; added to.
    report
        Called when blocks are over.
    failures
        End at that many failing blocks; None, after `run.blocks` only.

    Attributes
    ----------
    by_messages : int
        Blocks that were run message by message.
    ended : float
        When the last block was over, in seconds.
    """

    def __init__(
        self,
        flow: Flow,
        measures: Measures,
        report: Callable[[Measures], None] | None = None,
        failures: int | None = None,
    ) -> None:
        self._flow, self.measures, self._report, self._failures = flow, measures, report, failures
        self.by_messages = 0
        self.ended = 0.0

    def run(self) -> None:
        """Run all blocks."""
        try:
            for passed in self._flow.blocks(self._flow.start()):
                self._count(passed)
        except Disturbed as disturbed:
            self._messages(disturbed.cut.height)

    def _count(self, passed: Passed) -> None:
        for kind, number, size in passed.sent:
            self.measures.sent(kind, number, size)
        for kind, number, size in passed.empties:
            self.measures.sent(kind, number, size, empty=True)
        self.measures.agrees(passed.diverged, 1, passed.latency)
        self.ended = passed.ended
        if self._report:
            self._report(self.measures)

    def _messages(self, height: int) -> None:
        """Run the whole chain message by message."""
        scenario = self._flow.scenario
        refused = events.memory_refusal(scenario)
        if refused:
            message = f"block {height:,} fails, or may time out, and must run message by message: {refused}"
            raise EngineError(message)
        self.measures = self.measures.fresh()
        world = World(scenario, None, self._report, self._failures, self.measures)
        try:
            world.run()
        finally:
            self.by_messages, self.ended = self.measures.blocks, world.ended
