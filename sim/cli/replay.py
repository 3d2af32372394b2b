"""`sim replay`: run again what a trace or a store tells of, and compare."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sim.engines.repeat import Repeated

DIFFERENT = 3


def replay(
    file: str,
    /,
    *,
    id_: Annotated[str | None, Parameter(name="--id")] = None,
    format: Literal["table", "json"] = "table",  # noqa: A002 -- the flag is --format
) -> int:
    """Run again what a trace or a store tells of, and compare: the same bytes, the same numbers.

    For example: sim replay trace.jsonl

    Exits with code 3 if anything differs.

    Parameters
    ----------
    file
        What `sim run --trace` wrote, or a store that `sim sweep` made.
    id_
        Only the scenario whose id begins like that.
    format
        Lines for people, or JSON for scripts.
    """
    from sim.cli.progress import Progress

    with Progress("the replay") as progress:
        found = list(_repeated(file, id_, progress.update))
    if format == "json":
        print(json.dumps([asdict(one) | {"same": one.same} for one in found], indent=2))
    else:
        for one in found:
            print(_told(one))
    _tell_versions(found)
    return 0 if all(one.same for one in found) else DIFFERENT


def _repeated(file: str, wanted: str | None, report: Callable[[float], None]) -> Iterable[Repeated]:
    if _is_store(Path(file)):
        from sim.sweeps.repeat import repeat_store

        return repeat_store(Path(file), wanted, report)
    from sim.engines.repeat import repeat_trace

    return [repeat_trace(file, wanted, report)]


def _is_store(path: Path) -> bool:
    """Whether a file is an SQLite file; what cannot be read is told by whoever reads it."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as opened:
            return opened.read(16) == b"SQLite format 3\x00"
    except (OSError, ValueError):
        return False


def _told(one: Repeated) -> str:
    from sim.base.text import bounded

    what = f"{bounded(one.scenario)} ({one.scenario_id[:12]}, {one.engine}, seed {one.seed})"
    if one.same:
        return f"same     {what}: {bounded(one.compared)}"
    return f"differs  {what}: {bounded(one.difference)}"


def _tell_versions(found: Iterable[Repeated]) -> None:
    """Tell of other versions, whose numbers may differ."""
    import sys

    import sim

    for version in sorted({one.version for one in found if one.other_version}):
        told = f"written by version {version}, and this is {sim.__version__}: only the same version promises the same"
        print(f"{told} numbers", file=sys.stderr)
