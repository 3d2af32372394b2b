"""A run of a protocol that has several heights in flight: by whole phases, and message by message where disturbed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.engines.phases.base import PhasedRun
from sim.engines.phases.detour import run_detour
from sim.engines.phases.flow import Disturbed, Flow, Passed

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.engines.events.measures import Measures
    from sim.engines.phases.cut import Cut

_DETOUR_MAX = 64  # blocks: a detour that follows upon another at once is twice as long, up to this


class PipelinedRun(PhasedRun):
    """A chain that has several heights in flight.

    Parameters
    ----------
    flow
        Works out its blocks.
    measures, report, failures
        As for `PhasedRun`.
    """

    def __init__(
        self,
        flow: Flow,
        measures: Measures,
        report: Callable[[Measures], None] | None = None,
        failures: int | None = None,
    ) -> None:
        super().__init__(measures, report, failures)
        self._flow = flow
        self._length = 1

    def run(self) -> None:
        """Run all blocks."""
        cut: Cut | None = self._flow.start()
        while cut is not None:
            cut = self._phases(cut)
            if cut is not None:
                cut = self._messages(cut)

    def _phases(self, cut: Cut) -> Cut | None:
        """Blocks in the plain course; where it is disturbed, None if it never is."""
        try:
            for passed in self._flow.blocks(cut):
                self._count(passed)
        except Disturbed as disturbed:
            calm = disturbed.cut.height > cut.height or cut.height == 1
            self._length = 1 if calm else min(2 * self._length, _DETOUR_MAX)
            return disturbed.cut
        return None

    def _count(self, passed: Passed) -> None:
        for kind, number, size in passed.sent:
            self._measures.sent(kind, number, size)
        for kind, number, size in passed.empties:
            self._measures.sent(kind, number, size, empty=True)
        self._measures.agrees(passed.diverged, 1, passed.latency)
        self._over(passed.ended)

    def _over(self, ended: float) -> None:
        self.ended = ended
        self._tell_all()

    def _messages(self, cut: Cut) -> Cut | None:
        """Some blocks message by message; where the plain course goes on after them, None if the chain has ended."""
        wanted = None if self._failures is None else self._failures - self._measures.failures
        detour = run_detour(self._flow.scenario, cut, self._length, wanted, self._measures)
        self._measures.absorb(detour.seen)
        self.by_messages += detour.seen.blocks
        self._over(detour.over_at)
        return detour.left
