"""Colours, type and frames: the same for all pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
"""Okabe and Ito's palette, told apart with every kind of colour vision."""
DASHES: tuple[Any, ...] = ("solid", (0, (6, 2)), (0, (6, 2, 1.5, 2)), (0, (1.5, 1.5)))
"""Line styles, so that lines are told apart in grey too."""
GREY = "#666666"
LITERAL: dict[str, Any] = {"parse_math": False}
"""Texts of users are drawn as they are, `$` and all."""
SIZE_IN = (8.0, 5.0)
TEXT_PT, SMALL_PT, TITLE_PT = 9.0, 8.0, 12.0


def new_axes(columns: int = 1, rows: int = 1) -> list[Axes]:
    """Make axes on a new figure, without matplotlib's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_IN, layout="constrained")
    FigureCanvasAgg(figure)
    made: Sequence[Axes] = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel().tolist()
    return list(made)


def frame(axes: Axes, *, right: bool = False) -> None:
    """Leave away what carries no data."""
    axes.spines[["top"] if right else ["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL_PT)
    axes.xaxis.label.set_fontsize(TEXT_PT)
    axes.yaxis.label.set_fontsize(TEXT_PT)


def head(axes: Axes, title: str, subtitle: str) -> None:
    """Put a title over the axes, and under it what all curves share, wrapped to the width."""
    from textwrap import wrap

    text = wrap(subtitle, 108)[:3]
    axes.set_title(title, loc="left", fontsize=TITLE_PT, fontweight="bold", pad=10 + 11 * len(text), **LITERAL)
    if text:
        axes.annotate(
            "\n".join(text),
            (0, 1),
            (0, 6),
            xycoords="axes fraction",
            textcoords="offset points",
            va="bottom",
            fontsize=TEXT_PT,
            color=GREY,
            annotation_clip=False,
            **LITERAL,
        )


def one_in(probability: float) -> str:
    """A probability as a number of blocks: 10,000 or 1e12.

    Examples
    --------
    >>> one_in(1e-4), one_in(1e-12), one_in(1)
    ('10,000', '1e12', '1')
    """
    number = 1 / probability
    return f"{number:,.0f}" if number < 1e7 else f"{number:.0e}".replace("e+0", "e").replace("e+", "e")


def log_spaced(values: Sequence[float]) -> bool:
    """Whether positive values are spread over more than a decade, more evenly in the logarithm."""
    import math

    known = sorted(set(values))
    if not known or known[0] <= 0 or known[-1] / known[0] < 8:
        return False
    middle = known[len(known) // 2]
    return middle < (known[0] + known[-1]) / 4 or math.isclose(middle, math.sqrt(known[0] * known[-1]), rel_tol=0.5)
