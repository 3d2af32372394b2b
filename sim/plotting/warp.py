"""A time axis on which long stretches without any event are cut short, so that the rest can be seen."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CUTS_MAX = 8
_LONG, _SHORT = 0.2, 0.07  # of all that is not cut: a stretch that is cut, and what is left of it
_TICKS = 8


class Cut(NamedTuple):
    """A stretch that is cut short: its times, and where it is drawn."""

    start: float
    end: float
    left: float
    right: float


class Warp:
    """Where times are drawn: x is time, but for the stretches that are cut.

    Parameters
    ----------
    times
        At which something happens; not empty.
    busy
        Stretches that are not cut, such as when messages are on their way.

    Examples
    --------
    >>> warp = Warp([0, 1, 2, 50, 51], [])
    >>> warp.x(2), round(warp.x(50), 2), round(warp.x(51), 2)
    (2.0, 2.21, 3.21)
    """

    def __init__(self, times: Iterable[float], busy: Iterable[tuple[float, float]]) -> None:
        places = sorted(set(times))
        self.first, self.last = places[0], places[-1]
        gaps = _cut(self.last - self.first, _quiet(places, busy))
        shown = self.last - self.first - sum(end - start for start, end in gaps)
        width = _SHORT * shown or 1.0
        self.cuts: list[Cut] = []
        self._knots = [(self.first, 0.0)]
        for start, end in gaps:
            left = self.x(start)
            self.cuts.append(Cut(start, end, left, left + width))
            self._knots += [(start, left), (end, left + width)]
        self.width = self.x(self.last)

    def x(self, time: float) -> float:
        """Where a time is drawn."""
        place = bisect_right(self._knots, (time, float("inf"))) - 1
        start, left = self._knots[max(place, 0)]
        if place > 0 and place % 2 and place + 1 < len(self._knots):  # within a cut
            end, right = self._knots[place + 1]
            return left + (right - left) * (time - start) / (end - start)
        return left + time - start

    def ticks(self) -> list[tuple[float, float]]:
        """Places and times of ticks: round times since the beginning, of one step, outside of the cuts."""
        edges = [self.first, *(time for cut in self.cuts for time in cut[:2]), self.last]
        stretches = list(zip(edges[::2], edges[1::2], strict=True))
        step = _step(sum(end - start for start, end in stretches) / _TICKS)
        found = []
        for start, end in stretches:
            index = -(-(start - self.first) // step)
            while step and self.first + index * step <= end + 1e-9 * step:
                found.append((self.x(self.first + index * step), index * step))
                index += 1
        return found or [(0.0, 0.0)]


def _quiet(places: Sequence[float], busy: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Stretches between two places that no busy one covers."""
    found, reach = [], float("-inf")
    stretches = sorted(busy)
    index = 0
    for start, end in pairwise(places):
        while index < len(stretches) and stretches[index][0] <= start:
            reach = max(reach, stretches[index][1])
            index += 1
        if reach <= start:
            found.append((start, end))
    return found


def _cut(span: float, quiet: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those that are long beside all that is left, in their order."""
    cut = []
    for start, end in sorted(quiet, key=lambda gap: gap[0] - gap[1])[:CUTS_MAX]:
        rest = span - (end - start)
        if end - start <= _LONG * rest:
            break
        cut.append((start, end))
        span = rest
    return sorted(cut)


def _step(least: float) -> float:
    """The next of 1, 2 or 5 times a power of ten.

    Examples
    --------
    >>> _step(0.03), _step(7), _step(0)
    (0.05, 10.0, 0.0)
    """
    if least <= 0:
        return 0.0
    power = float(f"1e{f'{least:e}'.partition('e')[2]}")
    return next(float(f"{mantissa * power:.3g}") for mantissa in (1, 2, 5, 10, 20) if mantissa * power >= least)
