"""The exact engine against numbers that come by other ways: an alternating formula in mpmath, and enumeration."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from drawn import as_case, draw_scenario
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reference.brute_force import outcomes
from reference.closed_form import group_sizes, no_quorum

from sim import Scenario, run
from sim.engines.exact import refusal, run_exact
from sim.inference.chain import after
from sim.inference.tails import by_tails, work

if TYPE_CHECKING:
    from random import Random


def chain(law: dict[str, Any], count: int = 13, **parts: Any) -> Scenario:
    """One group of GPUs at fault threshold 1/3."""
    executor = {"kind": "gpu", "nondeterminism": law}
    return Scenario.model_validate({"nodes": {"gpu": {"count": count, "executor": executor}}, **parts})


NEAR_TIE = {"difficulty": "near_tie", "rate": 1e-4}
LOCKSTEP = {"difficulty": "near_tie", "rate": 1e-4, "shared_noise": 1}
TWO_CLASSES = {
    "a": {"count": 7, "executor": {"kind": "gpu", "nondeterminism": LOCKSTEP}},
    "b": {"count": 6, "executor": {"kind": "gpu", "nondeterminism": LOCKSTEP}},
}


@pytest.mark.parametrize(
    ("scenario", "failure"),
    [
        (chain(NEAR_TIE, 3), 2.12132034356e-4),
        (chain(NEAR_TIE), 9.73391741342e-5),
        (chain(NEAR_TIE, 100), 1.06577526057e-4),
        (chain({"difficulty": "independent", "rate": 1e-4}), 1.28614225735e-17),
        (chain({"difficulty": "beta", "rate": 1e-4, "correlation": 0.43, "alternatives": 1}), 9.51250830057e-5),
        (chain(NEAR_TIE, faults={"byzantine": 4}), 3.72237598059e-4),
        (chain({"rate": 1e-6, "per": "token"}, workload={"requests_per_block": 4, "tokens": 256}), 9.98124212519e-4),
        (Scenario.model_validate({"nodes": TWO_CLASSES}), 1.41421356237e-4),
    ],
)
def test_reference_values(scenario: Scenario, failure: float) -> None:
    result = run(scenario)
    assert result.engine == "exact"
    assert result.block_failure.probability == pytest.approx(failure, rel=1e-11)


def test_forty_tokens_of_thirty_sigma() -> None:
    rate = float(0.5 * math.erfc(30 / math.sqrt(2)) - math.expm1(-450) / math.sqrt(2 * math.pi) / 30)
    scenario = chain({"rate": rate, "per": "token"}, workload={"tokens": 40})
    assert run(scenario).block_failure.probability == pytest.approx(0.57968818145, rel=1e-10)


@given(
    nodes=st.integers(1, 40),
    law=st.one_of(
        st.fixed_dictionaries({"difficulty": st.just("near_tie"), "rate": st.floats(1e-8, 0.49)}),
        st.fixed_dictionaries({"difficulty": st.just("independent"), "rate": st.floats(1e-8, 0.99)}),
        st.fixed_dictionaries(
            {
                "difficulty": st.just("beta"),
                "rate": st.floats(1e-8, 0.99),
                "correlation": st.floats(1e-6, 0.999),
            }
        ),
    ),
    alternatives=st.one_of(st.sampled_from([0.0, 0.5, 1.0, 2.0, math.inf]), st.floats(1e-3, 1e3)),
    points=st.sampled_from([1, 2, 7, 1024]),
    threshold=st.sampled_from(["1/4", "1/3", "2/5", "49 %"]),
)
@settings(max_examples=80, deadline=None)
def test_failure_equals_the_alternating_formula(
    nodes: int, law: dict[str, Any], alternatives: float, points: int, threshold: str
) -> None:
    scenario = chain(
        law | {"alternatives": alternatives},
        nodes,
        workload={"requests_per_block": points},
        consensus={"fault_threshold": threshold},
    )
    formula = no_quorum(
        nodes,
        scenario.election.quorum,
        law["difficulty"],
        law["rate"],
        law.get("correlation"),
        alternatives,
        points,
    )
    absolute = 1e-60 if law["difficulty"] == "near_tie" else 0  # that formula's quadrature is good to 1e-75
    assume(absolute or formula == 0 or formula > 1e-280)
    assert run(scenario).block_failure.probability == pytest.approx(float(formula), rel=1e-9, abs=absolute)


@given(
    nodes=st.integers(4, 20),
    lying=st.integers(0, 3),
    rate=st.floats(1e-5, 0.4),
    points=st.sampled_from([1, 3]),
    behaviour=st.sampled_from(["silent", "equivocate"]),
)
@settings(max_examples=40, deadline=None)
def test_proposing_and_diverged_nodes_follow_from_the_sizes_of_groups(
    nodes: int, lying: int, rate: float, points: int, behaviour: str
) -> None:
    scenario = chain(
        {"rate": rate},
        nodes,
        consensus={"result": "propose"},
        faults={"byzantine": lying, "behaviour": behaviour},
        workload={"requests_per_block": points},
    )
    assume(refusal(scenario) is None and lying < nodes)
    honest, helpers = nodes - lying, lying if behaviour == "equivocate" else 0
    sizes = group_sizes(honest, "near_tie", rate, None, 0.0, points)
    strong = {size: float(p) for size, p in sizes.items() if size + helpers >= scenario.election.quorum}
    result = run(scenario)
    agreed = sum(p * (size + helpers) / nodes for size, p in strong.items())
    assert result.outcomes["agreed"].probability == pytest.approx(agreed, rel=1e-9)
    diverged = sum(p * (size + helpers) / nodes * (honest - size) for size, p in strong.items())
    assert result.diverged_per_block.mean == pytest.approx(diverged, rel=1e-9, abs=1e-300)


@given(random=st.randoms(use_true_random=False))
@settings(max_examples=250, deadline=None)
def test_every_outcome_equals_enumeration(random: Random) -> None:
    scenario = draw_scenario(random)
    assume(refusal(scenario) is None)
    assume(sum(g.count - scenario.faults.of(name) for name, g in scenario.nodes.items()) <= 6)
    result, plain = run_exact(scenario), outcomes(as_case(scenario))
    for name, estimate in result.outcomes.items():
        assert estimate.probability == pytest.approx(getattr(plain, name), rel=1e-8, abs=1e-15), name
    failure = plain.no_quorum + plain.wrong_result + plain.forked
    assert result.block_failure.probability == pytest.approx(failure, rel=1e-8, abs=1e-18)
    assert result.diverged_per_block.mean == pytest.approx(plain.diverged, rel=1e-8, abs=1e-15)


def test_laws_of_one_class_that_cross_twice_within_a_panel() -> None:
    """Found by the test above: between the two crossings lies a part of 5e-4 of the failures."""
    laws = [
        {"difficulty": "beta", "rate": 0.00017782794100389227, "correlation": 0.1015625},
        {"difficulty": "near_tie", "rate": 0.1},
        {"difficulty": "near_tie", "rate": 7.498942093324558e-06},
    ]
    nodes = {
        f"g{index}": {
            "count": 1,
            "power": power,
            "hardware": "x",
            "executor": {"kind": "gpu", "nondeterminism": law | {"shared_noise": 1.0, "alternatives": 0.0}},
        }
        for index, (power, law) in enumerate(zip((2, 1, 1), laws, strict=True))
    }
    scenario = Scenario.model_validate({"nodes": nodes})
    result, plain = run_exact(scenario), outcomes(as_case(scenario))
    assert plain.no_quorum == pytest.approx(7.99357745e-8, rel=1e-8)
    assert result.block_failure.probability == pytest.approx(plain.no_quorum, rel=1e-8)


@pytest.mark.parametrize(("threshold", "limit"), [("1/3", 1.0797), ("1/4", 1.691), ("2/5", 0.635), ("49 %", 0.063)])
def test_for_many_nodes_failure_is_a_multiple_of_the_rate(threshold: str, limit: float) -> None:
    scenario = chain({"rate": 1e-5}, 100_000, consensus={"fault_threshold": threshold})
    assert run(scenario).block_failure.probability / 1e-5 == pytest.approx(limit, abs=6e-4)


@given(random=st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_tails_and_lattice_agree(random: Random) -> None:
    scenario = draw_scenario(random, nodes=24, points=1)
    population, need = scenario.population, scenario.election.quorum
    assume(refusal(scenario) is None and population.power >= need)
    assume(work(population, need) < math.inf)
    tails, lattice = by_tails(population, need), after(population, need, 1)
    for name in type(tails).__slots__:
        assert getattr(tails, name) == pytest.approx(getattr(lattice, name), rel=1e-9, abs=1e-290), name


def test_a_whale_whose_answer_differs_is_certified_alone() -> None:
    nodes = {
        "whale": {"count": 1, "power": 10, "executor": {"kind": "gpu", "nondeterminism": {"rate": 0.1}}},
        "small": {"count": 4, "executor": {"kind": "cpu"}},
    }
    result = run(Scenario.model_validate({"nodes": nodes, "consensus": {"quorum": 10}}))
    assert result.block_failure.probability == 0
    assert result.diverged_per_block.mean == pytest.approx(0.1 * 4)


def test_probabilities_keep_their_precision_far_below_the_smallest_complement() -> None:
    scenario = chain({"difficulty": "independent", "rate": 1e-12}, 61)
    formula = float(no_quorum(61, scenario.election.quorum, "independent", 1e-12, None, math.inf, 1))
    assert 0 < formula < 1e-230
    assert run(scenario).block_failure.probability == pytest.approx(formula, rel=1e-9, abs=0)
