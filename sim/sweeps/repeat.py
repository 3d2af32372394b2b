"""Runs again the points of a store, each under the rule that ended it, and compares every number."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from sim.base.errors import Problem, ScenarioError
from sim.base.version import __version__
from sim.engines.repeat import Repeated, check_id, difference
from sim.engines.result import Result, counted_result
from sim.engines.select import choose
from sim.engines.timing import IN_TIME
from sim.sweeps.runner import failures_seen, with_rule
from sim.sweeps.store import TIME, Store
from sim.sweeps.work import answer_exactly, answer_whole, finish, nothing_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sim.scenario.schema import EngineName, Scenario
    from sim.sweeps.row import Row

_RULE = re.compile(rf"({TIME} )?blocks=(\d{{1,13}}) failures=(None|\d{{1,13}})(?: chains=(\d{{1,7}}))?", re.ASCII)


class _Rule(NamedTuple):
    """Blocks of a point, the failing block that ends it sooner, and its chains; no blocks: it was computed exactly."""

    blocks: int
    failures: int | None
    by_time: bool = False
    chains: int | None = None


def repeat_store(
    path: Path, wanted: str | None = None, report: Callable[[float], None] | None = None
) -> Iterator[Repeated]:
    """Run again the points of a store, one after the other.

    Parameters
    ----------
    path
        What `sim sweep` made.
    wanted
        The beginning of a scenario id; None: all points.
    report
        Called with the share that is done.

    Yields
    ------
    Repeated
        Each answered point, compared. How many blocks a point has that ran out of time is taken from its answer.

    Raises
    ------
    ScenarioError
        It is no store, was damaged, or has no such scenario.
    EngineError
        A scenario cannot be run.
    """
    with Store(path) as store:
        rows = list(zip(_rows(store), store.made_by(), strict=True))
    known = check_id(wanted, [row.scenario.scenario_id for row, _ in rows], str(path))
    chosen = [(row, made) for row, made in rows if row.scenario.scenario_id in known and row.result is not None]
    if not chosen:
        raise ScenarioError([Problem("", "has no answer to compare", where=str(path))])
    for index, (row, (version, rule)) in enumerate(chosen):
        yield _repeated(row, version, _read(rule, row, path))
        if report:
            report((index + 1) / len(chosen))


def _rows(store: Store) -> list[Row]:
    """Points of a store; where one of another version cannot be read, that is told too."""
    try:
        return store.rows()
    except ScenarioError as error:
        others = ", ".join(sorted(store.versions() - {__version__}))
        told = f"was written by version {others}, and this is {__version__}"
        raise ScenarioError(
            [*([Problem("", told, where=str(store.path))] if others else []), *error.problems]
        ) from None


def _read(rule: str, row: Row, path: Path) -> _Rule:
    """Read the rule of a point."""
    assert row.result is not None  # noqa: S101 -- only such rows are chosen
    blocks = row.result.blocks or 0
    if rule == "exact" and row.result.engine == "exact":
        return _Rule(0, None)
    if rule == TIME and blocks:
        return _Rule(blocks, None, by_time=True)
    if (found := _RULE.fullmatch(rule)) and row.result.engine in {"montecarlo", *IN_TIME} and int(found[2]):
        failures, chains = (None if text in {"None", None} else int(text) for text in found.group(3, 4))
        return _Rule(int(found[2]), failures, bool(found[1]), chains)
    raise ScenarioError([Problem("", "is damaged: a rule that no sweep has", rule, str(path))])


def _repeated(row: Row, version: str, rule: _Rule) -> Repeated:
    scenario, old = row.scenario, row.result
    assert old is not None  # noqa: S101 -- only such rows are chosen
    new = _answered(scenario, old.engine, rule)
    apart = {"engine_reason"} | ({"warnings", "timing", "scenario_id"} if rule.by_time else set())
    theirs, ours = ({k: v for k, v in one.to_dict().items() if k not in apart} for one in (old, new))
    where = ", ".join(f"{axis} {value}" for axis, value in row.coordinates.items())
    compared = "exact numbers" if not rule.blocks else f"the numbers of {old.blocks or 0:,} blocks"
    told = f"{compared} at {where}" if where else compared
    return Repeated(
        scenario.name, scenario.scenario_id, old.engine, scenario.run.seed, version, told, difference(theirs, ours)
    )


def _answered(scenario: Scenario, engine: str, rule: _Rule) -> Result:
    """Answer a point as the runner does.

    Raises
    ------
    ScenarioError
        The engine fails.
    """
    known: dict[str, EngineName] = {"exact": "exact", "events": "events", "phases": "phases"}
    wanted = known.get(engine, "montecarlo")
    choose(scenario, wanted)
    if rule.by_time and rule.chains:
        scenario = scenario.model_copy(update={"run": scenario.run.model_copy(update={"chains": rule.chains})})
    if wanted == "montecarlo" and not scenario.chained:
        finished = finish(scenario, nothing_of(scenario), 0, rule.blocks, rule.failures)
        result = counted_result(scenario, finished.counts)
        return with_rule(result) if finished.by_failures else result
    if wanted == "exact":
        (answer,) = answer_exactly([scenario], [""])
    else:
        answer = answer_whole(scenario, wanted, "", rule.blocks, rule.failures)
    if answer.result is None:
        raise ScenarioError([Problem("", f"cannot be run again: {answer.error}", where=scenario.name)])
    by_failures = rule.failures is not None and failures_seen(answer.result) >= rule.failures
    return with_rule(answer.result) if by_failures and wanted in IN_TIME else answer.result
