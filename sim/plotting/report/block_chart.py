"""The message chart of one block, run again for the page."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from sim.base.errors import Problem, ScenarioError
from sim.plotting.report.subject import Picture

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

    from sim.engines.timing import Timing
    from sim.scenario.schema import Scenario

SVG_BYTES_MAX = 300_000  # a larger drawing goes in as pixels
_BEFORE_MAX = 200  # blocks that are run only to get to the one that failed


def block_chart(scenario: Scenario, timing: Timing, report: Callable[[float], None] | None = None) -> Picture:
    """Draw the messages of a block: the first that failed where that is soon, else the first.

    Parameters
    ----------
    scenario
        What the events engine has answered.
    timing
        What it measured.
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

    if scenario.node_count > NODES_MAX:
        message = f"has {scenario.node_count:,} nodes; a chart of messages has at most {NODES_MAX}"
        raise ScenarioError([Problem("", message, where="report")])
    height = _worth_seeing(scenario, timing)
    with TemporaryDirectory() as folder:
        trace = Path(folder) / "block.jsonl"
        found = run_block(scenario, height, trace=trace, report=report)
        axes = chart(read_height(trace, height))
        kind, content = "image/svg+xml", _saved(axes, Path(folder) / "chart.svg")
        if len(content) > SVG_BYTES_MAX:
            kind, content = "image/png", _saved(axes, Path(folder) / "chart.png")
    cause = f", by {found.cause}" if found.cause else ""
    caption = f"Block {height:,} of {found.blocks:,}: {found.outcome}{cause}. Time runs from left to right."
    return Picture(kind, content, caption)


def _saved(axes: Axes, path: Path) -> bytes:
    from sim.plotting.save import save

    save(axes, path)
    return path.read_bytes()


def _worth_seeing(scenario: Scenario, timing: Timing) -> int:
    from sim.engines.events.single import carried_over

    failed = timing.failed_blocks[0].height if timing.failed_blocks else 1
    return failed if failed <= _BEFORE_MAX or carried_over(scenario) is None else 1
