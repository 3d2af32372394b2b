"""`sim check`: search schedules for one that breaks a protocol."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Literal

from sim.cli.flags import Names, Override, number, refuse_unused, settings, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim.analysis.explorer.chain import Chain
    from sim.analysis.explorer.explore import Counterexample, Exploration, Search
    from sim.scenario.schema import Scenario

SCHEDULES = 1_000
INLINE_MAX = 1_000
PROCESSES_MAX = 256
BROKEN = 3


def check(
    scenario: str,
    /,
    *,
    schedules: str | None = None,
    seed: str | None = None,
    kind: Literal["mixed", "random", "targeted"] | None = None,
    set_: Override = None,
    workers: str | None = None,
    save: str | None = None,
    trace: str | None = None,
    replay: str | None = None,
    format: Literal["table", "json"] = "table",  # noqa: A002 -- the flag is --format
    names: Names | None = None,
) -> int:
    """Search schedules for one that breaks the protocol of a scenario, and shrink it to the steps that are needed.

    For example: sim check scenarios/safety_check.yaml --schedules 300

    Messages arrive in any order, late, twice or never, timers run out at the worst moment, the network is split in
    chosen rounds, and Byzantine nodes are twins: two machines of one name. Exits with 3 if an invariant is broken, or
    if something that must happen sometimes never did.

    Parameters
    ----------
    scenario
        A scenario file (YAML): its nodes, consensus and faults count, its network does not.
    schedules
        How many; left out, 1,000. The first few of a longer search are those of a shorter one.
    seed
        Seed of the schedules.
    kind
        Random schedules, targeted ones (split in chosen rounds and phases), or both; left out, both (mixed).
    set_
        Override a field, as PATH=VALUE: --set consensus.protocol=tendermint. May be given several times.
    workers
        Processes; by default one a processor, for more than 1,000 schedules. The result does not depend on them.
    save
        Write the shrunk schedule to this file.
    trace
        Write it as a trace, one step a second, of which sim chart makes a picture.
    replay
        Run the schedule of such a file again.
    format
        A table for people, or JSON for scripts.
    """
    from sim.analysis.explorer.explore import Search
    from sim.scenario.load import load_scenario

    _not_over_input(scenario, {"--save": save, "--trace": trace})
    source = (scenario, set_ or (), settings(seed=seed))
    loaded = load_scenario(*source, **(names or Names()).options())
    search = Search(_chain(loaded, source), loaded.run.seed, kind or "mixed")
    if replay is not None:
        unused = {"--schedules": schedules, "--seed": seed, "--kind": kind, "--workers": workers, "--save": save}
        refuse_unused(unused, "--replay", given=True)
        return _replayed(search.chain, loaded, replay, trace, format)
    found = _explored(search, schedules, workers, loaded, format)
    return _kept(save, trace, loaded, search, found)


def _chain(scenario: Scenario, source: tuple[str, Sequence[str], dict[str, tuple[str, Any]]]) -> Chain:
    from sim.analysis.explorer.chain import chain_of
    from sim.base.errors import EngineError, Problem
    from sim.scenario.load import located

    try:
        return chain_of(scenario)
    except EngineError as error:
        raise located(Problem("consensus.protocol", str(error), scenario.consensus.protocol), *source) from None


def _kept(save: str | None, trace: str | None, scenario: Scenario, search: Search, found: Exploration) -> int:
    """Write the files that were asked for, and give the exit code."""
    from sim.analysis.explorer.saved import save_schedule

    counterexample = found.counterexample
    if counterexample is None:
        return BROKEN if found.missing else 0
    if save is not None:
        save_schedule(save, scenario, search, counterexample)
        print(f"saved {save}", file=sys.stderr)
    _trace(trace, scenario, search.chain, counterexample)
    return BROKEN


def _trace(path: str | None, scenario: Scenario, chain: Chain, found: Counterexample) -> None:
    from sim.analysis.explorer.traced import trace_schedule

    if path is not None:
        trace_schedule(path, scenario, chain, found)
        print(f"traced {path}, height {found.violation.height}", file=sys.stderr)


def _not_over_input(scenario: str, written: dict[str, str | None]) -> None:
    """Refuse to overwrite the scenario."""
    from pathlib import Path

    from sim.base.errors import Problem, ScenarioError

    for flag, path in written.items():
        if path is not None and Path(path).resolve() == Path(scenario).resolve():
            raise ScenarioError([Problem("", "would overwrite the scenario", path, flag)])


def _replayed(chain: Chain, scenario: Scenario, path: str, trace: str | None, form: Literal["table", "json"]) -> int:
    from sim.analysis.explorer.explore import Search, again
    from sim.analysis.explorer.saved import read_schedule
    from sim.cli.schedules import show_again

    saved = read_schedule(path, scenario)
    found = again(Search(chain, saved.seed, saved.kind), saved.number, saved.kept)
    show_again(found, chain, form)
    if found is None:
        return 0
    _trace(trace, scenario, chain, found)
    return BROKEN


def _explored(
    search: Search, wanted: str | None, workers: str | None, scenario: Scenario, form: Literal["table", "json"]
) -> Exploration:
    from concurrent.futures import BrokenExecutor

    from sim.analysis.explorer.explore import Stopped, explore
    from sim.base.errors import SplitquorumError
    from sim.cli.progress import Progress
    from sim.cli.schedules import show
    from sim.sweeps import pool

    schedules = number(wanted, "--schedules", whole, "a whole number of schedules") or SCHEDULES
    processes = number(workers, "--workers", whole, "a whole number of processes")
    if processes is None:
        processes = 1 if schedules <= INLINE_MAX else os.cpu_count() or 1
    executor = pool.workers(min(processes, PROCESSES_MAX)) if processes > 1 else None
    try:
        with Progress(f"{schedules:,} schedules") as progress:
            found = explore(search, schedules, executor, lambda done: progress.update(done / schedules))
    except Stopped as stop:
        print(f"interrupted: kept {stop.found.schedules:,} of {schedules:,} schedules", file=sys.stderr)
        show(stop.found, search.chain, scenario, form)
        raise
    except BrokenExecutor:
        raise SplitquorumError("sim check: a worker process died (out of memory?); try fewer --workers") from None
    finally:
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)
    show(found, search.chain, scenario, form)
    return found
