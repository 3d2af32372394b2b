"""`sim run`: answer one scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from sim.cli.flags import Names, Override, draws, number, probability, refuse_unused, settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sim.analysis.uncertainty import Spread
    from sim.engines.result import Result
    from sim.scenario.schema import Scenario

BAR_MISSED = 3


def run(
    scenario: str,
    /,
    *,
    set_: Override = None,
    engine: str | None = None,
    blocks: str | None = None,
    seed: str | None = None,
    format: Literal["table", "json"] = "table",  # noqa: A002 -- the flag is --format
    fail_above: str | None = None,
    trace: str | None = None,
    block: str | None = None,
    parameter_draws: str | None = None,
    names: Names | None = None,
) -> int:
    """Answer a scenario: how often its blocks fail, and why.

    For example: sim run scenarios/ninety_nine_ninety_nine.yaml

    Parameters
    ----------
    scenario
        A scenario file (YAML).
    set_
        Override a field, as PATH=VALUE: --set nodes.gpu.count=40. May be given several times.
    engine
        Who answers: auto, exact, montecarlo, events (message by message, in simulated time), phases (faster).
    blocks
        Blocks to simulate (the exact engine needs none): 1e6.
    seed
        Seed of the random streams; the same seed gives the same numbers to the last bit.
    format
        A table for people, or JSON for scripts.
    fail_above
        Exit with code 3 if a block fails with a higher probability than this: 1e-6.
    trace
        Write everything that happens to this file, as JSON Lines (events engine): every message, timer and decision.
    block
        Run one block of the run (events engine), and those before it only where it depends on them: 4711.
    parameter_draws
        Answer it at that many draws of its uncertain parameters too (intervals, as sim calibrate prints them): 200.
    """
    from sim.cli.render import show
    from sim.scenario.load import open_document, validated

    bar = number(fail_above, "--fail-above", probability, "a probability from 0 to 1")
    source = (scenario, set_ or (), settings(engine=engine, blocks=blocks, seed=seed))
    document, problems = open_document(*source, **(names or Names()).options())
    loaded = validated(document, problems)
    _check_trace(trace, scenario)
    number_of_draws = draws(parameter_draws)
    if block is not None:
        refuse_unused({"--fail-above": fail_above, "--parameter-draws": parameter_draws}, "--block", given=True)
        _one(loaded, source, block, format, trace)
        return 0
    result = _kept(loaded, source, trace, format, document.filled)
    open_still = _spread(document.tree, loaded, number_of_draws)
    show(result, loaded, format, document.filled, open_still)
    return BAR_MISSED if bar is not None and _missed(result, bar) else 0


def _kept(
    loaded: Scenario,
    source: tuple[str, Sequence[str], dict[str, tuple[str, Any]]],
    trace: str | None,
    form: Literal["table", "json"],
    filled: Mapping[str, tuple[Any, str]],
) -> Result:
    """Run it; if that is interrupted, show what was finished."""
    from sim.engines.select import Interrupted

    try:
        return _answered(loaded, source, trace)
    except Interrupted as stop:
        _tell_interrupted(stop.result, loaded, form, filled)
        raise


def _spread(tree: Mapping[str, Any], loaded: Scenario, number: int) -> Spread | None:
    """What uncertain parameters leave open, with progress."""
    if not number:
        return None
    from sim.analysis.uncertainty import spread
    from sim.cli.progress import Progress

    with Progress(f"{number:,} parameter draws") as progress:
        return spread(tree, loaded, number, progress.update)


def _one(
    loaded: Scenario,
    source: tuple[str, Sequence[str], dict[str, tuple[str, Any]]],
    block: str,
    form: Literal["table", "json"],
    trace: str | None,
) -> None:
    """Run one block; that the engine cannot is told with its place in the file or the flags."""
    from sim.base.errors import EngineError, Problem
    from sim.cli.block import run_one
    from sim.scenario.load import located

    try:
        run_one(loaded, block, form, trace)
    except EngineError as error:
        raise located(Problem("run.engine", str(error), loaded.run.engine), *source) from None


def _answered(
    loaded: Scenario, source: tuple[str, Sequence[str], dict[str, tuple[str, Any]]], trace: str | None
) -> Result:
    """Run it with progress; what is wrong with it is told with its place in the file or the flags."""
    from sim.base.errors import EngineError, Problem, ScenarioError
    from sim.cli.progress import Progress
    from sim.engines.select import run as run_scenario
    from sim.scenario.load import located

    total = loaded.run.blocks * (loaded.run.chains or 1)
    try:
        with Progress(f"{total:,} blocks") as progress:
            return run_scenario(loaded, progress=lambda counts: progress.update(counts.trials / total), trace=trace)
    except EngineError as error:
        raise located(Problem("run.engine", str(error), loaded.run.engine), *source) from None
    except ScenarioError as error:
        raise located(error.problems[0], *source) from None


def _check_trace(trace: str | None, scenario: str) -> None:
    from pathlib import Path

    from sim.base.errors import Problem, ScenarioError

    if trace is not None and Path(trace).resolve() == Path(scenario).resolve():
        raise ScenarioError([Problem("", "would overwrite the scenario", trace, "--trace")])


def _missed(result: Result, bar: float) -> bool:
    import sys

    failure = result.block_failure.probability
    if failure > bar:
        print(f"block failure {failure:.4g} is above the bar of {bar:g}", file=sys.stderr)
    return failure > bar


def _tell_interrupted(
    partial: Result | None, scenario: Scenario, form: Literal["table", "json"], filled: Mapping[str, tuple[Any, str]]
) -> None:
    import sys

    from sim.cli.render import show

    if partial is not None:
        print(f"interrupted: kept {partial.blocks:,} of {scenario.run.blocks:,} blocks", file=sys.stderr)
        show(partial, scenario, form, filled)
