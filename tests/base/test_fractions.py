"""Fractions are read exactly, or refused."""

from __future__ import annotations

import time
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.base.fractions import ExactFraction, WrittenFloat, exact_fraction
from sim.base.model import FrozenModel

WHOLE = st.integers(0, 10**20)
DECIMALS = st.decimals(0, 10**6, places=12, allow_nan=False).map(lambda number: format(number, "f"))


class Share(FrozenModel):
    share: ExactFraction


@given(WHOLE, st.integers(1, 10**20), st.sampled_from(["/", " / ", "/ ", " /"]))
def test_a_quotient_of_integers_is_exact(above: int, below: int, slash: str) -> None:
    assert exact_fraction(f" {above}{slash}{below} ") == Fraction(above, below)


@given(DECIMALS, DECIMALS.filter(lambda text: Decimal(text) > 0))
def test_a_quotient_of_decimals_is_exact(above: str, below: str) -> None:
    assert exact_fraction(f"{above}/{below}") == Fraction(above) / Fraction(below)


@given(DECIMALS, st.sampled_from(["%", " %", "  % "]))
def test_a_percentage_is_a_hundredth(text: str, sign: str) -> None:
    assert exact_fraction(text + sign) == Fraction(text) / 100


@given(DECIMALS)
def test_a_decimal_is_read_digit_by_digit_as_text_or_as_a_written_number(text: str) -> None:
    assert exact_fraction(text) == exact_fraction(WrittenFloat(text)) == Fraction(text)


@given(st.floats(0, 1e15))
def test_a_float_means_its_shortest_decimal(number: float) -> None:
    assert len(format(Decimal(repr(number)), "f")) > 60 or exact_fraction(number) == Fraction(repr(number))


@given(st.integers(0, 10**50))
def test_an_integer_is_itself(number: int) -> None:
    assert exact_fraction(number) == number


@given(st.fractions())
def test_a_fraction_passes_as_it_is(number: Fraction) -> None:
    assert exact_fraction(number) is number


@given(st.fractions(0, 1))
def test_what_is_written_is_read_back_the_same(number: Fraction) -> None:
    written = Share(share=number).model_dump(mode="json")
    assert written == {"share": str(number)}
    if len(written["share"]) <= 60:
        assert Share.model_validate(written).share == number


@pytest.mark.parametrize("written", ["1e-1", "2.5E-1", "+0.25", "1.e-3", "1e-50"])
def test_a_number_written_with_a_sign_or_an_exponent_is_exact_too(written: str) -> None:
    assert exact_fraction(WrittenFloat(written)) == Fraction(written)


@pytest.mark.parametrize(("value", "meant"), [("-1/3", Fraction(-1, 3)), (-0.25, Fraction(-1, 4)), (-1, Fraction(-1))])
def test_a_negative_fraction_is_read_so_that_its_range_can_be_told(value: object, meant: Fraction) -> None:
    assert exact_fraction(value) == meant


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", "a third", "1//3", "1/3/3", "1/-3", "--1/3", "33 %%", "% 33", "1/3 %", "0x1/3", "1_0/30", ".", "/3"),
        *("1/", "inf", "nan", "٣/٤", "1\n/3x", "1 3", None, True, False, [1, 3], {"a": 1}, b"1/3", 1 + 0j),
        *(float("nan"), float("inf"), 10**60, "0." + "3" * 60),
    ],
)
def test_what_is_no_fraction_is_refused_with_what_is_wanted(value: object) -> None:
    with pytest.raises(ValueError, match="must be a fraction such as 1/3, a percentage such as 33 %, or a decimal"):
        exact_fraction(value)


@pytest.mark.parametrize("value", ["1/0", "0/0", "1/0.00", "1 / .0"])
def test_a_division_by_zero_is_refused_as_such(value: str) -> None:
    with pytest.raises(ValueError, match="must not divide by zero"):
        exact_fraction(value)


@pytest.mark.parametrize("value", ["1" * 10**6, "1/" * 10**6, " " * 10**6 + "x", "1e999999999"])
def test_a_monstrous_text_is_refused_at_once(value: str) -> None:
    begin = time.perf_counter()
    with pytest.raises(ValueError, match="must be a fraction"):
        exact_fraction(value)
    assert time.perf_counter() - begin < 0.5


def test_a_float_with_a_monstrous_exponent_is_refused_at_once() -> None:
    begin = time.perf_counter()
    with pytest.raises(ValueError, match="must be a fraction"):
        exact_fraction(WrittenFloat("1e-999999999"))
    assert time.perf_counter() - begin < 0.5
