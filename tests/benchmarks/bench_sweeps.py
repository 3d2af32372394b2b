"""How fast sweeps are: `pytest tests/benchmarks/bench_*.py --benchmark-enable`."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim import Stopping
from sim.scenario.load import load_grid
from sim.sweeps.runner import Runner, choices
from sim.sweeps.store import Store
from sim.sweeps.sweep import run_points
from sim.sweeps.work import Counted, Finished, count_stretch, simulation

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

CURVE = Path(__file__).parents[2] / "scenarios" / "failure_curve.yaml"
SIMULATED = ["run.engine=montecarlo", "sweep.nodes.values=[13]", "sweep.rate.logspace=[1e-3, 1e-1]"]


def seconds_of(benchmark: BenchmarkFixture) -> float:
    """Median of the benchmark that has just run."""
    assert benchmark.stats is not None
    return float(benchmark.stats.stats.median)


def test_the_failure_curve_with_its_picture(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sim", "sweep", str(CURVE), "--workers", "1"]
    runs = iter(range(100))

    def draw() -> None:
        name = f"run{next(runs)}"
        files = ["--store", str(tmp_path / f"{name}.db"), "--plot", str(tmp_path / f"{name}.png")]
        subprocess.run([*command, *files], check=True, capture_output=True)

    benchmark.pedantic(draw, rounds=3)  # type: ignore[no-untyped-call]
    assert seconds_of(benchmark) < 3


def test_a_finished_sweep_runs_again(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sim", "sweep", str(CURVE), "--store", str(tmp_path / "s.db")]

    def again() -> None:
        subprocess.run(command, check=True, capture_output=True)

    again()
    benchmark.pedantic(again, rounds=5)  # type: ignore[no-untyped-call]
    assert seconds_of(benchmark) < 0.5


def test_two_workers_against_one(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    points = choices(load_grid(CURVE, [*SIMULATED, "sweep.rate.points=8"]).points())
    stopping = Stopping(max_blocks=150_000_000)
    taken = []
    for number in (1, 2):
        started = time.perf_counter()
        run_points(points, tmp_path / f"{number}.db", stopping, workers=number)
        taken.append(time.perf_counter() - started)
    print(f"\none worker {taken[0]:.1f} s, two {taken[1]:.1f} s: {taken[0] / taken[1]:.2f} times as fast")
    benchmark.extra_info["ratio"] = taken[0] / taken[1]
    benchmark.pedantic(lambda: None, rounds=1)  # type: ignore[no-untyped-call]
    assert taken[0] / taken[1] >= 1.8


class Instant(Executor):
    """Answers every task with work done before: what is left is the coordinator's own time."""

    def __init__(self, first: Counted) -> None:
        self.first, self.tasks = first, 0

    def submit(self, work: Any, /, *arguments: Any, **_: Any) -> Future[Any]:
        """Answer at once."""
        self.tasks += 1
        future: Future[Any] = Future()
        if work is count_stretch:
            stretch = self.first.stretch._replace(first_cell=arguments[1])
            future.set_result(Counted(stretch, 0.0))
        else:
            future.set_result(Finished(arguments[1], by_failures=False, seconds=0.0))
        return future


def test_the_coordinator_takes_less_than_a_millisecond_a_task(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    points = list(load_grid(CURVE, [*SIMULATED, "sweep.rate.points=1"]).points())
    scenario = points[0].scenario
    executor = Instant(count_stretch(scenario, 0, 32))
    stopping = Stopping(max_blocks=500 * 32 * simulation(scenario).cell_blocks)

    def coordinate() -> int:
        executor.tasks = 0
        path = tmp_path / f"{time.perf_counter_ns()}.db"
        with Store(path, create=True) as store:
            Runner(store, stopping, executor, 2).run(choices(points))
        return executor.tasks

    tasks = benchmark.pedantic(coordinate, rounds=5)  # type: ignore[no-untyped-call]
    assert tasks > 400
    assert seconds_of(benchmark) / tasks < 1e-3
