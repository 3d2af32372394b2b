"""What a sweep would do: points, work, and an estimate of the time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim.scenario.grid import Point
    from sim.sweeps.runner import Choice
    from sim.sweeps.stopping import Stopping

_T = TypeVar("_T")
_SHOWN = 10
_SAMPLED = 5
_TRIED = 5  # blocks that are run message by message for an estimate
_TRIED_IN_PHASES = 50
_TRIED_OVER_TIME = 1_000  # blocks of each chain


def tell(choices: Sequence[Choice], stopping: Stopping, workers: int | None) -> None:
    """Print the points, the work and the time that it may take, by doing a little of it.

    Parameters
    ----------
    choices
        The points of the sweep, and who would answer each.
    stopping
        When a point has seen enough.
    workers
        Number of processes; None: as many as suit the points.
    """
    from sim.base.text import shown
    from sim.engines.timing import IN_TIME
    from sim.sweeps.sweep import default_workers

    workers = workers or default_workers(choices)
    for point, engine, _ in choices[:_SHOWN]:
        where = ", ".join(f"{axis} = {shown(value)}" for axis, value in point.coordinates.items())
        print(f"{point.position}: {where} ({engine})")
    if len(choices) > _SHOWN:
        print(f"... and {len(choices) - _SHOWN:,} more")
    exact = [choice.point for choice in choices if choice.engine == "exact"]
    drawn = [choice for choice in choices if choice.engine != "exact"]
    whole = [choice.engine in IN_TIME or choice.point.scenario.chained for choice in drawn]
    timed = [choice for choice, one in zip(drawn, whole, strict=True) if one]
    simulated = [choice.point for choice, one in zip(drawn, whole, strict=True) if not one]
    seconds = _mean([_exact_seconds(point) for point in _some(exact)]) * len(exact)
    seconds += _mean([_simulated_seconds(point, stopping) for point in _some(simulated)]) * len(simulated)
    seconds += _mean([_timed_seconds(choice, stopping) for choice in _some(timed)]) * len(timed)
    simulated += [choice.point for choice in timed]
    blocks = sum((stopping.max_blocks or one.scenario.run.blocks) * (one.scenario.run.chains or 1) for one in simulated)
    print(f"{len(choices):,} points: {len(exact):,} exact, {len(simulated):,} simulated (at most {blocks:,} blocks)")
    if simulated and stopping.failures:
        print(f"a simulated point ends at {stopping.failures:,} failing blocks, so most take less")
    print(f"about {seconds / workers:.2g} s with {workers} worker{'s' * (workers != 1)}, nothing run yet")


def _some(points: Sequence[_T]) -> Sequence[_T]:
    """The first, the last, and some between: along an axis, points may cost ever more."""
    last, between = len(points) - 1, min(len(points), _SAMPLED) - 1
    return [points[last * place // max(between, 1)] for place in range(between + 1)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _exact_seconds(point: Point) -> float:
    from sim.engines.exact import run_exact

    started = time.perf_counter()
    run_exact(point.scenario)
    return time.perf_counter() - started


def _timed_seconds(choice: Choice, stopping: Stopping) -> float:
    """Of a point that is one run: messages, or chains over time."""
    from sim.engines.select import run

    point, engine, _ = choice
    chained = point.scenario.chained
    blocks = stopping.max_blocks or point.scenario.run.blocks
    tried = min(blocks, _TRIED_OVER_TIME if chained else _TRIED)
    started = time.perf_counter()
    if engine == "phases":
        tried = min(blocks, _TRIED_IN_PHASES)
    run(point.scenario, engine="montecarlo" if chained else "phases" if engine == "phases" else "events", blocks=tried)
    return (time.perf_counter() - started) * blocks / tried


def _simulated_seconds(point: Point, stopping: Stopping) -> float:
    from sim.sweeps.work import simulation

    engine = simulation(point.scenario)
    engine.count(0, engine.cell_blocks)
    started = time.perf_counter()
    counts = engine.count(0, engine.cell_blocks)
    a_cell = time.perf_counter() - started
    blocks = stopping.max_blocks or point.scenario.run.blocks
    failing = counts.trials - counts.outcomes[0]
    if stopping.failures and failing:
        blocks = min(blocks, stopping.failures * counts.trials // failing)
    return max(blocks / engine.cell_blocks, 1.0) * a_cell
