"""How fast chains over time are, as ratios measured in one run, like the other benchmarks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from sim import Scenario, run

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture


def chain(law: dict[str, Any], blocks: int, chains: int) -> Scenario:
    nodes = {"g": {"count": 13, "executor": {"kind": "gpu", "nondeterminism": law}}}
    recovery = {"law": "geometric", "mean_blocks": 20}
    run_block = {"blocks": blocks, "chains": chains, "engine": "montecarlo"}
    return Scenario.model_validate({"nodes": nodes, "recovery": recovery, "on_failure": "skip", "run": run_block})


def plainly(scenario: Scenario, blocks: int) -> float:
    """Share of failing blocks, block by block over NumPy arrays of chains and nodes."""
    (unit,), chains = scenario.population.units, scenario.run.chains or 1
    assert unit.law is not None
    stream, until, failures = np.random.default_rng(1), np.zeros((chains, unit.count), dtype=np.int64), 0
    for block in range(blocks):
        active = until <= block
        chance = unit.law.deviation_probability(stream.random(chains))[:, None]
        lost = active & (stream.random(active.shape) < chance)
        good = active.sum(axis=1) - lost.sum(axis=1) >= scenario.election.quorum
        failures += chains - int(good.sum())
        rows, nodes = np.nonzero(lost & good[:, None])
        until[rows, nodes] = block + 1 + stream.geometric(0.05, len(rows))
    return failures / (blocks * chains)


def seconds_of(benchmark: BenchmarkFixture) -> float:
    assert benchmark.stats is not None
    return float(benchmark.stats.stats.min)


def test_a_thousand_chains_of_a_million_blocks(benchmark: BenchmarkFixture) -> None:
    """At least 20 times a loop over blocks, of which a thousandth is run."""
    scenario = chain({"difficulty": "near_tie", "rate": 1e-4}, 1_000_000, 1_000)
    result = benchmark.pedantic(run, args=(scenario,), rounds=1)  # type: ignore[no-untyped-call]
    assert result.blocks == 10**9
    started = time.perf_counter()
    share = plainly(scenario, 1_000)
    ratio = 1_000 * (time.perf_counter() - started) / seconds_of(benchmark)
    benchmark.extra_info["times a plain loop"] = ratio
    assert abs(result.block_failure.probability - share) < 6 * (1e-4 / 1e6) ** 0.5
    assert seconds_of(benchmark) < 20
    assert ratio > 20


def test_one_chain_where_an_eighth_of_the_slots_matter(benchmark: BenchmarkFixture) -> None:
    scenario = chain({"difficulty": "independent", "rate": 0.01}, 3_000_000, 1)
    result = benchmark.pedantic(run, args=(scenario,), rounds=1)  # type: ignore[no-untyped-call]
    assert abs(result.block_failure.probability - 0.00998) < 5e-4
    assert seconds_of(benchmark) < 20
