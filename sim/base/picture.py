"""A picture that a notebook shows by itself."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from sim.base.late import named

if TYPE_CHECKING:
    from os import PathLike

    from matplotlib.axes import Axes


DPI = 160
"""Dots to the inch of pictures in pixels."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What `plot` methods return: matplotlib's axes, shown in a notebook without more ado."""

    axes: Axes

    def save(self, path: str | PathLike[str]) -> None:
        """Write it as .png, .svg or .pdf (see `sim.plotting.save`)."""
        named("sim.plotting.save:save")(self.axes, path)

    def _repr_png_(self) -> bytes:
        drawn = BytesIO()
        figure = self.axes.get_figure(root=True)
        if figure is not None:
            figure.savefig(drawn, format="png", dpi=DPI)
        return drawn.getvalue()
