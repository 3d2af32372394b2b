"""A figure of the page: what plotly draws, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from sim.plotting import style
from sim.plotting.report.escape import label

if TYPE_CHECKING:
    from collections.abc import Mapping

DASHES = ("solid", "dash", "dashdot", "dot")
_TITLE_CHARACTERS = 34
_FONT = {"family": "system-ui, sans-serif", "size": 13, "color": "#222222"}
_GRID = {"gridcolor": "#E5E5E5", "zerolinecolor": "#CCCCCC", "linecolor": "#888888", "automargin": True}


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure.

    Parameters
    ----------
    name
        Its element's id.
    title, caption
        What it shows, and how to read it.
    data, layout
        Traces and layout, as plotly's JavaScript takes them; texts are safe (`escape.label`).
    """

    name: str
    title: str
    caption: str
    data: list[dict[str, Any]]
    layout: dict[str, Any] = field(default_factory=dict)


def axis(title: str, **settings: Any) -> dict[str, Any]:
    """Make an axis.

    Parameters
    ----------
    title
        Any text; a long one is broken into lines, which a phone has the width for.
    settings
        More of its keys.
    """
    broken = "<br>".join(label(line) for line in wrap(title, _TITLE_CHARACTERS))
    return {"title": {"text": broken, "standoff": 8}, **_GRID, **settings}


def layout(x: Mapping[str, Any], y: Mapping[str, Any], **settings: Any) -> dict[str, Any]:
    """Make a layout with the legend below, where it leaves a phone its width."""
    return {
        "font": _FONT,
        "xaxis": dict(x),
        "yaxis": dict(y),
        "height": 420,
        "margin": {"l": 12, "r": 12, "t": 36, "b": 12},
        "legend": {"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0, "x": 0},
        "hovermode": "closest",
        "plot_bgcolor": "white",
        "paper_bgcolor": "white",
        **settings,
    }


def pen(index: int) -> dict[str, Any]:
    """Colour and dashes of a line, as in the other pictures."""
    return {
        "color": style.COLOURS[index % len(style.COLOURS)],
        "dash": DASHES[(index + index // len(style.COLOURS)) % len(DASHES)],
    }
