"""Reads back what `sim feasibility` and `sim compare` printed as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from sim.base.errors import Problem, ScenarioError
from sim.base.model import problems_of

if TYPE_CHECKING:
    from os import PathLike

Row = TypeVar("Row")
FILE_BYTES_MAX = 10_000_000


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
    name = str(path)
    try:
        with Path(path).open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ScenarioError([Problem("", f"cannot be read: {reason}", where=name)]) from None
    if len(raw) > FILE_BYTES_MAX:
        raise ScenarioError([Problem("", f"is larger than {FILE_BYTES_MAX // 1_000_000} MB", where=name)])
    adapter: TypeAdapter[Any] = TypeAdapter(list[kind])  # type: ignore[valid-type]
    try:
        rows: list[Row] = adapter.validate_json(raw)
    except ValidationError as error:
        first = problems_of(error)[0]
        message = f"is not what sim {command} --format json printed: {first.message}"
        raise ScenarioError([Problem(first.path, message, where=name)]) from None
    return rows
