"""Errors that a user can cause, and how they are told.

::

    SplitquorumError            exit code 2, one line a problem, never a traceback
    ├── ScenarioError           the scenario file, an override or a flag is wrong
    ├── EngineError             the scenario is fine, but this engine cannot answer it
    └── PluginError             what another package adds cannot be used

Anything else that escapes is a fault of ours (exit code 1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sim.base.text import bounded, printable, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

PROBLEMS_TOLD_MAX = 50
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it is, what is wrong, and the offending value.

    Parameters
    ----------
    path
        Dotted path in the scenario (`nodes.gpu.count`), empty for the document as a whole.
    message
        What is wrong, in one line, without the value.
    value
        The offending value; left out where there is none to show.
    where
        `FILE:LINE:COLUMN` or the flag (`--set PATH=VALUE`), empty when it came from Python.
    """

    path: str
    message: str
    value: object = field(default=_ABSENT, hash=False)
    where: str = ""

    def __str__(self) -> str:
        parts = [part for part in (printable(self.where), bounded(self.path)) if part]
        got = "" if self.value is _ABSENT else f" (got {shown(self.value)})"
        return ": ".join([*parts, f"{self.message}{got}"])


class SplitquorumError(Exception):
    """Something the user can mend; its text is one line a problem."""


class ScenarioError(SplitquorumError):
    """A scenario, an override or a flag is wrong; `problems` has every mistake found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        lines = [str(problem) for problem in problems[:PROBLEMS_TOLD_MAX]]
        if len(problems) > PROBLEMS_TOLD_MAX:
            lines.append(f"and {len(problems) - PROBLEMS_TOLD_MAX:,} more mistakes")
        super().__init__("\n".join(lines))
        self.problems = tuple(problems)


class PluginError(SplitquorumError):
    """What another package adds cannot be loaded, or is not what it should be."""


class EngineError(SplitquorumError):
    """The chosen engine cannot answer this scenario; the text names one that can."""
