"""Draws rows as one of several kinds of picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sim.plotting.view import named_axis, numeric_axes, refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from sim.sweeps.row import Row

Kind = Literal["curve", "heatmap", "stack"]
KINDS: tuple[Kind, ...] = ("curve", "heatmap", "stack")


def plot(
    rows: Sequence[Row],
    kind: Kind = "curve",
    *,
    axes: Axes | None = None,
    x: str | None = None,
    y: str | None = None,
    series: str | None = None,
) -> Axes:
    """Draw the rows of a sweep.

    Parameters
    ----------
    rows
        What `sweep` returned, or a store holds; rows without an answer are left out.
    kind
        `curve`: block failure over one axis, one line for each value of the others; `heatmap`: over two axes;
        `stack`: the four outcomes over one axis.
    axes
        Where to draw; by default on a new figure.
    x, y
        Axes of the sweep to draw along; by default the numeric ones with most values.
    series
        AXIS=VALUE draws only the rows with that value of an axis.

    Returns
    -------
    matplotlib.axes.Axes
        With the picture; its `figure` can be saved.

    Raises
    ------
    ScenarioError
        The rows cannot be drawn like that; the text names the kinds that they can.
    """
    answered = [row for row in rows if row.result is not None]
    possible = numeric_axes(answered)
    able = [name for name in KINDS if len(possible) >= (2 if name == "heatmap" else 1)]
    if kind not in KINDS or kind not in able:
        can = f"it can serve {', '.join(able)}" if able else "it has no axis with at least two answered numbers"
        raise refuse(f"these results cannot serve a {kind}: {can}")
    along = named_axis(answered, x, "x") if x else next(name for name in possible if name != y)
    if along not in possible:
        raise refuse(f"x must be an axis of numbers: {', '.join(possible)} (got '{along}')")
    if kind == "heatmap":
        from sim.plotting.heatmap import heatmap

        across = named_axis(answered, y, "y") if y else next(name for name in possible if name != along)
        return heatmap(answered, along, across, series, axes)
    if kind == "stack":
        from sim.plotting.stack import stack

        return stack(answered, along, series, axes)
    from sim.plotting.curve import curve

    return curve(answered, along, series, axes)
