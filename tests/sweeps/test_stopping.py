"""Stopping rules: intervals cover under each of them, measured by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from sim import ScenarioError
from sim.statistics.intervals import clopper_pearson
from sim.sweeps.stopping import Stopping, failures_needed, inverse_interval


def covered(p: float, failures: int, blocks: int, runs: int, seed: int) -> float:
    """Share of runs whose interval holds p, where a run ends at the r-th failure or after `blocks` blocks."""
    rng = np.random.default_rng(seed)
    ends = failures + rng.negative_binomial(failures, p, runs)
    seen = rng.binomial(blocks, p, runs)  # only used where the r-th failure comes too late
    inside = 0
    for end, first in zip(ends, seen, strict=True):
        k = int(first)
        if end <= blocks:
            _, low, high = inverse_interval(failures, int(end))
        else:
            while k >= failures:  # the count, given that it stays below r
                k = int(rng.binomial(blocks, p))
            low, high = clopper_pearson(k, blocks)
        inside += low <= p <= high
    return inside / runs


@pytest.mark.parametrize("p", [1e-4, 0.01, 0.2, 0.6])
@pytest.mark.parametrize("failures", [2, 10, 100])
def test_intervals_cover_when_a_point_ends_at_a_failure(p: float, failures: int) -> None:
    assert covered(p, failures, 10**12, 3_000, 11) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 3_000)


@pytest.mark.parametrize("share", [0.5, 0.9, 1.1, 1.5])
def test_intervals_cover_when_the_block_limit_may_come_first(share: float) -> None:
    p, failures = 0.01, 10
    blocks = int(share * failures / p)
    assert covered(p, failures, blocks, 3_000, 12) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 3_000)


def test_the_estimate_is_unbiased_where_the_plain_one_is_not() -> None:
    rng = np.random.default_rng(3)
    p, failures = 0.01, 10
    ends = failures + rng.negative_binomial(failures, p, 200_000)
    estimates = (failures - 1) / (ends - 1)
    assert inverse_interval(failures, int(ends[0]))[0] == estimates[0]
    assert estimates.mean() == pytest.approx(p, rel=5e-3)
    assert (failures / ends).mean() / p == pytest.approx(1.11, abs=0.01)


@pytest.mark.parametrize("wanted", [0.02, 0.1, 0.3])
def test_a_relative_error_is_met_and_barely(wanted: float) -> None:
    failures = failures_needed(wanted)
    for blocks in (10**4 * failures, 50 * failures):
        estimate, low, high = inverse_interval(failures, blocks)
        assert (high - low) / 2 / estimate <= wanted * (1 + 1e-6)
    estimate, low, high = inverse_interval(int(0.97 * failures) - 1, 10**6 * failures)
    assert (high - low) / 2 / estimate > wanted


def test_whichever_comes_first() -> None:
    assert Stopping(max_failures=7, relative_error=0.1).failures == 7
    assert Stopping(max_failures=10_000, relative_error=0.1).failures == failures_needed(0.1)
    assert Stopping().failures is None


@pytest.mark.parametrize(
    ("stopping", "flag"),
    [
        (Stopping(max_failures=1), "--max-failures"),
        (Stopping(relative_error=0.0), "--relative-error"),
        (Stopping(relative_error=2.0), "--relative-error"),
        (Stopping(max_time=float("nan")), "--max-time"),
    ],
)
def test_rules_out_of_range_are_refused(stopping: Stopping, flag: str) -> None:
    with pytest.raises(ScenarioError, match=flag):
        stopping.check()
