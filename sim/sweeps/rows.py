"""The rows of a sweep, as Python users hold them: a list that notebooks, pandas, xarray and pictures know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, overload

from sim.base.late import named
from sim.sweeps.row import Row

if TYPE_CHECKING:
    from pandas import DataFrame
    from xarray import Dataset

    from sim.base.picture import Picture

SHOWN_MAX = 20
"""Rows that a notebook shows: the first and the last ones of a longer list."""


class Rows(list[Row]):
    """A list of rows; a slice of it is one too.

    Examples
    --------
    >>> from sim import sweep
    >>> rows = sweep("scenarios/hardware_mix.yaml", getfixture("tmp_path") / "mix.db")
    >>> rows
    <12 rows of 'hardware mix' over first, second: 12 answered>
    >>> [f"{failure:.3g}" for failure in rows[4:6].to_pandas().block_failure]
    ['0.000141', '0.000141']
    """

    @overload
    def __getitem__(self, index: SupportsIndex) -> Row: ...
    @overload
    def __getitem__(self, index: slice[Any, Any, Any]) -> Rows: ...
    def __getitem__(self, index: SupportsIndex | slice[Any, Any, Any]) -> Row | Rows:
        """Return a row, or those of a slice."""
        found = super().__getitem__(index)
        return Rows(found) if isinstance(found, list) else found

    def __repr__(self) -> str:
        answered = sum(row.result is not None for row in self)
        return f"<{self._title()}: {answered:,} answered>"

    def _title(self) -> str:
        from sim.base.text import shown

        names = list(dict.fromkeys(row.scenario.name for row in self))
        axes = ", ".join(dict.fromkeys(axis for row in self for axis in row.coordinates))
        of = f" of {shown(names[0])}" if len(names) == 1 else ""
        return f"{len(self):,} row{'s' * (len(self) != 1)}{of}" + (f" over {axes}" if axes else "")

    def to_pandas(self) -> DataFrame:
        """Make a table of pandas (extra `pandas`).

        Returns
        -------
        pandas.DataFrame
            One row a point: its coordinates, then what `sim results --format csv` has.

        Raises
        ------
        SplitquorumError
            pandas is not installed.
        """
        from sim.sweeps.frames import frame_of

        return frame_of(self)

    def to_xarray(self) -> Dataset:
        """Make a dataset of xarray (extra `xarray`).

        Returns
        -------
        xarray.Dataset
            The measures over the axes of the sweep, a dimension each, where every combination of their values is there
            once. Else over the dimension `point`, with the axes as coordinates along it.

        Raises
        ------
        SplitquorumError
            xarray is not installed.
        """
        from sim.sweeps.frames import dataset_of

        return dataset_of(self)

    def plot(
        self,
        kind: Literal["curve", "heatmap", "stack"] = "curve",
        *,
        x: str | None = None,
        y: str | None = None,
        series: str | None = None,
    ) -> Picture:
        """Draw them; a notebook shows what is returned. Parameters and errors are those of `sim.plot`.

        Returns
        -------
        sim.base.picture.Picture
            With `axes`, and `save(path)`.
        """
        from sim.base.picture import Picture

        return Picture(named("sim.plotting.draw:plot")(self, kind, x=x, y=y, series=series))

    def _repr_html_(self) -> str:
        from sim.base.html import table
        from sim.sweeps.summary import summary

        if len(self) <= SHOWN_MAX:
            chosen, notes = self, []
        else:
            half = SHOWN_MAX // 2
            chosen = Rows([*self[:half], *self[-half:]])
            notes = [f"the first and the last {half} of {len(self):,} rows; to_pandas() has all"]
        header, lines = summary(chosen)
        return table(self._title(), header, lines, notes)
