"""The grid of a sweep: axes that multiply, axes that move together, and explicit points.

::

    sweep:
      rate:  {path: nodes.gpu.executor.nondeterminism.rate, logspace: [1e-8, 1e-1], points: 29}
      nodes: {path: nodes.gpu.count, values: [4, 13, 34, 40]}
      zip:   {faults: {path: ..., values: [...]}, size: {path: ..., values: [...]}}
      list:  [{nodes.gpu.count: 4}, {nodes.gpu.count: 7, consensus.quorum: 5}]

An axis has a `path` (or `paths`, which get the same value) and one of `values`, `logspace` and `linspace` (both with
their end points, and `points`), or `range` (first, stop and step, the stop left out). Axes multiply, the last one
varying fastest; the axes under `zip` are of one length and move together, as one axis; so do the points of `list`.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field, ValidationError

from sim.base.document import Document
from sim.base.errors import Problem, ScenarioError
from sim.base.model import FrozenModel, Mistake, problems_of
from sim.base.text import shown
from sim.scenario.fill import fill
from sim.scenario.schema import Scenario
from sim.scenario.uncertain import parameter_draws

POINTS_MAX = 1_000_000
PROBLEMS_MAX = 20
_KINDS = ("values", "logspace", "linspace", "range")
_DIGITS = 12  # of generated values: 1e-07, not 1.0000000000000001e-07


class Axis(FrozenModel):
    """One axis of a sweep: which field takes which values."""

    path: Annotated[str, Field(min_length=1)] | None = None
    """Dotted path of the field."""
    paths: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = None
    """Fields that get the same value."""
    values: Annotated[list[Any], Field(min_length=1)] | None = None
    """The values themselves."""
    logspace: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=2, max_length=2)] | None = None
    """End points of values evenly spaced in the logarithm."""
    linspace: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    """End points of evenly spaced values."""
    range: Annotated[list[int], Field(min_length=2, max_length=3)] | None = None
    """First, stop (left out) and step of whole numbers."""
    points: Annotated[int, Field(ge=1, le=POINTS_MAX)] | None = None
    """How many values `logspace` or `linspace` has."""

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """One way to name fields, one way to give values, and a number of points where it is needed."""
        yield from super().cross_checks(fields, data)
        if ("path" in data) == ("paths" in data):
            yield Mistake((), "must have either path or paths")
        kinds = [kind for kind in _KINDS if kind in data]
        if len(kinds) != 1:
            yield Mistake((), f"must have exactly one of {', '.join(_KINDS)}")
        spaced = "logspace" in kinds or "linspace" in kinds
        if spaced != ("points" in data):
            yield Mistake(("points",), "is required with logspace and linspace, and only there")
        steps = fields.get("range")
        if steps and ((len(steps) == 3 and steps[2] == 0) or not range(*steps)):
            yield Mistake(("range",), "must have at least one value", steps)

    @property
    def targets(self) -> list[str]:
        """Paths that the axis sets."""
        return [self.path] if self.path else list(self.paths or ())

    def __len__(self) -> int:
        if self.values is not None:
            return len(self.values)
        return len(range(*self.range)) if self.range else self.points or 0

    def settings(self) -> Iterator[Any]:
        """Yield its values in order."""
        if self.values is not None:
            yield from self.values
        elif self.range:
            yield from range(*self.range)
        else:
            yield from (self._spaced(step / max(len(self) - 1, 1)) for step in range(len(self)))

    def _spaced(self, share: float) -> float:
        if self.logspace:
            low, high = (math.log(end) for end in self.logspace)
            value = math.exp(low + (high - low) * share)
            ends = self.logspace
        else:
            ends = self.linspace or [0.0, 0.0]
            value = ends[0] + (ends[1] - ends[0]) * share
        if share in {0, 1}:
            value = ends[int(share)]
        rounded = float(f"{value:.{_DIGITS}g}")
        return int(rounded) if self.linspace and rounded.is_integer() else rounded


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a sweep: its coordinates by axis name, and its scenario."""

    position: int
    coordinates: dict[str, Any]
    scenario: Scenario


@dataclass(frozen=True, slots=True)
class _Setting:
    """One value of one axis, or of several that move together: coordinates, and what to set."""

    coordinates: dict[str, Any]
    fields: dict[str, Any]


