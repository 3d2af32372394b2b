"""Shrinking a schedule: delta debugging (Zeller and Hildebrandt 2002) over its steps.

A step that is left out never happens: a letter is lost, a timer never runs out. First whole kinds of steps are left
out, such as all of one machine; then ever smaller parts, down to single steps. What is left is minimal: without any one
of its steps the invariant holds, or another one breaks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

T = TypeVar("T")


def shrunk(
    steps: list[T],
    still: Callable[[list[T]], list[T] | None],
    kinds: Iterable[Callable[[T], Hashable]] = (),
) -> list[T]:
    """Leave out all that is not needed.

    Parameters
    ----------
    steps
        What shows something.
    still
        Runs some of the steps, in their order; if these show it too, gives those of them that were carried out until
        then, else None.
    kinds
        What steps may have in common, so that they can be left out together.

    Examples
    --------
    >>> shrunk(list(range(100)), lambda some: some if {17, 60} <= set(some) else None)
    [17, 60]
    """
    for kind in kinds:
        for common in dict.fromkeys(map(kind, steps)):
            steps = still([step for step in steps if kind(step) != common]) or steps
    size = len(steps)
    while size:
        start, before = 0, len(steps)
        while start < len(steps):
            rest = still(steps[:start] + steps[start + size :])
            if rest is None:
                start += size
            else:
                steps = rest
        if size > 1:
            size //= 2
        elif len(steps) == before:
            break
    return steps
