"""What an answer costs: n machines do the work of one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sim import Scenario, run

LAW = {"difficulty": "near_tie", "rate": 1e-4}


CPU = {"kind": "cpu", "seconds_per_request": 9.0}


def chain(verification: dict[str, Any] | None = None, **keys: Any) -> Scenario:
    executor = {"kind": "gpu", "nondeterminism": LAW, "seconds_per_request": 2.0, **keys}
    document: dict[str, Any] = {"nodes": {"gpu": {"count": 13, "price_per_hour": 3.6, "executor": executor}}}
    if verification:
        document["verification"] = verification
    return Scenario.model_validate(document)


def cost(verification: dict[str, Any] | None = None, **keys: Any) -> tuple[float, float]:
    found = chain(verification, **keys).cost
    assert found is not None
    assert found.cost_usd == pytest.approx(found.machine_seconds * 3.6 / 3600)
    return found.machine_seconds, found.cost_vs_one_server


@pytest.mark.parametrize("count", [1, 4, 40])
def test_n_machines_do_the_work_of_one(count: int) -> None:
    plain = chain().model_dump()
    plain["nodes"]["gpu"]["count"] = count
    found = Scenario.model_validate(plain).cost
    assert found is not None
    assert (found.cost_vs_one_server, found.machine_seconds) == (count, 2 * count)


def test_slower_kernels_cost_as_much_more() -> None:
    assert cost(arithmetic="class_exact") == pytest.approx((13 * 2 * 1.35, 13 * 1.35))
    assert cost(arithmetic="fp32", slowdown=3.0) == pytest.approx((13 * 2 * 3, 39))


def test_one_executor_and_whoever_checks() -> None:
    assert cost({"kind": "replicate"}) == (26, 13)
    assert cost({"kind": "tee", "slowdown": 1.5, "verify_s": 0.1})[0] == pytest.approx(2 * 1.5 + 13 * 0.1)
    proof = {"kind": "proof", "prover_ratio": 100.0, "verify_s": 0.1, "provers": 3}
    assert cost(proof)[0] == pytest.approx(3 * 2 + 3 * 200 + 13 * 0.1)
    assert cost(proof | {"prove_s": 50.0})[0] == pytest.approx(3 * 2 + 3 * 50 + 13 * 0.1)
    assert cost({"kind": "optimistic", "watch": 0.5})[0] == pytest.approx(2 + 12 * 0.5 * 2)
    assert cost({"kind": "optimistic", "watch": 0.5, "watchers": 4})[0] == pytest.approx(2 + 4 * 0.5 * 2)
    checked = {"kind": "spot_check", "probability": 0.1, "checkers": 2, "recheck_ratio": 0.5}
    assert cost(checked)[0] == pytest.approx(2 + 0.1 * 2 * 0.5 * 2)


def test_mixed_machines_by_drawing_who_works() -> None:
    """Executors are drawn by power, those who look by node; each takes its own time, at its own price."""
    document = {
        "nodes": {
            "a": {
                "count": 5,
                "power": 3,
                "price_per_hour": 1.0,
                "executor": CPU,
            },
            "b": {
                "count": 8,
                "price_per_hour": 4.0,
                "executor": {"kind": "gpu", "nondeterminism": LAW, "arithmetic": "exact", "seconds_per_request": 2.0},
            },
        },
        "verification": {"kind": "optimistic", "watch": 0.3, "watchers": 6},
    }
    found = Scenario.model_validate(document).cost
    assert found is not None
    seconds = np.array([9.0] * 5 + [2.0 * 1.45] * 8)
    prices = np.array([1.0] * 5 + [4.0] * 8) / 3600
    stream, rounds = np.random.default_rng(7), 20_000
    work = np.zeros((rounds, 13))
    power = np.array([3.0] * 5 + [1.0] * 8)
    for row in work:
        executor = stream.choice(13, p=power / power.sum())
        row[executor] += 1
        others = np.delete(np.arange(13), executor)
        watchers = stream.choice(others, size=6, replace=False)
        row[watchers] += stream.random(6) < 0.3
    drawn = work @ seconds
    assert found.machine_seconds == pytest.approx(drawn.mean(), abs=5 * drawn.std() / rounds**0.5)
    paid = work @ (seconds * prices)
    assert found.cost_usd == pytest.approx(paid.mean(), abs=5 * paid.std() / rounds**0.5)
    assert found.one_server_s == 2.0


def test_one_prover_is_drawn_by_power_and_pays_its_own_price() -> None:
    document: dict[str, Any] = {
        "nodes": {
            "a": {"count": 3, "price_per_hour": 3.6, "executor": {"kind": "cpu", "seconds_per_request": 10.0}},
            "b": {
                "count": 2,
                "power": 9,
                "price_per_hour": 36.0,
                "executor": {"kind": "cpu", "seconds_per_request": 1.0},
            },
        },
        "verification": {"kind": "proof", "prover_ratio": 100.0, "verify_s": 0.0},
    }
    one = Scenario.model_validate(document).cost
    assert one is not None
    assert one.machine_seconds == pytest.approx(3 / 21 * (10 + 100) + 18 / 21 * (1 + 100))
    assert one.cost_usd == pytest.approx(3 / 21 * 110 * 0.001 + 18 / 21 * 101 * 0.01)
    document["verification"]["provers"] = 4
    several = Scenario.model_validate(document).cost
    assert several is not None
    assert several.machine_seconds == pytest.approx(4 * (3 / 5 * (10 + 100) + 2 / 5 * (1 + 100)))


def test_a_block_of_many_requests_is_proved_one_after_another() -> None:
    proof = {"kind": "proof", "prove_s": 10.0, "verify_s": 0.0, "timeout_s": 95.0}
    plain = chain(proof).model_dump() | {"workload": {"requests_per_block": 9}}
    nine = Scenario.model_validate(plain)
    assert nine.cost is not None
    assert (nine.cost.race_s, nine.cost.machine_seconds) == pytest.approx((90, 12))
    assert run(nine).block_failure.probability == 0
    ten = Scenario.model_validate(plain | {"workload": {"requests_per_block": 10}})
    assert run(ten).block_failure.probability == 1
    plain["nodes"]["gpu"]["devices"] = 2
    assert Scenario.model_validate(plain).cost.race_s == 50  # type: ignore[union-attr]


def test_what_is_not_known_is_not_told() -> None:
    plain = chain().model_dump()
    del plain["nodes"]["gpu"]["price_per_hour"]
    found = Scenario.model_validate(plain).cost
    assert found is not None
    assert found.cost_usd is None
    del plain["nodes"]["gpu"]["executor"]["seconds_per_request"]
    assert Scenario.model_validate(plain).cost is None
    assert chain(seconds_per_request=0.0).cost is None
