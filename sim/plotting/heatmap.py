"""Block failure over two axes, as colours, with contours at powers of ten."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.base.text import bounded
from sim.plotting import style
from sim.plotting.view import axis_label, lines, number, refuse, shared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from sim.sweeps.row import Row

_TICKS_MAX = 12
_NEVER, _UNSEEN, _MISSING = "no block fails", "none seen to fail", "no answer"
_HATCHES = {_NEVER: "///", _UNSEEN: "...", _MISSING: "xxx"}


def heatmap(rows: Sequence[Row], x: str, y: str, series: str | None, axes: Axes | None) -> Axes:
    """Draw the heat map (see `draw.plot`)."""
    used = [spot.row for line in lines(rows, x, series) for spot in line.spots]
    _refuse_a_third_axis(used, x, y)
    columns, lanes = _values(used, x), _values(used, y)
    logs = np.full((len(lanes), len(columns)), np.nan)
    empty = np.full(logs.shape, _MISSING, dtype=object)
    for row in used:
        if row.result is None:
            continue
        cell = lanes.index(row.coordinates[y]), columns.index(row.coordinates[x])
        failure = row.result.block_failure.probability
        logs[cell] = math.log10(failure) if failure else np.nan
        empty[cell] = "" if failure else _NEVER if row.result.blocks is None else _UNSEEN
    if np.isnan(logs).all():
        raise refuse("no block fails at any point: a heatmap has nothing to show (a stack shows the outcomes)")
    axes = axes or style.new_axes()[0]
    _paint(axes, logs, empty)
    _ticks(axes, columns, lanes)
    axes.set_xlabel(style.drawable(axis_label(used, x)), **style.LITERAL)
    axes.set_ylabel(style.drawable(y), **style.LITERAL)
    axes.tick_params(labelsize=style.SMALL_PT)
    style.head(axes, rows[0].scenario.name, shared(used))
    return axes


def _refuse_a_third_axis(rows: Sequence[Row], x: str, y: str) -> None:
    places = [(str(row.coordinates.get(x)), str(row.coordinates.get(y))) for row in rows]
    if len(set(places)) < len(places):
        others = [name for name in rows[0].coordinates if name not in {x, y}]
        raise refuse(f"several points fall on one cell: choose one value with series={others[0]}=VALUE")


def _values(rows: Sequence[Row], name: str) -> list[Any]:
    return sorted(dict.fromkeys(row.coordinates[name] for row in rows), key=lambda value: number(value) or 0.0)


def _paint(axes: Axes, logs: NDArray[np.float64], empty: NDArray[np.object_]) -> None:
    """Colour the cells, hatch those without a number, draw contours and the colour bar."""
    low, high = float(np.nanmin(logs)), float(np.nanmax(logs))
    low = max(low, high - 20)
    mesh = axes.imshow(
        np.clip(logs, low, None), origin="lower", aspect="auto", cmap="cividis", vmin=low, vmax=max(high, low + 1e-9)
    )
    _hatch(axes, empty)
    powers = [power for power in range(math.ceil(low), math.floor(high) + 1) if low < power < high]
    powers = powers[:: max(1, len(powers) // 8)]
    if powers and min(logs.shape) > 1:
        contours = axes.contour(
            np.ma.masked_invalid(logs), levels=powers, colors="white", linewidths=0.9, linestyles="solid"
        )
        axes.clabel(contours, fmt=lambda power: f"1e{power:.0f}", fontsize=style.SMALL_PT)
    bar = axes.figure.colorbar(mesh, ax=axes)
    ticks: list[float] = list(map(float, range(math.ceil(low), math.floor(high) + 1)))[
        :: max(1, int((high - low) // 8))
    ]
    bar.set_ticks(ticks or [low, high])
    bar.ax.set_yticklabels([_told(tick) for tick in (ticks or [low, high])], fontsize=style.SMALL_PT)
    bar.set_label("block failure: one block in", fontsize=style.TEXT_PT)


def _hatch(axes: Axes, empty: NDArray[np.object_]) -> None:
    """Hatch the cells that have no colour, and say why."""
    from matplotlib.patches import Patch, Rectangle

    handles = []
    for reason, hatch in _HATCHES.items():
        cells = np.argwhere(empty == reason)
        look: dict[str, Any] = {"fill": False, "hatch": hatch, "edgecolor": "#BBBBBB", "linewidth": 0}
        for lane, column in cells:
            axes.add_patch(Rectangle((column - 0.5, lane - 0.5), 1, 1, **look))
        if len(cells):
            handles.append(Patch(label=reason, **look))
    if handles:
        axes.legend(handles=handles, loc="lower left", fontsize=style.SMALL_PT, framealpha=0.9)


def _told(power: float) -> str:
    return style.one_in(10.0**power)


def _ticks(axes: Axes, columns: Sequence[Any], lanes: Sequence[Any]) -> None:
    for axis, values in ((axes.xaxis, columns), (axes.yaxis, lanes)):
        step = max(1, math.ceil(len(values) / _TICKS_MAX))
        at = _powers(values) if step > 1 else []
        at = at if 3 <= len(at) <= _TICKS_MAX else list(range(0, len(values), step))
        axis.set_ticks(at, [style.drawable(bounded(_short(values[index]), 16)) for index in at], **style.LITERAL)


def _powers(values: Sequence[Any]) -> list[int]:
    """Which values are powers of ten: the best ticks where not all fit."""
    return [index for index, value in enumerate(values) if isinstance(value, float) and f"{value:e}"[:8] == "1.000000"]


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
