"""Observed against predicted: sizes of groups that agree, and how often one is large enough for a quorum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.plotting import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.analysis.calibration import Calibration

_OBSERVED = "#000000"


def calibration(found: Calibration) -> Axes:
    """Draw what was observed and what each fit predicts.

    Parameters
    ----------
    found
        What `sim calibrate` found.

    Returns
    -------
    Axes
        The left ones, with group sizes; the others are beside them.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2 * style.SIZE_IN[0] * 0.7, style.SIZE_IN[1]), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    _draw_groups(left, found)
    _draw_quorums(right, found)
    for axes in (left, right):
        style.frame(axes)
    runs, prompts = found.observed.runs, len(found.observed.prompts)
    left.set_title(
        f"Groups of identical outputs: {runs:,} runs of {prompts:,} prompts", loc="left", fontsize=style.TITLE_PT
    )
    right.set_title("Prompts on which a quorum agrees", loc="left", fontsize=style.TITLE_PT)
    right.legend(frameon=False, fontsize=style.SMALL_PT, loc="lower left")
    return left


def _names(found: Calibration) -> list[str]:
    return [fit.law.name for fit in found.fits]


def _draw_groups(axes: Axes, found: Calibration) -> None:
    groups = found.groups
    sizes = np.arange(1, groups.runs + 1)
    observed = np.array(groups.observed)
    axes.bar(sizes, observed, width=0.7, color="#DDDDDD", edgecolor=style.GREY, label="observed")
    for index, name in enumerate(_names(found)):
        predicted = np.array(groups.predicted[name])
        axes.plot(
            sizes,
            predicted,
            marker="o",
            markersize=3.5,
            linewidth=1.4,
            color=style.COLOURS[index],
            linestyle=style.DASHES[index % len(style.DASHES)],
        )
    floor = max(observed[observed > 0].min() / 30, 1e-6)
    axes.set_yscale("log")
    axes.set_ylim(bottom=floor)
    axes.set_xlabel(f"size of a group, of {groups.runs} runs")
    axes.set_ylabel("groups a prompt" if found.per == "request" else "groups a token")


def _draw_quorums(axes: Axes, found: Calibration) -> None:
    quorums = found.quorums
    x = np.array([row.quorum for row in quorums])
    value, low, high = np.array([row.observed for row in quorums]).T
    axes.errorbar(
        x,
        1 - value,
        yerr=[high - value, value - low],
        fmt="s",
        markersize=5,
        color=_OBSERVED,
        capsize=3,
        linewidth=1.2,
        label="observed, 95 % interval",
        zorder=5,
    )
    for index, name in enumerate(_names(found)):
        failing = 1 - np.array([row.predicted[name].value for row in quorums])
        axes.plot(
            x,
            failing,
            linewidth=1.6,
            color=style.COLOURS[index],
            label=name,
            linestyle=style.DASHES[index % len(style.DASHES)],
        )
    axes.set_yscale("log")
    axes.set_xlabel(f"quorum, of {found.groups.runs} runs")
    axes.set_ylabel("share that reaches no quorum")
    axes.set_xticks(x)
