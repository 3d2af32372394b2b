"""Flow control, where several blocks are in flight: who has decided too many that it has not closed must wait."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sim.consensus.protocols.pipelined import DEPTH, WINDOW

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_KEPT = WINDOW + 2 * DEPTH


class Unclear(Exception):  # noqa: N818 -- it is no error
    """What happens does not follow from when it does, or not yet."""


class Backlog:
    """When each node has closed which of the last heights, all below among them.

    Parameters
    ----------
    n
        Number of nodes.
    first
        The first height that is told; those below are closed.
    """

    def __init__(self, n: int, first: int) -> None:
        self._first = first
        self._always, self._never = np.full(n, -math.inf), np.full(n, math.inf)
        self._closed: dict[int, Floats] = {}

    def close(self, height: int, done: Floats) -> Floats:
        """Take note of when each node is through with a height, and return when it closes it: in their order."""
        closed = self._closed[height] = np.maximum(self.closed(height - 1), done)
        self._closed.pop(height - _KEPT, None)
        return closed

    def reopen(self, height: int) -> None:
        """Forget that height and all above."""
        for number in [number for number in self._closed if number >= height]:
            del self._closed[number]

    def closed(self, height: int) -> Floats:
        """When each node has closed a height; minus infinity for those before the first.

        Raises
        ------
        Unclear
            It is not known yet.
        """
        if height < self._first:
            return self._always
        if height not in self._closed:
            raise Unclear
        return self._closed[height]

    def forgotten(self, height: int) -> Floats:
        """When each node forgets a height, so that it gives no vote for it any more; infinite if not known yet."""
        return self._closed.get(height + WINDOW, self._never)

    def entered(self, height: int, wanted: Floats, decided: Mapping[int, Floats]) -> Floats:
        """When each node enters a height.

        Parameters
        ----------
        height
            Which.
        wanted
            When each node wants to.
        decided
            When each node decides the heights before; those that are left out are decided long since.

        Raises
        ------
        Unclear
            Too little is known, or two things happen at the same time and it matters which is the first.
        """
        newest = height - 1
        lowest = newest - DEPTH + 1
        if lowest < self._first or (self.closed(lowest) <= wanted).all():
            return wanted
        entered, waits = wanted.copy(), np.isfinite(wanted)
        for last in range(newest - 2 * DEPTH, newest + 1):
            moment = np.maximum(wanted, self.closed(last - DEPTH + 1))
            more = decided.get(last + 1, self._always) if last < newest else self._never
            goes = waits & (moment < more)
            entered[goes] = moment[goes]
            waits &= ~goes
            if (waits & (moment == more) & (moment > wanted)).any():
                raise Unclear
        return entered
