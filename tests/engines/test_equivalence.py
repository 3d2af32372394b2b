"""A share of the wrong answers is equivalent to the reference output: engines against enumeration and closed forms."""

from __future__ import annotations

import math
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from drawn import as_case, draw_scenario
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reference.brute_force import block_law, outcomes
from reference.executor import rechecked
from reference.per_node import simulate
from scipy import stats

from sim import EngineError, Scenario, run
from sim.consensus.matching import PRESETS
from sim.consensus.tally import Outcome
from sim.engines.exact import LATTICE_WORK_MAX, _lattice_work, refusal, run_exact
from sim.inference.chain import after
from sim.inference.population import Population
from sim.inference.sampler import PartitionSampler
from sim.inference.tails import by_tails, work

if TYPE_CHECKING:
    from sim import Result

SHARES = (0.1, 0.5, 0.640625, 0.95)
BLOCKS = 20_000
ALPHAS = (0.0, 0.5, 1.0, math.inf)


def chain(share: float | None, count: int = 13, law: dict[str, Any] | None = None, **parts: Any) -> Scenario:
    executor = {"kind": "gpu", "nondeterminism": {"difficulty": "near_tie", "rate": 0.02} | (law or {})}
    consensus = {"matching": {"kind": "equivalence", "share": share}} if share is not None else {}
    nodes = {"gpu": {"count": count, "executor": executor}}
    return Scenario.model_validate({"nodes": nodes, **parts, "consensus": consensus | parts.get("consensus", {})})


def with_share(scenario: Scenario, share: float) -> Scenario:
    document = scenario.model_dump(exclude_none=True)
    document["consensus"]["matching"] = {"kind": "equivalence", "share": share}
    return Scenario.model_validate(document)


def failure(scenario: Scenario) -> float:
    return run_exact(scenario).block_failure.probability


# --- exact against enumeration --------------------------------------------------------------------


@given(random=st.randoms(use_true_random=False))
@settings(max_examples=250, deadline=None)
def test_every_outcome_equals_enumeration(random: Random) -> None:
    """Who deviates, where each sits, and which tables are equivalent are all listed."""
    scenario = draw_scenario(random, shares=SHARES)
    assume(refusal(scenario) is None)
    assume(scenario.population.nodes <= 6)
    result, plain = run_exact(scenario), outcomes(as_case(scenario))
    for name, estimate in result.outcomes.items():
        assert estimate.probability == pytest.approx(getattr(plain, name), rel=1e-8, abs=1e-15), name
    failed = plain.no_quorum + plain.wrong_result + plain.forked
    assert result.block_failure.probability == pytest.approx(failed, rel=1e-8, abs=1e-18)
    assert result.diverged_per_block.mean == pytest.approx(plain.diverged, rel=1e-8, abs=1e-15)


@pytest.mark.parametrize("seed", range(80))
def test_disputes_equal_enumeration(seed: int) -> None:
    """Optimistic execution compares by the same rule; where wrong answers compete it is drawn."""
    random = Random(seed)
    drawn = draw_scenario(random, nodes=5, points=2, rates=(1e-3, 0.45), shares=SHARES)
    verification = {"kind": "optimistic", "watch": random.choice([0.4, 1.0])}
    scenario = Scenario.model_validate(drawn.model_dump(exclude_none=True) | {"verification": verification})
    if scenario.population.equivalents and scenario.population.can_differ:
        with pytest.raises(EngineError, match="wrong answers compete"):
            run(scenario, engine="exact")
        result = run(scenario, blocks=60_000)
    else:
        result = run(scenario, engine="exact")
    assert scenario.verification is not None
    panel = scenario.verification.panel(scenario.node_count - 1)  # type: ignore[union-attr]
    ends = rechecked(as_case(scenario), panel.chance, panel.drawn, panel.looks)
    agreed = result.outcomes["agreed"]
    if agreed.count is not None:
        assert stats.binomtest(agreed.count, 60_000, min(ends["stands"], 1.0)).pvalue > 1e-6
    elif scenario.election.behaviour == "silent":
        stands = ends["stands"] if scenario.population.power >= scenario.election.quorum else 0.0
        assert agreed.probability == pytest.approx(stands, rel=1e-8, abs=1e-12)


