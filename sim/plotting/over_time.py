"""Chains over time: who is away, how many still run, and what a test would have seen."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from sim.base.text import shown
from sim.plotting.style import COLOURS, GREY, LITERAL, SMALL_PT, dashes, drawable, frame, head, new_axes
from sim.plotting.view import refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from sim.analysis.timeline import Timeline
    from sim.engines.result import Result

_CURVES_MAX, _POINTS_MAX = 8, 1_000
_SURE = 0.95
_PARTS = 8
_STRETCHES_MAX = 30_000
_LABEL_CHARACTERS = 40


def timeline(chain: Timeline, axes: Axes | None = None) -> Axes:
    """Draw who is away when, which slots fail, and where the chain halts.

    Parameters
    ----------
    chain
        One chain.
    axes
        Where to draw; by default on a new figure.

    Raises
    ------
    ScenarioError
        It has more than a picture can show, or places out of range.
    """
    stretches = [*chain.away, *chain.down, *chain.failures]
    places = [place for stretch in stretches for place in stretch]
    if len(places) > _STRETCHES_MAX or not all(0 <= place <= 10**15 for place in [*places, chain.end]):
        raise refuse(f"the trace of {shown(chain.name)} has more than a picture can show, or places out of range")
    axes = axes or new_axes()[0]
    for lines, colour in ((chain.away, COLOURS[0]), (chain.down, GREY)):
        for machine, start, end in lines:
            axes.plot([start, end], [machine, machine], color=colour, linewidth=3, solid_capstyle="butt")
    for start, length in chain.failures:
        axes.axvspan(start, start + length, color=COLOURS[1], alpha=0.5, linewidth=0.5)
    if chain.halt:
        axes.axvline(chain.end, color=COLOURS[1], linewidth=1.5)
    slots = chain.unit == "slots"
    axes.set_xlim(0, chain.end * 1.02 or 1)
    axes.set_ylim(-0.7, max(chain.machines, 1) - 0.3)
    axes.set_xlabel("slot" if slots else "time (s)")
    axes.set_ylabel("honest node" if slots else "node")
    frame(axes)
    if chain.halt:
        told = f"halts {f'in slot {chain.end - 1:,}' if slots else f'after {chain.end:,.4g} s'}: {chain.halt}"
    else:
        told = f"{chain.end:,} slots" if slots else f"{chain.end:,.4g} s"
    colours = f"blue: away;{' grey: down;' if chain.down else ''} orange: blocks that fail"
    head(axes, f"Who is away when: {chain.name[:_LABEL_CHARACTERS]}", f"{colours}; {told}")
    return axes


def survival(results: Sequence[Result], axes: Axes | None = None) -> Axes:
    """Draw the share of chains that still run.

    Parameters
    ----------
    results
        Of chains over time that can halt.
    axes
        Where to draw; by default on a new figure.

    Raises
    ------
    ScenarioError
        There are none, too many, or one never halts.
    """
    axes = axes or new_axes()[0]
    for index, (result, points) in enumerate(_points(results, "still_running")):
        if not points:
            raise refuse(f"scenario {shown(result.scenario)} skips failures: its chains never halt")
        _curve(axes, index, result, points, steps=True)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("share of the chains that still run")
    return _finish(axes, "How long until the chain stops", "a failed block ends a chain")


def seen_by_tests(results: Sequence[Result], axes: Axes | None = None) -> Axes:
    """Draw the chance that a test sees nothing, and how many blocks it takes to see something nearly for sure.

    Parameters
    ----------
    results
        Of chains over time.
    axes
        Where to draw; by default on a new figure.

    Raises
    ------
    ScenarioError
        There are none, or too many.
    """
    axes = axes or new_axes()[0]
    needed = []
    for index, (result, points) in enumerate(_points(results, "looked_deterministic")):
        _curve(axes, index, result, points, steps=False)
        if (blocks := blocks_needed(points)) is not None:
            axes.plot([blocks, blocks], [0, 1 - _SURE], color=COLOURS[index % len(COLOURS)], linewidth=0.8)
            needed.append(f"{shown(result.scenario)} takes {blocks:,.3g} blocks")
    axes.axhline(1 - _SURE, color=GREY, linewidth=0.6)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("chance that a test sees nothing")
    told = "; ".join(needed) if needed else "no test of these lengths does"
    return _finish(axes, "How long a test must run", f"to see something with a probability of {_SURE:.0%}: {told}")


def blocks_needed(points: Sequence[tuple[int, float]]) -> float | None:
    """Blocks after which a test has seen something with 95 % probability, between the points; None beyond them.

    Examples
    --------
    >>> round(blocks_needed([(1, 0.9), (10, 0.3), (100, 0.01)]), 3)
    57.412
    """
    for (before, one), (after, other) in itertools.pairwise(points):
        if one > 1 - _SURE >= other:
            last = math.log(max(other, 1e-300))
            share = (math.log(one) - math.log(1 - _SURE)) / (math.log(one) - last)
            return before + share * (after - before)
    return None


def _filled(points: Sequence[tuple[int, float]]) -> list[tuple[float, float]]:
    """Points between those that are known, where a chance falls by the same factor with every block."""
    filled: list[tuple[float, float]] = list(points[:1])
    for (before, one), (after, other) in itertools.pairwise(points):
        for part in range(1, _PARTS):
            blocks = before + (after - before) * part / _PARTS
            filled.append((blocks, one * (max(other, 1e-300) / one) ** (part / _PARTS) if one else 0.0))
        filled.append((after, other))
    return filled


def _points(results: Sequence[Result], key: str) -> list[tuple[Result, tuple[tuple[int, float], ...]]]:
    if not 1 <= len(results) <= _CURVES_MAX:
        raise refuse(f"a picture has 1 to {_CURVES_MAX} runs (got {len(results)})")
    found = []
    for result in results:
        points = getattr(result.over_time, key, ())
        if key == "looked_deterministic" and not points:
            raise refuse(f"scenario {shown(result.scenario)} does not tell what tests see")
        if len(points) > _POINTS_MAX or not all(0 <= share <= 1 and 0 <= blocks <= 10**15 for blocks, share in points):
            raise refuse(f"scenario {shown(result.scenario)} has shares out of range")
        found.append((result, points))
    return found


def _curve(axes: Axes, index: int, result: Result, points: Sequence[tuple[int, float]], *, steps: bool) -> None:
    known = [(max(blocks, 1), share) for blocks, share in (points if steps else _filled(points))]
    axes.plot(
        [blocks for blocks, _ in known],
        [share for _, share in known],
        color=COLOURS[index % len(COLOURS)],
        linestyle=dashes(index),
        label=drawable(result.scenario[:_LABEL_CHARACTERS]),
        drawstyle="steps-post" if steps and result.blocks is not None else "default",
    )


def _finish(axes: Axes, title: str, subtitle: str) -> Axes:
    axes.set_xscale("log")
    axes.set_xlabel("blocks")
    frame(axes)
    legend = axes.legend(frameon=False, fontsize=SMALL_PT)
    for text in legend.get_texts():
        text.set(**LITERAL)
    head(axes, title, subtitle)
    return axes
