"""Appeals: exact answers against enumeration and closed forms, drawn ones against exact ones and node by node."""

from __future__ import annotations

import json
import math
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from drawn import as_case
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reference.appeals import enumerate_appeals, quorums, simulate_appeals
from scipy.integrate import quad
from scipy.special import ndtr, ndtri
from scipy.stats import binom, chi2, kstest

from sim import EngineError, Result, Scenario, load_scenario, run
from sim.consensus.tally import Outcome
from sim.engines.exact import refusal, run_exact
from sim.engines.montecarlo import MonteCarlo

if TYPE_CHECKING:
    from sim.statistics.counts import Counts

NEAR_TIE = {"difficulty": "near_tie", "rate": 1e-4}


def chain(law: dict[str, Any], appeal: dict[str, Any] | None, count: int = 13, **parts: Any) -> Scenario:
    nodes = {"gpu": {"count": count, "executor": {"kind": "gpu", "nondeterminism": law}}}
    return Scenario.model_validate({"nodes": nodes, "consensus": {"appeal": appeal} if appeal else {}} | parts)


def attempts(result: Result) -> float:
    assert result.attempts_per_block is not None
    return result.attempts_per_block.mean


def draw_law(
    random: Random, shared: tuple[float, ...], alternatives: float, rates: tuple[float, float]
) -> dict[str, Any]:
    kind = random.choice(["near_tie", "independent", "beta"])
    rate = 10 ** random.uniform(math.log10(rates[0]), math.log10(rates[1]))
    law = {"difficulty": kind, "rate": rate, "alternatives": alternatives, "shared_noise": random.choice(shared)}
    return law | {"correlation": random.uniform(0.05, 0.95)} if kind == "beta" else law


