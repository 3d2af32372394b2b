"""Arithmetic: what is left of the deviations, and what it costs."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sim import Gpu, Scenario, run
from sim.catalog.catalog import builtin
from sim.inference.arithmetic import ARITHMETICS
from sim.statistics.intervals import clopper_pearson

RATE = 1e-3


def gpu(**keys: Any) -> dict[str, Any]:
    return {"kind": "gpu", "nondeterminism": {"difficulty": "near_tie", "rate": RATE}, **keys}


def chain(*groups: dict[str, Any]) -> Scenario:
    return Scenario.model_validate({"nodes": {f"g{index}": group for index, group in enumerate(groups)}})


def failure(*groups: dict[str, Any]) -> float:
    return run(chain(*groups)).block_failure.probability


def test_one_class_of_exact_kernels_never_fails_and_two_classes_fail_as_two_machines() -> None:
    executor = gpu(arithmetic="class_exact")
    assert failure({"count": 13, "hardware": "a", "executor": executor}) == 0
    mixed = ({"count": 7, "hardware": "a", "executor": executor}, {"count": 6, "hardware": "b", "executor": executor})
    assert failure(*mixed) == pytest.approx(math.sqrt(2) * RATE, rel=1e-3)
    every = gpu(arithmetic="exact")
    both = ({"count": 7, "hardware": "a", "executor": every}, {"count": 6, "hardware": "b", "executor": every})
    assert failure(*both) == 0


def test_kernels_exact_for_one_batch_size_make_a_class_of_each_size() -> None:
    eight = gpu(arithmetic="class_exact", batch=8)
    one = gpu(arithmetic="class_exact", batch=1)
    same = ({"count": 7, "hardware": "a", "executor": eight}, {"count": 6, "hardware": "a", "executor": eight})
    assert failure(*same) == 0
    mixed = ({"count": 7, "hardware": "a", "executor": eight}, {"count": 6, "hardware": "a", "executor": one})
    assert failure(*mixed) == pytest.approx(math.sqrt(2) * RATE, rel=1e-3)


@pytest.mark.parametrize("arithmetic", ["fp32", "layercast", "exact"])
def test_more_digits_multiply_the_rate_by_the_residual(arithmetic: str) -> None:
    left = failure({"count": 13, "executor": gpu(arithmetic=arithmetic, residual=0.01)})
    lower = {"kind": "gpu", "nondeterminism": {"difficulty": "near_tie", "rate": RATE * 0.01}}
    assert left == pytest.approx(failure({"count": 13, "executor": lower}), rel=1e-12)


def test_a_residual_within_a_class_splits_it_residual_times_as_often() -> None:
    """For near ties and many nodes, failure is proportional to the noise that is not common."""
    native = failure({"count": 13, "executor": gpu()})
    left = chain({"count": 13, "executor": gpu(arithmetic="class_exact", residual=0.2)})
    result = run(left, engine="montecarlo", blocks=4_000_000)
    count = result.block_failure.count
    assert count is not None
    low, high = clopper_pearson(count, 4_000_000, confidence=1 - 1e-6)
    assert low <= 0.2 * native * 1.03
    assert 0.2 * native * 0.97 <= high
    assert count > 500


@pytest.mark.parametrize("arithmetic", ARITHMETICS[1:])
def test_the_figures_are_those_of_the_catalog_unless_given(arithmetic: str) -> None:
    entry = builtin().mitigations[arithmetic]
    filled = Gpu.model_validate(gpu(arithmetic=arithmetic))
    assert entry.slowdown is not None
    assert entry.residual is not None
    assert (filled.slowed, filled.residual) == (entry.slowdown.value, entry.residual.value)
    own = Gpu.model_validate(gpu(arithmetic=arithmetic, slowdown=1.0, residual=0.5))
    assert (own.slowed, own.residual) == (1.0, 0.5)
    assert Gpu.model_validate(own.model_dump()) == own


def test_native_and_absent_arithmetic_change_nothing() -> None:
    plain, native = Gpu.model_validate(gpu()), Gpu.model_validate(gpu(arithmetic="native"))
    assert (plain.slowed, plain.law) == (1.0, plain.nondeterminism)
    assert (native.slowed, native.law) == (1.0, plain.law)
    assert "arithmetic" not in plain.model_dump(exclude_none=True)


@given(residual=st.floats(0, 1), rate=st.floats(1e-12, 0.4))
def test_class_exact_shares_what_the_residual_leaves(residual: float, rate: float) -> None:
    law = {"difficulty": "independent", "rate": rate}
    executor = {"kind": "gpu", "nondeterminism": law, "arithmetic": "class_exact", "residual": residual}
    filled = Gpu.model_validate(executor)
    assert filled.law.shared_noise == pytest.approx(1 - residual**2, abs=1e-15)
    assert filled.law.rate == rate
    if 0 < filled.law.shared_noise < 1:
        assert filled.law.alternatives == 0


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"residual": 0.5}, "goes with an arithmetic other than native"),
        ({"slowdown": 2.0, "arithmetic": "native"}, "goes with an arithmetic other than native"),
        ({"batch": 8}, "goes with arithmetic class_exact"),
        ({"arithmetic": "fp32", "batch": 8}, "goes with arithmetic class_exact"),
        ({"arithmetic": "exakt"}, "Input should be 'native', 'class_exact', 'exact', 'fp32' or 'layercast'"),
        ({"arithmetic": "fp32", "residual": 1.5}, "less than or equal to 1"),
        ({"arithmetic": "fp32", "slowdown": 0.5}, "greater than or equal to 1"),
        ({"arithmetic": "class_exact", "residual": "x"}, "valid number"),
        (
            {
                "arithmetic": "class_exact",
                "nondeterminism": {"difficulty": "near_tie", "rate": 0.1, "shared_noise": 0.5},
            },
            "must be left out or 1 - residual^2 = 1",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(keys: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told.replace("^", r"\^")):
        Gpu.model_validate(gpu(**keys))


def test_a_rate_that_double_precision_cannot_hold_is_none() -> None:
    tiny = {"kind": "gpu", "nondeterminism": {"rate": 1e-299, "difficulty": "near_tie"}, "arithmetic": "fp32"}
    assert Gpu.model_validate(tiny).law.rate == 0


def test_slower_kernels_take_longer_message_by_message() -> None:
    plain: dict[str, Any] = {
        "nodes": {"gpu": {"count": 4, "executor": gpu(seconds_per_request=10.0)}},
        "network": {"latency": 0.0},
        "run": {"blocks": 3},
    }
    native = run(Scenario.model_validate(plain)).timing
    plain["nodes"]["gpu"]["executor"] |= {"arithmetic": "fp32", "slowdown": 3.0}
    slow = run(Scenario.model_validate(plain)).timing
    assert native is not None
    assert slow is not None
    assert slow.simulated_s == pytest.approx(3 * native.simulated_s)
