"""The corners of what a scenario may say: no crash, no nonsense, and the precision that is promised."""

from __future__ import annotations

import math
from typing import Any

import pytest
from drawn import as_case
from reference.brute_force import outcomes
from reference.closed_form import group_sizes, no_quorum
from reference.per_node import simulate

from sim import Scenario, run


def gpu(rate: float, **law: Any) -> dict[str, Any]:
    return {"kind": "gpu", "nondeterminism": {"rate": rate, **law}}


def chain(executor: dict[str, Any], count: int = 13, **parts: Any) -> Scenario:
    return Scenario.model_validate({"nodes": {"gpu": {"count": count, "executor": executor}}, **parts})


def sums_to_one(scenario: Scenario, **options: Any) -> None:
    result = run(scenario, **options)
    assert sum(estimate.probability for estimate in result.outcomes.values()) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("rate", "points"), [(1e-6, 10**6), (1e-9, 10**8), (1e-11, 10**10), (1e-14, 10**12)])
def test_precision_does_not_fade_over_a_trillion_decision_points(rate: float, points: int) -> None:
    workload = {"requests_per_block": min(points, 10**6), "tokens": max(1, points // 10**6)}
    scenario = chain(gpu(rate, per="token"), workload=workload)
    formula = float(no_quorum(13, 9, "near_tie", rate, None, 0.0, points))
    result = run(scenario)
    assert result.block_failure.probability == pytest.approx(formula, rel=1e-9)
    sums_to_one(scenario)


def test_rare_agreement_is_as_precise_as_rare_failure() -> None:
    scenario = chain(gpu(1 - 1e-6, difficulty="independent"))
    strong = {size: p for size, p in group_sizes(13, "independent", 1 - 1e-6, None, math.inf, 1).items() if size >= 9}
    agreed = run(scenario).outcomes["agreed"].probability
    assert 0 < agreed < 1e-20
    assert agreed == pytest.approx(float(sum(strong.values())), rel=1e-9)


def test_a_tiny_concentration_is_precise() -> None:
    scenario = chain(gpu(0.99, difficulty="independent", alternatives=1e-12))
    formula = float(no_quorum(13, 9, "independent", 0.99, None, 1e-12, 1))
    assert run(scenario).block_failure.probability == pytest.approx(formula, rel=1e-9)


@pytest.mark.parametrize(
    "executor",
    [
        gpu(0.49999999999),
        gpu(1e-300),
        gpu(1e-300, difficulty="beta", correlation=0.5),
        gpu(1e-4, difficulty="beta", correlation=1e-300),
        gpu(0.999999, difficulty="beta", correlation=1 - 1e-9),
        gpu(0.999999, difficulty="independent", alternatives=1e6),
        gpu(0.3, alternatives=1e-12),
        gpu(0.3, shared_noise=1e-9),
        gpu(0.3, shared_noise=1 - 1e-9),
    ],
    ids=str,
)
@pytest.mark.parametrize("engine", ["auto", "montecarlo"])
def test_extreme_laws_are_answered(executor: dict[str, Any], engine: str) -> None:
    for count in (1, 13, 1_000):
        sums_to_one(chain(executor, count), engine=engine, blocks=200)


def test_nearly_independent_beta_is_independent_for_both_engines() -> None:
    scenario = chain(gpu(0.2, difficulty="beta", correlation=1e-30))
    exact, simulated = run(scenario), run(scenario, engine="montecarlo", blocks=100_000)
    assert simulated.block_failure.low <= exact.block_failure.probability <= simulated.block_failure.high
    alike = run(chain(gpu(0.2, difficulty="independent", alternatives=1)))
    assert exact.block_failure.probability == pytest.approx(alike.block_failure.probability, rel=1e-9)


def test_a_thousand_groups_are_answered() -> None:
    nodes = {
        f"g{i}": {"count": 100, "power": i + 1, "executor": gpu(1e-3 + i * 1e-6, difficulty="independent")}
        for i in range(1_000)
    }
    sums_to_one(Scenario.model_validate({"nodes": nodes}), blocks=20)


@pytest.mark.parametrize("byzantine", [0, 7, 13])
@pytest.mark.parametrize("behaviour", ["silent", "random", "collude", "amplify", "equivocate"])
@pytest.mark.parametrize("result", ["certify", "propose"])
def test_any_number_of_byzantine_nodes(byzantine: int, behaviour: str, result: str) -> None:
    faults = {"byzantine": byzantine, "behaviour": behaviour}
    scenario = chain(gpu(0.3), consensus={"result": result}, faults=faults)
    sums_to_one(scenario, blocks=1_000)
    sums_to_one(scenario, engine="montecarlo", blocks=1_000)


def test_a_block_of_a_trillion_tokens_ends_when_nobody_can_split_any_more() -> None:
    workload = {"requests_per_block": 10**6, "tokens": 10**6}
    faults = {"byzantine": 12, "behaviour": "amplify"}
    scenario = chain(gpu(1e-4, per="token"), workload=workload, faults=faults)
    assert run(scenario, blocks=3).blocks == 3


def test_failures_are_counted_whatever_their_kind() -> None:
    result = run(chain(gpu(0.3), faults={"byzantine": 9, "behaviour": "amplify"}), blocks=5_000)
    assert result.outcomes["wrong_result"].count
    assert result.outcomes["agreed"].count is not None
    assert result.block_failure.count == 5_000 - result.outcomes["agreed"].count


def mixed(alternatives: float, tokens: int, **parts: Any) -> Scenario:
    """A whale, two lockstep classes and free machines."""
    law = {"alternatives": alternatives, "per": "token"}
    nodes = {
        "whale": {"count": 1, "power": 4, "executor": gpu(0.3, **law)},
        "free": {"count": 3, "executor": gpu(0.2, **law)},
        "one": {"count": 1, "power": 2, "hardware": "x", "executor": gpu(0.25, shared_noise=1, **law)},
        "two": {"count": 1, "power": 2, "hardware": "y", "executor": gpu(0.15, shared_noise=1, **law)},
    }
    return Scenario.model_validate({"nodes": nodes, "workload": {"tokens": tokens}, **parts})


@pytest.mark.parametrize("alternatives", [0.0, 0.7, 3.0, math.inf])
@pytest.mark.parametrize("tokens", [1, 2])
@pytest.mark.parametrize("quorum", [6, 7, 8])
def test_whales_and_classes_together_equal_enumeration(alternatives: float, tokens: int, quorum: int) -> None:
    scenario = mixed(alternatives, tokens, consensus={"quorum": quorum})
    result, plain = run(scenario), outcomes(as_case(scenario))
    assert result.engine == "exact"
    assert result.outcomes["agreed"].probability == pytest.approx(plain.agreed, rel=1e-8)
    assert result.outcomes["no_quorum"].probability == pytest.approx(plain.no_quorum, rel=1e-8, abs=1e-15)
    assert result.diverged_per_block.mean == pytest.approx(plain.diverged, rel=1e-8)


@pytest.mark.parametrize(("alternatives", "shared"), [(0.0, 0.0), (0.8, 0.0), (0.0, 0.5)])
@pytest.mark.parametrize("requests", [1, 2])
def test_prefixes_of_several_living_groups(alternatives: float, shared: float, requests: int) -> None:
    """Equivocators keep two groups alive; what they meet later depends on the prefix that they share."""
    law = {"alternatives": alternatives, "shared_noise": shared, "per": "token"}
    scenario = chain(
        gpu(0.12, **law),
        7,
        consensus={"quorum": 4},
        faults={"byzantine": 2, "behaviour": "equivocate"},
        workload={"requests_per_block": requests, "tokens": 3},
    )
    blocks = 150_000
    result, plain = run(scenario, blocks=blocks), simulate(as_case(scenario), blocks, 5)
    assert result.engine == "montecarlo"
    for name, estimate in result.outcomes.items():
        mine, theirs = estimate.count or 0, plain[name]
        assert abs(mine - theirs) <= 4.5 * math.sqrt(max(mine + theirs, 1)), name