def draw_appeal(
    random: Random,
    *,
    nodes: int,
    kinds: int = 1,
    shared: tuple[float, ...] = (0.0, 0.0, 1.0),
    rates: tuple[float, float] = (1e-2, 0.45),
    behaviours: tuple[str, ...] = ("silent", "random", "collude", "amplify", "equivocate"),
) -> Scenario:
    """Some groups that deviate and perhaps one that never does, liars, and appeals of any kind."""
    partly = any(0 < value < 1 for value in shared)
    alternatives = 0.0 if partly else random.choice([0.0, 0.0, 0.5, 2.0, math.inf])
    groups: dict[str, Any] = {}
    for index in range(kinds):
        law = draw_law(random, shared, alternatives, rates)
        executor = {"kind": "gpu", "nondeterminism": law}
        groups[f"g{index}"] = {"count": random.randint(1, max(1, nodes // kinds)), "executor": executor}
    if random.random() < 0.5:
        groups["h"] = {"count": random.randint(1, 1 + nodes // 3), "executor": {"kind": "cpu"}}
    liars = {name: random.choice([0, 0, 1, random.randint(0, group["count"])]) for name, group in groups.items()}
    liars = {name: min(number, groups[name]["count"]) for name, number in liars.items()}
    appeal: dict[str, Any] = {"rounds": random.randint(1, 3)}
    if random.random() < 0.6:
        appeal["committee"] = random.randint(1, sum(group["count"] for group in groups.values()))
        appeal["growth"] = random.choice([1, 1.5, 2, 3])
    elif kinds == 1:
        groups["g0"]["power"] = random.choice([1, 1, 2])
    consensus = {"appeal": appeal, "fault_threshold": random.choice(["1/3", "1/4", "2/5"])}
    faults = {"byzantine": liars, "behaviour": random.choice(behaviours)}
    return Scenario.model_validate({"nodes": groups, "consensus": consensus, "faults": faults})


def committees(scenario: Scenario) -> list[tuple[int, int]]:
    """Size and quorum of every attempt, worked out here."""
    appeal, nodes = scenario.consensus.appeal, scenario.node_count
    assert appeal is not None
    if appeal.committee is None:
        return [(nodes, scenario.election.quorum)] * (appeal.rounds + 1)
    sizes = [min(int(appeal.committee * float(appeal.growth) ** k + 1e-9), nodes) for k in range(appeal.rounds + 1)]
    return quorums(sizes, float(scenario.consensus.fault_threshold))


@pytest.mark.parametrize(("rounds", "failure"), [(1, 5.07e-5), (2, 3.04e-5), (3, 1.93e-5)])
def test_reexecution_by_thirteen_near_ties(rounds: int, failure: float) -> None:
    """The margin is uniform, so a share of it fails every time: an integral over the margin in units of the noise."""
    result = run(chain(NEAR_TIE, {"rounds": rounds}))
    assert result.engine == "exact"
    assert result.block_failure.probability == pytest.approx(failure, rel=3e-3)
    scale = 1 / math.sqrt(2 * math.pi) / 1e-4

    def none(margin: float) -> float:
        p = ndtr(-margin)
        return float(binom.cdf(8, 13, p) - binom.cdf(4, 13, p))

    whole = quad(lambda x: none(x) ** (rounds + 1), 0, 12, epsabs=0, epsrel=1e-12)[0] / scale
    assert result.block_failure.probability == pytest.approx(whole, rel=1e-9)
    tried = 1 + sum(quad(lambda x, k=k: none(x) ** k, 0, 12)[0] / scale for k in range(1, rounds + 1))
    assert attempts(result) == pytest.approx(tried, rel=1e-10)


@pytest.mark.parametrize("rate", [1e-3, 1e-9])
def test_independent_deviations_fail_to_the_power_of_the_attempts(rate: float) -> None:
    law = {"difficulty": "independent", "rate": rate}
    once = run(chain(law, None)).block_failure.probability
    for rounds in (1, 3):
        thrice = run(chain(law, {"rounds": rounds})).block_failure.probability
        assert thrice == pytest.approx(once ** (rounds + 1), rel=1e-11, abs=0)


@given(random=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_every_outcome_equals_enumeration(random: Random) -> None:
    scenario = draw_appeal(random, nodes=4, rates=(1e-5, 0.45))
    assume(scenario.node_count <= 5 and refusal(scenario) is None)
    result, (plain, tried) = run_exact(scenario), enumerate_appeals(as_case(scenario), committees(scenario))
    for name, estimate in result.outcomes.items():
        assert estimate.probability == pytest.approx(getattr(plain, name), rel=1e-8, abs=1e-15), name
    assert result.diverged_per_block.mean == pytest.approx(plain.diverged, rel=1e-8, abs=1e-15)
    assert attempts(result) == pytest.approx(tried, rel=1e-10)


@given(random=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_a_committee_of_all_nodes_is_plain_reexecution_and_more_rounds_never_hurt(random: Random) -> None:
    scenario = draw_appeal(random, nodes=20, rates=(1e-6, 0.45))
    assume(all(group.power == 1 for group in scenario.nodes.values()))
    plain = scenario.model_dump(exclude_none=True)

    def failing(appeal: dict[str, Any] | None) -> Result | None:
        changed = Scenario.model_validate(plain | {"consensus": plain["consensus"] | {"appeal": appeal}})
        return None if refusal(changed) else run_exact(changed)

    everybody = failing({"rounds": 2, "committee": scenario.node_count, "growth": 1})
    again = failing({"rounds": 2})
    assert (everybody is None) == (again is None)
    assume(everybody is not None and again is not None)
    assert everybody is not None
    assert again is not None
    for name, estimate in everybody.outcomes.items():
        assert estimate.probability == pytest.approx(again.outcomes[name].probability, rel=1e-11, abs=1e-300)
    before = failing(None)
    assert before is not None
    for rounds in (1, 2, 5):
        after = failing({"rounds": rounds})
        assert after is not None
        lost, once = after.outcomes["no_quorum"].probability, before.outcomes["no_quorum"].probability
        assert lost <= once * (1 + 1e-12)
        before = after


@pytest.mark.parametrize("law", [{"rate": 0.0}, {"rate": 0.2, "shared_noise": 1}])
@pytest.mark.parametrize("behaviour", ["silent", "collude"])
def test_where_nothing_is_drawn_afresh_appeals_change_nothing(law: dict[str, Any], behaviour: str) -> None:
    for number in (0, 4, 5, 9):
        faults = {"byzantine": number, "behaviour": behaviour}
        nodes = {
            "a": {"count": 9, "executor": {"kind": "gpu", "nondeterminism": law}},
            "b": {"count": 4, "executor": {"kind": "cpu"}},
        }
        parts = {"nodes": nodes, "faults": faults | {"byzantine": {"a": number}}}
        once, again = (run(Scenario.model_validate(parts | {"consensus": c})) for c in ({}, {"appeal": {"rounds": 5}}))
        for name, estimate in once.outcomes.items():
            assert again.outcomes[name].probability == pytest.approx(estimate.probability, rel=1e-14)
        assert again.diverged_per_block == once.diverged_per_block


def test_failures_outcomes_and_attempts_follow_the_exact_numbers() -> None:
    transformed: list[float] = []
    scores: list[float] = []
    blocks, rng, seed = 20_000, np.random.default_rng(5), 0
    while len(transformed) < 250:
        seed += 1
        scenario = draw_appeal(Random(seed), nodes=13)
        if refusal(scenario) is not None:
            continue
        exact, drawn = run(scenario), run(scenario, engine="montecarlo", blocks=blocks, seed=seed)
        for name in ("no_quorum", "wrong_result"):
            p, k = exact.outcomes[name].probability, drawn.outcomes[name].count
            assert k is not None
            assert k == 0 or p > 0
            if 1e-6 < p < 1 - 1e-6:
                transformed.append(binom.cdf(k - 1, blocks, p) + rng.random() * binom.pmf(k, blocks, p))
        for one, other, most in (
            (exact.attempts_per_block, drawn.attempts_per_block, 4.0),
            (exact.diverged_per_block, drawn.diverged_per_block, float(scenario.population.nodes)),
        ):
            assert one is not None
            assert other is not None
            half = (other.high - other.mean) / 1.96
            if blocks * one.mean > 200 and other.high < most and half > 1e-3:
                scores.append((other.mean - one.mean) / half)
    assert kstest(transformed, "uniform").pvalue > 1e-3
    assert len(scores) > 100
    assert kstest(scores, "norm").pvalue > 1e-3


@pytest.mark.parametrize("seed", range(40))
def test_what_is_drawn_equals_a_plain_per_node_simulation(seed: int) -> None:
    """Several groups, classes that share noise wholly or partly, and attacks that exact does not answer."""
    random = Random(1_000 + seed)
    shared = random.choice([(0.0, 1.0), (1.0,), (0.0, 0.5, 0.9), (0.0, 0.5, 1.0)])
    behaviours = ("silent", "random", "collude", "amplify", "equivocate")
    scenario = draw_appeal(
        random, nodes=9, kinds=random.randint(1, 3), shared=shared, rates=(0.05, 0.45), behaviours=behaviours
    )
    blocks = 4_000
    mine = run(scenario, engine="montecarlo", blocks=blocks, seed=seed)
    plain = simulate_appeals(as_case(scenario), committees(scenario), blocks, seed)
    counts = np.array([[mine.outcomes[name].count or 0, plain[name]] for name in Outcome.__members__])
    counts = counts[counts.sum(axis=1) > 0]
    expected = counts.sum(axis=1, keepdims=True) / 2
    assert chi2.sf(float(((counts - expected) ** 2 / expected).sum()), max(len(counts) - 1, 1)) > 1e-5
    for mean, total, largest in (
        (mine.diverged_per_block, plain["diverged"], scenario.population.nodes),
        (mine.attempts_per_block, plain["attempts"], 3),
    ):
        assert mean is not None
        half = (mean.high - mean.low) / 3.92
        assert abs(mean.mean - total / blocks) <= 4.5 * math.sqrt(2) * half + 5 * largest / blocks


@pytest.mark.parametrize("shared", [0.2, 0.5, 0.9])
def test_partly_shared_noise_stays_at_rare_points_too(shared: float) -> None:
    """Against an integral over the noise of the class; 13 chances of 2 % bound that anybody deviates."""
    rounds, blocks = 2, 2_000_000
    law = {"difficulty": "independent", "rate": 0.02, "shared_noise": shared}
    result = run(chain(law, {"rounds": rounds}), engine="montecarlo", blocks=blocks)
    common = np.linspace(-9, 9, 20_001)
    p = ndtr((math.sqrt(shared) * common + ndtri(0.02)) / math.sqrt(1 - shared))
    none = binom.cdf(8, 13, p) - binom.cdf(4, 13, p)

    def failing(times: int) -> float:
        return float(np.trapezoid(none**times * np.exp(-common * common / 2), common)) / math.sqrt(2 * math.pi)

    expected, again = blocks * failing(rounds + 1), blocks * (failing(1) + failing(2))
    assert abs((result.block_failure.count or 0) - expected) < 4 * math.sqrt(expected)
    assert abs(blocks * (attempts(result) - 1) - again) < 4 * math.sqrt(3 * again)


def test_classes_repeat_their_wrong_answers() -> None:
    """Two bit-exact classes that deviate and disagree go on disagreeing, whatever the alternatives."""
    law = {"rate": 0.3, "shared_noise": 1, "alternatives": 1.0}
    nodes = {name: {"count": 5, "executor": {"kind": "gpu", "nondeterminism": law}} for name in "ab"}
    results = [
        run(Scenario.model_validate({"nodes": nodes, "consensus": consensus}), engine="montecarlo", blocks=200_000)
        for consensus in ({}, {"appeal": {"rounds": 9}})
    ]
    once, again = (result.block_failure for result in results)
    assert once.low < again.probability < once.high
    assert once.probability > 0.1


def counted(scenario: Scenario, blocks: int) -> Counts:
    simulation = MonteCarlo(scenario)
    parts = [simulation.count(cell, size) for cell, size in simulation.cells(blocks)]
    return sum(parts[1:], start=parts[0])


@given(random=st.randoms(use_true_random=False), blocks=st.integers(1, 30_000), more=st.integers(0, 30_000))
@settings(max_examples=30, deadline=None)
def test_a_run_is_a_prefix_of_a_longer_one(random: Random, blocks: int, more: int) -> None:
    scenario = draw_appeal(random, nodes=7, kinds=2, shared=(0.0, 0.5, 1.0))
    short, long = counted(scenario, blocks), counted(scenario, blocks + more)
    for before, after in zip(short.outcomes, long.outcomes, strict=True):
        assert 0 <= after - before <= more
    assert more <= long.extra - short.extra <= 4 * more


def test_quiet_blocks_are_skipped() -> None:
    result = run(chain({"rate": 1e-6}, {"rounds": 1, "committee": 5}), engine="montecarlo", blocks=10**8)
    exact = run(chain({"rate": 1e-6}, {"rounds": 1, "committee": 5}))
    low, high = result.block_failure.low, result.block_failure.high
    assert low <= exact.block_failure.probability <= high
    assert attempts(result) == pytest.approx(attempts(exact), abs=1e-7)


def test_who_cannot_answer_says_why() -> None:
    with pytest.raises(EngineError, match="execute a request once"):
        run(chain(NEAR_TIE, {"rounds": 1}), engine="events")
    attack = {"byzantine": 4, "behaviour": "equivocate"}
    with pytest.raises(EngineError, match="4 Byzantine votes of 4 that equivocate can decide an attempt"):
        run(chain(NEAR_TIE, {"rounds": 1, "committee": 4}, faults=attack), engine="exact")
    assert run(chain(NEAR_TIE, {"rounds": 1, "committee": 4}, faults=attack)).engine == "montecarlo"
    with pytest.raises(EngineError, match="one kind of nodes that deviate"):
        run(draw_appeal(Random(1), nodes=9, kinds=2), engine="exact")


def test_a_committee_of_like_nodes_does_not_care_how_many_there_are() -> None:
    appeal = {"rounds": 4, "committee": 11}
    few, many = (run(chain({"rate": 1e-3}, appeal, count)) for count in (176, 20_000))
    assert few.engine == many.engine == "exact"
    assert many.block_failure.probability == pytest.approx(few.block_failure.probability, rel=1e-11)
    assert run(chain({"rate": 1e-3}, {"rounds": 1}, 100_000)).engine == "montecarlo"


def test_results_survive_as_plain_values() -> None:
    result = run(chain(NEAR_TIE, {"rounds": 1}))
    assert Result.from_dict(json.loads(json.dumps(result.to_dict()))) == result
    assert "attempts_per_block" not in run(chain(NEAR_TIE, None)).to_dict()


def test_the_shipped_scenario_does_what_its_comment_claims() -> None:
    path = Path(__file__).parents[2] / "scenarios" / "tolerant" / "growing_committees.yaml"
    text = path.read_text()
    nobody = "faults.byzantine=0"
    for overrides, outcome, written in (
        ([], "no_quorum", "1.01e-02"),
        ([], "wrong_result", "5.46e-03"),
        (["consensus.appeal=null"], "no_quorum", "2.40e-02"),
        ([nobody], "no_quorum", "2.23e-03"),
        ([nobody, "consensus.appeal.growth=1"], "no_quorum", "8.41e-04"),
    ):
        probability = run(load_scenario(path, overrides)).outcomes[outcome].probability
        assert f"{probability:.2e}" == written
        assert written in text
