"""What a stretch of trials gave: counts that can be added, and refuse to be mixed.

Counts of different tasks (another scenario, engine or seed) describe different things; adding them would give a
number that means nothing, so `+` refuses and says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Task(NamedTuple):
    """What was counted: results belong together only when all three agree."""

    scenario_id: str
    engine: str
    seed: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Outcomes of a number of trials, and the first two moments of numbers seen in each.

    Parameters
    ----------
    task
        What was counted.
    trials
        Number of trials.
    outcomes
        How many trials had each outcome, in an order that the engine fixes; they sum to `trials`.
    total, total_squares
        Sum, and sum of squares, of the number seen in each trial (diverged nodes). Exact integers.
    extra, extra_squares
        The same of a second number (dropped requests, attempts); 0 where the engine sees none.
    """

    task: Task
    trials: int
    outcomes: tuple[int, ...]
    total: int = 0
    total_squares: int = 0
    extra: int = 0
    extra_squares: int = 0

    def __post_init__(self) -> None:
        """Refuse counts that do not add up: a fault of ours, never of the user."""
        if sum(self.outcomes) != self.trials or min(self.outcomes, default=0) < 0:
            raise ValueError(f"outcomes {self.outcomes} do not add up to {self.trials} trials")

    def __add__(self, other: Counts) -> Counts:
        """Add counts of the same task.

        Raises
        ------
        ValueError
            The tasks differ.

        Examples
        --------
        >>> task = Task("id", "montecarlo", 1)
        >>> (Counts(task, 2, (1, 1)) + Counts(task, 3, (3, 0))).outcomes
        (4, 1)
        """
        for name, mine, theirs in zip(Task._fields, self.task, other.task, strict=True):
            if mine != theirs:
                raise ValueError(f"counts of different tasks cannot be added: {name} {mine!r} is not {theirs!r}")
        if len(self.outcomes) != len(other.outcomes):
            raise ValueError("counts with different lists of outcomes cannot be added")
        return Counts(
            self.task,
            self.trials + other.trials,
            tuple(a + b for a, b in zip(self.outcomes, other.outcomes, strict=True)),
            self.total + other.total,
            self.total_squares + other.total_squares,
            self.extra + other.extra,
            self.extra_squares + other.extra_squares,
        )
