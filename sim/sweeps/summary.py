"""Rows of a sweep in a few columns, for people: coordinates, block failure, who answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.base.text import printable, shown
from sim.engines.told import interval, one_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sim.sweeps.row import Row


def summary(rows: Sequence[Row], seconds: Sequence[float] | None = None) -> tuple[list[str], list[list[str]]]:
    """Tell rows in cells.

    Parameters
    ----------
    rows
        Of one sweep.
    seconds
        Seconds of work in each row; None: not told.

    Returns
    -------
    header, lines
        Titles of the columns, and the cells of each row.
    """
    axes = list(dict.fromkeys(axis for row in rows for axis in row.coordinates))
    extra = {title: cell for title, cell in _EXTRA.items() if any(cell(row) for row in rows)}
    timed = ["seconds"] if seconds else []
    header = [*axes, "block failure", "95 % interval", "", "blocks", "engine", *extra, *timed]
    lines = []
    for index, row in enumerate(rows):
        line = [shown(row.coordinates[axis]) if axis in row.coordinates else "" for axis in axes]
        line += [*_answer(row), *(cell(row) for cell in extra.values())]
        lines.append([*line, *([f"{seconds[index]:.3g}"] if seconds else [])])
    return header, lines


def _answer(row: Row) -> list[str]:
    if row.result is None:
        return [f"failed: {printable(row.error)}" if row.error else "not answered yet", "", "", "", ""]
    failure = row.result.block_failure
    span = interval(failure, exact=failure.count is None)
    blocks = "" if row.result.blocks is None else f"{row.result.blocks:,}"
    return [f"{failure.probability:.4g}", span, one_in(failure), blocks, row.result.engine]


def _rate(row: Row) -> str:
    timing = row.result.timing if row.result else None
    return "" if timing is None or timing.blocks_per_s is None else f"{timing.blocks_per_s:.4g}"


def _work(row: Row) -> str:
    return f"{row.scenario.cost.cost_vs_one_server:.4g}" if row.scenario.cost else ""


_EXTRA: dict[str, Callable[[Row], str]] = {"blocks a second": _rate, "x one server": _work}
"""Columns that a table has where any of its rows has something to say."""
