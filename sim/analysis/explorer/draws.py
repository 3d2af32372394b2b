"""Random choices of one schedule: a stream of numbers that only the scenario, the seed and its number decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from sim.statistics.streams import cell_stream

if TYPE_CHECKING:
    from collections.abc import MutableSequence, Sequence

T = TypeVar("T")
_AT_ONCE = 256


class Draws:
    """The choices of one schedule.

    Parameters
    ----------
    key
        Of all schedules of a search.
    schedule
        Which one.
    """

    def __init__(self, key: int, schedule: int) -> None:
        self._stream = cell_stream(key, schedule)
        self._ready: list[float] = []

    def share(self) -> float:
        """A number from 0 to 1, without 1."""
        if not self._ready:
            self._ready = self._stream.random(_AT_ONCE).tolist()
        return self._ready.pop()

    def chance(self, probability: float) -> bool:
        """Whether something of that probability happens."""
        return self.share() < probability

    def below(self, number: int) -> int:
        """A whole number from 0, below one."""
        return int(self.share() * number)

    def choice(self, among: Sequence[T]) -> T:
        """One of several."""
        return among[self.below(len(among))]

    def shuffled(self, what: Sequence[T]) -> list[T]:
        """All of them, in any order."""
        order = list(what)
        for last in range(len(order) - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order

    def take(self, among: MutableSequence[T]) -> T:
        """Remove one of several, in constant time."""
        place = self.below(len(among))
        among[place], among[-1] = among[-1], among[place]
        return among.pop()
