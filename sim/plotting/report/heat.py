"""Heat maps: block failure over two axes of numbers, one map for each choice of the others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sim.plotting import style
from sim.plotting.report.curves import point_name
from sim.plotting.report.escape import label
from sim.plotting.report.figure import Figure, axis, layout
from sim.plotting.view import axis_label, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim.sweeps.row import Row

CELLS_MAX, MAPS_MAX = 5_000, 24
_TICKS_MAX = 12
_DECADES_MAX = 20


def heat_maps(rows: Sequence[Row], x: str, y: str) -> Figure | None:
    """Draw the maps; None where no block fails, or the cells are too many.

    Parameters
    ----------
    rows
        Answered rows of a sweep.
    x, y
        Axes of numbers.
    """
    maps: dict[str, list[Row]] = {}
    for row in rows:
        others = [f"{name} {value}" for name, value in row.coordinates.items() if name not in {x, y}]
        maps.setdefault(", ".join(others), []).append(row)
    seen = [math.log10(row.result.block_failure.probability) for row in rows if _fails(row) and row.result]
    columns, lanes = _values(rows, x), _values(rows, y)
    shown = list(maps)[:MAPS_MAX]
    if not seen or len(columns) * len(lanes) * len(shown) > CELLS_MAX:
        return None
    high = max(seen)
    low = max(min(seen), high - _DECADES_MAX)
    data = [_map(maps[name], (x, y), (columns, lanes), (low, high)) for name in shown]
    for index, (name, trace) in enumerate(zip(shown, data, strict=True)):
        trace |= {"name": label(name), "visible": index == 0}
    caption = "Colour: block failure, as powers of ten. Blank: no block fails, none was seen to, or no answer."
    if len(maps) > len(shown):
        caption += f" The first {len(shown)} of {len(maps):,} maps."
    drawn = layout(
        axis(axis_label(rows, x), **_ticks(columns)),
        axis(y, **_ticks(lanes)),
        height=480,
    )
    return Figure("heat", "Heat map", caption, data, drawn)


def _ticks(values: Sequence[Any]) -> dict[str, Any]:
    """Label every so many of the values, which stand at equal distances."""
    step = math.ceil(len(values) / _TICKS_MAX)
    return {"tickvals": list(range(0, len(values), step)), "ticktext": [_short(value) for value in values[::step]]}


def _fails(row: Row) -> bool:
    return row.result is not None and row.result.block_failure.probability > 0


def _values(rows: Sequence[Row], name: str) -> list[Any]:
    return sorted(dict.fromkeys(row.coordinates[name] for row in rows), key=lambda value: number(value) or 0.0)


def _map(
    rows: Sequence[Row],
    names: tuple[str, str],
    values: tuple[list[Any], list[Any]],
    limits: tuple[float, float],
) -> dict[str, Any]:
    (x, y), (columns, lanes), (low, high) = names, values, limits
    heights: list[list[float | None]] = [[None] * len(columns) for _ in lanes]
    told = [[""] * len(columns) for _ in lanes]
    for row in rows:
        if row.result is None:
            continue
        lane, column = lanes.index(row.coordinates[y]), columns.index(row.coordinates[x])
        failure = row.result.block_failure.probability
        heights[lane][column] = round(math.log10(failure), 4) if failure else None
        answer = f"{failure:.4g}, one block in {style.one_in(failure)}" if failure else "none fails"
        told[lane][column] = f"{label(point_name(row))}<br>{answer}"
    ticks = list(range(math.ceil(low), math.floor(high) + 1))
    ticks = ticks[:: max(1, len(ticks) // 8)]
    bar: dict[str, Any] = {"title": {"text": "failure", "side": "top"}, "thickness": 14}
    if len(ticks) < 2:
        bar |= {"tickvals": [low, high], "ticktext": [f"{10**low:.3g}", f"{10**high:.3g}"]}
    else:
        bar |= {"tickvals": ticks, "ticktext": [f"1e{tick}" for tick in ticks]}
    return {
        "type": "heatmap",
        "z": heights,
        "hovertext": told,
        "hoverinfo": "text",
        "colorscale": "Cividis",
        "zmin": low,
        "zmax": max(high, low + 1e-9),
        "colorbar": bar,
        "meta": {},
    }


def _short(value: Any) -> str:
    return label(f"{value:.4g}" if isinstance(value, float) else value)
