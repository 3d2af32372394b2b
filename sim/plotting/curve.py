"""The consensus failure curve: block failure over one axis, one line for each value of the others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.base.text import bounded
from sim.plotting import style
from sim.plotting.view import Line, Spot, axis_label, is_rate, lines, refuse, shared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from sim.sweeps.row import Row

DECADES_MAX = 20
DIRECT_LABELS_MAX = 12
LABEL_CHARACTERS = 34
_ROOM_MAX = 0.5  # share of the width that labels at the ends of lines may take
_SPACING_PT = 10.5
ARTICLE_RATE = 1e-4


def curve(rows: Sequence[Row], x: str, series: str | None, axes: Axes | None) -> Axes:
    """Draw the failure curve (see `draw.plot`)."""
    drawn = lines(rows, x, series)
    axes = axes or style.new_axes()[0]
    logarithmic = style.log_spaced([spot.x for line in drawn for spot in line.spots])
    if logarithmic:
        axes.set_xscale("log")
    axes.set_yscale("log")
    zeros = sum(_draw_line(axes, line, index) for index, line in enumerate(drawn))
    _limits(axes, drawn)
    used = [spot.row for line in drawn for spot in line.spots]
    axes.set_xlabel(style.drawable(axis_label(used, x)), **style.LITERAL)
    axes.set_ylabel("block failure (probability)")
    _second_axis(axes)
    style.frame(axes, right=True)
    style.head(axes, rows[0].scenario.name, shared(used))
    _make_room(axes, drawn, logarithmic=logarithmic)
    _end_ticks(axes, drawn, logarithmic=logarithmic)
    if is_rate(used, x):
        _references(axes, drawn, logarithmic=logarithmic)
    _label_ends(axes, drawn)
    if zeros:
        note = f"{zeros} point{'s' * (zeros > 1)} where no block fails {'are' if zeros > 1 else 'is'} not drawn"
        axes.text(0.01, 0.015, note, transform=axes.transAxes, fontsize=style.SMALL_PT, color=style.GREY)
    return axes


def _draw_line(axes: Axes, line: Line, index: int) -> int:
    """Draw one line; returns the number of exact zeros, which a logarithmic axis cannot show."""
    colour = style.COLOURS[index % len(style.COLOURS)]
    for spots in _tracks(line):
        _draw_track(axes, spots, colour, style.dashes(index))
    bounds = [
        s for s in line.spots if s.result.block_failure.count is not None and not s.result.block_failure.probability
    ]
    if bounds:
        high = [spot.result.block_failure.high for spot in bounds]
        at = [spot.x for spot in bounds]
        length = [bound * 0.6 for bound in high]
        axes.errorbar(at, high, yerr=length, uplims=True, fmt="_", color=colour, capsize=2.5, linewidth=1, zorder=3)
    return sum(not spot.result.block_failure.probability for spot in line.spots) - len(bounds)


def _tracks(line: Line) -> list[list[Spot]]:
    """What a line connects: all its points, or exact and simulated ones apart where some are answered twice."""
    places = [spot.x for spot in line.spots]
    if len(set(places)) == len(places):
        return [list(line.spots)]
    exact = [spot for spot in line.spots if spot.result.block_failure.count is None]
    simulated = [spot for spot in line.spots if spot.result.block_failure.count is not None]
    return [track for track in (exact, simulated) if track]


def _draw_track(axes: Axes, spots: Sequence[Spot], colour: str, dashes: Any) -> None:
    """Connect neighbours that have failures, and mark those that are simulated, with their intervals."""
    at = np.array([spot.x for spot in spots])
    found = [spot.result.block_failure for spot in spots]
    value, low, high = (
        np.array([getattr(f, part) if f.probability else np.nan for f in found])
        for part in ("probability", "low", "high")
    )
    connected = len(set(at)) == len(at)
    axes.plot(at, value, color=colour, linestyle=dashes if connected else "none", linewidth=1.8, zorder=3)
    simulated = np.array([f.count is not None for f in found]) & np.isfinite(value)
    alone = _alone(np.isfinite(value)) | (not connected)
    exact = np.isfinite(value) & ~simulated & alone
    if exact.any():
        axes.plot(at[exact], value[exact], "o", color=colour, markersize=2.5, zorder=3, gid="alone")
    if not simulated.any():
        return
    axes.plot(at[simulated], value[simulated], "o", color=colour, markersize=4, zorder=4, gid="simulated")
    floor = np.maximum(low, value * 1e-3)
    if connected:
        axes.fill_between(at, floor, high, where=simulated, color=colour, alpha=0.18, linewidth=0, zorder=2)
    bars = simulated & (_alone(simulated) | (not connected))
    axes.vlines(at[bars], floor[bars], high[bars], color=colour, alpha=0.5, linewidth=1.2, zorder=2)


def _alone(present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of those present have no neighbour, and so no line to be seen by."""
    padded = np.concatenate([[False], present, [False]])
    alone: NDArray[np.bool_] = present & ~padded[:-2] & ~padded[2:]
    return alone


