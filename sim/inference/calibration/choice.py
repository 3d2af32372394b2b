"""Which runs are looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sim.base.errors import Problem, ScenarioError
from sim.base.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Choice(NamedTuple):
    """Which runs count, and by what they are told apart.

    Parameters
    ----------
    by
        Fields, or columns of a table, whose effect is asked for.
    where
        Values that fields or columns must have, as text.
    skip_bad
        Whether lines that cannot be used are counted and left out.
    """

    by: tuple[str, ...] = ()
    where: Mapping[str, str] = {}
    skip_bad: bool = False

    def check(self, known: Sequence[str], where: str) -> None:
        """Raise ScenarioError for fields that a file does not have."""
        for key in (*self.by, *self.where):
            if key not in known:
                raise ScenarioError([Problem("", f"has no {key!r}; {did_you_mean(key, known)}", where=where)])
