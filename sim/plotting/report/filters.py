"""Which points a reader can choose to see: by the values of the axes that tell lines apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim.sweeps.row import Row

CHOICES_MAX = 60


@dataclass(frozen=True, slots=True)
class Filters:
    """Axes that have a few values each, without the one that is drawn along.

    Parameters
    ----------
    axes
        Axis to its values, as texts, in the order in which they appear.
    """

    axes: dict[str, list[str]]

    @classmethod
    def of(cls, rows: Sequence[Row], along: str | None) -> Filters:
        """Find the axes that are worth a choice.

        Parameters
        ----------
        rows
            Points of a sweep.
        along
            The axis that curves are drawn along.
        """
        names = [name for name in dict.fromkeys(name for row in rows for name in row.coordinates) if name != along]
        values = {name: list(dict.fromkeys(told(row, name) for row in rows)) for name in names}
        return cls({name: found for name, found in values.items() if 1 < len(found) <= CHOICES_MAX})

    def keys(self, row: Row) -> list[int]:
        """Which value of each axis a point has; -1 for one that cannot be chosen."""
        return [
            values.index(value) if (value := told(row, name)) in values else -1 for name, values in self.axes.items()
        ]


def told(row: Row, name: str) -> str:
    """Tell a coordinate in full; empty where a point has none."""
    return str(row.coordinates[name]) if name in row.coordinates else ""