def _limits(axes: Axes, drawn: Sequence[Line]) -> None:
    """Frame failures over at most 20 decades."""
    found = [spot.result.block_failure for line in drawn for spot in line.spots]
    values = [f.probability or f.high * 0.3 for f in found if f.probability or f.count is not None]
    if not values:
        raise refuse("no block fails at any point: a curve has nothing to show (a stack shows the outcomes)")
    top = min(max(*values, *(f.high for f in found)) * 3, 2.0)
    bottom = max(min(min(values) / 3, top / 300), top * 10.0**-DECADES_MAX)
    axes.set_ylim(bottom, top)


def _make_room(axes: Axes, drawn: Sequence[Line], *, logarithmic: bool) -> None:
    """Frame the data along x, with as much room at its right as the labels of the lines need."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    labels = [line.label for line in drawn if line.label and _seen(line)]
    direct = len(labels) <= DIRECT_LABELS_MAX
    font = FontProperties(size=style.TEXT_PT if direct else style.SMALL_PT)
    shown = [style.drawable(bounded(label, LABEL_CHARACTERS)) for label in labels]
    widest = max(
        (TextToPath().get_text_width_height_descent(text, font, ismath=False)[0] for text in shown), default=0.0
    )
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]
    share = (
        min((1.04 * widest + (14 if direct else 44)) / (axes.bbox.width * 72 / axes.figure.dpi), _ROOM_MAX)
        if labels
        else 0.02
    )
    places = [spot.x for line in drawn for spot in line.spots]
    low, high = (math.log(end) if logarithmic else end for end in (min(places), max(places)))
    width = (high - low) or 1.0
    ends = low - 0.02 * width, low + width / (1 - share)
    axes.set_xlim(*(math.exp(end) if logarithmic else end for end in ends))


def _references(axes: Axes, drawn: Sequence[Line], *, logarithmic: bool) -> None:
    """Mark failure = rate, and the article's 99.99 %."""
    (left, _), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    right = max(spot.x for line in drawn for spot in line.spots)
    low, high = max(left, bottom), min(right, top)
    if left < ARTICLE_RATE <= right:
        axes.axvline(ARTICLE_RATE, color=style.GREY, linewidth=0.8, zorder=1)
        axes.annotate(
            "deterministic 99.99 %\nof the time (the article)",
            (ARTICLE_RATE, 0),
            (4, 18),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            fontsize=style.SMALL_PT,
            color=style.GREY,
            bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1},
            zorder=5,
            gid="article",
        )
    if low < high:
        at = np.geomspace(low, high, 80) if logarithmic else np.linspace(low, high, 200)
        axes.plot(at, at, color=style.GREY, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1, gid="diagonal")
        _name_diagonal(axes, drawn, at)


def _name_diagonal(axes: Axes, drawn: Sequence[Line], at: NDArray[np.float64]) -> None:
    """Write "failure = rate" along the diagonal, on the side and at the place farthest from lines and labels."""
    from matplotlib.patheffects import withStroke

    point = 72 / axes.figure.dpi
    diagonal = axes.transData.transform(np.column_stack([at, at])) * point
    curves = [axes.transData.transform(np.array(_seen(line))) * point for line in drawn if _seen(line)]
    frame, taken = axes.bbox, [text.get_window_extent() for text in axes.texts if text.get_gid() == "article"]
    best, index, side = -1.0, 0, 1
    for share in (0.14, 0.25, 0.4, 0.55, 0.7, 0.85):
        here = int(share * (len(at) - 1))
        x, y = diagonal[here]
        if any(box.padded(40 / point).contains(x / point, y / point) for box in taken) or y < frame.y0 * point + 20:
            continue
        heights = [np.interp(x, curve[:, 0], curve[:, 1]) - y for curve in curves]
        for above in (1, -1):
            clear = min((above * height for height in heights if above * height > 3), default=np.inf)
            if min(clear, 60.0) > best:
                best, index, side = min(clear, 60.0), here, above
    beyond = min(index + 1, len(at) - 1)
    run, rise = diagonal[beyond] - diagonal[beyond - 1]
    angle = math.atan2(rise, run)
    text = axes.annotate(
        "failure = rate",
        (at[index], at[index]),
        (-side * 7 * math.sin(angle), side * 7 * math.cos(angle)),
        textcoords="offset points",
        ha="center",
        va="center",
        rotation=math.degrees(angle),
        rotation_mode="anchor",
        fontsize=style.SMALL_PT,
        color=style.GREY,
    )
    text.set_path_effects([withStroke(linewidth=2, foreground="white")])


