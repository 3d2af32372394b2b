"""Texts of users are shown bounded, printable and on one line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sim.base.errors import Problem
from sim.base.fractions import WrittenFloat
from sim.base.text import bounded, did_you_mean, printable, shown

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=20),
    max_leaves=60,
)


@given(ANYTHING)
def test_any_value_is_shown_on_one_short_line(value: object) -> None:
    text = shown(value)
    assert len(text) <= 60
    assert text.isprintable()


@given(st.text(), st.text(), ANYTHING)
def test_any_problem_is_one_line(path: str, where: str, value: object) -> None:
    assert len(str(Problem(path, "is wrong", value, where)).splitlines()) == 1


@given(st.text())
def test_printable_text_loses_nothing_that_could_be_shown(text: str) -> None:
    assert printable(text).isprintable()
    if text.isprintable():
        assert printable(text) == text


def test_a_number_is_shown_as_it_was_written() -> None:
    assert shown(WrittenFloat("1e999")) == "1e999"
    assert shown(10**5000).startswith("an integer of ")
    assert shown(["gpu", "a b"]) == "[gpu, 'a b']"


def test_long_texts_are_cut_and_say_so() -> None:
    assert bounded("k" * 1000).endswith("...")
    assert len(bounded("\x1b" * 1000)) == 200


def test_hints_are_close_words_or_all_of_them() -> None:
    assert did_you_mean("CUONT", ["count", "power"]) == "did you mean count?"
    assert did_you_mean("zzz", ["count", "power"]) == "known: count, power"
