"""A run: by whole phases where that is all that happens, message by message where it is not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from sim.engines.phases.base import PhasedRun
from sim.engines.phases.stretch import run_stretch
from sim.engines.phases.takenup import check_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.engines.events.measures import Measures
    from sim.engines.phases.chain import Chain, Step
    from sim.engines.phases.state import State
    from sim.engines.phases.stretch import Stretch

_STRETCH_MAX = 64  # blocks: a stretch that follows upon another at once is twice as long, up to this
_STRETCH_SOON = 32  # blocks from which on that goes for every stretch, while most blocks are run by messages


class _Part(NamedTuple):
    """Blocks that are run, but that the next one may still show to have been disturbed."""

    before: State
    by_messages: int
    failing: int
    tell: Callable[[Measures], None]


class Run(PhasedRun):
    """A chain that goes from block to block.

    Parameters
    ----------
    chain
        What is run.
    measures, report, failures
        As for `PhasedRun`.
    """

    def __init__(
        self,
        chain: Chain,
        measures: Measures,
        report: Callable[[Measures], None] | None = None,
        failures: int | None = None,
    ) -> None:
        super().__init__(measures, report, failures)
        self._chain = chain
        self._part: _Part | None = None
        self._length, self._calm, self._late = 1, True, False

    def run(self) -> None:
        """Run all blocks."""
        state: State | None = self._chain.start()
        blocks = self._chain.scenario.run.blocks
        while state is not None and state.height <= blocks:
            state = self._phases(state) or self._messages(state)
        self._settle(None)

    def _phases(self, state: State) -> State | None:
        """One block by its phases; None if that is not all that happens."""
        step = self._chain.step(state)
        self._late = step is not None and not self._chain.leaves_alone(step)
        if step is None or self._late:
            return None
        self._settle(_Part(state, 0, 0, lambda measures: self._tell(step, measures)))
        self._calm = True
        self.ended = step.after.last
        return step.after

    def _tell(self, step: Step, measures: Measures) -> None:
        for kind, number in step.sent:
            measures.sent(kind, number, self._chain.wire.size(kind))
        measures.agrees(step.diverged, 1, step.latency if step.latency < math.inf else None)

    def _messages(self, state: State) -> State | None:
        """Some blocks message by message; from the block before, if that turns out to be disturbed too."""
        often = _STRETCH_SOON < state.height < 2 * self.by_messages
        self._length = min(2 * self._length, _STRETCH_MAX) if often or not self._calm else 1
        self._calm = False
        end = state.height + self._length
        disturbed = self._late or bool((state.owed > state.begun).any())  # a ballot owed may yet be forgotten
        stretch, left = (None, None) if disturbed else self._stretch(state, end)
        if stretch is None or stretch.late:
            assert self._part is not None  # noqa: S101 -- nobody is late for the first block, or for one that was left alone
            before, self._part = self._part.before, None
            stretch, left = self._stretch(before, end)
            assert not stretch.late  # noqa: S101 -- the same
            state = before
        seen = stretch.measures
        self._settle(_Part(state, seen.blocks, seen.failures, lambda measures: measures.absorb(seen)))
        self.ended = stretch.ended
        return left

    def _stretch(self, state: State, end: int) -> tuple[Stretch, State | None]:
        check_memory(self._chain.scenario, state.height)
        failing = self._measures.failures + (self._part.failing if self._part else 0)
        wanted = None if self._failures is None else self._failures - failing
        return run_stretch(self._chain, state, end - state.height, wanted, self._measures)

    def _settle(self, part: _Part | None) -> None:
        """Count the part before, which is now known to be as it was, and keep this one."""
        done, self._part = self._part, part
        if done is None:
            return
        done.tell(self._measures)
        self.by_messages += done.by_messages
        self._tell_all()
