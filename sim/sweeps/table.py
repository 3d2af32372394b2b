"""Rows of a sweep as a flat table: what CSV, Parquet and pandas read."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from sim.consensus.tally import Outcome
from sim.engines.result import EXTRAS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sim.engines.result import Mean
    from sim.sweeps.row import Row

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def flat(row: Row) -> dict[str, Any]:
    """One row as a flat mapping: coordinates first, then the answer.

    Returns
    -------
    dict
        Every row of a sweep has the same keys, apart from measures of time and cost, and means that only some
        mechanisms have; what a row does not have is None.
    """
    result = row.result
    plain: dict[str, Any] = dict(row.coordinates)
    plain |= {"scenario": row.scenario.name, "scenario_id": row.scenario.scenario_id, "seed": row.scenario.run.seed}
    for key in ("engine", "nodes", "faults_tolerated", "quorum", "blocks"):
        plain[_free(key, row)] = getattr(result, key) if result else None
    estimates = dict(result.outcomes) | {"block_failure": result.block_failure} if result else {}
    for name in ("block_failure", *Outcome.__members__):
        estimate = estimates.get(name)
        plain[name] = estimate.probability if estimate else None
        for part in ("low", "high", "count"):
            plain[f"{name}_{part}"] = getattr(estimate, part) if estimate else None
    plain |= _mean("diverged_per_block", result.diverged_per_block if result else None)
    for name in EXTRAS:
        if result and (mean := getattr(result, name)) is not None:
            plain |= _mean(name, mean)
    if result and result.timing:
        plain |= result.timing.flat()
    if row.scenario.cost:
        plain |= {_free(key, row): value for key, value in row.scenario.cost.to_dict().items()}
    return plain | {"error": row.error or None}


def _mean(name: str, mean: Mean | None) -> dict[str, float | None]:
    parts = {"mean": name, "low": f"{name}_low", "high": f"{name}_high"}
    return {column: getattr(mean, part) if mean else None for part, column in parts.items()}


def _free(key: str, row: Row) -> str:
    """A column name that no axis has taken."""
    return f"result_{key}" if key in row.coordinates else key


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows as plain values: the point's coordinates, and its answer as `sim run --format json` prints it."""
    return [
        {
            "point": row.coordinates,
            **(row.result.to_dict() if row.result else {}),
            **({"cost": row.scenario.cost.to_dict()} if row.scenario.cost else {}),
            "error": row.error or None,
        }
        for row in rows
    ]


def as_csv(rows: Sequence[Row], seconds: Sequence[float] | None = None) -> str:
    """Rows as CSV with a header, ready for pandas; texts that a spreadsheet would take for formulas are quoted."""
    if not rows:
        return ""
    table = [flat(row) for row in rows]
    for line, spent in zip(table, seconds or (), strict=False):
        line["seconds"] = spent
    columns = list(dict.fromkeys(key for line in table for key in line))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_cell(column) for column in columns])
    writer.writerows([_cell(line.get(column)) for column in columns] for line in table)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        return _cell(json.dumps(value))
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def write_parquet(rows: Sequence[Row], path: Path) -> None:
    """Write rows as Parquet (extra `parquet`).

    Raises
    ------
    ImportError
        pyarrow is not installed.
    """
    import pyarrow as pa
    from pyarrow import parquet

    table = [flat(row) for row in rows]
    columns = list(dict.fromkeys(key for line in table for key in line))
    data = {column: uniform([line.get(column) for line in table]) for column in columns}
    parquet.write_table(pa.table(data), path)


def uniform(values: list[Any]) -> list[Any]:
    """Values of one column in one type: as they are, or as texts where they are mixed."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} or (len(kinds) == 1 and not kinds & {dict, list}):
        return [float(value) if kinds == {int, float} and value is not None else value for value in values]
    return [None if value is None else value if isinstance(value, str) else json.dumps(value) for value in values]
