"""Whole phases at once: speed against messages and against drawing the delays alone, and memory.

Run with `.venv/bin/python -m pytest tests/benchmarks/bench_phases.py --benchmark-enable -s`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from sim.analysis.bench import measure

SECONDS = 1.0


def blocks_per_s(engine: str, nodes: int, protocol: str = "pbft") -> float:
    """The best of three."""
    return max(measure(engine, protocol, nodes, SECONDS).blocks_per_s for _ in range(3))


@pytest.mark.parametrize(("protocol", "nodes"), [("pbft", 64), ("tendermint", 64), ("icc", 64), ("hotstuff", 256)])
def test_it_is_forty_times_as_fast_as_message_by_message(benchmark: Any, protocol: str, nodes: int) -> None:
    """HotStuff has n messages a phase, not n^2, so that it takes more nodes for that."""
    ratio = blocks_per_s("phases", nodes, protocol) / blocks_per_s("events", nodes, protocol)
    print(f"\n{protocol}, n={nodes}: {ratio:.0f} times the blocks of events")
    benchmark.extra_info["times_events"] = ratio
    benchmark.pedantic(lambda: None, rounds=1)
    assert ratio >= 40


@pytest.mark.parametrize("nodes", [64, 256, 1000])
def test_a_block_takes_less_than_three_times_as_long_as_its_delays(benchmark: Any, nodes: int) -> None:
    ratio = blocks_per_s("delays", nodes) / blocks_per_s("phases", nodes)
    print(f"\nn={nodes}: {ratio:.2f} times as long as drawing the delays alone")
    benchmark.extra_info["times_delays"] = ratio
    benchmark.pedantic(lambda: None, rounds=1)
    assert ratio <= 3


def test_a_thousand_nodes_take_less_than_a_gigabyte(benchmark: Any) -> None:
    command = [sys.executable, "-c", "from sim.analysis.bench import tell; tell()", "phases", "pbft", "1000", "1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    peak = json.loads(done.stdout)["peak_mb"]
    print(f"\nn=1000: {peak:.0f} MB")
    benchmark.pedantic(lambda: None, rounds=1)
    assert peak < 1000


def test_the_quick_benchmarks_are_done_soon(benchmark: Any) -> None:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "sim", "bench", "--quick"], check=True, capture_output=True)
    benchmark.pedantic(lambda: None, rounds=1)
    assert time.perf_counter() - started < 40
