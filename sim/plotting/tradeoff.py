"""Failure against cost: what each way out buys, on logarithmic axes, with those that no other one beats."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sim.base.text import shown
from sim.plotting.style import COLOURS, GREY, LITERAL, SMALL_PT, drawable, frame, head, log_ticks, new_axes
from sim.plotting.view import refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from sim.analysis.compare import Tradeoff

_POINTS_MAX = 60
_LABEL_CHARACTERS = 40
_LABEL_PT, _LINE_PT = 190.0, 12.0  # room that a label takes


def tradeoff(rows: Sequence[Tradeoff], axes: Axes | None = None) -> Axes:
    """Draw block failure, and the risk of a wrong result, against the work of an answer.

    Parameters
    ----------
    rows
        What `sim.analysis.compare.compare` returned.
    axes
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        With the picture.

    Raises
    ------
    ScenarioError
        There are no rows, or more than a picture can show.
    """
    if not 1 <= len(rows) <= _POINTS_MAX:
        raise refuse(f"a tradeoff has 1 to {_POINTS_MAX} scenarios (got {len(rows)})")
    for row in rows:
        if not (
            0 < row.cost_vs_one_server < math.inf and 0 <= row.block_failure <= 1 and 0 <= row.wrong_result_risk <= 1
        ):
            raise refuse(f"scenario {shown(row.scenario)} has a cost or a probability out of range")
    axes = axes or new_axes()[0]
    axes.set_xscale("log")
    axes.set_yscale("log")
    floor = _floor(rows)
    places = [(row.cost_vs_one_server, row.block_failure or floor) for row in rows]
    for row, (cost, failure) in zip(rows, places, strict=True):
        fill = COLOURS[0] if row.pareto else "white"
        marker = "o" if row.block_failure else "v"
        axes.plot(cost, failure, marker=marker, color=COLOURS[0], markerfacecolor=fill, markersize=8, linestyle="none")
        if row.wrong_result_risk:
            axes.plot([cost, cost], [failure, row.wrong_result_risk], color=COLOURS[1], linewidth=0.8, zorder=0)
            axes.plot(cost, row.wrong_result_risk, marker="D", color=COLOURS[1], markersize=6, linestyle="none")
    _limits(axes, rows, places)
    _labels(axes, rows, places)
    axes.set_xlabel("work of one answer, in times the work of one server")
    axes.set_ylabel("probability in a block")
    frame(axes)
    _legend(axes, rows)
    head(axes, "What each way out costs", "filled: on the Pareto front of failure, wrong results, and work")
    return axes


def _floor(rows: Sequence[Tradeoff]) -> float:
    """Where a failure of zero is drawn: a decade below all others."""
    seen = [value for row in rows for value in (row.block_failure, row.wrong_result_risk) if value]
    return 10.0 ** math.floor(math.log10(min(seen)) - 1) if seen else 1e-12


def _limits(axes: Axes, rows: Sequence[Tradeoff], places: Sequence[tuple[float, float]]) -> None:
    costs, failures = zip(*places, strict=True)
    axes.set_xlim(min(costs) / 2, max(costs) * 6)
    axes.set_ylim(min(failures) / 3, 2 * max([*failures, *(row.wrong_result_risk for row in rows)]))
    if ticks := log_ticks(*axes.get_xlim()):
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()


def _legend(axes: Axes, rows: Sequence[Tradeoff]) -> None:
    """Say what the marks are, those that there are."""
    from matplotlib.lines import Line2D

    marks = [
        ("o", 0, "block failure", any(row.block_failure for row in rows)),
        ("v", 0, "no block fails", any(not row.block_failure for row in rows)),
        ("D", 1, "a wrong result, under attack", any(row.wrong_result_risk for row in rows)),
    ]
    shown = [
        Line2D([], [], marker=marker, color=COLOURS[colour], linestyle="none", label=label)
        for marker, colour, label, seen in marks
        if seen
    ]
    axes.legend(handles=shown, frameon=False, fontsize=SMALL_PT, loc="upper right")


def _labels(axes: Axes, rows: Sequence[Tradeoff], places: Sequence[tuple[float, float]]) -> None:
    """Label points beside them; those that would lie on one another step upwards."""
    points = 72 / axes.figure.dpi
    taken: list[tuple[float, float]] = []
    for row, place in sorted(zip(rows, places, strict=True), key=lambda item: item[1]):
        x, y = (float(value) for value in axes.transData.transform(place) * points)
        height = y
        while any(abs(height - other) < _LINE_PT and abs(x - start) < _LABEL_PT for start, other in taken):
            height += _LINE_PT
        taken.append((x, height))
        axes.annotate(
            drawable(row.scenario[:_LABEL_CHARACTERS]),
            place,
            (9, height - y),
            textcoords="offset points",
            va="center",
            fontsize=SMALL_PT,
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.5} if height > y else None,
            **LITERAL,
        )
