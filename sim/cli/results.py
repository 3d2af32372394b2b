"""`sim results`: what a store holds, as a table, JSON, CSV or Parquet."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim.sweeps.row import Row

Form = Literal["table", "json", "csv", "parquet"]


def results(
    store: str,
    /,
    *,
    format: Form = "table",  # noqa: A002 -- the flag is --format
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    timings: bool = False,
) -> int:
    """Show what a store of results holds.

    For example: sim results hardware_mix.db --format csv

    The same results give the same bytes, whenever, wherever and with however many workers they were made.

    Parameters
    ----------
    store
        A store that `sim sweep` made.
    format
        A table for people; json, csv (ready for pandas) or parquet (extra `parquet`, needs --output) for programs.
    output
        A file to write instead of printing.
    timings
        Add the seconds of work in each point, which differ from run to run.
    """
    from sim.base.errors import Problem, ScenarioError
    from sim.sweeps.store import Store

    if output and Path(output).absolute() == Path(store).absolute():
        raise ScenarioError([Problem("", "would overwrite the store", output, "--output")])
    with Store(Path(store)) as opened:
        rows = opened.rows()
        seconds = opened.timings() if timings else None
    if format == "parquet":
        return _parquet(rows, output)
    text = _text(rows, format, seconds)
    if output:
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        Path(output).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return 0


def show_rows(rows: Sequence[Row], form: Form) -> None:
    """Print rows on stdout."""
    sys.stdout.write(_text(rows, form, None))


def _text(rows: Sequence[Row], form: Form, seconds: Sequence[float] | None) -> str:
    from sim.sweeps.table import as_csv, as_json

    if form == "json":
        plain = as_json(rows)
        for line, spent in zip(plain, seconds or (), strict=False):
            line["seconds"] = spent
        return json.dumps(plain, indent=2) + "\n"
    if form == "csv":
        return as_csv(rows, seconds)
    return _table(rows, seconds)


def _parquet(rows: Sequence[Row], output: str | None) -> int:
    from sim.base.errors import Problem, ScenarioError
    from sim.sweeps.table import write_parquet

    if not output:
        raise ScenarioError([Problem("", "is required with --format parquet", where="--output")])
    try:
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        write_parquet(rows, Path(output))
    except ImportError:
        message = "needs pyarrow: pip install 'splitquorum[parquet]'"
        raise ScenarioError([Problem("", message, where="--format parquet")]) from None
    return 0


def _table(rows: Sequence[Row], seconds: Sequence[float] | None) -> str:
    """Lay rows out in columns, one line each."""
    from sim.sweeps.summary import summary

    header, lines = summary(rows, seconds)
    lines = [header, *lines]
    widths = [max(len(line[column]) for line in lines if column < len(line)) for column in range(len(header))]
    laid = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip() for line in lines)
    return "".join(f"{line}\n" for line in laid)
