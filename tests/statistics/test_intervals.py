"""Intervals cover at least nominally, and counts refuse to be mixed."""

from __future__ import annotations

import math

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.statistics.counts import Counts, Task
from sim.statistics.intervals import clopper_pearson, mean_interval


@given(st.integers(1, 300), st.data())
def test_each_end_leaves_a_tail_of_two_and_a_half_percent(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    low, high = clopper_pearson(successes, trials)

    def at_least(k: int, p: float) -> float:
        exact = mpmath.mpf(p)
        terms = (mpmath.binomial(trials, i) * exact**i * (1 - exact) ** (trials - i) for i in range(k, trials + 1))
        return float(mpmath.fsum(terms))

    if successes:
        assert at_least(successes, low) == pytest.approx(0.025, rel=1e-9)
    else:
        assert low == 0
    if successes < trials:
        assert 1 - at_least(successes + 1, high) == pytest.approx(0.025, rel=1e-9)
    else:
        assert high == 1


@pytest.mark.parametrize("trials", [1, 7, 40])
def test_coverage_by_enumeration(trials: int) -> None:
    intervals = [clopper_pearson(k, trials) for k in range(trials + 1)]
    for step in range(1, 200):
        p = step / 200
        weights = [math.comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(trials + 1)]
        covered = sum(w for w, (low, high) in zip(weights, intervals, strict=True) if low <= p <= high)
        assert covered >= 0.95 - 1e-9


def test_no_trials_tell_nothing() -> None:
    assert clopper_pearson(0, 0) == (0.0, 1.0)
    assert mean_interval(0, 0, 0, 5) == (0.0, 0.0, 5.0)


def test_the_mean_of_what_was_never_seen_still_has_an_upper_end() -> None:
    mean, low, high = mean_interval(1_000, 0, 0, 4)
    assert (mean, low) == (0, 0)
    assert high == 4 * clopper_pearson(0, 1_000)[1]


def test_a_mean_and_its_interval() -> None:
    values = [0, 0, 1, 2, 5, 0, 0, 1]
    mean, low, high = mean_interval(len(values), sum(values), sum(v * v for v in values), 9)
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / 7 / 8)
    assert mean == sum(values) / 8
    assert high - mean == pytest.approx(1.959964 * spread, rel=1e-6)
    assert low == max(mean - 1.959963984540054 * spread, 0)


TASK = Task("id", "montecarlo", 1)


def test_counts_add_up() -> None:
    assert Counts(TASK, 3, (2, 1), 4, 6) + Counts(TASK, 2, (0, 2), 1, 1) == Counts(TASK, 5, (2, 3), 5, 7)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (Task("other", "montecarlo", 1), "scenario_id"),
        (Task("id", "exact", 1), "engine"),
        (Task("id", "montecarlo", 2), "seed"),
    ],
)
def test_counts_of_different_tasks_are_not_mixed(other: Task, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Counts(TASK, 1, (1, 0)) + Counts(other, 1, (1, 0))


@pytest.mark.parametrize("outcomes", [(1, 1), (4, -1)])
def test_counts_that_do_not_add_up_are_a_fault(outcomes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not add up"):
        Counts(TASK, 3, outcomes)
