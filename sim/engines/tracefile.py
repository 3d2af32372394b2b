"""Files of traces: JSON Lines, of which the first tells all that is needed to repeat the run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from sim.base.errors import Problem, ScenarioError
from sim.base.version import __version__
from sim.scenario.identity import canonical

if TYPE_CHECKING:
    from sim.scenario.schema import Scenario


@contextmanager
def writing(path: str | PathLike[str] | IO[str]) -> Iterator[IO[str]]:
    """Open a file for a trace; missing folders are made. A stream is taken as it is.

    Raises
    ------
    ScenarioError
        It cannot be written.
    """
    if not isinstance(path, str | PathLike):
        yield path
        return
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("w", encoding="utf-8", newline="\n") as stream:
            yield stream
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ScenarioError([Problem("", f"cannot be written: {reason}", where=str(target))]) from None


def write_line(stream: IO[str], **fields: Any) -> None:
    """Write one line."""
    stream.write(json.dumps(fields, separators=(",", ":"), allow_nan=True) + "\n")


def write_header(stream: IO[str], scenario: Scenario, engine: str, **more: Any) -> None:
    """Write the first line: the resolved scenario, its id, the seed and the version."""
    write_line(
        stream,
        trace=1,
        version=__version__,
        scenario_id=scenario.scenario_id,
        seed=scenario.run.seed,
        blocks=scenario.run.blocks,
        engine=engine,
        name=scenario.name,
        scenario=canonical(scenario),
        **more,
    )
