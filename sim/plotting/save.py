"""Writes a picture: the same axes give the same bytes."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from sim.base.errors import Problem, ScenarioError
from sim.base.picture import DPI

if TYPE_CHECKING:
    from os import PathLike

    from matplotlib.axes import Axes

_SETTINGS = Lock()  # matplotlib's settings are one for all threads
_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def check_suffix(path: str | PathLike[str]) -> str:
    """Return the suffix of a picture's path.

    Raises
    ------
    ScenarioError
        It is not .png, .svg or .pdf.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _METADATA:
        raise ScenarioError([Problem("", "must end in .png, .svg or .pdf", str(path), "plot")])
    return suffix


def save(axes: Axes, path: str | PathLike[str]) -> None:
    """Write the figure of some axes.

    Parameters
    ----------
    axes
        What `plot` returned.
    path
        The picture: .png, .svg or .pdf; missing folders are made.

    Raises
    ------
    ScenarioError
        The suffix is another one, or the file cannot be written.
    """
    from matplotlib import rc_context

    suffix = check_suffix(path)
    target = Path(path)
    figure = axes.get_figure(root=True)
    if figure is None:
        raise ScenarioError([Problem("", "the axes belong to no figure", where="plot")])
    drawn = BytesIO()
    with _SETTINGS, rc_context({"svg.hashsalt": "splitquorum", "svg.fonttype": "path"}):
        figure.savefig(drawn, format=suffix[1:], dpi=DPI, metadata=_METADATA[suffix])
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(drawn.getvalue())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ScenarioError([Problem("", f"cannot be written: {reason}", where=str(target))]) from None
