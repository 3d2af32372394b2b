"""Runs again what a trace tells of, and compares every byte.

A trace is untrusted: its scenario is validated as a file is, its id must be the scenario's, and no file that it names
is opened. Another version is told, and compared all the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from sim.base.errors import Problem, ScenarioError
from sim.base.text import shown
from sim.base.version import __version__
from sim.engines.select import run
from sim.engines.tracereader import LINE_BYTES_MAX, reading, whole, word

if TYPE_CHECKING:
    from os import PathLike

    from sim.scenario.schema import Scenario

_IDS_TOLD = 8


@dataclass(frozen=True, slots=True)
class Repeated:
    """A run that was run again.

    Parameters
    ----------
    scenario, scenario_id, engine, seed
        What was run.
    version
        The version that wrote it.
    compared
        What was compared, in words.
    difference
        The first difference; empty if it is the same.
    """

    scenario: str
    scenario_id: str
    engine: str
    seed: int
    version: str
    compared: str
    difference: str

    @property
    def same(self) -> bool:
        """Whether everything is the same."""
        return not self.difference

    @property
    def other_version(self) -> bool:
        """Whether another version wrote it."""
        return self.version != __version__


class _DiffersError(Exception):
    """A line differs; there is no need to go on."""


class _Comparison:
    """What is written to it is compared with a file, line by line, to the first difference."""

    def __init__(self, file: IO[bytes], *, other_version: bool) -> None:
        self._file, self._lenient = file, other_version
        self.lines = 0
        self.difference = ""

    def write(self, text: str) -> None:
        """Take the next line.

        Raises
        ------
        _DiffersError
            It differs.
        """
        line = text.encode()
        self.lines += 1
        header = self.lines == 1 and self._lenient
        found = self._file.readline(LINE_BYTES_MAX if header else len(line) + 1)
        same = _but_version(found) == _but_version(line) if header else found == line
        if not same:
            self.lines -= 1
            rest = b"" if found.endswith(b"\n") else self._file.readline(LINE_BYTES_MAX)
            self.difference = self._told(found + rest, line)
        if self.difference:
            raise _DiffersError

    def _told(self, found: bytes, line: bytes) -> str:
        if not found:
            return f"the file ends after line {self.lines:,}, and the run goes on"
        try:
            theirs, ours = json.loads(found), json.loads(line)
        except (ValueError, RecursionError):
            return f"line {self.lines + 1:,} is no whole line"
        return f"line {self.lines + 1:,}: {difference(theirs, ours) or 'is written differently'}"

    def finish(self) -> None:
        """Note that the run has ended."""
        if not self.difference and self._file.read(1):
            self.difference = f"the run ends after line {self.lines:,}, and the file goes on"


def _but_version(line: bytes) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(line)
    return {key: value for key, value in plain.items() if key != "version"}


def repeat_trace(
    path: str | PathLike[str], wanted: str | None = None, report: Callable[[float], None] | None = None
) -> Repeated:
    """Run again what a trace tells of, and compare.

    Parameters
    ----------
    path
        What `sim run --trace` wrote, of any length.
    wanted
        The beginning of the scenario's id, which it must have.
    report
        Called with the share that is done.

    Raises
    ------
    ScenarioError
        The file cannot be read, or is no trace.
    EngineError
        The scenario cannot be run.
    """
    with reading(path) as lines:
        scenario, head, engine = lines.scenario, lines.header, lines.header["engine"]
        version = word(head, "version")
        if "schedule" in head:
            message = "is a schedule of sim check, which runs it again with --replay, from what --save wrote"
            raise ScenarioError([Problem("", message, where=str(path))])
        block = whole(head, "block", 1) if "block" in head else None
    check_id(wanted, [scenario.scenario_id], str(path))
    with Path(path).open("rb") as file:
        comparison = _Comparison(file, other_version=version != __version__)
        try:
            _run(scenario, block, cast("IO[str]", comparison), report)
            comparison.finish()
        except _DiffersError:
            pass
    return Repeated(
        scenario.name,
        scenario.scenario_id,
        engine,
        scenario.run.seed,
        version,
        f"{comparison.lines:,} lines",
        comparison.difference,
    )


def _run(scenario: Scenario, block: int | None, stream: IO[str], report: Callable[[float], None] | None) -> None:
    if block is not None:
        from sim.engines.events.single import run_block

        run_block(scenario, block, trace=stream, report=report)
        return
    total = scenario.run.blocks * (scenario.run.chains or 1)
    run(scenario, trace=stream, progress=(lambda counts: report(counts.trials / total)) if report else None)


def check_id(wanted: str | None, known: list[str], name: str) -> list[str]:
    """Scenario ids that begin as wanted; all of them where nothing is.

    Raises
    ------
    ScenarioError
        There is none.
    """
    found = [one for one in known if one.startswith((wanted or "").lower())]
    if wanted is not None and (not found or not wanted):
        ids = [one[:12] for one in dict.fromkeys(known)]
        more = ", ..." if len(ids) > _IDS_TOLD else ""
        message = f"is no scenario id in {name}: it has {', '.join(ids[:_IDS_TOLD])}{more}"
        raise ScenarioError([Problem("", message, wanted, "--id")])
    return found


def difference(found: Any, now: Any, path: str = "") -> str:
    """Tell the first place where plain values differ; empty if they are the same.

    Examples
    --------
    >>> difference({"a": [1, 2]}, {"a": [1, 3]})
    'a.1: 2 in the file, 3 now'
    >>> difference({"a": 1}, {"a": 1})
    ''
    """
    if isinstance(found, Mapping) and isinstance(now, Mapping):
        pairs = [(key, found.get(key), now.get(key)) for key in dict.fromkeys([*found, *now])]
    elif isinstance(found, list | tuple) and isinstance(now, list | tuple) and len(found) == len(now):
        pairs = [(index, *pair) for index, pair in enumerate(zip(found, now, strict=True))]
    else:
        same = found == now or (found != found and now != now)  # noqa: PLR0124 -- nan is as good as nan
        return "" if same else f"{path or 'it'}: {shown(found)} in the file, {shown(now)} now"
    return next(filter(None, (difference(a, b, f"{path}.{key}".lstrip(".")) for key, a, b in pairs)), "")
