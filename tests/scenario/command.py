"""Runs `sim run` in this process, and holds its complaints against what they should be.

An expected line is written `LINE:COLUMN: path: | piece`: the line must begin with the file and what stands left of the
bar (a flag, where it begins with `--`), and contain what stands right of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sim.cli import execute

if TYPE_CHECKING:
    import pytest

WRONG_INPUT = 2
FILE = "s.yaml"
BASE = """\
name: base
description: a chain
nodes:
  gpu:
    count: 13
    hardware: h100
    executor:
      kind: gpu
      nondeterminism: {difficulty: near_tie, rate: 1e-4, per: request}
consensus: {protocol: icc, fault_threshold: 1/3, result: certify}
faults: {byzantine: 0, behaviour: silent}
workload: {requests_per_block: 1, tokens: 256}
run: {engine: auto, blocks: 10000, seed: 1}
"""
KIND = "kind: gpu\n      nondeterminism: {difficulty: near_tie, rate: 1e-4, per: request}"


def edited(old: str, new: str, text: str = BASE) -> str:
    """Replace the one place where `old` stands."""
    assert text.count(old) == 1, f"{old!r} must stand in the text once"
    return text.replace(old, new)


def label(value: object) -> str:
    """Name a table row by its cells, short enough to read in a list of tests."""
    return " ".join(str(value).split())[:28]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Run a command line that is wrong, and return the lines that it says on stderr."""
    code = execute(arguments)
    out, err = capsys.readouterr()
    assert code == WRONG_INPUT, f"exit code {code}, stderr: {err}"
    assert out == ""
    assert err.endswith("\n")
    assert "Traceback" not in err
    lines = err[:-1].split("\n")
    assert all(line.isprintable() for line in lines), lines
    return lines


def hold(lines: list[str], expected: tuple[str, ...], file: str = FILE) -> None:
    """Each expected line is said exactly once, and nothing else is."""
    assert len(lines) == len(expected), "\n".join(lines)
    for wanted in expected:
        beginning, bar, piece = wanted.partition("| ")
        assert bar, f"no bar in {wanted!r}"
        beginning = beginning if beginning.startswith(("--", "sim: ")) else f"{file}:{beginning}"
        matching = [line for line in lines if line.startswith(beginning) and piece in line[len(beginning) :]]
        assert len(matching) == 1, f"{wanted!r} matches {len(matching)} of {lines}"


def refuses(
    text: str | bytes, expected: tuple[str, ...], capsys: pytest.CaptureFixture[str], flags: tuple[str, ...] = ()
) -> None:
    """Write a scenario into the current folder, run it, and hold the complaints against what is expected."""
    Path(FILE).write_bytes(text.encode() if isinstance(text, str) else text)
    hold(refused(["run", FILE, *flags], capsys), expected)
