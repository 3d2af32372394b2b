"""How fast the engines are, as ratios measured in one run: `pytest tests/benchmarks/bench_*.py --benchmark-enable`."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.special import ndtr

from sim import Gpu, NearTie, Scenario, run
from sim.engines.montecarlo import MonteCarlo

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_benchmark.fixture import BenchmarkFixture


def chain(count: int, points: int = 1, **law: Any) -> Scenario:
    executor = {"kind": "gpu", "nondeterminism": {"rate": 1e-4} | law}
    nodes = {"gpu": {"count": count, "executor": executor}}
    return Scenario.model_validate({"nodes": nodes, "workload": {"requests_per_block": points}})


@pytest.mark.parametrize(
    ("count", "points", "alternatives", "seconds"),
    [(40, 1, 0.0, 0.005), (40, 1, 1.0, 0.005), (1_000, 1_024, 0.0, 1), (1_000, 1_024, 1.0, 1), (10_000, 1, 0.0, 1)],
)
def test_an_exact_point(
    benchmark: BenchmarkFixture, count: int, points: int, alternatives: float, seconds: float
) -> None:
    scenario = chain(count, points, alternatives=alternatives)
    result = benchmark(run, scenario)
    assert result.engine == "exact"
    assert seconds_of(benchmark) < seconds


def seconds_of(benchmark: BenchmarkFixture, figure: str = "median") -> float:
    """A figure of the benchmark that has just run."""
    assert benchmark.stats is not None
    return float(getattr(benchmark.stats.stats, figure))


def plain_blocks(blocks: int, nodes: int, margin_max: float, rng: np.random.Generator) -> int:
    """Draw every node of every block; count the blocks without a quorum of 9."""
    p = ndtr(-margin_max * rng.random(blocks))
    deviating = (rng.random((blocks, nodes)) < p[:, None]).sum(axis=1)
    return int(((deviating < 9) & (nodes - deviating < 9)).sum())


def rate_of(work: Callable[[], int]) -> float:
    """Blocks per second, the best of five."""
    best = 0.0
    for _ in range(5):
        start = time.perf_counter()
        blocks = work()
        best = max(best, blocks / (time.perf_counter() - start))
    return best


def test_montecarlo_against_drawing_every_node(benchmark: BenchmarkFixture) -> None:
    scenario = chain(13)
    executor = scenario.nodes["gpu"].executor
    assert isinstance(executor, Gpu)
    assert isinstance(executor.nondeterminism, NearTie)
    margin_max, rng = executor.nondeterminism.margin_max, np.random.default_rng(1)

    def plain() -> int:
        plain_blocks(200_000, 13, margin_max, rng)
        return 200_000

    def ours() -> int:
        simulation = MonteCarlo(scenario)
        for cell in range(4):
            simulation.count(cell, simulation.cell_blocks)
        return 4 * simulation.cell_blocks

    slow, fast = rate_of(plain), rate_of(ours)
    benchmark.extra_info |= {"plain_blocks_per_s": slow, "blocks_per_s": fast, "ratio": fast / slow}
    print(f"\nplain {slow:.3g} blocks/s, ours {fast:.3g} blocks/s: {fast / slow:.0f} times as many")
    benchmark(ours)
    assert fast / slow >= 50


def test_a_billion_blocks_in_flat_memory(benchmark: BenchmarkFixture) -> None:
    def peak_mb(blocks: str) -> float:
        code = (
            "from sim import load_scenario, run; import resource;"
            f"run(load_scenario('scenarios/ninety_nine_ninety_nine.yaml'), engine='montecarlo', blocks=int({blocks}));"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
        return int(done.stdout) / 1024

    small = peak_mb("1e6")
    large = benchmark.pedantic(peak_mb, args=("1e9",), rounds=1)  # type: ignore[no-untyped-call]
    print(f"\npeak memory: {small:.0f} MB for 1e6 blocks, {large:.0f} MB for 1e9")
    assert large < min(300, 1.2 * small)
    assert seconds_of(benchmark) < 20


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [(["--help"], 0.15), (["run", "scenarios/ninety_nine_ninety_nine.yaml"], 0.5)],
)
def test_start_up(benchmark: BenchmarkFixture, arguments: list[str], seconds: float) -> None:
    def start() -> None:
        subprocess.run([sys.executable, "-m", "sim", *arguments], check=True, capture_output=True)

    benchmark.pedantic(start, rounds=10, warmup_rounds=2)  # type: ignore[no-untyped-call]
    assert seconds_of(benchmark, "min") < seconds
