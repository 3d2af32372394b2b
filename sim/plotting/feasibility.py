"""The feasibility map: platforms against models, coloured by verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.analysis.feasibility import duration, size
from sim.plotting.style import GREY, LITERAL, SMALL_PT, TEXT_PT, drawable, frame, head, new_axes
from sim.plotting.view import refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from sim.analysis.feasibility import Feasibility

_COLOURS = {"runs": "#BFE5D6", "slow": "#F7E1B0", "does not fit": "#F2C6B6"}
_OTHER = "#E6E6E6"
_ENTRIES_MAX = 60
_LABEL_CHARACTERS = 40


def feasibility_map(rows: Sequence[Feasibility], axes: Axes | None = None) -> Axes:
    """Draw which platform can run which model.

    Parameters
    ----------
    rows
        What `sim.analysis.feasibility.feasibility` returned.
    axes
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        With the picture.

    Raises
    ------
    ScenarioError
        There are no rows, or more platforms or models than a picture can show.
    """
    platforms = list(dict.fromkeys(row.platform for row in rows))
    models = list(dict.fromkeys(row.model or "" for row in rows))
    if not rows or max(len(platforms), len(models)) > _ENTRIES_MAX:
        raise refuse(f"a feasibility map has 1 to {_ENTRIES_MAX} platforms and models")
    from matplotlib.patches import Patch, Rectangle

    axes = axes or new_axes()[0]
    for row in rows:
        x, y = models.index(row.model or ""), platforms.index(row.platform)
        colour = _COLOURS.get(row.verdict, _OTHER)
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=1.5))
        axes.text(x, y, _cell(row), ha="center", va="center", fontsize=SMALL_PT - 1.5, **LITERAL)
    axes.set_xlim(-0.5, len(models) - 0.5)
    axes.set_ylim(len(platforms) - 0.5, -0.5)
    needs = _needs(rows, models)
    names = [f"{name[:_LABEL_CHARACTERS]}\n{size(needed)}" for name, needed in zip(models, needs, strict=True)]
    axes.set_xticks(range(len(models)), [drawable(name) for name in names], rotation=40, ha="right", **LITERAL)
    axes.set_yticks(range(len(platforms)), [drawable(name[:_LABEL_CHARACTERS]) for name in platforms], **LITERAL)
    axes.tick_params(length=0)
    frame(axes)
    axes.spines[["left", "bottom"]].set_visible(False)
    seen = list(dict.fromkeys(row.verdict for row in rows))
    shown = [
        Patch(facecolor=_COLOURS.get(verdict, _OTHER), label=drawable(verdict[:_LABEL_CHARACTERS])) for verdict in seen
    ]
    axes.figure.legend(handles=shown, loc="outside lower center", ncols=len(shown), frameon=False, fontsize=TEXT_PT)
    axes.xaxis.label.set_color(GREY)
    head(
        axes,
        "Which chain can run which model",
        "in each cell, how long one answer takes, where the weights fit the heap",
    )
    return axes


def _cell(row: Feasibility) -> str:
    if row.fits_memory is False:
        return ""
    return "?" if row.seconds is None else duration(row.seconds).replace(" minutes", " min").replace(" hours", " h")


def _needs(rows: Sequence[Feasibility], models: Sequence[str]) -> list[float]:
    needs = {row.model or "": row.bytes_needed or 0.0 for row in rows}
    return [needs[model] for model in models]
