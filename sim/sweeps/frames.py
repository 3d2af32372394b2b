"""Rows of a sweep as tables of pandas and xarray."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sim.base.late import package
from sim.sweeps.table import flat, uniform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame
    from xarray import Dataset

    from sim.sweeps.row import Row

POINT = "point"
_COUNTED = ("nodes", "faults_tolerated", "quorum", "blocks", "seed")


def frame_of(rows: Sequence[Row]) -> DataFrame:
    """One row a point (see `Rows.to_pandas`)."""
    pandas = package("pandas", "Rows.to_pandas")
    frame = pandas.DataFrame(_columns(rows))
    for name in frame.columns:
        counted = name.removeprefix("result_") in _COUNTED or name.endswith("_count")
        if counted and name not in _axes(rows):
            frame[name] = frame[name].astype("Int64")
    return frame


def dataset_of(rows: Sequence[Row]) -> Dataset:
    """Measures over axes (see `Rows.to_xarray`)."""
    import numpy as np

    xarray = package("xarray", "Rows.to_xarray")
    axes, columns = _axes(rows), _columns(rows)
    texts = {"scenario", "scenario_id", "engine", "result_engine", "error"}
    measures = {
        name: np.array(values, dtype=object)
        if name in texts
        else np.array([math.nan if value is None else value for value in values], dtype=float)
        for name, values in columns.items()
        if name not in axes
    }
    places = {axis: list(dict.fromkeys(columns[axis])) for axis in axes}
    combinations = set(zip(*(columns[axis] for axis in axes), strict=True))
    if not axes or math.prod(map(len, places.values())) != len(rows) or len(combinations) != len(rows):
        along = {axis: (POINT, columns[axis]) for axis in axes}
        points: Dataset = xarray.Dataset({name: (POINT, values) for name, values in measures.items()}, along)
        return points
    where = tuple(np.array([places[axis].index(value) for value in columns[axis]]) for axis in axes)
    shape = tuple(map(len, places.values()))
    variables = {}
    for name, values in measures.items():
        grid = np.empty(shape, dtype=values.dtype)
        grid[where] = values
        variables[name] = (axes, grid)
    made: Dataset = xarray.Dataset(variables, places)
    return made


def _axes(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(axis for row in rows for axis in row.coordinates))


def _columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Values by column, each column in one type; lists and mappings as JSON texts."""
    table = [flat(row) for row in rows]
    names = dict.fromkeys(key for line in table for key in line)
    return {name: uniform([line.get(name) for line in table]) for name in names}
