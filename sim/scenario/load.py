"""From a scenario file and overrides to a validated scenario, telling every mistake with its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sim.base.document import Document, Home, parse_value, read_document
from sim.base.errors import Problem, ScenarioError
from sim.base.model import problems_of
from sim.base.text import bounded
from sim.scenario.fill import fill
from sim.scenario.grid import Grid
from sim.scenario.schema import Scenario

if TYPE_CHECKING:
    from os import PathLike

    from sim.catalog.catalog import Catalog


def load_scenario(
    path: str | PathLike[str],
    overrides: Sequence[str] = (),
    flags: Mapping[str, tuple[str, Any]] | None = None,
    *,
    files_anywhere: bool = False,
    catalog: Catalog | None = None,
) -> Scenario:
    """Read a scenario file and check it.

    Parameters
    ----------
    path
        A YAML 1.2 file of at most 256 KiB.
    overrides
        `PATH=VALUE` each, with a dotted path and a YAML value: `nodes.gpu.count=40`.
    flags
        Path to (flag as the user wrote it, value), for command line flags that override a field.
    files_anywhere
        Whether files that the scenario names may lie outside its folder.
    catalog
        Where names of platforms, models and hardware are looked up; None: what is shipped.

    Returns
    -------
    Scenario
        Frozen, defaults filled in.

    Raises
    ------
    ScenarioError
        Something is wrong with the file or the overrides; its text has one line a mistake, all mistakes at once.

    Examples
    --------
    >>> scenario = load_scenario("scenarios/ninety_nine_ninety_nine.yaml", ["nodes.gpu.count=40"])
    >>> scenario.node_count, scenario.election.quorum
    (40, 27)
    """
    document, problems = open_document(path, overrides, flags, files_anywhere=files_anywhere, catalog=catalog)
    return validated(document, problems)


def load_grid(
    path: str | PathLike[str],
    overrides: Sequence[str] = (),
    flags: Mapping[str, tuple[str, Any]] | None = None,
    *,
    files_anywhere: bool = False,
    catalog: Catalog | None = None,
    draws: int = 0,
) -> Grid:
    """Read the sweep of a scenario file; parameters and errors as for `load_scenario`, draws as for `Grid`.

    Returns
    -------
    Grid
        Its points are validated as they are made.

    Examples
    --------
    >>> grid = load_grid("scenarios/failure_curve.yaml")
    >>> len(grid)
    116
    """
    document, problems = open_document(path, overrides, flags, files_anywhere=files_anywhere, catalog=catalog)
    if problems:
        raise ScenarioError(problems)
    return Grid(document, draws)


def open_document(
    path: str | PathLike[str],
    overrides: Sequence[str] = (),
    flags: Mapping[str, tuple[str, Any]] | None = None,
    *,
    files_anywhere: bool = False,
    catalog: Catalog | None = None,
) -> tuple[Document, list[Problem]]:
    """Read a scenario file and apply overrides, without validating it (see `load_scenario`)."""
    document = read_document(Path(path), "sim new FILE writes one to begin with")
    document.home = Home(Path(path).parent, files_anywhere, catalog)
    problems = list(document.problems)
    for override in overrides:
        problems += _override(document, override)
    for place, (flag, value) in (flags or {}).items():
        problems += _set(document, place, value, flag)
    return document, problems


def _override(document: Document, override: str) -> list[Problem]:
    flag = bounded(f"--set {override}")
    path, equals, text = override.partition("=")
    path = path.strip()
    if not equals or not path or "" in path.split("."):
        return [Problem("", "must be PATH=VALUE, such as nodes.gpu.count=40", where=flag)]
    try:
        value = parse_value(text, flag)
    except ScenarioError as error:
        return [replace(problem, path=".".join(filter(None, (path, problem.path)))) for problem in error.problems]
    return _set(document, path, value, flag)


def _set(document: Document, path: str, value: Any, flag: str) -> list[Problem]:
    try:
        document.set(path, value, flag)
    except ScenarioError as error:
        return list(error.problems)
    return []


def validated(document: Document, problems: Sequence[Problem] = ()) -> Scenario:
    """Validate a document; `problems` found before are told together with those found here.

    Raises
    ------
    ScenarioError
        There is any mistake.
    """
    found = [*problems, *(document.locate(problem) for problem in fill(document, document.home))]
    try:
        scenario = Scenario.model_validate(document.tree)
    except ValidationError as error:
        found += [
            _blamed(document.locate(problem), document)
            for problem in problems_of(error)
            if not any(_within(problem.path, place) for place in document.unreadable)
        ]
    if found:
        raise ScenarioError(list(dict.fromkeys(found)))
    return scenario


def _blamed(problem: Problem, document: Document) -> Problem:
    """Name the entry of the catalog that filled in a wrong value."""
    if problem.path not in document.filled:
        return problem
    return replace(problem, message=f"{problem.message}, filled in by {document.filled[problem.path][1]}")


def _within(path: str, place: str) -> bool:
    return path == place or path.startswith(f"{place}.")


def located(
    problem: Problem,
    path: str | PathLike[str],
    overrides: Sequence[str] = (),
    flags: Mapping[str, tuple[str, Any]] | None = None,
) -> ScenarioError:
    """Make the error for a problem that was found after validation, with its place in the file or the flags."""
    document, _ = open_document(path, overrides, flags)
    return ScenarioError([document.locate(problem)])
