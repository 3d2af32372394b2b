"""What keeps HotStuff from its plain course: timers that run out, and proposals that overtake too many others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.consensus.protocols.hotstuff import GRACE_PART
from sim.consensus.protocols.pipelined import DEPTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from sim.consensus.timeouts import Timeouts
    from sim.engines.phases.hotstuff_height import Height

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]


class _Doubt(NamedTuple):
    """Something that may go wrong, unless a node turns out to do something earlier than was known."""

    when: Callable[[], float]
    timer: bool


def first(times: Floats, where: Bools) -> float:
    """The earliest of some times; infinity if there is none."""
    return float(times[where].min()) if where.any() else math.inf


class Odds:
    """What has been seen to go wrong, and when.

    Parameters
    ----------
    timeouts
        How long replicas wait.
    heights
        What is worked out, by number; looked at.
    """

    def __init__(self, timeouts: Timeouts, heights: dict[int, Height]) -> None:
        self._view_s, self._result_s = timeouts.view, timeouts.result
        self._grace_s = timeouts.result / GRACE_PART
        self._heights = heights
        self._doubts: list[_Doubt] = []

    def earliest(self, over_at: float) -> float:
        """When something first goes wrong; no timer runs out once the last block is over."""
        self._doubts = [doubt for doubt in self._doubts if doubt.when() < math.inf]
        found = math.inf
        for doubt in self._doubts:
            when = doubt.when()
            if not doubt.timer or when <= over_at:
                found = min(found, when)
        return found

    def note(self, when: float) -> None:
        """Something goes wrong at that time."""
        if when < math.inf:
            self._doubts.append(_Doubt(lambda: when, timer=False))

    def look(self, number: int) -> None:
        """Look at what the certificate of a height brings, whose times are known now."""
        at = self._heights
        self._doubt(lambda: self._view(at[number], at[number + 1]), timer=True)
        if number - 1 in at:
            self._doubt(lambda: self._gap(at[number - 1], at[number]), timer=True)
        if number - 3 in at:
            self._doubt(lambda: self._left_out(*(at[number - less] for less in (3, 2, 1, 0))), timer=False)
        if number - DEPTH in at:
            self._doubt(lambda: self._far_behind(at[number - DEPTH], at[number + 1]), timer=False)

    def look_at_results(self, number: int) -> None:
        """Look at the vote on the results of a height, whose times are known now."""
        at = self._heights[number]
        late = at.done >= at.executed + self._result_s
        when = first(at.executed + self._result_s, late)
        if when < math.inf:
            self._doubts.append(_Doubt(lambda: when, timer=True))

    def _doubt(self, when: Callable[[], float], *, timer: bool) -> None:
        if when() < math.inf:
            self._doubts.append(_Doubt(when, timer))

    def _view(self, at: Height, above: Height) -> float:
        """A view in which no certificate comes in time."""
        end = at.begun + self._view_s
        return first(end, above.wanted >= end)

    def _gap(self, at: Height, above: Height) -> float:
        """A certificate that is overtaken by the next one, and does not come in time."""
        end = above.known + self._grace_s
        return first(end, (at.known >= end) & (at.begun < above.known) & (at.closed > end))

    @staticmethod
    def _left_out(at: Height, *above: Height) -> float:
        """A certificate for which a node does not wait, as it has not begun its height, with a three-chain above it."""
        chain = np.maximum(np.maximum(above[0].known, above[1].known), above[2].known)
        return first(chain, (chain < at.known) & (at.begun >= above[0].known))

    @staticmethod
    def _far_behind(at: Height, above: Height) -> float:
        """A node that comes to a height when it wants to begin one so far above that it passes this one over."""
        return first(at.begun, np.isfinite(at.begun) & (at.begun >= above.wanted))
