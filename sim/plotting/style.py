"""Colours, type and frames: the same for all pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
"""Okabe and Ito's palette, told apart with every kind of colour vision."""
OUTCOMES = {"agreed": "#009E73", "no_quorum": "#E69F00", "wrong_result": "#D55E00", "forked": "#000000"}
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
    axes.set_title(
        _fitting(axes, drawable(title)),
        loc="left",
        fontsize=TITLE_PT,
        fontweight="bold",
        pad=10 + 11 * len(text),
        **LITERAL,
    )
    if text:
        axes.annotate(
            drawable("\n".join(text)),
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


def _fitting(axes: Axes, title: str) -> str:
    """Cut a title that is wider than the figure."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    font, measure = FontProperties(size=TITLE_PT, weight="bold"), TextToPath()
    room = 0.88 * axes.figure.bbox.width * 72 / axes.figure.dpi
    widths = (
        measure.get_text_width_height_descent(f"{title[:n]}...", font, ismath=False)[0] for n in range(len(title))
    )
    fits = next((n for n, width in enumerate(widths) if width > room), len(title) + 1) - 1
    return title if fits >= len(title) else f"{title[:fits]}..."


def one_in(probability: float) -> str:
    """A probability as a number of blocks: 10,000 or 1e12.

    Examples
    --------
    >>> one_in(1e-4), one_in(1e-12), one_in(1)
    ('10,000', '1e12', '1')
    """
    number = 1 / probability
    return f"{number:,.0f}" if number < 1e7 else f"{number:.0e}".replace("e+0", "e").replace("e+", "e")


def drawable(text: str) -> str:
    """Replace characters that the font lacks by boxes: matplotlib would warn about each.

    Examples
    --------
    >>> drawable("rate \u2264 \u5206")
    'rate \u2264 \u25a1'
    """
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties()))
    return "".join(c if c == "\n" or font.get_char_index(ord(c)) else "\u25a1" for c in text)


def dashes(index: int) -> Any:
    """Line style of a line: 32 lines go by until colour and dashes are the same again."""
    return DASHES[(index + index // len(COLOURS)) % len(DASHES)]


def log_spaced(values: Sequence[float]) -> bool:
    """Whether positive values over most of a decade or more are spaced more evenly in the logarithm.

    Examples
    --------
    >>> log_spaced([1e-8, 1e-6, 1e-4]), log_spaced([4, 8, 16, 32]), log_spaced(range(4, 41)), log_spaced([0, 1, 10])
    (True, True, False, False)
    """
    import numpy as np

    known = np.unique(np.asarray(values, dtype=float))
    if len(known) < 2 or known[0] <= 0 or known[-1] / known[0] < 8:
        return False
    uneven = [float(np.std(steps) / np.mean(steps)) for steps in (np.diff(np.log(known)), np.diff(known))]
    return uneven[0] <= uneven[1]


def log_ticks(low: float, high: float) -> list[float] | None:
    """Ticks at 1, 2 and 5 times powers of ten, for a logarithmic axis of less than two decades; else None.

    Examples
    --------
    >>> log_ticks(4, 32), log_ticks(1e-8, 1)
    ([5.0, 10.0, 20.0], None)
    """
    import math

    if high / low >= 100:
        return None
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = [float(f"{mantissa}e{decade}") for decade in decades for mantissa in (1, 2, 5)]
    return [tick for tick in every if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
