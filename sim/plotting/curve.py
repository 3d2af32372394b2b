"""The consensus failure curve: block failure over one axis, one line for each value of the others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sim.base.text import bounded
from sim.plotting import style
from sim.plotting.view import Line, is_rate, lines, refuse, shared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from sim.sweeps.row import Row

DECADES_MAX = 20
DIRECT_LABELS_MAX = 12
_LABEL_ROOM = 0.22  # share of the width that labels at the ends of lines need
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
    _limits(axes, drawn, logarithmic=logarithmic, labelled=any(line.label for line in drawn))
    used = [spot.row for line in drawn for spot in line.spots]
    if is_rate(used, x):
        axes.set_xlabel("nondeterminism rate: probability that a node deviates at one decision point")
        _references(axes, drawn)
    else:
        axes.set_xlabel(x, **style.LITERAL)
    axes.set_ylabel("block failure (probability)")
    _second_axis(axes)
    style.frame(axes, right=True)
    _end_ticks(axes, drawn)
    style.head(axes, rows[0].scenario.name, shared(used))
    _label_ends(axes, drawn)
    if zeros:
        note = f"{zeros} point{'s' * (zeros > 1)} where no block fails {'are' if zeros > 1 else 'is'} not drawn"
        axes.text(0.01, 0.015, note, transform=axes.transAxes, fontsize=style.SMALL_PT, color=style.GREY)
    return axes


def _draw_line(axes: Axes, line: Line, index: int) -> int:
    """Draw one line; returns the number of exact zeros, which a logarithmic axis cannot show."""
    colour = style.COLOURS[index % len(style.COLOURS)]
    dashes = style.DASHES[index % len(style.DASHES)]
    seen = [spot for spot in line.spots if spot.result.block_failure.probability > 0]
    if seen:
        where = [spot.x for spot in seen]
        failure = [spot.result.block_failure for spot in seen]
        axes.plot(where, [f.probability for f in failure], color=colour, linestyle=dashes, linewidth=1.8, zorder=3)
        simulated = [
            (spot.x, spot.result.block_failure) for spot in seen if spot.result.block_failure.count is not None
        ]
        if simulated:
            at = [place for place, _ in simulated]
            low, high = [max(f.low, f.probability * 1e-3) for _, f in simulated], [f.high for _, f in simulated]
            axes.fill_between(at, low, high, color=colour, alpha=0.18, linewidth=0, zorder=2)
            dots = [f.probability for _, f in simulated]
            axes.plot(at, dots, "o", color=colour, markersize=4, zorder=4, gid="simulated")
    unseen = [spot for spot in line.spots if spot.result.block_failure.probability == 0]
    bounds = [spot for spot in unseen if spot.result.block_failure.count is not None]
    if bounds:
        high = [spot.result.block_failure.high for spot in bounds]
        at = [spot.x for spot in bounds]
        length = [bound * 0.6 for bound in high]
        axes.errorbar(at, high, yerr=length, uplims=True, fmt="_", color=colour, capsize=2.5, linewidth=1, zorder=3)
    return len(unseen) - len(bounds)


def _limits(axes: Axes, drawn: Sequence[Line], *, logarithmic: bool, labelled: bool) -> None:
    """Frame the data, with room at the right for the labels of lines; at most 20 decades."""
    found = [spot.result.block_failure for line in drawn for spot in line.spots]
    values = [f.probability or f.high * 0.3 for f in found if f.probability or f.count is not None]
    if not values:
        raise refuse("no block fails at any point: a curve has nothing to show (a stack shows the outcomes)")
    top = min(max(*values, *(f.high for f in found)) * 3, 2.0)
    bottom = max(min(min(values) / 3, top / 300), top * 10.0**-DECADES_MAX)
    axes.set_ylim(bottom, top)
    places = [spot.x for line in drawn for spot in line.spots]
    low, high = (math.log(end) if logarithmic else end for end in (min(places), max(places)))
    width = (high - low) or 1.0
    ends = low - 0.02 * width, high + (_LABEL_ROOM if labelled else 0.02) * width
    axes.set_xlim(*(math.exp(end) if logarithmic else end for end in ends))


def _references(axes: Axes, drawn: Sequence[Line]) -> None:
    """Mark failure = rate, and the article's 99.99 %."""
    (left, _), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    right = max(spot.x for line in drawn for spot in line.spots)
    low, high = max(left, bottom), min(right, top)
    if low < high:
        axes.plot([low, high], [low, high], color=style.GREY, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
        _name_diagonal(axes, drawn, low, high)
    if left < ARTICLE_RATE <= right:
        axes.axvline(ARTICLE_RATE, color=style.GREY, linewidth=0.8, zorder=1)
        axes.annotate(
            "deterministic 99.99 %\nof the time (the article)",
            (ARTICLE_RATE, 0),
            (4, 8),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            fontsize=style.SMALL_PT,
            color=style.GREY,
            bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1},
            zorder=5,
        )


def _name_diagonal(axes: Axes, drawn: Sequence[Line], low: float, high: float) -> None:
    """Write "failure = rate" along the diagonal, on the side and at the place farthest from the lines."""
    curves = [np.array(_seen(line)) for line in drawn if _seen(line)]
    best, place, side = -1.0, low, 1
    for share in (0.1, 0.25, 0.4, 0.55, 0.7):
        at = low * (high / low) ** share
        heights = [np.interp(np.log(at), np.log(curve[:, 0]), np.log(curve[:, 1])) - np.log(at) for curve in curves]
        for above in (1, -1):
            clear = min((above * height for height in heights if above * height > 0.12), default=np.inf)
            if min(clear, 5.0) > best:
                best, place, side = min(clear, 5.0), at, above
    here, there = axes.transData.transform([(place, place), (place * 1.5, place * 1.5)])
    axes.annotate(
        "failure = rate",
        (place, place),
        (-5, 5) if side > 0 else (5, -11),
        textcoords="offset points",
        rotation=math.degrees(math.atan2(*(there - here)[::-1])),
        rotation_mode="anchor",
        fontsize=style.SMALL_PT,
        color=style.GREY,
    )


def _end_ticks(axes: Axes, drawn: Sequence[Line]) -> None:
    """End the x axis where the data ends: what is right of it is room for labels."""
    left = axes.get_xlim()[0]
    right = max(spot.x for line in drawn for spot in line.spots)
    for minor in (False, True):
        ticks = [tick for tick in axes.get_xticks(minor=minor) if left <= tick <= right * (1 + 1e-9)]
        axes.set_xticks(ticks, minor=minor)
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
            Line2D([], [], color=style.COLOURS[i % len(style.COLOURS)], linestyle=style.DASHES[i % len(style.DASHES)])
            for _, _, i in ends
        ]
        legend = axes.legend(handles, [line.label for line, _, _ in ends], fontsize=style.SMALL_PT, frameon=False)
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
            bounded(line.label, 34),
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
