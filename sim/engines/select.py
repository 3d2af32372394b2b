"""Which engine answers, and the one call that runs a scenario."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from os import PathLike
from typing import IO, TYPE_CHECKING

from sim.base.errors import EngineError
from sim.consensus.tally import Outcome
from sim.engines import exact, montecarlo
from sim.engines.chains import engine as chains
from sim.engines.chains.engine import run_chains
from sim.engines.events import engine as events
from sim.engines.phases import engine as phases
from sim.engines.result import Result, counted_result
from sim.engines.timing import IN_TIME
from sim.statistics.counts import Counts

if TYPE_CHECKING:
    from sim.engines.chains.measures import ChainCounts
    from sim.scenario.schema import EngineName, Scenario

Progress = Callable[[Counts], None]
"""Called with what is counted so far, at least every few milliseconds of work."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in the middle of a run; `result` has everything finished so far, None if that is nothing."""

    def __init__(self, result: Result | None) -> None:
        super().__init__()
        self.result = result


def choose(scenario: Scenario, engine: EngineName, *, traced: bool = False) -> tuple[str, str]:
    """Choose an engine.

    Parameters
    ----------
    scenario
        A validated scenario.
    engine
        `auto`, or the engine wanted.
    traced
        Whether every message is to be told, where there are any.

    Returns
    -------
    engine, reason : str
        Its name, and why it.

    Raises
    ------
    EngineError
        The engine wanted cannot answer; the text names one that can.
    """
    refusals = {
        "exact": exact.refusal(scenario),
        "montecarlo": montecarlo.refusal(scenario),
        "events": events.refusal(scenario),
        "phases": phases.refusal(scenario),
    }
    able = [name for name, refusal in refusals.items() if refusal is None]
    if not able:
        reasons = "; ".join(f"{name}: {refusal}" for name, refusal in refusals.items())
        raise EngineError(f"no engine can answer this ({reasons})")
    if engine != "auto":
        if refusals[engine]:
            raise EngineError(f"the {engine} engine cannot answer this: {refusals[engine]}; {able[0]} can")
        return engine, "asked for"
    recovers = scenario.recovery is not None and scenario.recovery.timed
    if scenario.network is not None or scenario.faults.timed or recovers:
        timed = "a recovery in seconds" if recovers else "faults that need time"
        timed = f"the scenario has {'a network' if scenario.network is not None else timed}"
        if "phases" in able and not traced:
            return "phases", timed
        if "events" in able:
            return "events", timed
        return able[0], f"the events engine cannot answer this: {refusals['events']}"
    if able[0] == "exact":
        return "exact", "it can answer this scenario, and is the cheapest that can"
    return able[0], f"the exact engine cannot answer this: {refusals['exact']}"


def run(
    scenario: Scenario,
    *,
    engine: EngineName | None = None,
    blocks: int | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
    trace: str | PathLike[str] | IO[str] | None = None,
) -> Result:
    """Run a scenario.

    Parameters
    ----------
    scenario
        A validated scenario.
    engine, blocks, seed
        Override the scenario's `run` block.
    progress
        Called with the counts so far.
    trace
        A file (or an open stream) to which the events engine writes everything that happens, and chains over time what
        happens to whom, as JSON Lines; missing folders are made.

    Returns
    -------
    Result
        Outcome probabilities, with 95 % intervals where they are simulated.

    Raises
    ------
    EngineError
        The engine cannot answer this scenario, or writes no trace.
    ScenarioError
        The trace cannot be written.
    Interrupted
        Ctrl-C; what was finished is in its `result`.

    Examples
    --------
    >>> from sim import load_scenario, run
    >>> result = run(load_scenario("scenarios/ninety_nine_ninety_nine.yaml"))
    >>> f"{result.block_failure.probability:.4g}"
    '9.734e-05'
    """
    wanted = {"engine": engine, "blocks": blocks, "seed": seed}
    given = {key: value for key, value in wanted.items() if value is not None}
    if given:
        settings = type(scenario.run).model_validate(scenario.run.model_dump() | given)
        scenario = scenario.model_copy(update={"run": settings})
    name, reason = choose(scenario, scenario.run.engine, traced=trace is not None)
    if trace is not None:
        _check_traced(scenario, name, reason)
    if name in IN_TIME:
        return _in_time(scenario, name, reason, progress, trace)
    if name == "exact":
        return replace(exact.run_exact(scenario), engine_reason=reason)
    if scenario.chained:
        return _chain_by_chain(scenario, reason, progress, trace)
    return replace(_simulated(scenario, reason, progress), engine_reason=reason)


def _check_traced(scenario: Scenario, name: str, reason: str) -> None:
    """Refuse to trace what leaves no trace."""
    if name == "events" and (scenario.run.chains or 1) > 1:
        raise EngineError("a trace of messages holds one chain (set run.chains to 1)")
    if name != "events" and not (scenario.chained and name == "montecarlo"):
        raise EngineError(f"only events, and chains that are simulated, write a trace (this is {name}: {reason})")


def _in_time(
    scenario: Scenario, name: str, reason: str, progress: Progress | None, trace: str | PathLike[str] | IO[str] | None
) -> Result:
    from sim.engines.events.trace import opened

    try:
        if name == "phases":
            return replace(phases.run_phases(scenario, progress), engine_reason=reason)
        with opened(trace, scenario) as written:
            return replace(events.run_events(scenario, progress, written), engine_reason=reason)
    except events.Stopped as stop:
        raise Interrupted(replace(stop.result, engine_reason=reason) if stop.result else None) from None


def _chain_by_chain(
    scenario: Scenario, reason: str, progress: Progress | None, trace: str | PathLike[str] | IO[str] | None
) -> Result:
    def told(counts: ChainCounts, slots: int) -> None:
        if progress:  # a chain that has halted is done with all of its blocks
            done = counts.chains * counts.blocks + slots
            progress(Counts(counts.task, done, (done, 0, 0, 0)))

    try:
        return replace(run_chains(scenario, told, trace), engine_reason=reason)
    except chains.Stopped as stop:
        raise Interrupted(replace(stop.result, engine_reason=reason) if stop.result else None) from None


def _simulated(scenario: Scenario, reason: str, progress: Progress | None) -> Result:
    simulation = montecarlo.MonteCarlo(scenario)
    counts = Counts(simulation.task, 0, (0,) * len(Outcome))
    try:
        for cell, blocks in simulation.cells(scenario.run.blocks):
            counts += simulation.count(cell, blocks)
            if progress:
                progress(counts)
    except KeyboardInterrupt:
        partial = replace(counted_result(scenario, counts), engine_reason=reason) if counts.trials else None
        raise Interrupted(partial) from None
    return counted_result(scenario, counts)
