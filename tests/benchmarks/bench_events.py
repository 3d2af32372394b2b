"""Message by message: speed as a share of a bare SimPy loop, and memory.

Run with `.venv/bin/python -m pytest tests/benchmarks/bench_events.py --benchmark-enable -s`. Ratios are of two times
measured in one run, the best of several each.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from sim import Scenario
from sim.analysis.bench import chain as bench_chain
from sim.analysis.bench import simpy_loop
from sim.engines.events.engine import run_events

if TYPE_CHECKING:
    from collections.abc import Callable

LAWS: dict[str, Any] = {"constant": 0.05, "lognormal": {"kind": "lognormal", "median": 0.05, "sigma": 0.4}}
REPEATS = 5


def chain(n: int, blocks: int, law: str = "constant") -> Scenario:
    """PBFT on n deterministic nodes."""
    return bench_chain(n, "pbft", blocks, LAWS[law])


def best(work: Callable[[], object]) -> float:
    """Seconds of the fastest of several times."""
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def per_message(n: int, law: str) -> float:
    """Seconds a message."""
    messages_per_block = 2 * n * (n - 1)
    blocks = max(2, 150_000 // messages_per_block)
    scenario = chain(n, blocks, law)
    return best(lambda: run_events(scenario)) / (blocks * messages_per_block)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("n", [16, 64])
def test_a_message_costs_less_than_three_events_of_a_simpy_loop(benchmark: Any, n: int, law: str) -> None:
    waiting = n * (n - 1)  # a vote phase on its way
    events = 150_000
    bare = best(lambda: simpy_loop(events, waiting)) / events
    ours = per_message(n, law)
    print(f"\nn={n} {law}: {1 / ours:,.0f} messages a second, {bare / ours:.2f} of a bare SimPy loop")
    benchmark.extra_info["share_of_bare_loop"] = bare / ours
    benchmark.pedantic(lambda: run_events(chain(n, 2, law)), rounds=1)
    assert bare / ours >= 0.35


@pytest.mark.parametrize("law", LAWS)
def test_a_message_costs_about_the_same_on_a_large_chain(benchmark: Any, law: str) -> None:
    ratio = per_message(128, law) / per_message(16, law)
    print(f"\nn=128 against n=16, {law}: {ratio:.2f} of the time a message")
    benchmark.extra_info["n128_against_n16"] = ratio
    benchmark.pedantic(lambda: run_events(chain(128, 1, law)), rounds=1)
    assert ratio <= 1.5


_PEAK = """
import resource, sys
sys.path.insert(0, "tests/benchmarks")
from bench_events import chain
from sim.engines.events.engine import run_events
run_events(chain(int(sys.argv[1]), int(sys.argv[2]), "lognormal"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak_mb(n: int, blocks: int) -> int:
    """Memory of a fresh process that runs a chain, in MB."""
    command = [sys.executable, "-c", _PEAK, str(n), str(blocks)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_memory_is_flat_in_the_number_of_blocks_and_small(benchmark: Any) -> None:
    short, long = peak_mb(16, 50), peak_mb(16, 1000)
    large = peak_mb(256, 4)
    print(f"\nn=16: {short} MB after 50 blocks, {long} MB after 1,000; n=256: {large} MB")
    benchmark.extra_info["peak_mb"] = {"n16_50": short, "n16_1000": long, "n256_4": large}
    benchmark.pedantic(lambda: None, rounds=1)
    assert long <= 1.05 * short + 1
    assert large < 500
