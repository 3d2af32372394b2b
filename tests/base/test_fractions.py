"""Fractions are read exactly."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.base.fractions import WrittenFloat, exact_fraction


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_a_quotient_of_whole_numbers(numerator: int, denominator: int) -> None:
    assert exact_fraction(f"{numerator}/{denominator}") == Fraction(numerator, denominator)
    assert exact_fraction(f" {numerator} / {denominator} ") == Fraction(numerator, denominator)


@given(st.decimals(0, 1, places=12))
def test_decimals_and_percentages(value: object) -> None:
    assert exact_fraction(f"{value:f}") == Fraction(f"{value:f}")
    assert exact_fraction(f"{value:f} %") == Fraction(f"{value:f}") / 100


@given(st.floats(0, 1))
def test_a_float_means_its_shortest_decimal(value: float) -> None:
    assert float(exact_fraction(value)) == value


def test_digits_beyond_a_double_count() -> None:
    text = "0.333333333333333333333333333333"
    assert exact_fraction(WrittenFloat(text)) == Fraction(text)
    assert exact_fraction(WrittenFloat(text)) != exact_fraction(float(text))


@pytest.mark.parametrize("value", ["", "a", "1/0", "1/2/3", "1 %/3", "0x10", "1_0", "٣", None, True, [1], "9" * 100])
def test_what_is_no_fraction_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="must"):
        exact_fraction(value)
