"""Counts of one task add up in any order; counts of different tasks refuse to be mixed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.statistics.counts import Counts, Task

TASK = Task("id", "montecarlo", 1)
OUTCOMES = st.tuples(*(st.integers(0, 10**13) for _ in range(4)))
COUNTS = st.builds(
    lambda outcomes, total, squares: Counts(TASK, sum(outcomes), outcomes, total, squares),
    OUTCOMES,
    st.integers(0, 10**18),
    st.integers(0, 10**24),
)
NOTHING = Counts(TASK, 0, (0, 0, 0, 0))


@given(COUNTS, COUNTS, COUNTS)
def test_counts_add_in_any_order_and_grouping(one: Counts, two: Counts, three: Counts) -> None:
    assert (one + two) + three == one + (two + three) == three + (two + one)
    assert one + NOTHING == one


@given(COUNTS, COUNTS)
def test_every_part_of_the_counts_is_added_exactly(one: Counts, two: Counts) -> None:
    both = one + two
    assert both.task == TASK
    assert both.trials == one.trials + two.trials
    assert both.outcomes == tuple(a + b for a, b in zip(one.outcomes, two.outcomes, strict=True))
    assert (both.total, both.total_squares) == (one.total + two.total, one.total_squares + two.total_squares)


@pytest.mark.parametrize(
    ("task", "what"),
    [
        (Task("other", "montecarlo", 1), "scenario_id 'id' is not 'other'"),
        (Task("id", "events", 1), "engine 'montecarlo' is not 'events'"),
        (Task("id", "montecarlo", 2), "seed 1 is not 2"),
    ],
)
def test_counts_of_different_tasks_refuse_to_be_added_and_say_why(task: Task, what: str) -> None:
    with pytest.raises(ValueError, match=f"counts of different tasks cannot be added: {what}"):
        NOTHING + Counts(task, 0, (0, 0, 0, 0))


def test_counts_with_other_outcomes_refuse_to_be_added() -> None:
    with pytest.raises(ValueError, match="different lists of outcomes"):
        NOTHING + Counts(TASK, 0, (0, 0))


@pytest.mark.parametrize(("trials", "outcomes"), [(3, (1, 1)), (1, (1, 1)), (0, (1, -1)), (1, ())])
def test_outcomes_that_do_not_sum_to_the_trials_are_refused(trials: int, outcomes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"do not add up to {trials} trials"):
        Counts(TASK, trials, outcomes)


def test_counts_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        NOTHING.trials = 5  # type: ignore[misc]