@given(random=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_tails_and_lattice_agree(random: Random) -> None:
    scenario = draw_scenario(random, nodes=24, points=1, shares=SHARES)
    population, need = scenario.population, scenario.election.quorum
    assume(refusal(scenario) is None and population.power >= need and work(population, need) < math.inf)
    tails, lattice = by_tails(population, need), after(population, need, 1)
    for name in type(tails).__slots__:
        assert getattr(tails, name) == pytest.approx(getattr(lattice, name), rel=1e-9, abs=1e-290), name


# --- closed forms ---------------------------------------------------------------------------------


@pytest.mark.parametrize("points", [1, 3, 40])
def test_one_wrong_answer_makes_a_chain_that_rests(points: int) -> None:
    """With alternatives 0 a decision point changes nothing with probability s, so k of M do: binomial."""
    by_points = [failure(chain(None, workload={"requests_per_block": k})) for k in range(1, points + 1)]
    number = stats.binom(points, 1 - 0.7)
    expected = sum(float(number.pmf(k)) * by_points[k - 1] for k in range(1, points + 1))
    assert failure(chain(0.7, workload={"requests_per_block": points})) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("rate", [0.3, 1e-4, 1e-60])
@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_answers_that_all_differ_make_a_smaller_rate(rate: float, shared: float) -> None:
    law = {"difficulty": "independent", "alternatives": math.inf, "shared_noise": shared}
    nodes = {
        name: {"count": count, "executor": {"kind": "gpu", "nondeterminism": law | {"rate": rate}}}
        for name, count in (("a", 7), ("b", 6))
    }
    document: dict[str, Any] = {"nodes": nodes, "workload": {"requests_per_block": 2}}
    matched = Scenario.model_validate(document | {"consensus": {"matching": {"kind": "equivalence", "share": 0.75}}})
    for group in nodes.values():
        group["executor"]["nondeterminism"]["rate"] = rate * 0.25  # type: ignore[index]
    assert failure(matched) == pytest.approx(failure(Scenario.model_validate(document)), rel=1e-11, abs=0)


@pytest.mark.parametrize("alpha", [1e-9, 0.5, 1.0, 30.0, 1e9])
@pytest.mark.parametrize("share", [1e-6, 0.3, 0.64, 1 - 1e-6])
def test_two_deviating_nodes_by_hand(alpha: float, share: float) -> None:
    """A quorum of both fails where one alone deviates and it counts, or both do and do not match."""
    p = 1e-3
    law = {"difficulty": "independent", "rate": p, "alternatives": alpha}
    split = alpha / (1 + alpha) * (1 - share**2)  # two answers, and not both of them equivalent
    expected = 2 * p * (1 - p) * (1 - share) + p * p * split
    assert failure(chain(share, 2, law)) == pytest.approx(expected, rel=1e-11)


def test_tiny_failures_keep_their_precision() -> None:
    """All 5 of 13 that must deviate are at tables that count, the rest is of higher order: E[V^5] rises by products."""
    share, alpha, rate = 0.6, 0.8, 1e-40
    law = {"difficulty": "independent", "rate": rate, "alternatives": alpha}
    counted = math.prod((alpha * (1 - share) + i) / (alpha + i) for i in range(5))
    assert failure(chain(share, 13, law)) == pytest.approx(math.comb(13, 5) * rate**5 * counted, rel=1e-11, abs=0)


def test_many_nodes_whose_closed_law_no_longer_holds() -> None:
    """Beta-binomial deviations that are thinned are no longer so: at 100,000 nodes tails answer, in a second."""
    law = {"difficulty": "beta", "rate": 1e-3, "correlation": 0.2, "alternatives": math.inf}
    plain, matched = chain(None, 100_000, law), chain(0.5, 100_000, law)
    assert _lattice_work(plain) < LATTICE_WORK_MAX < _lattice_work(matched)
    a, b = 1e-3 * 4, (1 - 1e-3) * 4
    assert failure(matched) == pytest.approx(stats.beta(a, b).sf(2 * (1 - 2 / 3)), rel=1e-2)


# --- properties -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_no_share_is_equality_to_the_last_bit(seed: int) -> None:
    plain = draw_scenario(Random(seed), nodes=13, shared=(0.0, 1.0), shares=(0.0,))
    document = plain.model_dump(exclude_none=True)
    del document["consensus"]["matching"]
    exact = Scenario.model_validate(document)
    assert plain.population == exact.population
    if refusal(plain) is None:
        assert run_exact(plain).outcomes == run_exact(exact).outcomes
        assert run_exact(plain).diverged_per_block == run_exact(exact).diverged_per_block
    draws = [PartitionSampler(one.population, 1, 2, 1).draw(np.random.default_rng(seed), 500) for one in (plain, exact)]
    for mine, other in zip(*draws, strict=True):
        assert (mine == other).all()


@pytest.mark.parametrize("result", ["certify", "propose"])
@pytest.mark.parametrize("points", [1, 4])
@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_failure_falls_with_the_share_and_ends_at_none(result: str, points: int, alpha: float, shared: float) -> None:
    law = {"difficulty": "near_tie", "rate": 0.1, "alternatives": alpha, "shared_noise": shared}
    nodes = {name: {"count": n, "executor": {"kind": "gpu", "nondeterminism": law}} for name, n in (("a", 5), ("b", 4))}
    document = {"nodes": nodes, "consensus": {"result": result}, "workload": {"requests_per_block": points}}
    scenario = Scenario.model_validate(document)
    failures = [failure(with_share(scenario, share)) for share in (0.0, 0.2, 0.5, 0.9, 0.999, 1.0)]
    assert failures == sorted(failures, reverse=True)
    assert len(set(failures)) == len(failures)
    assert failures[0] == failure(scenario)
    assert failures[-1] == 0


@pytest.mark.parametrize("seed", range(20))
def test_where_all_are_equivalent_nobody_deviates(seed: int) -> None:
    """Partly shared noise, attacks and powers make no difference."""
    scenario = draw_scenario(Random(seed), shared=(0.0, 0.5, 1.0), shares=(1.0,))
    assert not scenario.population.can_differ
    assert not scenario.contested
    counted = run(scenario, engine="montecarlo", blocks=2_000)
    assert counted.diverged_per_block.mean == 0
    if refusal(scenario) is None and scenario.population.power >= scenario.election.quorum:
        assert run_exact(scenario).outcomes["no_quorum"].probability <= (
            scenario.election.byzantine / scenario.election.votes
        )


def test_a_preset_is_its_share() -> None:
    assert PRESETS["parsed_answers"] == pytest.approx(1 - (1 - 0.77) / (1 - 0.36)) == pytest.approx(0.640625)
    named = chain(None, consensus={"matching": {"kind": "equivalence", "preset": "parsed_answers"}})
    assert failure(named) == failure(chain(PRESETS["parsed_answers"]))
    assert failure(named) == pytest.approx(failure(chain(None)) * (1 - 0.640625), rel=1e-12)


# --- draws ----------------------------------------------------------------------------------------


@cache
def answered_twice() -> list[tuple[Result, Result]]:
    found: list[tuple[Result, Result]] = []
    seed = 0
    while len(found) < 300:
        seed += 1
        scenario = draw_scenario(Random(seed), nodes=13, rates=(1e-2, 0.45), shares=SHARES)
        if refusal(scenario) is None and 0 < (exact := run(scenario)).block_failure.probability < 1 - 1e-9:
            found.append((exact, run(scenario, engine="montecarlo", blocks=BLOCKS, seed=seed)))
    return found


@pytest.mark.parametrize("name", Outcome.__members__)
def test_counts_follow_the_exact_probabilities(name: str) -> None:
    rng = np.random.default_rng(8)
    transformed = []
    for exact, simulated in answered_twice():
        p, k = exact.outcomes[name].probability, simulated.outcomes[name].count
        assert k is not None
        assert k == 0 or p > 0
        if 0 < p < 1:
            transformed.append(stats.binom.cdf(k - 1, BLOCKS, p) + rng.random() * stats.binom.pmf(k, BLOCKS, p))
    assert len(transformed) < 20 or stats.kstest(transformed, "uniform").pvalue > 1e-3


def test_diverged_nodes_follow_the_exact_mean() -> None:
    scores = []
    for exact, simulated in answered_twice():
        mean, estimate = exact.diverged_per_block.mean, simulated.diverged_per_block
        half = (estimate.high - estimate.mean) / 1.96
        if mean * BLOCKS > 100 and half > 0:
            scores.append((estimate.mean - mean) / half)
    assert len(scores) > 100
    assert abs(np.mean(scores)) < 4 / math.sqrt(len(scores))


@pytest.mark.parametrize("seed", range(60))
def test_every_attack_equals_a_plain_per_node_simulation(seed: int) -> None:
    """Both samples of outcomes come from one law, also where noise is partly shared (chi-square)."""
    random = Random(20_000 + seed)
    shared = random.choice([(0.0, 1.0), (0.3, 1.0), (0.0, 0.8)])
    scenario = draw_scenario(random, nodes=9, shared=shared, rates=(0.05, 0.45), shares=SHARES)
    mine = run(scenario, engine="montecarlo", blocks=BLOCKS, seed=seed)
    plain = simulate(as_case(scenario), BLOCKS, seed)
    counts = np.array([[mine.outcomes[name].count or 0, plain[name]] for name in Outcome.__members__])
    counts = counts[counts.sum(axis=1) > 0]
    expected = counts.sum(axis=1, keepdims=True) / 2
    statistic = float(((counts - expected) ** 2 / expected).sum())
    assert stats.chi2.sf(statistic, max(len(counts) - 1, 1)) > 1e-5
    spread = max(math.sqrt(2 * BLOCKS) * scenario.population.nodes, 1.0)
    assert abs(mine.diverged_per_block.mean * BLOCKS - plain["diverged"]) < 4 * spread


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_drawn_partitions_follow_the_enumerated_law(alpha: float, shared: float) -> None:
    """All group sizes together, not just the winner's: two classes of two nodes, and two more."""
    law = {"difficulty": "near_tie", "rate": 0.3, "alternatives": alpha}
    nodes = {
        "a": {"count": 2, "executor": {"kind": "gpu", "nondeterminism": law | {"shared_noise": shared}}},
        "b": {"count": 2, "executor": {"kind": "gpu", "nondeterminism": law | {"shared_noise": shared}}},
        "c": {"count": 2, "executor": {"kind": "gpu", "nondeterminism": law}},
    }
    consensus = {"matching": {"kind": "equivalence", "share": 0.4}}
    scenario = Scenario.model_validate({"nodes": nodes, "consensus": consensus})
    expected: dict[tuple[int, ...], float] = {}
    for partition, probability in block_law(as_case(scenario)).items():
        sizes = tuple(sorted(len(block) for block in partition))
        expected[sizes] = expected.get(sizes, 0.0) + probability
    blocks, stream = 60_000, np.random.default_rng(5)
    sampler = PartitionSampler(scenario.population, 1, 1, 1)
    active = int(stream.binomial(blocks, sampler.block_rate))
    groups = sampler.draw(stream, active)
    nodes_of = groups.machines @ np.array([unit.nodes for unit in scenario.population.units])
    drawn: dict[tuple[int, ...], int] = {(6,): blocks - active}
    for block in np.split(nodes_of[np.argsort(groups.block, kind="stable")], np.bincount(groups.block).cumsum()[:-1]):
        sizes = tuple(sorted(block[block > 0].tolist()))
        drawn[sizes] = drawn.get(sizes, 0) + 1
    for sizes, probability in expected.items():
        if probability:
            assert stats.binomtest(drawn.get(sizes, 0), blocks, min(probability, 1.0)).pvalue > 1e-6, sizes
    assert drawn.keys() <= expected.keys()


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_events_draw_by_the_same_rule(share: float) -> None:
    law = {"difficulty": "near_tie", "rate": 0.3, "alternatives": 1.0}
    gpu = {"count": 3, "executor": {"kind": "gpu", "nondeterminism": law}}
    nodes = {"a": gpu, "b": gpu | {"count": 1, "power": 2}, "c": {"count": 1, "executor": {"kind": "cpu"}}}
    consensus = {"matching": {"kind": "equivalence", "share": share}}
    scenario = Scenario.model_validate({"nodes": nodes, "consensus": consensus, "network": {"latency": 0.1}})
    wanted = failure(scenario)
    failed = run(scenario, engine="events", blocks=1_500).block_failure
    assert failed.count is not None
    assert stats.binomtest(failed.count, 1_500, wanted).pvalue > 1e-6 if wanted else failed.count == 0


def test_a_population_says_how_answers_are_left_out() -> None:
    """All differ: chances shrink; one wrong answer: all or none; between: two restaurants."""
    of = [chain(0.75, law={"alternatives": alpha}).population for alpha in (math.inf, 0.0, 2.0)]
    assert [one.units[0].kept for one in of] == [0.25, 1.0, 1.0]
    assert [one.harmless for one in of] == [0.0, 0.75, 0.0]
    assert [(one.alternatives, one.equivalents) for one in of] == [(math.inf, 0.0), (0.0, 0.0), (0.5, 1.5)]
    assert isinstance(of[0], Population)
