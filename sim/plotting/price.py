"""The price of a matching rule: false accepts and false rejects over its parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.base.text import shown
from sim.plotting.style import COLOURS, DASHES, LITERAL, SMALL_PT, drawable, frame, head, log_spaced, new_axes
from sim.plotting.view import refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from sim.analysis.price import Price

_POINTS_MAX = 1_000
_SMALLEST = 1e-290  # what a logarithmic axis can show
_DECADES_MAX = 12  # below, nothing is told apart
_LINES = (("false_accept", "the attackers' answer is accepted"), ("false_reject", "honest answers are refused"))


def price_curve(rows: Sequence[Price], axes: Axes | None = None) -> Axes:
    """Draw what a rule accepts from attackers, and what it refuses of honest nodes.

    Parameters
    ----------
    rows
        What `sim.analysis.price.prices` returned.
    axes
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        With the picture; probabilities of zero are left out.

    Raises
    ------
    ScenarioError
        There are no rows, too many, those of several rules, or values out of range.
    """
    _check(rows)
    axes = axes or new_axes()[0]
    first, values = rows[0], [row.value for row in rows]
    top = 2.0
    lowest = top
    axes.set_yscale("log")
    for index, (key, label) in enumerate(_LINES):
        seen = [(row.value, getattr(row, key), getattr(row, f"{key}_low"), getattr(row, f"{key}_high")) for row in rows]
        known = [point for point in seen if point[1]]
        line = {"color": COLOURS[index], "linestyle": DASHES[index]}
        axes.plot([x for x, *_ in known], [y for _, y, *_ in known], label=label, marker=".", **line)
        if not all(row.exact for row in rows):
            low, high = ([point[side] for point in seen] for side in (2, 3))
            axes.fill_between(
                values, [max(end, _SMALLEST) for end in low], high, color=COLOURS[index], alpha=0.15, lw=0
            )
        lowest = min([lowest, *(y for _, y, *_ in known)])
    axes.set_ylim(max(lowest / 3, 10.0**-_DECADES_MAX), top)
    if log_spaced(values):
        axes.set_xscale("log")
    axes.set_xlabel(drawable(f"{first.rule}: {first.parameter}"), **LITERAL)
    axes.set_ylabel("probability in a block")
    frame(axes)
    axes.legend(frameon=False, fontsize=SMALL_PT, loc="best")
    head(axes, f"The price of {first.rule}", f"{first.scenario}: {first.attackers} attackers collude")
    return axes


def _check(rows: Sequence[Price]) -> None:
    if not 1 <= len(rows) <= _POINTS_MAX:
        raise refuse(f"a price has 1 to {_POINTS_MAX} values (got {len(rows)})")
    if len({(row.scenario, row.rule, row.parameter) for row in rows}) > 1:
        raise refuse("a price is that of one parameter, of one rule and one scenario")
    for row in rows:
        chances = [getattr(row, f"{key}{end}") for key, _ in _LINES for end in ("", "_low", "_high")]
        if not all(0 <= chance <= 1 for chance in chances):
            raise refuse(f"scenario {shown(row.scenario)} has a probability out of range")
