"""A result as tables of pandas and xarray, and as HTML for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim.base.html import table
from sim.base.late import package
from sim.engines.told import interval, one_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pandas import DataFrame
    from xarray import Dataset

    from sim.engines.result import Estimate, Mean, Result

SETTING = ("scenario", "scenario_id", "engine", "engine_reason", "nodes", "faults_tolerated", "quorum", "seed")
"""What tables have beside their numbers, as attributes."""


def frame_of(result: Result) -> DataFrame:
    """One row a measure (see `Result.to_pandas`)."""
    pandas = package("pandas", "Result.to_pandas")
    rows = {name: _parts(found) for name, found in _spans(result)}
    rows |= {name: {"value": value} for name, value in _numbers(result)}
    frame = pandas.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high", "count"], dtype=float)
    frame["count"] = frame["count"].astype("Int64")
    frame.index.name = "measure"
    frame.attrs = _attributes(result)
    return frame


def dataset_of(result: Result) -> Dataset:
    """Variables over outcomes, types of message, causes, lengths (see `Result.to_xarray`)."""
    xarray = package("xarray", "Result.to_xarray")
    whole = list(result.outcomes.values())
    variables: dict[str, Any] = {
        "probability": ("outcome", [estimate.probability for estimate in whole]),
        "low": ("outcome", [estimate.low for estimate in whole]),
        "high": ("outcome", [estimate.high for estimate in whole]),
    }
    coordinates: dict[str, Any] = {"outcome": list(result.outcomes)}
    if result.blocks is not None:
        variables["count"] = ("outcome", [estimate.count for estimate in whole])
        variables["blocks"] = result.blocks
    for name, found in _spans(result):
        if name not in result.outcomes:
            parts = _parts(found)
            variables |= {name: parts["value"], f"{name}_low": parts["low"], f"{name}_high": parts["high"]}
    variables |= {name: float("nan") if value is None else value for name, value in _numbers(result)}
    for name, dimension, values in _listed(result):
        variables[name] = (dimension, list(values.values()))
        coordinates[dimension] = list(values)
    made: Dataset = xarray.Dataset(variables, coordinates, _attributes(result))
    return made


def html_of(result: Result) -> str:
    """Lay the outcomes out as a table, with what else there is below; names are escaped."""
    exact = result.blocks is None
    lines = [
        (name, f"{found.probability:.5g}", interval(found, exact=exact), "") for name, found in result.outcomes.items()
    ]
    failure = result.block_failure
    lines.append(
        ("block failure", f"{failure.probability:.5g}", interval(failure, exact=exact), one_in(failure)),
    )
    lines += [(_title(name), f"{mean.mean:.5g}", interval(mean, exact=exact), "") for name, mean in _means(result)]
    lines += [(_title(name), f"{value:,.5g}", "", "") for name, value in _numbers(result) if value is not None]
    how = "computed exactly" if exact else f"{result.blocks:,} blocks, seed {result.seed}"
    title = (
        f"{result.scenario}: {result.nodes:,} nodes, quorum {result.quorum:,}, "
        f"tolerates {result.faults_tolerated:,} faults"
    )
    notes = [f"{result.engine} engine ({how}): {result.engine_reason}."]
    notes += [f"warning: {warning}" for warning in result.warnings]
    return table(title, ("outcome", "probability", "95 % interval", ""), lines, notes)


def _title(name: str) -> str:
    return name.replace("_", " ")


def _means(result: Result) -> Iterator[tuple[str, Mean]]:
    from sim.engines.result import EXTRAS

    yield "diverged_per_block", result.diverged_per_block
    for name in EXTRAS:
        if (mean := getattr(result, name)) is not None:
            yield name, mean


def _spans(result: Result) -> Iterator[tuple[str, Estimate | Mean]]:
    """Yield everything that has an interval."""
    from sim.engines.result import Mean

    yield from result.outcomes.items()
    yield "block_failure", result.block_failure
    yield from _means(result)
    if result.over_time:
        away = result.over_time.nodes_away
        yield "nodes_away", Mean(away.mean, away.low, away.high)


def _parts(found: Estimate | Mean) -> dict[str, float | None]:
    from sim.engines.result import Mean

    if isinstance(found, Mean):
        return {"value": found.mean, "low": found.low, "high": found.high}
    return {"value": found.probability, "low": found.low, "high": found.high, "count": found.count}


def _numbers(result: Result) -> Iterator[tuple[str, float | None]]:
    """Yield what has no interval."""
    for part in (result.timing, result.over_time):
        if part is not None:
            yield from part.flat().items()


def _listed(result: Result) -> Iterator[tuple[str, str, Mapping[Any, float]]]:
    """Yield numbers along a dimension of their own: name, dimension, and value by coordinate."""
    if (timing := result.timing) is not None:
        yield "messages_by_type", "message", timing.messages_by_type
        yield "bytes_by_type", "message", timing.bytes_by_type
        if timing.causes:
            yield "failed_by_cause", "cause", timing.causes
    if (measures := result.over_time) is not None:
        yield "away_share", "away", dict(enumerate(measures.nodes_away.distribution))
        yield "still_running", "slots", dict(measures.still_running)
        yield "looked_deterministic", "test_blocks", dict(measures.looked_deterministic)
        if measures.halts:
            yield "halted_by_cause", "halt", measures.halts


def _attributes(result: Result) -> dict[str, Any]:
    """The setting, in types that NetCDF files can have too."""
    return {name: getattr(result, name) for name in SETTING} | {"warnings": list(result.warnings)}
