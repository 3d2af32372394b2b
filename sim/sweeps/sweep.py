"""A whole sweep in one call: from a scenario file to rows, with the results kept in a store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.base.errors import Problem, ScenarioError
from sim.scenario.load import load_grid
from sim.sweeps import pool
from sim.sweeps.runner import Choice, Report, Runner, choices
from sim.sweeps.stopping import Stopping
from sim.sweeps.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor
    from os import PathLike

    from sim.sweeps.rows import Rows

INLINE_EXACT_MAX = 1_000  # exact points that are answered sooner than a worker process starts


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C in the middle of a sweep; `answered` points, and every finished stretch of the others, are kept."""

    def __init__(self, answered: int) -> None:
        super().__init__()
        self.answered = answered


def default_workers(chosen: Sequence[Choice]) -> int:
    """One process a processor; just this one where all points are exact, and few."""
    if len(chosen) <= INLINE_EXACT_MAX and all(choice.engine == "exact" for choice in chosen):
        return 1
    return os.cpu_count() or 1


def _executor(workers: int, scheduler: str | None) -> Executor:
    if scheduler is None:
        return pool.workers(workers)
    try:
        return pool.Cluster(scheduler)
    except ImportError:
        message = "needs Dask: pip install 'splitquorum[cluster]'"
        raise ScenarioError([Problem("", message, where="--scheduler")]) from None
    except (OSError, ValueError) as error:
        message = f"cannot be reached: {' '.join(str(error).split())}"
        raise ScenarioError([Problem("", message, scheduler, "--scheduler")]) from None


def run_points(
    chosen: Sequence[Choice],
    store: Path,
    stopping: Stopping,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    report: Report | None = None,
) -> Runner:
    """Run points, and keep their results.

    Parameters
    ----------
    chosen
        Points of a grid, and who answers each (`runner.choices`).
    store
        The store's file; made if it is missing.
    stopping
        When a point has seen enough.
    workers
        Processes; None: as many as suit the points.
    scheduler
        A Dask scheduler to work on instead, `tcp://HOST:PORT`.
    report
        Called with the share of the work that is done.

    Returns
    -------
    Runner
        How many points were answered, reused and failed.

    Raises
    ------
    ScenarioError
        The store cannot be used, or the scheduler cannot be reached.
    SweepInterrupted
        Ctrl-C.
    """
    number = workers or default_workers(chosen)
    with Store(store, create=True) as opened:
        executor = _executor(number, scheduler)
        runner = Runner(opened, stopping, executor, number, report)
        try:
            runner.run(chosen)
        except KeyboardInterrupt:
            executor.shutdown(wait=False, cancel_futures=True)
            raise SweepInterrupted(runner.answered) from None
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise
        executor.shutdown()
        return runner


def sweep(
    scenario: str | PathLike[str],
    store: str | PathLike[str],
    *,
    overrides: Sequence[str] = (),
    flags: Mapping[str, tuple[str, Any]] | None = None,
    stopping: Stopping | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
) -> Rows:
    """Run every point of a scenario's sweep; what an earlier call finished is taken from the store.

    Parameters
    ----------
    scenario
        A scenario file with a `sweep`.
    store
        The store's file; made, with its folder, if it is missing.
    overrides, flags
        As for `load_scenario`.
    stopping
        When a simulated point has seen enough; by default after `run.blocks`.
    workers, scheduler
        As for `run_points`. A script that calls this needs no `__main__` guard.

    Returns
    -------
    Rows
        A list of `Row`: every point with its answer, in order.

    Raises
    ------
    ScenarioError
        The scenario or the store is wrong.

    Examples
    --------
    >>> rows = sweep("scenarios/hardware_mix.yaml", getfixture("tmp_path") / "mix.db")
    >>> [f"{row.result.block_failure.probability:.3g}" for row in rows][:6]
    ['0', '0', '0', '0', '0.000141', '0.000141']
    """
    chosen = choices(load_grid(scenario, overrides, flags).points())
    run_points(chosen, Path(store), stopping or Stopping(), workers=workers, scheduler=scheduler)
    with Store(Path(store)) as opened:
        return opened.rows()
