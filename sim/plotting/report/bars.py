"""Figures of a single answer: its outcomes, and what it measured in time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sim.plotting import style
from sim.plotting.report.escape import label
from sim.plotting.report.figure import Figure, axis, layout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.engines.result import Result
    from sim.engines.timing import Timing

_DECADES_MAX = 300
_LOW = {"height": 280, "showlegend": False}


def outcomes(result: Result) -> Figure | None:
    """Draw the probability of each outcome; None where only one is possible."""
    seen = {name: each for name, each in result.outcomes.items() if each.probability or each.count is not None}
    if len(seen) < 2:
        return None
    names = list(seen)[::-1]
    found = [seen[name] for name in names]
    points: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers",
        "x": [f.probability or f.high for f in found],
        "y": names,
        "marker": {
            "size": 11,
            "color": style.COLOURS[0],
            "symbol": ["circle" if f.probability else "triangle-left-open" for f in found],
        },
        "hoverinfo": "text",
        "hovertext": [
            f"{name}: {f.probability:.5g} ({f.low:.3g} to {f.high:.3g})" for name, f in zip(names, found, strict=True)
        ],
        "meta": {},
    }
    simulated = found[0].count is not None
    if simulated:
        points["error_x"] = {
            "type": "data",
            "array": [f.high - f.probability if f.probability else 0 for f in found],
            "arrayminus": [f.probability - max(f.low, f.probability * 1e-3) for f in found],
        }
    caption = "On a logarithmic scale; an outcome that cannot happen is left out."
    if simulated:
        caption = "On a logarithmic scale, with 95 % intervals. Triangles: none was seen; the 95 % bound."
    decade = math.floor(math.log10(min(f.low or f.probability or f.high for f in found)))
    decade = max(decade, -_DECADES_MAX)
    step = max(1, -decade // 8)
    x = axis("probability of a block's outcome", type="log", exponentformat="power", dtick=step, range=[decade, 0.05])
    return Figure("outcomes", "Outcomes", caption, [points], layout(x, axis("", type="category"), **_LOW))


def timed(timing: Timing) -> list[Figure]:
    """Draw latency and messages by type."""
    found = []
    if timing.latency_s:
        caption = "From a block's start until more than f votes hold its result, over agreed blocks."
        bars = _bars(timing.latency_s, "s")
        found.append(Figure("latency", "Latency", caption, [bars], layout(axis("seconds"), _names(), **_LOW)))
    if timing.messages_by_type:
        bars = _bars(timing.messages_by_type, "messages a block")
        x = axis("messages a block")
        caption = f"{timing.messages_per_block:,.5g} a block, without checkpoints and state sync."
        found.append(Figure("messages", "Messages by type", caption, [bars], layout(x, _names(), **_LOW)))
    return found


def _names() -> dict[str, Any]:
    return axis("", type="category", autorange="reversed")


def _bars(values: Mapping[str, float], unit: str) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "x": list(values.values()),
        "y": [label(name) for name in values],
        "marker": {"color": style.COLOURS[0]},
        "hoverinfo": "text",
        "hovertext": [label(f"{name}: {value:.4g} {unit}") for name, value in values.items()],
        "meta": {},
    }
