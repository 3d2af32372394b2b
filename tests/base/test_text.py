"""Text from users is shown bounded, printable and on one line, whatever it is."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.base.errors import Problem, ScenarioError
from sim.base.fractions import WrittenFloat
from sim.base.text import did_you_mean, has_control_characters, printable, shown

ANY_TEXT = st.text(st.characters(exclude_categories=()))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda below: st.lists(below) | st.dictionaries(ANY_TEXT, below),
    max_leaves=30,
)


@given(ANY_TEXT)
def test_printable_text_has_no_character_that_moves_the_cursor(text: str) -> None:
    safe = printable(text)
    assert not has_control_characters(safe)
    assert safe == printable(safe)
    assert (safe == text) == (not has_control_characters(text))


@given(VALUES)
def test_any_value_is_shown_on_one_line_of_60_characters(value: object) -> None:
    text = shown(value)
    assert text.isprintable()
    assert len(text) <= 60


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-5, "-5"),
        (0.1, "0.1"),
        (math.nan, ".nan"),
        (-math.inf, "-.inf"),
        ("", "''"),
        ("near tie", "'near tie'"),
        ("a\nb", "'a\\nb'"),
        ([1, "a", "near tie", None], "[1, a, 'near tie', null]"),
        ({"a": [1, {"b": 2}]}, "{a: [1, ...]}"),
        (["null\x1b", "1/3"], "['null\\x1b', '1/3']"),
        (Fraction(1, 3), "1/3"),
        (WrittenFloat("1e999"), "1e999"),
        (WrittenFloat("1e-4"), "1e-4"),
        ("x" * 100, "'" + "x" * 56 + "..."),
        (10**5000, "an integer of 16610 bits"),
        ({"a": 10**5000}, "{a: an integer of 16610 bits}"),
    ],
    ids=lambda value: type(value).__name__,  # pytest itself cannot show 5,000 digits
)
def test_a_value_is_shown_as_a_user_would_write_it(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    "character", ["\x00", "\x1b", "\x7f", "\x9b", "\n", "\t", "\u200e", "\u202e", "\u2028", "\ufeff"]
)
def test_characters_that_hide_or_reorder_are_control_characters(character: str) -> None:
    assert has_control_characters(f"a{character}b")
    assert not has_control_characters(f"a{character}b", allow=character)


@pytest.mark.parametrize(
    ("word", "end"),
    [
        ("cuont", "did you mean count?"),
        ("COUNT", "did you mean count?"),
        ("xyz", "known: count, executor"),
        ("", "known: count, executor"),
        ("count" * 10_000, "known: count, executor"),
    ],
)
def test_the_closest_known_word_is_named_or_all_of_them(word: str, end: str) -> None:
    assert did_you_mean(word, ["executor", "count"]) == end


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (Problem("a.b", "must be a text", 3, "f:1:2"), "f:1:2: a.b: must be a text (got 3)"),
        (Problem("a.b", "must be a text", None, "f:1:2"), "f:1:2: a.b: must be a text (got null)"),
        (Problem("a.b", "is required"), "a.b: is required"),
        (Problem("", "is empty", where="f"), "f: is empty"),
        (Problem("a\x1b", "is required", where="f\x1b\n"), "f\\x1b\\n: a\\x1b: is required"),
    ],
)
def test_a_problem_is_one_line_of_place_path_message_and_value(problem: Problem, line: str) -> None:
    assert str(problem) == line


def test_an_error_has_one_line_a_problem() -> None:
    error = ScenarioError([Problem("a", "is bad"), Problem("b", "is worse")])
    assert str(error) == "a: is bad\nb: is worse"
    assert [problem.path for problem in error.problems] == ["a", "b"]