class Grid:
    """All points of a sweep, counted before any is made.

    Parameters
    ----------
    document
        The scenario file, with overrides, and its `sweep`.
    draws
        Draws of uncertain parameters (see `uncertain`) at every point, as one more axis, `draw`; 0: none.

    Raises
    ------
    ScenarioError
        The sweep is missing or malformed, or has more than a million points.
    """

    def __init__(self, document: Document, draws: int = 0) -> None:
        sweep = document.tree.get("sweep")
        if not isinstance(sweep, dict) or not sweep:
            message = "must have at least one axis to sweep, such as size: {path: nodes.gpu.count, values: [4, 13]}"
            raise ScenarioError([document.locate(Problem("sweep", message))])
        self._document = document
        self._problems: list[Problem] = []
        self._axes: list[tuple[int, Sequence[Any]]] = [self._group(name, entry) for name, entry in sweep.items()]
        if self._problems:
            raise ScenarioError([document.locate(problem) for problem in self._problems])
        if draws:
            self._axes.append((draws, self._drawn(draws)))
        if len(self) > POINTS_MAX:
            message = f"must have at most {POINTS_MAX:,} points (has {len(self):,})"
            raise ScenarioError([document.locate(Problem("sweep", message))])

    def __len__(self) -> int:
        return math.prod(size for size, _ in self._axes)

    def _group(self, name: str, entry: Any) -> tuple[int, list[tuple[str, Axis]] | list[dict[str, Any]]]:
        """Validate one entry of the sweep: its length, and its axes or explicit points."""
        if name == "list":
            if (
                not isinstance(entry, list)
                or not entry
                or not all(isinstance(point, dict) and point for point in entry)
            ):
                self._problems.append(Problem("sweep.list", "must be a list of mappings from path to value"))
                return 0, []
            return len(entry), entry
        named = entry if name == "zip" else {name: entry}
        if not isinstance(named, dict) or not named:
            self._problems.append(Problem("sweep.zip", "must be a mapping from axis name to axis"))
            return 0, []
        axes = []
        for axis_name, axis in named.items():
            try:
                axes.append((axis_name, Axis.model_validate(axis)))
            except ValidationError as error:
                where = f"sweep.zip.{axis_name}" if name == "zip" else f"sweep.{axis_name}"
                self._problems += [
                    replace(problem, path=f"{where}.{problem.path}" if problem.path else where)
                    for problem in problems_of(error)
                ]
        sizes = {len(axis) for _, axis in axes}
        if len(sizes) > 1:
            lengths = ", ".join(f"{axis_name} {len(axis)}" for axis_name, axis in axes)
            self._problems.append(Problem("sweep.zip", f"must have axes of one length (has {lengths})"))
        return (max(sizes) if sizes else 0), axes

    def _drawn(self, number: int) -> list[_Setting]:
        """Draws of the parameters that no axis moves."""
        try:
            scenario = self._scenario(())
        except ValidationError as error:
            raise ScenarioError([self._document.locate(problem) for problem in problems_of(error)]) from None
        moved: set[str] = set()
        for _, axes in self._axes:
            moved |= {path for axis in axes for path in (axis if isinstance(axis, dict) else axis[1].targets)}
        draws = parameter_draws(scenario, number, moved)
        return [_Setting({"draw": index}, dict(fields)) for index, fields in enumerate(draws)]

    def _settings(self, axes: Sequence[Any]) -> list[_Setting]:
        if axes and isinstance(axes[0], _Setting):
            return list(axes)
        if axes and isinstance(axes[0], dict):
            return [_Setting(dict(point), dict(point)) for point in axes]
        columns = [
            [_Setting({name: value}, dict.fromkeys(axis.targets, value)) for value in axis.settings()]
            for name, axis in axes
        ]
        return [
            _Setting(
                {k: v for one in together for k, v in one.coordinates.items()},
                {k: v for one in together for k, v in one.fields.items()},
            )
            for together in zip(*columns, strict=True)
        ]

    def points(self) -> Iterator[Point]:
        """Yield every point, validated, in order; the last axis varies fastest.

        Raises
        ------
        ScenarioError
            Some points are not valid scenarios: each mistake is told once, with its axis and value.
        """
        everywhere = self._problems_without_sweep()
        problems: dict[Problem, None] = {}
        for position, combination in enumerate(itertools.product(*(self._settings(axes) for _, axes in self._axes))):
            coordinates = {k: v for setting in combination for k, v in setting.coordinates.items()}
            try:
                scenario = self._scenario(combination)
            except (ValidationError, ScenarioError) as error:
                found = problems_of(error) if isinstance(error, ValidationError) else error.problems
                problems |= dict.fromkeys(
                    problem if problem in everywhere else self._blamed(problem, combination) for problem in found
                )
                continue
            if not problems:
                yield Point(position, coordinates, scenario)
        if problems:
            told = list(problems)[:PROBLEMS_MAX]
            if len(problems) > PROBLEMS_MAX:
                told.append(Problem("sweep", f"and {len(problems) - PROBLEMS_MAX} more mistakes like these"))
            raise ScenarioError([self._document.locate(problem) for problem in told])

    def _problems_without_sweep(self) -> set[Problem]:
        """Mistakes of the scenario itself, which no axis is to blame for."""
        try:
            self._scenario(())
        except ValidationError as error:
            return set(problems_of(error))
        except ScenarioError as error:
            return set(error.problems)
        return set()

    def _scenario(self, combination: Sequence[_Setting]) -> Scenario:
        tree = {key: value for key, value in self._document.tree.items() if key != "sweep"}
        document = Document(copy.deepcopy(tree))
        for setting in combination:
            for path, value in setting.fields.items():
                document.set(path, copy.deepcopy(value), "")  # what is filled in belongs to this point alone
        if problems := fill(document, self._document.home):
            raise ScenarioError(problems)
        return Scenario.model_validate(document.tree)

    def _blamed(self, problem: Problem, combination: Sequence[_Setting]) -> Problem:
        """Name the axis and the value that a mistake comes from; all of them if it cannot be told."""
        culprits = [
            setting for setting in combination if any(_related(path, problem.path) for path in setting.fields)
        ] or list(combination)
        values = ", ".join(f"{axis} = {shown(v)}" for s in culprits for axis, v in s.coordinates.items())
        first = next(iter(culprits[0].coordinates))
        named = self._document.tree["sweep"]
        path = f"sweep.{first}" if first in named else "sweep.list" if "list" in named else "sweep.zip"
        return replace(problem, path=path, message=f"at {values}: {problem.path}: {problem.message}")


def _related(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}.") or other.startswith(f"{path}.")
