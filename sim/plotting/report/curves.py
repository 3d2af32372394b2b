"""Curves to hover, zoom and filter: block failure, latency and messages over one axis of a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sim.plotting import style
from sim.plotting.report.escape import label
from sim.plotting.report.figure import Figure, axis, layout, pen
from sim.plotting.report.filters import Filters
from sim.plotting.view import Line, Spot, axis_label, is_rate, lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sim.engines.result import Estimate
    from sim.engines.timing import Timing
    from sim.sweeps.row import Row

POINTS_MAX = 3_000
_DECADES_MAX = 20
_SHARES_MAX = 6  # lines that are drawn with all three percentiles
_Trace = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Along:
    """Answered rows, sorted into lines over an axis.

    Parameters
    ----------
    rows
        What is drawn.
    x
        The axis, of numbers; None: one line over the points as they are named.
    drawn
        The lines.
    filters
        What a reader can choose.
    left_out
        Points that were too many to draw.
    """

    rows: Sequence[Row]
    x: str | None
    drawn: Sequence[Line]
    filters: Filters
    left_out: int

    @classmethod
    def of(cls, rows: Sequence[Row], x: str | None) -> Along:
        """Sort rows into lines, as many whole ones as fit into the page."""
        if x is None:
            spots = tuple(Spot(float(index), row, row.result) for index, row in enumerate(rows) if row.result)
            found = [Line("", spots[:POINTS_MAX])]
        else:
            found = lines(rows, x, None)
        kept: list[Line] = []
        total = 0
        for line in found:
            total += len(line.spots)
            if kept and total > POINTS_MAX:
                break
            kept.append(Line(line.label, line.spots[:POINTS_MAX]))
        drawn = sum(len(line.spots) for line in kept)
        answered = [row for row in rows if row.result]
        return cls(answered, x, kept, Filters.of(rows, x), len(answered) - drawn)

    @property
    def note(self) -> str:
        """What the figures leave out."""
        return f" {self.left_out:,} more points are not drawn." if self.left_out else ""

    def axis(self) -> dict[str, Any]:
        """The axis that is drawn along."""
        if self.x is None:
            names = [label(point_name(row)) for row in self.rows]
            ticks = {"tickvals": list(range(len(names))), "ticktext": names} if len(names) <= 40 else {}
            return axis("", **ticks)
        logarithmic = style.log_spaced([spot.x for line in self.drawn for spot in line.spots])
        power = {"type": "log", "exponentformat": "power"} if logarithmic else {}
        return axis(axis_label(self.rows, self.x), **power)

    def over(self, line: Line, index: int, **more: Any) -> _Trace:
        """Make a trace for a line, without its heights."""
        spots = line.spots
        connected = self.x is not None and len({spot.x for spot in spots}) == len(spots)
        return {
            "type": "scatter",
            "mode": "lines+markers" if connected else "markers",
            "name": label(line.label or "block failure"),
            "x": [spot.x for spot in spots],
            "line": {**pen(index), "width": 2},
            "marker": {"color": pen(index)["color"], "size": 5},
            "hoverinfo": "text",
            "meta": {"keys": self.filters.keys(spots[0].row)} if self._apart(line) else {},
            **more,
        }

    def _apart(self, line: Line) -> bool:
        """Whether all points of a line have the same values of the axes that can be chosen."""
        return len({tuple(self.filters.keys(spot.row)) for spot in line.spots}) == 1


def point_name(row: Row) -> str:
    """Name a point by its coordinates."""
    return ", ".join(f"{name} {_short(value)}" for name, value in row.coordinates.items())


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def failure_curve(along: Along) -> Figure | None:
    """Draw block failure; None where no block fails at any point."""
    found = [spot.result.block_failure for line in along.drawn for spot in line.spots]
    heights = [f.probability or f.high for f in found if f.probability or f.count is not None]
    if not heights:
        return None
    data: list[_Trace] = []
    for index, line in enumerate(along.drawn):
        data += _failures(along, line, index)
    zeros = sum(not f.probability and f.count is None for f in found)
    top = min(max(heights) * 3, 2.0)
    bottom = max(min(heights) / 3, top * 10.0**-_DECADES_MAX)
    if along.x is not None and is_rate(along.rows, along.x):
        data.append(_diagonal([spot.x for line in along.drawn for spot in line.spots], bottom))
    caption = "Hover for numbers, drag to zoom, double-click to zoom out, click a name in the legend to hide its curve."
    if any(f.count is not None and not f.probability for f in found):
        caption += " Triangles: none was seen to fail; the 95 % bound."
    if zeros:
        caption += f" {zeros:,} points where no block fails have no place on a logarithmic axis."
    y = axis("block failure (probability)", type="log", exponentformat="power", range=_range(bottom, top))
    several = len(along.drawn) > 1
    drawn = layout(along.axis(), y, showlegend=several or len(data) > 1)
    return Figure("failure", "Block failure", caption + along.note, data, drawn)


def _range(low: float, high: float) -> list[float]:
    from math import log10

    return [round(log10(low), 3), round(log10(high), 3)]


def _failures(along: Along, line: Line, index: int) -> list[_Trace]:
    """Make a line, and where none was seen to fail, the bounds as triangles that go with it."""
    found = [spot.result.block_failure for spot in line.spots]
    group = {"legendgroup": str(index)}
    trace = along.over(line, index, **group)
    trace["y"] = [f.probability or None for f in found]
    trace["hovertext"] = [_hover(along, line, spot, spot.result.block_failure) for spot in line.spots]
    if any(f.count is not None for f in found):
        trace["error_y"] = {
            "type": "data",
            "array": [f.high - f.probability for f in found],
            "arrayminus": [f.probability - max(f.low, f.probability * 1e-3) for f in found],
            "thickness": 1,
            "width": 2,
        }
    unseen = [spot for spot in line.spots if spot.result.block_failure.count is not None]
    unseen = [spot for spot in unseen if not spot.result.block_failure.probability]
    if not unseen:
        return [trace]
    bounds = along.over(Line(line.label, tuple(unseen)), index, **group, showlegend=len(unseen) == len(found))
    trace["showlegend"] = len(unseen) < len(found)
    bounds |= {"mode": "markers", "marker": {**bounds["marker"], "symbol": "triangle-down-open", "size": 9}}
    bounds["y"] = [spot.result.block_failure.high for spot in unseen]
    bounds["hovertext"] = [_hover(along, line, spot, spot.result.block_failure) for spot in unseen]
    return [trace, bounds]


def _hover(along: Along, line: Line, spot: Spot, failure: Estimate) -> str:
    where = point_name(spot.row) if along.x is None else f"{along.x} {spot.x:.6g}"
    told = [f"<b>{label(line.label)}</b>"] if line.label else []
    told.append(label(where))
    if failure.probability:
        told.append(f"failure {failure.probability:.4g}, one block in {style.one_in(failure.probability)}")
    else:
        told.append(f"none seen to fail: at most {failure.high:.3g}")
    if failure.count is not None:
        told.append(f"95 %: {failure.low:.3g} to {failure.high:.3g}, {spot.result.blocks or 0:,} blocks")
    return "<br>".join(told)


def _diagonal(places: Sequence[float], bottom: float) -> _Trace:
    """The line where blocks fail as often as one node deviates."""
    low, high = max(min(place for place in places if place > 0), bottom), max(places)
    at = [low * (high / low) ** (step / 40) for step in range(41)] if high > low else [low]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "failure = rate",
        "x": at,
        "y": at,
        "line": {"color": style.GREY, "dash": "dot", "width": 1},
        "hoverinfo": "skip",
        "meta": {},
    }


def timed_curves(along: Along) -> list[Figure]:
    """Draw latency and messages over the axis, where the points have any."""
    timed = [(index, line) for index, line in enumerate(along.drawn) if any(s.result.timing for s in line.spots)]
    if not timed:
        return []
    shares = ("p50", "p95", "p99") if len(timed) <= _SHARES_MAX else ("p95",)
    latency = [
        _measured(along, line, index, partial(_latency, share), share, "s") for index, line in timed for share in shares
    ]
    messages = [
        _measured(along, line, index, lambda timing: timing.messages_per_block, "", "messages a block")
        for index, line in timed
    ]
    x, told = along.axis(), "From a block's start until more than f votes hold its result, over agreed blocks."
    one = len(timed) == 1
    return [
        Figure("latency", "Latency", told + along.note, latency, layout(x, axis("seconds", rangemode="tozero"))),
        Figure(
            "messages",
            "Messages",
            "Put on the wire, without checkpoints and state sync." + along.note,
            messages,
            layout(x, axis("messages a block", rangemode="tozero"), showlegend=not one),
        ),
    ]


def _latency(share: str, timing: Timing) -> float | None:
    return (timing.latency_s or {}).get(share)


def _measured(
    along: Along, line: Line, index: int, value: Callable[[Timing], float | None], share: str, unit: str
) -> _Trace:
    dash = {"p95": "dash", "p99": "dot"}.get(share, "solid")
    name = ", ".join(part for part in (line.label, share) if part)
    trace = along.over(line, index, name=label(name or unit))
    trace["line"] = {**trace["line"], "dash": dash}
    heights = [value(spot.result.timing) if spot.result.timing else None for spot in line.spots]
    trace["y"] = heights
    trace["hovertext"] = [
        label(f"{name + ': ' if name else ''}{spot.x:.6g}: {height:.4g} {unit}" if height is not None else "")
        for spot, height in zip(line.spots, heights, strict=True)
    ]
    return trace
