"""The message chart of one block, run again for the page."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from sim.base.errors import Problem, ScenarioError
from sim.plotting.report.curves import point_name
from sim.plotting.report.subject import Picture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

    from sim.sweeps.row import Row

SVG_BYTES_MAX = 300_000  # a larger drawing goes in as pixels
_BEFORE_MAX = 200  # blocks that are run only to get to the one that failed


def telling(rows: Sequence[Row]) -> Row | None:
    """Find the first point with messages that has a failed block, else the first with messages.

    Parameters
    ----------
    rows
        Points of a sweep, or the only answer.
    """
    timed = [row for row in rows if row.result and row.result.timing and row.result.timing.messages_per_block]
    failed = [row for row in timed if row.result and row.result.timing and row.result.timing.failed_blocks]
    return next(iter([*failed, *timed]), None)


def block_chart(row: Row, report: Callable[[float], None] | None = None) -> Picture:
    """Draw the messages of a block: the first that failed where that is soon, else the first.

    Parameters
    ----------
    row
        What the events engine has answered.
    report
        Called with the share of the work that is done.

    Raises
    ------
    ScenarioError, EngineError
        The block cannot be run by itself, or has too many nodes to draw.
    """
    from sim.analysis.height import read_height
    from sim.engines.events.single import run_block
    from sim.plotting.chart import NODES_MAX, chart

    scenario = row.scenario
    if scenario.node_count > NODES_MAX:
        message = f"has {scenario.node_count:,} nodes; a chart of messages has at most {NODES_MAX}"
        raise ScenarioError([Problem("", message, where="report")])
    height = _worth_seeing(row)
    with TemporaryDirectory() as folder:
        trace = Path(folder) / "block.jsonl"
        found = run_block(scenario, height, trace=trace, report=report)
        axes = chart(read_height(trace, height))
        kind, content = "image/svg+xml", _saved(axes, Path(folder) / "chart.svg")
        if len(content) > SVG_BYTES_MAX:
            kind, content = "image/png", _saved(axes, Path(folder) / "chart.png")
    cause = f", by {found.cause}" if found.cause else ""
    where = f" ({point_name(row)})" if row.coordinates else ""
    caption = f"Block {height:,} of {found.blocks:,}: {found.outcome}{cause}{where}. Time runs from left to right."
    return Picture(kind, content, caption)


def _saved(axes: Axes, path: Path) -> bytes:
    from sim.plotting.save import save

    save(axes, path)
    return path.read_bytes()


def _worth_seeing(row: Row) -> int:
    from sim.engines.events.single import carried_over

    timing = row.result.timing if row.result else None
    failed = timing.failed_blocks[0].height if timing and timing.failed_blocks else 1
    return failed if failed <= _BEFORE_MAX or carried_over(row.scenario) is None else 1
