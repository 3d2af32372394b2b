"""HotStuff's pacemaker: how long a replica waits in a view, and what it does when views fail again and again."""

from __future__ import annotations

_DOUBLINGS_MAX = 4
_CALL_AFTER = 2  # views in a row that have failed
_GROW_AFTER = 8  # views that have failed since the last commit, for each time that timers grow by their first length
_GIVE_UP_AFTER = 128  # views that have failed since the last commit


class Patience:
    """Counts views that have failed by timer.

    Parameters
    ----------
    seconds
        How long the first view lasts.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._failures = self._fruitless = 0

    @property
    def seconds(self) -> float:
        """How long the next view lasts."""
        doubled = 1 << min(self._failures, _DOUBLINGS_MAX)
        return self._seconds * max(doubled, 1 + self._fruitless // _GROW_AFTER)

    @property
    def calm(self) -> bool:
        """Whether it waits no longer than for the first view, and would not after the next commit."""
        return not self._failures and self._fruitless < _GROW_AFTER

    @property
    def calls(self) -> bool:
        """Whether new-views go to all."""
        return self._failures >= _CALL_AFTER

    @property
    def repeats(self) -> bool:
        """Whether what is said in a view is said once more."""
        return self._fruitless >= _GROW_AFTER

    @property
    def gives_up(self) -> bool:
        """Whether certified blocks count as left, since none is committed."""
        return self._fruitless >= _GIVE_UP_AFTER

    def failed(self) -> None:
        """A view has failed."""
        self._failures += 1
        self._fruitless += 1

    def certified(self) -> None:
        """A view has succeeded."""
        self._failures = 0

    def committed(self) -> None:
        """A block is committed."""
        self._fruitless = 0
