"""Reads back what `sim feasibility`, `sim compare` and `sim compare --price` printed as JSON."""

from __future__ import annotations

import json
import stat
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from sim.base.errors import Problem, ScenarioError
from sim.base.model import problems_of
from sim.base.text import has_control_characters
from sim.engines.result import Result

if TYPE_CHECKING:
    from os import PathLike

    from sim.analysis.compare import Tradeoff
    from sim.analysis.feasibility import Feasibility
    from sim.analysis.price import Price

Row = TypeVar("Row", "Feasibility", "Tradeoff", "Price")
FILE_BYTES_MAX = 10_000_000
TEXT_CHARACTERS_MAX = 2_000
NUMBER_MAX = 1e100


def read_rows(path: str | PathLike[str], kind: type[Row], command: str) -> list[Row]:
    """Read a JSON list of rows.

    Parameters
    ----------
    path
        A file of at most 10 MB.
    kind
        The dataclass that a row is.
    command
        What prints such rows, for the message.

    Raises
    ------
    ScenarioError
        The file cannot be read, or holds something else.
    """
    name, raw = str(path), read_bytes(path)
    adapter: TypeAdapter[Any] = TypeAdapter(list[kind])  # type: ignore[valid-type]
    printed = f"is not what sim {command} --format json printed"
    try:
        rows: list[Row] = adapter.validate_json(raw.removeprefix(b"\xef\xbb\xbf"))
    except ValidationError as error:
        first = problems_of(error)[0]
        raise ScenarioError([Problem(first.path, f"{printed}: {first.message}", where=name)]) from None
    for index, row in enumerate(rows):
        for key, value in asdict(row).items():
            if not _sensible(value):
                raise ScenarioError([Problem(f"{index}.{key}", f"{printed}: out of range", value, name)])
    return rows


def read_bytes(path: str | PathLike[str]) -> bytes:
    """Bytes of a regular file of bounded size."""
    name = str(path)
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise ScenarioError([Problem("", "is not a regular file", where=name)])
        with Path(path).open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ScenarioError([Problem("", f"cannot be read: {reason}", where=name)]) from None
    if len(raw) > FILE_BYTES_MAX:
        raise ScenarioError([Problem("", f"is larger than {FILE_BYTES_MAX // 1_000_000} MB", where=name)])
    return raw


def read_over_time(path: str | PathLike[str]) -> Result:
    """Read what `sim run --format json` printed of chains over time.

    Raises
    ------
    ScenarioError
        The file cannot be read, or holds something else.
    """
    name, message = str(path), "is not what sim run --format json printed of a scenario with recovery or on_failure"
    try:
        plain = json.loads(read_bytes(path))
        plain = {key: value for key, value in plain.items() if key not in {"cost", "filled_in"}}
        result = Result.from_dict(plain)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        raise ScenarioError([Problem("", message, where=name)]) from None
    if (
        has_control_characters(result.scenario)
        or result.over_time is None
        or not all(map(_sensible, (result.scenario, result.block_failure.probability)))
    ):
        raise ScenarioError([Problem("", message, where=name)])
    return result


def _sensible(value: object) -> bool:
    """Whether a text or number is of a size that can be drawn."""
    if isinstance(value, str):
        return len(value) <= TEXT_CHARACTERS_MAX
    return not isinstance(value, (int, float)) or abs(value) <= NUMBER_MAX
