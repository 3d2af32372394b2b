"""A file that is not good YAML, or more YAML than is good, is refused in one line, quickly, and runs nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from scenario.command import BASE, FILE, edited, hold, label, refused, refuses

NOT = "is not valid YAML: "
TAG = "has a tag, which is not allowed (got "
DEEP = "is nested more than 32 deep"
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

SYNTAX = [
    ("nodes: {a: [1, 2}\n", f"1:17: | {NOT}while parsing a flow sequence expected ',' or ']', but got '}}'"),
    ("nodes:\n\tgpu: 1\n", f"2:1: | {NOT}while scanning for the next token found character '\\t'"),
    (f'{BASE}x: "abc\n', f"15:1: | {NOT}while scanning a quoted scalar found unexpected end of stream"),
    ("nodes: *x\n", f"1:8: | {NOT}found undefined alias 'x'"),
    (edited("name: base", "name: base\n  deeper: 1"), f"2:9: | {NOT}mapping values are not allowed here"),
    (edited("icc", "i\0cc"), f"10:1: | {NOT}a character that is not allowed"),
    (edited("icc", "i\x1bcc"), f"10:1: | {NOT}a character that is not allowed"),
    (edited("name: base", 'name: "\\U00110000"'), f": | {NOT}"),
    (edited("name: base", 'name: "\\UFFFFFFFF"'), f": | {NOT}"),
    (edited("name: base", 'name: "\\q"'), f"1:9: | {NOT}while scanning a double-quoted scalar found unknown escape"),
    (f"{BASE}---\nname: other\n", f"14:1: | {NOT}expected a single document in the stream but found another document"),
    (f"%YAML 9.9\n---\n{BASE}", f"1:1: | {NOT}found incompatible YAML document"),
    ("", ": | is empty"),
    (" \n# nothing here\n", ": | is empty"),
    ("---\n", "1:1: | must be a mapping of keys such as nodes and consensus"),
    ("- a\n- b\n", "1:1: | must be a mapping of keys such as nodes and consensus"),
    ("hello\n", "1:1: | must be a mapping of keys such as nodes and consensus"),
]
STRUCTURE = [
    (edited("count: 13\n", "count: 13\n    count: 14\n"), "6:5: nodes.gpu.count: | is given twice"),
    (f"{BASE}name: other\n", "14:1: name: | is given twice"),
    (f"{BASE}? [a, b]\n: 1\n", "14:3: | has a key that is not a text"),
    (f"{BASE}{{a: b}}: 1\n", "14:1: | has a key that is not a text"),
    (edited("gpu:\n", "gpu:\n    ? {a: b}\n    : 1\n"), "5:7: nodes.gpu: | has a key that is not a text"),
    (edited("name: base", "name: !secret base"), f"1:7: name: | {TAG}'!secret')"),
    (edited("name: base", "name: !!binary aGk="), f"1:7: name: | {TAG}'tag:yaml.org,2002:binary')"),
    (edited("1e-4", "!odd 1e-4"), f"9:52: nodes.gpu.executor.nondeterminism.rate: | {TAG}'!odd')"),
    (edited("{byzantine: 0,", "!odd {byzantine: 0,"), f"11:9: faults: | {TAG}'!odd')"),
    (
        edited("count: 13", "count: " + "9" * 5000),
        "5:12: nodes.gpu.count: | is not a number that can be read (got '9999",
    ),
    (
        edited("1e-4", "!!float x"),
        "9:52: nodes.gpu.executor.nondeterminism.rate: | is not a number that can be read (got",
    ),
]
BOMBS = [
    (LAUGHS, ("1:26: | has more than 100000 values, aliases expanded",)),
    ("nodes: &a {b: *a}\n", ("1:8: nodes.b.b.b: | has more than 32 levels, aliases expanded",)),
    ("nodes: &a [*a]\n", ("1:8: nodes.0.0.0: | has more than 32 levels, aliases expanded",)),
    ("nodes: " + "[" * 20_000, (f"1:39: | {DEEP}",)),
    ("nodes: " + "[" * 20_000 + "]" * 20_000, (f"1:39: | {DEEP}",)),
    ("nodes: " + "{" * 20_000, (f"1:39: | {DEEP}",)),
    ("- " * 20_000, (f"1:65: | {DEEP}",)),
    ("".join(" " * depth + "a:\n" for depth in range(400)), (f"33:33: | {DEEP}",)),
]


@pytest.mark.parametrize(("text", "line"), SYNTAX, ids=label)
def test_what_is_no_scenario_document_is_told_in_one_line(
    text: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refuses(text, (line,) if not line.startswith(":") else (f" {line[2:]}",), capsys)


@pytest.mark.parametrize(("text", "line"), STRUCTURE, ids=label)
def test_repeated_keys_odd_keys_tags_and_unreadable_numbers_are_told_once(
    text: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refuses(text, (line,), capsys)


@pytest.mark.parametrize(("text", "lines"), BOMBS, ids=label)
def test_bombs_are_refused_in_well_under_two_seconds(
    text: str, lines: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    Path(FILE).write_text(text, encoding="utf-8")
    begin = time.perf_counter()
    said = refused(["run", FILE], capsys)
    assert time.perf_counter() - begin < 2
    place, _, message = lines[0].partition("| ")
    assert len(said) == 1
    assert said[0].startswith(f"{FILE}:{place.rstrip(': ')}")
    assert said[0].endswith(message)
    assert len(said[0]) < 200


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ("!!python/object/apply:os.system ['touch pwned']", 1),
        ("!!python/object/apply:os.system {args: ['touch pwned']}", 1),
        ("!!python/name:os.system x", 1),
    ],
)
def test_a_tag_that_names_code_runs_nothing(value: str, lines: int, capsys: pytest.CaptureFixture[str]) -> None:
    Path(FILE).write_text(f"{BASE}sweep: {value}\n", encoding="utf-8")
    said = refused(["run", FILE], capsys)
    assert not Path("pwned").exists()
    assert TAG in said[0]
    assert "python/" in said[0]
    assert len(said) == lines, said


def test_a_huge_key_is_not_echoed_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    Path(FILE).write_text(BASE + "k" * 1_000 + ": 1\n", encoding="utf-8")
    (line,) = refused(["run", FILE], capsys)
    assert len(line) < 600


def test_two_repeats_of_a_key_are_two_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    refuses(f"{BASE}name: b\nname: c\n", ("14:1: name: | is given twice", "15:1: name: | is given twice"), capsys)


def test_yaml_merges_are_no_keys_of_a_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    text = edited("hardware: h100\n", "<<: {hardware: h100}\n")
    refuses(text, ("6:5: nodes.gpu.<<: | unknown key",), capsys)


def test_the_places_of_an_expanded_alias_are_where_it_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    text = "nodes:\n  a: &g {count: 0, executor: {kind: cpu}}\n  b: *g\n"
    Path(FILE).write_text(text, encoding="utf-8")
    expected = ("2:17: nodes.a.count: | (got 0)", "2:17: nodes.b.count: | (got 0)")
    hold(refused(["run", FILE], capsys), expected)
