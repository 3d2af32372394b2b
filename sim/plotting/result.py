"""One result as a picture: how likely each outcome is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sim.base.picture import Picture
from sim.base.text import did_you_mean
from sim.consensus.tally import Outcome
from sim.plotting import style
from sim.plotting.view import refuse

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.engines.result import Result

Kind = Literal["outcomes", "survival", "testing"]
DECADES_MAX = 20
"""Bars begin at most that many decades below one."""
_DECADES_MIN = 3


def plot_result(result: Result, kind: Kind = "outcomes") -> Picture:
    """Draw a result (see `Result.plot`)."""
    from sim.plotting.over_time import seen_by_tests, survival

    if kind == "outcomes":
        return Picture(outcomes(result))
    makers = {"survival": survival, "testing": seen_by_tests}
    if kind not in makers:
        raise refuse(f"a result has no picture {kind!r}; {did_you_mean(kind, ['outcomes', *makers])}")
    if result.over_time is None:
        raise refuse(f"{kind} is of chains over time: give the scenario a recovery, or on_failure")
    return Picture(makers[kind]([result]))


def outcomes(result: Result, axes: Axes | None = None) -> Axes:
    """Draw the probability of each outcome as a bar, in powers of ten, with its 95 % interval.

    Parameters
    ----------
    result
        Of any engine.
    axes
        Where to draw; by default on a new figure.
    """
    axes = axes or style.new_axes()[0]
    found = [result.outcomes[name] for name in Outcome.__members__]
    seen = [end for estimate in found for end in (estimate.probability, estimate.high) if end > 0]
    floor = max(min(10.0**-_DECADES_MIN, min(seen) / 10), 10.0**-DECADES_MAX)
    places = range(len(found), 0, -1)
    axes.set_xscale("log")
    for place, name, estimate in zip(places, Outcome.__members__, found, strict=True):
        if estimate.probability > floor:
            axes.barh(place, estimate.probability - floor, left=floor, height=0.6, color=style.OUTCOMES[name])
        if estimate.count is not None:
            low = max(estimate.low, floor)
            axes.plot([low, max(estimate.high, low)], [place, place], color=style.GREY, linewidth=1.5, gid="interval")
        none_seen = estimate.count == 0
        text = f"none seen: at most {estimate.high:.2g}" if none_seen else f"{estimate.probability:.5g}"
        at = max(estimate.probability, estimate.high, floor)
        axes.annotate(text, (at, place), (5, 0), textcoords="offset points", va="center", fontsize=style.TEXT_PT)
    axes.set_yticks(list(places), [name.replace("_", " ") for name in Outcome.__members__])
    axes.set_xlim(floor, 10)
    axes.set_xlabel("probability of a block")
    for minor in (False, True):
        axes.set_xticks([tick for tick in axes.get_xticks(minor=minor) if floor <= tick <= 1], minor=minor)
    style.frame(axes)
    axes.spines["bottom"].set_bounds(floor, 1)
    how = "computed exactly" if result.blocks is None else f"{result.blocks:,} blocks, seed {result.seed}"
    setting = f"{result.nodes:,} nodes, quorum {result.quorum:,}, {result.engine} engine ({how})"
    style.head(axes, result.scenario, setting)
    return axes
