"""Normal probabilities against high precision."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.inference.normal import interval, within

PLACES = st.floats(-35, 35)
WIDTHS = st.floats(-17, 1.5).map(lambda power: 10.0**power)


def tail(x: mpmath.mpf) -> mpmath.mpf:
    return mpmath.erfc(x / mpmath.sqrt(2)) / 2


@given(PLACES, WIDTHS)
def test_intervals_keep_their_digits_however_narrow_or_far(low: float, width: float) -> None:
    high = low + width
    with mpmath.workdps(80):
        exact = tail(mpmath.mpf(low)) - tail(mpmath.mpf(high))
    if exact > 1e-290:
        slack = 1e-11 + 1e-15 * abs(low) / (high - low if high > low else 1)
        assert interval(np.array([low]), np.array([high]))[0] == pytest.approx(float(exact), rel=slack)


@given(PLACES, WIDTHS)
def test_shares_above_a_place_keep_their_digits(place: float, bound: float) -> None:
    outside, inside = (chance[0] for chance in within(np.array([place]), bound))
    with mpmath.workdps(80):
        above = tail(mpmath.mpf(place))
        beyond = tail(mpmath.mpf(place) + mpmath.mpf(bound)) / above
    assert outside == pytest.approx(float(beyond), rel=1e-10, abs=1e-300)
    assert inside == pytest.approx(float(1 - beyond), rel=1e-10)


def test_nothing_and_everything() -> None:
    ends = np.array([[-np.inf, np.inf], [0.0, np.inf], [-np.inf, 0.0], [3.0, 3.0], [50.0, 60.0]])
    assert interval(ends[:, 0], ends[:, 1]).tolist() == pytest.approx([1.0, 0.5, 0.5, 0.0, 0.0])
    assert [chance[0] for chance in within(np.array([0.0]), 0.0)] == [1.0, 0.0]
