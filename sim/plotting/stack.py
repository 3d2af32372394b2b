"""The four outcomes of a block, stacked over one axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.consensus.tally import Outcome
from sim.plotting import style
from sim.plotting.view import Line, axis_label, lines, refuse, shared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from sim.sweeps.row import Row

PANELS_MAX = 6
_WORDS = {
    "agreed": "agreed",
    "no_quorum": "no quorum",
    "wrong_result": "wrong result",
    "forked": "forked",
}


def stack(rows: Sequence[Row], x: str, series: str | None, axes: Axes | None) -> Axes:
    """Draw the outcomes (see `draw.plot`); several lines become small multiples on one figure."""
    drawn = lines(rows, x, series)
    if len(drawn) > PANELS_MAX or (axes is not None and len(drawn) > 1):
        most = 1 if axes is not None else PANELS_MAX
        raise refuse(f"a stack shows at most {most} series (has {len(drawn)}): choose one with series=AXIS=VALUE")
    columns = 1 if len(drawn) == 1 else 2 if len(drawn) <= 4 else 3
    depth = -(-len(drawn) // columns)
    panels = [axes] if axes is not None else style.new_axes(columns, depth)
    for panel, line in zip(panels, drawn, strict=False):
        _panel(panel, line, several=len(drawn) > 1)
    for empty in panels[len(drawn) :]:
        empty.set_visible(False)
    used = [spot.row for line in drawn for spot in line.spots]
    for index, panel in enumerate(panels[: len(drawn)]):
        if index >= len(drawn) - columns:
            panel.set_xlabel(
                style.drawable(axis_label(used, x) if len(drawn) == 1 else x), fontsize=style.TEXT_PT, **style.LITERAL
            )
            panel.tick_params(labelbottom=True)
        if index % columns == 0:
            panel.set_ylabel("share of the blocks", fontsize=style.TEXT_PT)
    _head(panels[0], rows[0].scenario.name, shared(used), several=len(drawn) > 1)
    return panels[0]


def _panel(axes: Axes, line: Line, *, several: bool) -> None:
    where = [spot.x for spot in line.spots]
    if style.log_spaced(where):
        axes.set_xscale("log")
    shares = [[spot.result.outcomes[name].probability for spot in line.spots] for name in Outcome.__members__]
    labels = [_WORDS[name] for name in Outcome.__members__]
    colours = [style.OUTCOMES[name] for name in Outcome.__members__]
    axes.stackplot(where, *shares, labels=labels, colors=colours, alpha=0.85)
    axes.set_xlim(min(where), max(where))
    axes.set_ylim(0, 1)
    axes.margins(0)
    style.frame(axes)
    if several:
        axes.set_title(style.drawable(line.label), loc="left", fontsize=style.TEXT_PT, **style.LITERAL)


def _head(axes: Axes, title: str, subtitle: str, *, several: bool) -> None:
    """Title, what all panels share, and one legend for all."""
    from textwrap import fill

    handles, labels = axes.get_legend_handles_labels()
    if not several:
        style.head(axes, title, subtitle)
        axes.legend(handles[::-1], labels[::-1], loc="lower left", fontsize=style.SMALL_PT, framealpha=0.9)
        return
    figure = axes.figure
    figure.suptitle(
        style.drawable(f"{title}\n{fill(subtitle, 108)}"), x=0.01, ha="left", fontsize=style.TEXT_PT, **style.LITERAL
    )
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=style.SMALL_PT, frameon=False)
