"""Which coordinate is which: the rows of a sweep, sorted into lines over one axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sim.base.errors import Problem, ScenarioError
from sim.base.fractions import exact_fraction
from sim.base.text import bounded, did_you_mean, shown
from sim.inference.executors import Gpu

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim.engines.result import Result
    from sim.sweeps.row import Row

LABEL_CHARACTERS_MAX = 40
RATE_VALUES_MIN = 5


@dataclass(frozen=True, slots=True)
class Spot:
    """One answered point on a line."""

    x: float
    row: Row
    result: Result


@dataclass(frozen=True, slots=True)
class Line:
    """The points that differ only along x, in its order."""

    label: str
    spots: tuple[Spot, ...]


def refuse(message: str) -> ScenarioError:
    """Make the error for a picture that the results cannot give."""
    return ScenarioError([Problem("", message, where="plot")])


def number(value: Any) -> float | None:
    """A coordinate as a number; fractions and percentages count, other texts do not.

    Examples
    --------
    >>> number(13), number("25 %"), number("certify"), number(True)
    (13.0, 0.25, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str):
        try:
            return float(exact_fraction(value))
        except ValueError:
            return None
    return float(value) if math.isfinite(value) else None


def numeric_axes(rows: Sequence[Row]) -> list[str]:
    """Axes with at least two different numbers and nothing else: a rate of five values or more, then the longest."""
    names = list(dict.fromkeys(name for row in rows for name in row.coordinates))
    found = []
    for name in names:
        values = {number(row.coordinates.get(name)) for row in rows}
        if None not in values and len(values) > 1:
            rate = is_rate(rows, name)
            found.append((rate and len(values) >= RATE_VALUES_MIN, len(values), rate, name))
    return [name for *_, name in sorted(found, key=lambda axis: axis[:3], reverse=True)]


def is_rate(rows: Sequence[Row], name: str) -> bool:
    """Whether an axis is the nondeterminism rate of the nodes."""
    return all(row.coordinates.get(name) in _rates(row) for row in rows)


def _rates(row: Row) -> list[float]:
    groups = row.scenario.nodes.values()
    return [group.executor.nondeterminism.rate for group in groups if isinstance(group.executor, Gpu)]


def named_axis(rows: Sequence[Row], name: str, flag: str) -> str:
    """An axis that the caller named; refused if the sweep has no such axis."""
    names = list(dict.fromkeys(axis for row in rows for axis in row.coordinates))
    if name not in names:
        raise refuse(f"{flag} is no axis of this sweep; {did_you_mean(name, names)} (got {shown(name)})")
    return name


def lines(rows: Sequence[Row], x: str, series: str | None) -> list[Line]:
    """Sort answered rows into lines over x.

    Parameters
    ----------
    rows
        Rows of one sweep.
    x
        The axis drawn along.
    series
        AXIS=VALUE: only the rows with that value; None: all, with lines labelled by all axes but x.
    """
    chosen = _selected(rows, series)
    others = [name for name in dict.fromkeys(name for row in chosen for name in row.coordinates) if name != x]
    moving = [name for name in others if not _follows(chosen, name, x)]
    short = {name: _texts(chosen, name) for name in moving}
    grouped: dict[tuple[str, ...], list[Spot]] = {}
    for row in chosen:
        where = number(row.coordinates.get(x))
        if row.result is None or where is None:
            continue
        key = tuple(str(row.coordinates.get(name)) for name in moving)
        grouped.setdefault(key, []).append(Spot(where, row, row.result))
    labels = [
        ", ".join(f"{name} {short[name][text]}" for name, text in zip(moving, key, strict=True)) for key in grouped
    ]
    return [
        Line(bounded(label, LABEL_CHARACTERS_MAX), tuple(sorted(spots, key=lambda spot: spot.x)))
        for label, spots in zip(labels, grouped.values(), strict=True)
    ]


def axis_label(rows: Sequence[Row], name: str) -> str:
    """Name an axis, and say what a rate is."""
    meaning = "nondeterminism rate: probability that a node deviates at one decision point"
    return meaning if is_rate(rows, name) else name


def _selected(rows: Sequence[Row], series: str | None) -> list[Row]:
    if series is None:
        return list(rows)
    name, equals, value = series.partition("=")
    named_axis(rows, name, "series")
    if not equals:
        raise refuse(f"series must be AXIS=VALUE (got {shown(series)})")
    wanted = _written_number(value)
    chosen = [
        row
        for row in rows
        if str(row.coordinates.get(name)) == value
        or (wanted is not None and number(row.coordinates.get(name)) == wanted)
    ]
    if not chosen:
        values = dict.fromkeys(str(row.coordinates.get(name)) for row in rows)
        raise refuse(f"no point has {name} = {shown(value)}; known: {bounded(', '.join(values))}")
    return chosen


def _follows(rows: Sequence[Row], name: str, x: str) -> bool:
    """Whether an axis moves together with x, and so tells no lines apart."""
    pairs = {(str(row.coordinates.get(x)), str(row.coordinates.get(name))) for row in rows}
    return len(pairs) == len({first for first, _ in pairs}) and len({second for _, second in pairs}) > 1


def _written_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return number(text)


def _texts(rows: Sequence[Row], name: str) -> dict[str, str]:
    """Each value of an axis, told in four digits; in full where that leaves two the same."""
    values = {str(row.coordinates.get(name)): row.coordinates.get(name) for row in rows}
    short = {text: f"{value:.4g}" if isinstance(value, float) else text for text, value in values.items()}
    return short if len(set(short.values())) == len(values) else {text: text for text in values}


def shared(rows: Sequence[Row]) -> str:
    """What all rows have in common, in words."""
    scenarios = [row.scenario for row in rows]
    kinds = [
        " and ".join(dict.fromkeys(_kind(group.executor) for group in scenario.nodes.values()))
        for scenario in scenarios
    ]
    parts = [
        _common([f"{scenario.node_count:,} nodes" for scenario in scenarios]),
        _common([f"quorum {scenario.election.quorum:,}" for scenario in scenarios]),
        _common([f"fault threshold {scenario.consensus.fault_threshold}" for scenario in scenarios]),
        _common(kinds),
        _common([f"result: {scenario.consensus.result}" for scenario in scenarios]),
        _common([_liars(scenario.election.byzantine, scenario.faults.behaviour) for scenario in scenarios]),
        _common([f"{s.points:,} decision points a block" if s.points > 1 else "" for s in scenarios]),
        _common([f"{row.result.engine} engine" if row.result else "" for row in rows]),
    ]
    return ", ".join(part for part in parts if part)


def _common(values: list[str]) -> str:
    return values[0] if len(set(values)) == 1 else ""


def _liars(number_of_votes: int, behaviour: str) -> str:
    return f"{number_of_votes:,} Byzantine votes ({behaviour})" if number_of_votes else ""


def _kind(executor: Any) -> str:
    if not isinstance(executor, Gpu):
        return str(executor.kind).upper() if executor.kind == "cpu" else "recorded answers"
    return executor.nondeterminism.difficulty.replace("_", " ") + "s" * (
        executor.nondeterminism.difficulty == "near_tie"
    )
