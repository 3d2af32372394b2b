"""Tables of counts: CSV in which a row is a prompt, and `class_sizes` says how many runs gave each output (`7;2;1`)."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from sim.base.errors import Problem, ScenarioError
from sim.base.text import has_control_characters, printable, shown
from sim.inference.calibration.partitions import RUNS_MAX
from sim.inference.recorded_lines import opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from sim.inference.calibration.choice import Choice
    from sim.inference.calibration.partitions import Sizes
    from sim.inference.recorded_lines import Lines

SIZES = "class_sizes"


def is_table(path: str | PathLike[str]) -> bool:
    """Whether a file is a table, not a recording: it does not begin with a brace.

    Raises
    ------
    ScenarioError
        It cannot be read.
    """
    with opened(path) as lines:
        return not lines.first().lstrip().startswith(b"{")


class Table:
    """The rows of an open table that were chosen; iterating yields line, group sizes, and levels of the factors.

    Parameters
    ----------
    lines
        Of the file.
    choice
        Which rows count.

    Raises
    ------
    ScenarioError
        The file is no such table; while iterating: a row cannot be used, and those are not skipped.
    """

    def __init__(self, lines: Lines, choice: Choice) -> None:
        self._choice, self._name = choice, lines.name
        self._rows = csv.reader(_text(lines), strict=True)
        self.bad = 0
        """Rows that were left out."""
        try:
            self._columns = [name.strip().removeprefix("\ufeff") for name in next(self._rows)]
        except (StopIteration, csv.Error, ValueError):
            self._columns = []
        if SIZES not in self._columns:
            has = printable(", ".join(self._columns))[:100] or "none"
            message = f"must be a recording, or CSV with a column {SIZES} (it has {has})"
            raise ScenarioError([Problem("", message, where=f"{self._name}:1")])
        choice.check(self._columns, self._name)

    def __iter__(self) -> Iterator[tuple[int, Sizes, tuple[str, ...]]]:
        while True:
            try:
                row = next(self._rows)
            except StopIteration:
                return
            except (csv.Error, ValueError) as error:
                self._refuse(f"cannot be read: {' '.join(str(error).split())[:100]}")
                continue
            if row:
                yield from self._read(row)

    def _read(self, row: list[str]) -> Iterator[tuple[int, Sizes, tuple[str, ...]]]:
        try:
            sizes, named = _row(row, self._columns)
        except ValueError as error:
            self._refuse(str(error))
            return
        if all(named[key] == value for key, value in self._choice.where.items()):
            yield self._rows.line_num, sizes, tuple(named[key] for key in self._choice.by)

    def _refuse(self, reason: str) -> None:
        if not self._choice.skip_bad:
            message = f"{reason} (--skip-bad leaves such lines out)"
            raise ScenarioError([Problem("", message, where=f"{self._name}:{self._rows.line_num}")])
        self.bad += 1


def _row(row: list[str], columns: list[str]) -> tuple[Sizes, dict[str, str]]:
    """Group sizes of a row, and its values by column; ValueError says what is wrong with it."""
    if len(row) != len(columns):
        raise ValueError(f"must have {len(columns)} values, as the first line (has {len(row)})")
    named = dict(zip(columns, row, strict=True))
    text = named[SIZES].strip()
    parts = [part.strip() for part in text.split(";")]
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise ValueError(f"{SIZES} must be numbers such as 7;2;1 (got {shown(text)})")
    sizes = tuple(int(part) for part in parts)
    if min(sizes) < 1 or sum(sizes) > RUNS_MAX:
        raise ValueError(f"{SIZES} must be positive, of at most {RUNS_MAX:,} runs together (got {shown(text)})")
    if any(has_control_characters(value, allow="\n\t") for value in row):
        raise ValueError("has control characters")
    return sizes, named


def _text(lines: Lines) -> Iterator[str]:
    """Lines as text, one by one; one that is too long becomes one that is no row."""
    yield lines.first().decode("utf-8", "replace") + "\n"
    for _, piece in lines.pieces():
        for line in (b"a line that is too long" if isinstance(piece, str) else piece).split(b"\n"):
            yield line.decode("utf-8", "replace") + "\n"