def _end_ticks(axes: Axes, drawn: Sequence[Line], *, logarithmic: bool) -> None:
    """End the x axis where the data ends: what is right of it is room for labels."""
    from matplotlib.ticker import NullFormatter

    left = axes.get_xlim()[0]
    places = [spot.x for line in drawn for spot in line.spots]
    right = max(places)
    few = style.log_ticks(min(places), right) if logarithmic else None
    for minor in (False, True):
        ticks = [tick for tick in axes.get_xticks(minor=minor) if left <= tick <= right * (1 + 1e-9)]
        axes.set_xticks(ticks, minor=minor)
    if few:
        axes.set_xticks(few, [f"{tick:g}" for tick in few])
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.spines["bottom"].set_bounds(left, right)


def _second_axis(axes: Axes) -> None:
    """Tell failures as one block in N, at the right."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    bottom, top = axes.get_ylim()
    decades = range(math.ceil(math.log10(bottom)), math.floor(math.log10(min(top, 1.0))) + 1)
    step = max(1, math.ceil(len(decades) / 10))
    second = axes.secondary_yaxis("right")
    second.yaxis.set_major_locator(FixedLocator([10.0**decade for decade in decades if decade % step == 0]))
    second.yaxis.set_minor_locator(NullLocator())
    second.yaxis.set_major_formatter(FuncFormatter(lambda value, _: style.one_in(value)))
    second.set_ylabel("one block in", fontsize=style.TEXT_PT)
    second.tick_params(labelsize=style.SMALL_PT)


def _label_ends(axes: Axes, drawn: Sequence[Line]) -> None:
    """Write each line's label at its end, spread so that they do not overlap; a legend where they are too many."""
    from matplotlib.lines import Line2D

    ends = [(line, spots[-1], index) for index, line in enumerate(drawn) if line.label and (spots := _seen(line))]
    if len(ends) > DIRECT_LABELS_MAX:
        handles = [
            Line2D([], [], color=style.COLOURS[i % len(style.COLOURS)], linestyle=style.dashes(i)) for _, _, i in ends
        ]
        legend = axes.legend(
            handles, [style.drawable(line.label) for line, _, _ in ends], fontsize=style.SMALL_PT, frameon=False
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
        return
    figure = axes.figure
    figure.draw_without_rendering()  # type: ignore[union-attr]
    scale = 72 / figure.dpi
    bottom, top = axes.transAxes.transform([(0, 0), (0, 1)])[:, 1] * scale
    heights = [float(axes.transData.transform((x, y))[1]) * scale for _, (x, y), _ in ends]
    for (line, (x, y), index), height, wanted in zip(ends, heights, _spread(heights, bottom, top), strict=True):
        axes.annotate(
            style.drawable(bounded(line.label, LABEL_CHARACTERS)),
            (x, y),
            (7, wanted - height),
            textcoords="offset points",
            va="center",
            fontsize=style.TEXT_PT,
            color=style.COLOURS[index % len(style.COLOURS)],
            annotation_clip=False,
            gid="label",
            **style.LITERAL,
        )


def _seen(line: Line) -> list[tuple[float, float]]:
    found = [(spot.x, spot.result.block_failure) for spot in line.spots]
    return [(x, f.probability or f.high) for x, f in found if f.probability or f.count is not None]


def _spread(heights: Sequence[float], bottom: float, top: float) -> list[float]:
    """Heights as close to those wanted as a spacing between them allows, within the frame."""
    order = np.argsort(heights, kind="stable")
    placed = np.array([min(max(heights[i], bottom + 5), top - 5) for i in order])
    for index in range(1, len(placed)):
        placed[index] = max(placed[index], placed[index - 1] + _SPACING_PT)
    if len(placed) and placed[-1] > top - 5:
        placed[-1] = top - 5
        for index in range(len(placed) - 2, -1, -1):
            placed[index] = min(placed[index], placed[index + 1] - _SPACING_PT)
    spread = np.empty(len(placed))
    spread[order] = placed
    return [float(height) for height in spread]
