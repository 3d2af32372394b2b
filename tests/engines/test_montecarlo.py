"""The Monte Carlo engine against the exact one, against a plain per-node simulation, and against itself."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from drawn import as_case, draw_scenario
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.per_node import simulate
from scipy.stats import binom, chi2, kstest

from sim import Scenario, run
from sim.consensus.tally import Outcome
from sim.engines.exact import refusal
from sim.engines.montecarlo import MonteCarlo
from sim.statistics.counts import Counts

if TYPE_CHECKING:
    from sim import Result

SCENARIOS = 1_000
BLOCKS = 20_000


def counted(scenario: Scenario, blocks: int) -> Counts:
    simulation = MonteCarlo(scenario)
    parts = [simulation.count(cell, size) for cell, size in simulation.cells(blocks)]
    return sum(parts[1:], start=parts[0])


@cache
def answered_twice() -> list[tuple[Scenario, Result, Result]]:
    """A thousand scenarios that both engines answer, and that neither always fail nor never."""
    found: list[tuple[Scenario, Result, Result]] = []
    seed = 0
    while len(found) < SCENARIOS:
        seed += 1
        scenario = draw_scenario(Random(seed), nodes=13, rates=(1e-2, 0.45))
        if refusal(scenario) is None and 0 < (exact := run(scenario)).block_failure.probability < 1 - 1e-9:
            found.append((scenario, exact, run(scenario, engine="montecarlo", blocks=BLOCKS, seed=seed)))
    return found


def test_failure_counts_follow_the_exact_probabilities() -> None:
    rng = np.random.default_rng(7)
    transformed = []
    for _, exact, simulated in answered_twice():
        p, k = exact.block_failure.probability, simulated.block_failure.count
        assert k is not None
        transformed.append(binom.cdf(k - 1, BLOCKS, p) + rng.random() * binom.pmf(k, BLOCKS, p))
    assert kstest(transformed, "uniform").pvalue > 1e-3


def test_every_outcome_count_follows_the_exact_probability() -> None:
    rng = np.random.default_rng(8)
    for name in Outcome.__members__:
        transformed = []
        for _, exact, simulated in answered_twice():
            p, k = exact.outcomes[name].probability, simulated.outcomes[name].count
            assert k is not None
            assert k == 0 or p > 0
            if 0 < p < 1:
                transformed.append(binom.cdf(k - 1, BLOCKS, p) + rng.random() * binom.pmf(k, BLOCKS, p))
        assert len(transformed) < 20 or kstest(transformed, "uniform").pvalue > 1e-3


def test_intervals_cover() -> None:
    covered, wide = [], []
    for _, exact, simulated in answered_twice():
        p, estimate = exact.block_failure.probability, simulated.block_failure
        inside = estimate.low <= p <= estimate.high
        covered.append(inside)
        if 30 <= BLOCKS * p <= BLOCKS - 30:
            wide.append(inside)
    assert np.mean(covered) >= 0.93
    assert len(wide) >= 700
    assert 0.925 <= np.mean(wide) <= 0.975


def test_diverged_nodes_follow_the_exact_mean() -> None:
    scores = []
    for scenario, exact, simulated in answered_twice():
        mean, estimate = exact.diverged_per_block.mean, simulated.diverged_per_block
        half = (estimate.high - estimate.mean) / 1.96
        if mean * BLOCKS > 100 and estimate.high < scenario.population.nodes and half > 0:
            scores.append((estimate.mean - mean) / half)
    assert len(scores) > 300
    assert abs(np.mean(scores)) < 4 / math.sqrt(len(scores))
    assert np.mean(np.abs(scores) < 1.96) > 0.92


@pytest.mark.parametrize("seed", range(60))
def test_what_exact_cannot_answer_equals_a_plain_per_node_simulation(seed: int) -> None:
    """Two samples of outcomes, one per engine, come from one law (chi-square, together at 1e-3 over the seeds)."""
    random = Random(10_000 + seed)
    while True:
        shared = random.choice([(0.0, 0.3, 1.0), (0.7, 0.95), (0.0, 1.0)])
        behaviours = ["amplify", "equivocate"] if shared == (0.0, 1.0) else ["silent", "amplify", "equivocate"]
        scenario = draw_scenario(random, nodes=9, shared=shared, rates=(0.02, 0.45), behaviours=behaviours)
        if refusal(scenario) is not None:
            break
    blocks = 20_000
    mine = run(scenario, engine="montecarlo", blocks=blocks, seed=seed)
    plain = simulate(as_case(scenario), blocks, seed)
    counts = np.array([[mine.outcomes[name].count or 0, plain[name]] for name in Outcome.__members__])
    counts = counts[counts.sum(axis=1) > 0]
    expected = counts.sum(axis=1, keepdims=True) / 2
    statistic = float(((counts - expected) ** 2 / expected).sum())
    assert chi2.sf(statistic, max(len(counts) - 1, 1)) > 1e-5
    spread = max(math.sqrt(2 * blocks) * scenario.population.nodes, 1.0)
    assert abs(mine.diverged_per_block.mean * blocks - plain["diverged"]) < 4 * spread


@given(
    random=st.randoms(use_true_random=False),
    blocks=st.integers(1, 60_000),
    more=st.integers(0, 60_000),
)
@settings(max_examples=60, deadline=None)
def test_a_run_is_a_prefix_of_a_longer_one(random: Random, blocks: int, more: int) -> None:
    scenario = draw_scenario(random, nodes=7, shared=(0.0, 0.5, 1.0))
    short, long = counted(scenario, blocks), counted(scenario, blocks + more)
    for before, after in zip(short.outcomes, long.outcomes, strict=True):
        assert 0 <= after - before <= more
    assert short.total <= long.total


@pytest.mark.parametrize("seed", range(8))
def test_the_same_bits_whatever_the_batches_and_workers(seed: int) -> None:
    scenario = draw_scenario(Random(seed), nodes=13, rates=(0.05, 0.45))
    simulation = MonteCarlo(scenario)
    blocks = 5 * simulation.cell_blocks + simulation.cell_blocks // 3 + 1
    cells = list(simulation.cells(blocks))
    alone = counted(scenario, blocks)
    with ThreadPoolExecutor(3) as pool:
        parts = list(pool.map(lambda cell: MonteCarlo(scenario).count(*cell), reversed(cells)))
    assert sum(parts[1:], start=parts[0]) == alone
    assert len(cells) >= 5


def test_another_seed_gives_other_numbers() -> None:
    scenario = draw_scenario(Random(3), nodes=13, rates=(0.2, 0.45))
    first, second = (run(scenario, engine="montecarlo", blocks=50_000, seed=seed) for seed in (1, 2))
    assert first.to_dict()["outcomes"] != second.to_dict()["outcomes"]


def gpus(count: int, result: str = "certify", **law: Any) -> Scenario:
    executor = {"kind": "gpu", "nondeterminism": law}
    document = {"nodes": {"gpu": {"count": count, "executor": executor}}, "consensus": {"result": result}}
    return Scenario.model_validate(document)


def test_a_cell_covers_more_blocks_the_rarer_deviations_are() -> None:
    sizes = [MonteCarlo(gpus(13, rate=rate)).cell_blocks for rate in (0.3, 1e-3, 1e-6, 0.0)]
    assert sizes == sorted(sizes)
    assert sizes[0] < 100_000
    assert sizes[-1] == 2**29


def test_quiet_blocks_are_counted_even_when_none_is_drawn() -> None:
    result = run(gpus(13, rate=0.0), engine="montecarlo", blocks=10**12)
    assert result.outcomes["agreed"].count == 10**12
    assert result.diverged_per_block.mean == 0


def test_a_quiet_block_with_a_byzantine_leader_fails() -> None:
    executor = {"kind": "gpu", "nondeterminism": {"rate": 1e-9}}
    scenario = Scenario.model_validate(
        {
            "nodes": {"gpu": {"count": 13, "executor": executor}},
            "consensus": {"result": "propose"},
            "faults": {"byzantine": 4},
        }
    )
    counts = [run(scenario, engine="montecarlo", blocks=1_000, seed=seed).block_failure.count for seed in range(300)]
    assert kstest(binom.cdf(counts, 1_000, 4 / 13), "uniform").pvalue > 1e-3
