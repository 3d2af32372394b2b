"""Reads traces back, line by line: files of any length, of which nothing is believed that has not been checked."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from sim.base.errors import Problem, ScenarioError
from sim.base.model import problems_of
from sim.base.text import has_control_characters, shown
from sim.base.version import __version__
from sim.scenario.schema import Scenario

LINE_BYTES_MAX = 4_000_000
_KINDS = {
    "montecarlo": ("chains over time", "sim run --trace", "sim plot --kind timeline draws it"),
    "events": ("messages", "sim run --engine events --trace", "sim chart draws it"),
}
_WRONG = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)


class Lines:
    """Lines of an open trace; iterating goes on with those after the header.

    Parameters
    ----------
    file
        Open for reading bytes.
    name
        Of the file, for messages.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self.name = file, name
        self.number = 0
        """The line that was read last, from 1."""
        self.bytes = 0
        """Bytes read so far."""
        self.header = self._header()

    def _header(self) -> dict[str, Any]:
        plain = self._next()
        if plain is None or plain.get("trace") != 1 or plain.get("engine") not in _KINDS:
            raise ValueError("it does not begin as one")
        return plain

    def _next(self) -> dict[str, Any] | None:
        line = self._file.readline(LINE_BYTES_MAX)
        if not line:
            return None
        self.number += 1
        self.bytes += len(line)
        if len(line) == LINE_BYTES_MAX and not line.endswith(b"\n"):
            raise ValueError(f"the line is longer than {LINE_BYTES_MAX:,} bytes")
        plain = json.loads(line)
        if not isinstance(plain, dict):
            raise ValueError("the line is no JSON object")  # noqa: TRY004 -- all that is wrong with a line
        return plain

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while (plain := self._next()) is not None:
            yield plain

    def need(self, engine: str) -> None:
        """Raise ScenarioError if another engine wrote it."""
        written = self.header["engine"]
        if written != engine:
            what, _, instead = _KINDS[written]
            message = f"is no trace of {_KINDS[engine][0]}, but of {what}: {instead}"
            raise ScenarioError([Problem("", message, where=self.name)])

    @property
    def scenario(self) -> Scenario:
        """What was run, validated as a file is.

        Raises
        ------
        ScenarioError
            It is no scenario, or not the one that the header names.
        """
        head = self.header
        run = {key: head[key] for key in ("engine", "blocks", "seed", "chains") if key in head}
        plain = head["scenario"]
        if not isinstance(plain, dict):
            raise ValueError("its scenario is no mapping")  # noqa: TRY004 -- all that is wrong with a line
        try:
            found = Scenario.model_validate(plain | {"name": head["name"], "run": run})
        except ValidationError as error:
            raise ScenarioError([*self._other_version(), *map(self._in_header, problems_of(error))]) from None
        if found.scenario_id != head["scenario_id"]:
            message = f"its scenario has another id than it says, {found.scenario_id[:12]}"
            problem = Problem("", message, str(head["scenario_id"])[:12], f"{self.name}:1")
            raise ScenarioError([*self._other_version(), problem])
        return found

    def _in_header(self, problem: Problem) -> Problem:
        return replace(problem, where=f"{self.name}:1", message=f"in its scenario, {problem.message}")

    def _other_version(self) -> list[Problem]:
        """Tell that another version wrote it."""
        version = word(self.header, "version")
        told = f"was written by version {version}, and this is {__version__}"
        return [] if version == __version__ else [Problem("", told, where=self.name)]


@contextmanager
def reading(path: str | PathLike[str]) -> Iterator[Lines]:
    """Open a trace; what goes wrong while its lines are used is told with the line.

    Parameters
    ----------
    path
        A regular file.

    Raises
    ------
    ScenarioError
        The file cannot be read, is no trace, or a line is not what a trace has.
    """
    name = str(path)
    lines: Lines | None = None
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise ScenarioError([Problem("", "is not a regular file", where=name)])
        with Path(path).open("rb") as file:
            lines = Lines(file, name)
            yield lines
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        hint = "; sim run --trace writes one" if isinstance(error, FileNotFoundError) else ""
        raise ScenarioError([Problem("", f"cannot be read: {reason}{hint}", where=name)]) from None
    except _WRONG as error:
        raise _mistake(error, name, lines) from None


def _mistake(error: BaseException, name: str, lines: Lines | None) -> ScenarioError:
    """Tell what is wrong with a line, or that the file is no trace at all."""
    if lines is None:
        return ScenarioError([Problem("", f"is no trace, as sim run --trace writes it: {_reason(error)}", where=name)])
    what, command, _ = _KINDS[lines.header["engine"]]
    message = f"is no trace of {what}, as {command} writes it: {_reason(error)}"
    return ScenarioError([Problem("", message, where=f"{name}:{lines.number}")])


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyError):
        return f"the line lacks {shown(error.args[0] if error.args else '')}"
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return "the line is not JSON"
    if isinstance(error, RecursionError):
        return "the line is nested too deeply"
    return " ".join(str(error).split())[:120]


def whole(line: Mapping[str, Any], key: str, least: int = 0, most: int = 10**15) -> int:
    """A whole number of a line.

    Raises
    ------
    KeyError, ValueError
        It is missing, something else, or out of range.
    """
    value = line[key]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{key} must be a whole number from {least:,} to {most:,} (got {shown(value)})")
    return value


def word(line: Mapping[str, Any], key: str, most: int = 100) -> str:
    """A short text of a line, which can be shown.

    Raises
    ------
    KeyError, ValueError
        It is missing, something else, too long, or holds control characters.
    """
    value = line[key]
    if not isinstance(value, str) or not 0 < len(value) <= most or has_control_characters(value):
        raise ValueError(f"{key} must be a text of at most {most} characters that can be shown (got {shown(value)})")
    return value
