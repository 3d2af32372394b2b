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
_LABEL_PT, _LINE_PT, _LIFTS_MAX = 190.0, 12.0, 16  # room that a label takes, and how often it gives way
_LEADER = {"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "relpos": (0, 0.5), "shrinkA": 0}
_LARGEST, _SMALLEST = 1e100, 1e-290  # what a logarithmic axis can show
_SEEN, _AT_MOST, _NEVER = "o", "v", "s"
_MEANINGS = {_SEEN: "block failure", _AT_MOST: "none seen: at most", _NEVER: "no block fails"}


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
        There are no rows, more than a picture can show, or values out of range.
    """
    _check(rows)
    axes = axes or new_axes()[0]
    axes.set_xscale("log")
    axes.set_yscale("log")
    floor = _floor(rows)
    places = [(row.cost_vs_one_server, row.block_failure or row.block_failure_high or floor) for row in rows]
    for row, (cost, failure) in zip(rows, places, strict=True):
        fill = COLOURS[0] if row.pareto else "white"
        _mark(axes, (cost, failure), _marker(row.block_failure, row.block_failure_high), COLOURS[0], fill)
        if wrong := row.wrong_result_risk or row.wrong_result_high:
            marker = "D" if row.wrong_result_risk else _AT_MOST
            axes.plot([cost, cost], [failure, wrong], color=COLOURS[1], linewidth=0.8, zorder=0)
            _mark(axes, (cost, wrong), marker, COLOURS[1], COLOURS[1])
    _limits(axes, rows, places)
    _labels(axes, rows, places)
    axes.set_xlabel("work of one answer, in times the work of one server")
    axes.set_ylabel("probability in a block")
    frame(axes)
    _legend(axes, rows)
    head(axes, "What each way out costs", "filled: on the Pareto front of failure, wrong results, and work")
    return axes


def _check(rows: Sequence[Tradeoff]) -> None:
    if not 1 <= len(rows) <= _POINTS_MAX:
        raise refuse(f"a tradeoff has 1 to {_POINTS_MAX} scenarios (got {len(rows)})")
    for row in rows:
        chances = (row.block_failure, row.block_failure_high, row.wrong_result_risk, row.wrong_result_high)
        likely = all(0 <= chance <= 1 and (not chance or chance > _SMALLEST) for chance in chances)
        if not (likely and 1 / _LARGEST < row.cost_vs_one_server < _LARGEST):
            raise refuse(f"scenario {shown(row.scenario)} has a cost or a probability out of range")


def _marker(probability: float, high: float) -> str:
    """How a probability is known: seen or computed, none seen, or never."""
    return _SEEN if probability else _AT_MOST if high else _NEVER


def _mark(axes: Axes, place: tuple[float, float], marker: str, colour: str, fill: str) -> None:
    axes.plot(*place, marker=marker, color=colour, markerfacecolor=fill, markersize=7, linestyle="none")


def _floor(rows: Sequence[Tradeoff]) -> float:
    """Where a failure of zero is drawn: a decade below all others."""
    columns = ("block_failure", "block_failure_high", "wrong_result_risk", "wrong_result_high")
    seen = [value for row in rows for value in (getattr(row, column) for column in columns) if value]
    return 10.0 ** math.floor(math.log10(min(seen)) - 1) if seen else 1e-12


def _limits(axes: Axes, rows: Sequence[Tradeoff], places: Sequence[tuple[float, float]]) -> None:
    costs, failures = zip(*places, strict=True)
    axes.set_xlim(min(costs) / 2, max(costs) * 6)
    wrong = [row.wrong_result_risk or row.wrong_result_high for row in rows if row.wrong_result_high]
    axes.set_ylim(min([*failures, *wrong]) / 3, 2 * max([*failures, *wrong]))
    if ticks := log_ticks(*axes.get_xlim()):
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()


def _legend(axes: Axes, rows: Sequence[Tradeoff]) -> None:
    """Say what the marks are, those that there are."""
    from matplotlib.lines import Line2D

    seen = {_marker(row.block_failure, row.block_failure_high) for row in rows}
    marks = [(marker, COLOURS[0], meaning) for marker, meaning in _MEANINGS.items() if marker in seen]
    if any(row.wrong_result_high for row in rows):
        marks.append(("D", COLOURS[1], "a wrong result, under attack"))
    handles = [
        Line2D([], [], marker=marker, color=colour, linestyle="none", label=label) for marker, colour, label in marks
    ]
    axes.legend(handles=handles, frameon=False, fontsize=SMALL_PT, loc="upper right")


def _labels(axes: Axes, rows: Sequence[Tradeoff], places: Sequence[tuple[float, float]]) -> None:
    """Label points beside them; those that would lie on one another step upwards."""
    points = 72 / axes.figure.dpi
    taken: list[tuple[float, float]] = []
    for row, place in sorted(zip(rows, places, strict=True), key=lambda item: item[1]):
        x, y = (float(value) for value in axes.transData.transform(place) * points)
        height = y
        for _ in range(_LIFTS_MAX):
            if not any(abs(height - other) < _LINE_PT and abs(x - start) < _LABEL_PT for start, other in taken):
                break
            height += _LINE_PT
        taken.append((x, height))
        label = axes.annotate(
            drawable(row.scenario[:_LABEL_CHARACTERS]),
            place,
            (9, height - y),
            textcoords="offset points",
            va="center",
            fontsize=SMALL_PT,
            arrowprops=_LEADER if height > y else None,
            **LITERAL,
        )
        label.set_in_layout(False)
