"""Watching a chain that runs message by message, for a height from which on nothing is left of what went wrong."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Watch:
    """What is under way, who has begun which height, and when something last went wrong.

    A height is *untouched* if all nodes have begun it in the plain way, the first of them after all that went wrong was
    over: also after all that is said of the heights at which it did, for what they propose and vote may come late.

    Parameters
    ----------
    n
        Number of nodes.
    lowest
        The first height that is of interest.
    """

    def __init__(self, n: int, lowest: int) -> None:
        self._n, self.lowest = n, lowest
        self._begun: dict[int, Floats] = {}
        self._first: dict[int, float] = {}
        self._not_plain: set[int] = set()
        self._under_way: Counter[int] = Counter()
        self._arrivals: dict[int, float] = {}
        self._wrong_at, self._wrong_until = 0, -math.inf

    def begins(self, node: int, height: int, now: float, *, plain: bool) -> None:
        """A node begins a height; in the plain way, or with something left of what went wrong."""
        if height < self.lowest:
            return
        if height not in self._begun:
            self._begun[height], self._first[height] = np.full(self._n, math.inf), now
        self._begun[height][node] = now
        if not plain:
            self._not_plain.add(height)

    def begun(self, height: int) -> Floats:
        """When each node has begun a height; infinite where it has not, shape (n,)."""
        found = self._begun.get(height)
        return np.full(self._n, math.inf) if found is None else found

    def starts(self, height: int) -> None:
        """Something of a height is under way: a message, or an execution."""
        self._under_way[height] += 1

    def ends(self, height: int) -> bool:
        """It is over; whether it was the last of that height."""
        self._under_way[height] -= 1
        if self._under_way[height]:
            return False
        del self._under_way[height]
        return True

    def quiet_below(self, height: int) -> bool:
        """Whether nothing of lower heights is under way."""
        return min(self._under_way, default=height) >= height

    def arrives(self, height: int, last: float) -> None:
        """The last copy of something that matters to votes on a height will arrive."""
        if height <= self._wrong_at:
            self._wrong_until = max(self._wrong_until, last)
        else:
            self._arrivals[height] = max(self._arrivals.get(height, last), last)

    def goes_wrong(self, height: int, until: float) -> None:
        """Something goes wrong at a height, and lasts until some time."""
        self._wrong_until = max(self._wrong_until, until)
        if height > self._wrong_at:
            self._wrong_at = height
            for below in [below for below in self._arrivals if below <= height]:
                self._wrong_until = max(self._wrong_until, self._arrivals.pop(below))

    def touched(self, height: int) -> bool:
        """Whether it is known that a height is not untouched."""
        if height not in self._first:
            return any(later > height for later in self._first)  # nobody begins it any more
        return height <= self._wrong_at or height in self._not_plain or self._first[height] <= self._wrong_until

    def pass_over(self) -> None:
        """Have no interest in the lowest height any more."""
        self._begun.pop(self.lowest, None)
        self._first.pop(self.lowest, None)
        self._not_plain.discard(self.lowest)
        self.lowest += 1
