"""Shrinking a schedule: delta debugging (Zeller and Hildebrandt 2002, algorithm ddmin) over its steps.

A step that is left out never happens: a letter is lost, a timer never runs out. What is left is minimal: without any
one of its steps the invariant holds, or another one breaks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def shrunk(steps: list[T], still: Callable[[list[T]], list[T] | None], tries_max: int = 20_000) -> list[T]:
    """Leave out all that is not needed.

    Parameters
    ----------
    steps
        What shows something.
    still
        Runs some of the steps, in their order; if these show it too, gives those of them that were carried out until
        then, else None.
    tries_max
        Runs at most; then what is left may not be minimal.

    Examples
    --------
    >>> shrunk(list(range(100)), lambda some: some if {17, 60} <= set(some) else None)
    [17, 60]
    """
    steps = still(steps) or steps
    parts, tries = 2, 0
    while len(steps) > 1 and tries < tries_max:
        size = -(-len(steps) // parts)
        for start in range(0, len(steps), size):
            tries += 1
            rest = still(steps[:start] + steps[start + size :])
            if rest is not None:
                steps, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(2 * parts, len(steps))
    return steps
