"""95 % intervals cover at least 95 %, also for events that were rarely or never seen."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import binomial, mp, mpf
from scipy.special import gammaln

from sim.statistics.intervals import clopper_pearson, mean_interval


def at_least(successes: int, trials: int, share: float) -> float:
    """P(X >= successes), summed term by term."""
    p = mpf(share)
    with mp.workdps(50):
        return float(
            mp.fsum(binomial(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(successes, trials + 1))
        )


@pytest.mark.parametrize(
    ("successes", "trials"), [(1, 1), (1, 2), (1, 5), (3, 10), (10, 10), (7, 200), (199, 200), (1, 400), (120, 400)]
)
@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_the_ends_leave_half_of_the_rest_on_each_side(successes: int, trials: int, confidence: float) -> None:
    low, high = clopper_pearson(successes, trials, confidence)
    tail = (1 - confidence) / 2
    assert at_least(successes, trials, low) == pytest.approx(tail, rel=1e-9)
    if successes < trials:
        assert 1 - at_least(successes + 1, trials, high) == pytest.approx(tail, rel=1e-9)


@pytest.mark.parametrize("trials", [1, 2, 7, 30, 250])
def test_the_interval_covers_at_least_95_percent_of_the_time(trials: int) -> None:
    counts = np.arange(trials + 1)
    low, high = np.array([clopper_pearson(int(k), trials) for k in counts]).T
    choose = gammaln(trials + 1) - gammaln(counts + 1) - gammaln(trials - counts + 1)
    for share in np.concatenate([np.geomspace(1e-6, 0.5, 150), 1 - np.geomspace(1e-6, 0.5, 150)]):
        law = np.exp(choose + counts * np.log(share) + (trials - counts) * np.log1p(-share))
        assert law[(low <= share) & (share <= high)].sum() >= 0.95 - 1e-12, share


def test_an_event_never_seen_gets_the_bound_of_about_37_over_10_n() -> None:
    low, high = clopper_pearson(0, 10**9)
    assert low == 0
    assert high == pytest.approx(-math.log(0.025) / 1e9, rel=1e-6)


@pytest.mark.parametrize("trials", [1, 10, 10**12])
def test_an_event_always_seen_mirrors_one_never_seen(trials: int) -> None:
    low, high = clopper_pearson(trials, trials)
    assert high == 1
    assert 1 - low == pytest.approx(clopper_pearson(0, trials)[1], abs=1e-15)


def test_no_trials_tell_nothing() -> None:
    assert clopper_pearson(0, 0) == (0, 1)
    assert mean_interval(0, 0, 0, 13) == (0, 0, 13)


@given(st.integers(1, 10**12).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_estimate_lies_within_its_interval(pair: tuple[int, int]) -> None:
    successes, trials = pair
    low, high = clopper_pearson(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1


@given(st.lists(st.integers(0, 13), min_size=1, max_size=60))
def test_a_mean_lies_within_its_interval_and_the_range_of_the_values(values: list[int]) -> None:
    mean, low, high = mean_interval(len(values), sum(values), sum(v * v for v in values), 13)
    assert mean == pytest.approx(float(np.mean(values)))
    assert 0 <= low <= mean <= high <= 13


def test_a_mean_has_the_interval_of_the_central_limit_theorem() -> None:
    values = np.random.default_rng(1).binomial(13, 0.4, size=5_000)
    mean, low, high = mean_interval(5_000, int(values.sum()), int((values**2).sum()), 13)
    half = 1.959964 * values.std(ddof=1) / math.sqrt(5_000)
    assert (mean - low, high - mean) == pytest.approx((half, half), rel=1e-6)


def test_a_mean_of_very_many_trials_loses_no_digits() -> None:
    trials, seen = 10**12, 10**12 - 1
    mean, low, high = mean_interval(trials, seen, seen, 1)  # all but one trial gave 1: variance 1e-12
    assert mean == pytest.approx(1, abs=2e-12)
    assert high - low == pytest.approx(1.959964 * 1e-12, rel=0.01, abs=1e-15) or high == 1
    assert mean - low == pytest.approx(1.959964e-12, rel=1e-3)


def test_a_number_never_seen_has_the_bound_of_an_event_never_seen() -> None:
    assert mean_interval(10_000, 0, 0, 13) == (0, 0, 13 * clopper_pearson(0, 10_000)[1])


@pytest.mark.parametrize("trials", [1, 2, 100])
def test_trials_that_all_gave_the_same_do_not_pin_the_mean(trials: int) -> None:
    mean, low, high = mean_interval(trials, 5 * trials, 25 * trials, 13)
    assert mean == 5
    assert low < 5 < high
