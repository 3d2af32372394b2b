"""Flow control, where several blocks are in flight: who has decided too many that it has not closed must wait."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sim.consensus.protocols.pipelined import DEPTH, WINDOW

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sim.engines.phases.cut import Cut

    Floats = NDArray[np.float64]

_KEPT = WINDOW + 2 * DEPTH


class Unclear(Exception):  # noqa: N818 -- it is no error
    """What happens does not follow from when it does, or not yet."""


class Backlog:
    """When each node has decided and closed which of the last heights; all below those are closed.

    Parameters
    ----------
    cut
        Where the chain is taken up.
    """

    def __init__(self, cut: Cut) -> None:
        n, self._first = len(cut.begun), cut.height
        self._always, self._never = np.full(n, -math.inf), np.full(n, math.inf)
        self._told = dict(cut.backlog)

    def close(self, height: int, decided: Floats, done: Floats) -> Floats:
        """Take note of when nodes decide a height, and are through with it; when they close it, in order."""
        closed = np.maximum(self.closed(height - 1), done)
        self._told[height] = decided, closed
        self._told.pop(height - _KEPT, None)
        return closed

    def reopen(self, height: int) -> None:
        """Forget that height and all above."""
        for number in [number for number in self._told if number >= height]:
            del self._told[number]

    def closed(self, height: int) -> Floats:
        """When each node has closed a height; minus infinity where that is long since.

        Raises
        ------
        Unclear
            It is not known yet.
        """
        if height in self._told:
            return self._told[height][1]
        if height >= self._first:
            raise Unclear
        return self._always

    def left_at(self, height: int, first: float) -> dict[int, tuple[Floats, Floats]]:
        """Heights below one that some node closes only after a moment: when each node decides and closes them."""
        below = {number: told for number, told in self._told.items() if number < height}
        return {number: told for number, told in below.items() if (told[1][np.isfinite(told[1])] > first).any()}

    def forgotten(self, height: int) -> Floats:
        """When each node forgets a height, so that it gives no vote for it any more; infinite if not known yet."""
        return self._told[height + WINDOW][1] if height + WINDOW in self._told else self._never

    def entered(self, height: int, wanted: Floats, decided: Mapping[int, Floats]) -> Floats:
        """When each node enters a height.

        Parameters
        ----------
        height
            Which.
        wanted
            When each node wants to.
        decided
            When each node decides the heights before that are not closed yet.

        Raises
        ------
        Unclear
            Too little is known, or two things happen at the same time and it matters which is the first.
        """
        newest = height - 1
        if (self.closed(newest - DEPTH + 1) <= wanted).all():
            return wanted
        entered, waits = wanted.copy(), np.isfinite(wanted)
        for last in range(newest - 2 * DEPTH, newest + 1):
            moment = np.maximum(wanted, self.closed(last - DEPTH + 1))
            more = self._decided(last + 1, decided) if last < newest else self._never
            goes = waits & (moment < more)
            entered[goes] = moment[goes]
            waits &= ~goes
            if (waits & (moment == more) & (moment > wanted)).any():
                raise Unclear
        return entered

    def _decided(self, height: int, decided: Mapping[int, Floats]) -> Floats:
        if height in decided:
            return decided[height]
        return self._told[height][0] if height in self._told else self._always
