"""Whatever a file holds, it is read or refused: never a traceback."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scenario.command import BASE, FILE

from sim.base.document import Document, parse_document, parse_value
from sim.base.errors import Problem, ScenarioError
from sim.base.fractions import WrittenFloat
from sim.cli import execute

ODD = [
    *(
        "null",
        "true",
        ".nan",
        ".inf",
        "-1",
        "0",
        "1e400",
        "[]",
        "{}",
        "[1, {a: 2}]",
        "''",
        "!x y",
        "&a",
        "*a",
        "? a",
        "- b",
    ),
    *(
        "\t",
        "\n",
        "\n  ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        '"',
        "'",
        "#",
        "---\n",
        "%",
        "\\ud800",
        "0x",
        "0o9",
        "9" * 500,
        "<<: ",
    ),
    *(
        "\x00",
        "\x1b",
        "\u2028",
        "\ufeff",
        "é",
        "🦊",
        '"\\UFFFFFFFF"',
        "1/0",
        "cpu",
        "recorded",
        "beta",
        "gpu",
        "x: 1\n",
    ),
]
FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def answer(raw: bytes) -> None:
    """Run the bytes as a scenario file: it is answered, or refused in whole lines that name the file."""
    Path(FILE).write_bytes(raw)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = execute(["run", FILE])
    assert code in {0, 2}, code
    lines = err.getvalue().splitlines()
    if code:
        assert out.getvalue() == ""
        assert lines
        assert all(line.startswith(FILE) and line.isprintable() for line in lines), lines


@FUZZ
@given(st.binary(max_size=300))
def test_random_bytes_are_answered_or_refused(raw: bytes) -> None:
    answer(raw)


@FUZZ
@given(st.text(st.sampled_from("ab: -[]{}&*!|>'\"%#@,?\n\t01.e"), max_size=60))
def test_random_yaml_is_answered_or_refused(text: str) -> None:
    answer(text.encode())


@FUZZ
@given(st.lists(st.tuples(st.integers(0, len(BASE)), st.integers(0, 30), st.sampled_from(ODD)), min_size=1, max_size=3))
def test_a_scenario_with_random_damage_is_answered_or_refused(damage: list[tuple[int, int, str]]) -> None:
    text = BASE
    for start, length, odd in damage:
        text = text[:start] + odd + text[start + length :]
    answer(text.encode())


@FUZZ
@given(st.sampled_from(BASE.split()), st.sampled_from(ODD))
def test_a_scenario_with_one_odd_word_is_answered_or_refused(word: str, odd: str) -> None:
    answer(BASE.replace(word, odd, 1).encode())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("40", 40),
        ("1e-3", 1e-3),
        ("x y", "x y"),
        ("", None),
        ("~", None),
        ("[1, a]", [1, "a"]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
    ],
)
def test_the_value_of_an_override_is_yaml(text: str, value: object) -> None:
    assert parse_value(text, "--set x") == value


def test_a_number_keeps_the_digits_it_was_written_with() -> None:
    value = parse_document("x: 0.33333333333333333333333", "test").tree["x"]
    assert isinstance(value, WrittenFloat)
    assert value.text == "0.33333333333333333333333"
    assert value == 1 / 3


def test_a_document_knows_where_everything_stands() -> None:
    document = parse_document("a: 1\nb:\n  - x\n  - {c: 2}\n", "f")
    assert document.tree == {"a": 1, "b": ["x", {"c": 2}]}
    places = {"a": "f:1:4", "b": "f:2:1", "b.0": "f:3:5", "b.1": "f:4:5", "b.1.c": "f:4:9"}
    assert {path: document.places[path] for path in places} == places
    assert document.keys["b.1.c"] == "f:4:6"


def test_a_problem_is_placed_at_the_nearest_value_above_it() -> None:
    document = parse_document("a: {b: 1}\n", "f")
    assert document.locate(Problem("a.c.d", "is required")).where == "f:1:1"
    assert document.locate(Problem("z", "is required")).where == "f:1:1"
    assert document.locate(Problem("a.b", "unknown key, did you mean c?")).where == "f:1:5"
    assert document.locate(Problem("a.b", "must be a text", 1)).where == "f:1:8"


def test_what_an_override_replaces_is_placed_at_the_override() -> None:
    document = parse_document("a: {b: {c: 1}}\n", "f")
    document.set("a.b", {"c": 2}, "--set a.b")
    assert document.tree == {"a": {"b": {"c": 2}}}
    assert document.locate(Problem("a.b.c", "is bad")).where == "--set a.b"
    assert document.locate(Problem("a", "is bad")).where == "f:1:1"


def test_an_override_does_not_touch_keys_that_begin_alike() -> None:
    document = parse_document("ab: 1\na: {x: 1}\n", "f")
    document.set("a", {}, "--set a")
    assert document.places["ab"] == "f:1:5"
    assert "a.x" not in document.places


@pytest.mark.parametrize("path", ["a.b", "l.2", "l.x", "l.-1", "l.0.x"])
def test_an_override_that_leads_into_a_value_changes_nothing(path: str) -> None:
    document = Document({"a": 1, "l": [1, 2]})
    with pytest.raises(ScenarioError):
        document.set(path, 5, "--set")
    assert document.tree == {"a": 1, "l": [1, 2]}
