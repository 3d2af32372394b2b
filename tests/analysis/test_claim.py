"""Rule 3: a chain that claims GPUs is one of three."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from sim import Scenario, load_scenario
from sim.analysis.claim import Claim, judge_scenario
from sim.catalog.catalog import builtin
from sim.cli import execute

SCENARIOS = Path(__file__).parents[2] / "scenarios"
NEAR = {"difficulty": "near_tie", "rate": 1e-4}
KEPT, FRAGILE, UNTRUE = "deterministic or approximate consensus", "not robust", "not credible"


def gpu(law: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    return {"kind": "gpu", "nondeterminism": law or NEAR, **keys}


def claim(*groups: dict[str, Any], **keys: Any) -> Claim:
    nodes = {f"g{index}": group for index, group in enumerate(groups)}
    return judge_scenario(Scenario.model_validate({"nodes": nodes} | keys), builtin())


@pytest.mark.parametrize("arithmetic", ["class_exact", "exact", "fp32"])
def test_gpus_that_something_keeps_to_one_answer(arithmetic: str) -> None:
    law = {"difficulty": "near_tie", "rate": 1e-5}
    found = claim({"count": 13, "executor": gpu(law, arithmetic=arithmetic)})
    assert found.rule3 == found.verdict == KEPT
    assert found.block_failure is not None
    assert found.block_failure <= 1e-6
    assert arithmetic in found.why


def test_one_execution_that_is_proved() -> None:
    found = claim({"count": 13, "executor": gpu()}, verification={"kind": "proof"})
    assert (found.rule3, found.block_failure) == (KEPT, 0)
    assert "one execution is verified (proof)" in found.why


def test_consensus_that_tolerates_differences() -> None:
    path = SCENARIOS / "ways_out" / "tolerant_margin.yaml"
    tolerant = judge_scenario(load_scenario(path), builtin())
    assert tolerant.rule3 == KEPT
    assert "its consensus tolerates that GPUs differ (matching margin)" in tolerant.why
    assert judge_scenario(load_scenario(path, ["consensus.matching.gap=1"]), builtin()).rule3 == FRAGILE


def test_consensus_that_is_not_robust_with_the_probability_that_says_so() -> None:
    found = claim({"count": 13, "executor": gpu()})
    assert found.rule3 == found.verdict == FRAGILE
    assert found.block_failure == pytest.approx(9.73391741342e-5)
    assert "9.73e-05, above the bar of 1e-06" in found.why
    exact = gpu(arithmetic="class_exact")
    two = claim({"count": 7, "hardware": "a", "executor": exact}, {"count": 6, "hardware": "b", "executor": exact})
    assert two.rule3 == FRAGILE
    assert two.block_failure == pytest.approx(math.sqrt(2) * 1e-4, rel=1e-3)


@pytest.mark.parametrize(
    ("group", "why"),
    [
        ({"count": 13, "executor": gpu({"difficulty": "near_tie", "rate": 0})}, "claims GPUs that never deviate"),
        ({"count": 13, "hardware": "h100", "executor": {"kind": "cpu"}}, "claims GPUs that never deviate"),
        (
            {"count": 13, "executor": gpu({"difficulty": "near_tie", "rate": 1e-8})},
            "measured ones differ on 0.3 to 1.3",
        ),
        (
            {"count": 13, "executor": gpu({"difficulty": "independent", "rate": 1e-4})},
            "which no measurement shows; with near ties blocks fail with probability 0.000103",
        ),
    ],
)
def test_claims_that_are_not_credible(group: dict[str, Any], why: str) -> None:
    found = claim(group)
    assert found.rule3 == found.verdict == UNTRUE
    assert why in found.why
    assert found.block_failure is not None
    assert found.block_failure <= 1e-6


def test_gpus_that_only_follow_a_quorum_of_cpus() -> None:
    found = judge_scenario(load_scenario(SCENARIOS / "cpu_anchor.yaml"), builtin())
    assert (found.rule3, found.block_failure) == (UNTRUE, 0)
    assert "its other nodes are a quorum" in found.why


def test_machines_that_cannot_hold_the_model() -> None:
    model = {"model": "llama3_8b_f16"}
    card = {"count": 13, "hardware": "rtx4090", "executor": gpu(arithmetic="class_exact")}
    assert claim(card, workload=model).rule3 == KEPT
    doubled = {"count": 13, "hardware": "rtx4090", "executor": gpu(arithmetic="fp32")}
    found = claim(doubled, workload=model)
    assert found.rule3 == UNTRUE
    assert "llama3_8b_f16 needs 32.1 GB, and rtx4090 has 24 GB" in found.why
    large = {"count": 13, "hardware": "h100", "executor": gpu(arithmetic="exact")}
    assert claim(large, workload={"model": "llama3_70b_f16"}).rule3 == UNTRUE
    every_device_holds_a_copy = claim(large | {"devices": 2}, workload={"model": "llama3_70b_f16"})
    assert every_device_holds_a_copy.rule3 == UNTRUE
    quantised = {"count": 13, "hardware": "h100", "executor": gpu(arithmetic="fp32")}
    found = claim(quantised, workload={"model": "llama3_70b_q4"})  # 4 bits stay 4 bits
    assert found.bytes_needed == 42_520_000_000


def test_the_row_and_the_claim_agree_on_memory() -> None:
    doubled = {"count": 13, "hardware": "a100", "executor": gpu(arithmetic="fp32", residual=0)}
    found = claim(doubled, workload={"model": "llama3_8b_f16"}, platform="icp_app")
    assert (found.bytes_needed, found.bytes_available, found.fits_memory) == (32_120_000_000, 80_000_000_000, True)


def test_a_failure_that_few_blocks_cannot_show_is_looked_for_with_more() -> None:
    """Partly shared noise is simulated: 10,000 blocks see little or nothing of 2.9e-5 and 2.9e-6."""
    found = claim({"count": 13, "executor": gpu(arithmetic="class_exact", residual=0.3)})
    assert found.rule3 == FRAGILE
    law = {"difficulty": "near_tie", "rate": 1e-5}
    rare = claim({"count": 13, "executor": gpu(law, arithmetic="class_exact", residual=0.3)})
    assert rare.rule3 == FRAGILE
    assert rare.block_failure == pytest.approx(2.9e-6, rel=0.6)
    rarer = claim({"count": 13, "executor": gpu(law | {"rate": 4e-6}, arithmetic="class_exact", residual=0.3)})
    assert (rarer.rule3, rarer.verdict) == ("unknown", "unknown")
    assert rarer.block_failure is not None
    assert rarer.block_failure > 1e-6  # seen more often, but not surely
    assert "run more blocks" in rarer.why


@pytest.mark.parametrize(
    "verification",
    [
        {"kind": "optimistic", "watch": 0.0},
        {"kind": "optimistic", "watchers": 0},
        {"kind": "spot_check", "probability": 0.0},
        {"kind": "proof", "soundness": 1.0},
        {"kind": "tee", "compromise": 1.0},
    ],
)
def test_a_check_that_catches_nothing_is_not_credible(verification: dict[str, Any]) -> None:
    found = claim({"count": 13, "executor": gpu()}, verification=verification)
    assert found.rule3 == UNTRUE
    assert "catches nothing" in found.why


def test_an_arithmetic_that_leaves_everything_is_native() -> None:
    law = {"difficulty": "near_tie", "rate": 1e-8}
    assert claim({"count": 13, "executor": gpu(law, arithmetic="exact", residual=1)}).rule3 == UNTRUE


def test_no_gpu_no_claim() -> None:
    found = claim({"count": 13, "executor": {"kind": "cpu"}})
    assert (found.rule3, found.block_failure, found.verdict) == (None, None, "unknown")


def test_a_higher_bar_makes_no_native_kernels_credible() -> None:
    scenario = Scenario.model_validate({"nodes": {"gpu": {"count": 13, "executor": gpu()}}})
    assert judge_scenario(scenario, builtin(), bar=1e-3).rule3 == UNTRUE


def test_the_command_judges_a_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(SCENARIOS / "ways_out" / "deterministic_kernels.yaml")
    assert execute(["feasibility", "--scenario", file, "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["platform"], row["model"], row["verdict"], row["rule3"]) == ("icp_app", "llama3_8b_q4", "runs", KEPT)
    assert row["fits_memory"] is True
    assert row["seconds"] == pytest.approx(20 / 144.5 * 1.35, rel=1e-5)
    kernels = "nodes.h100.executor.arithmetic=native"
    assert execute(["feasibility", "--scenario", file, "--set", kernels]) == 0
    shown = capsys.readouterr().out
    assert "not robust" in shown
    assert "blocks fail with probability 9.73e-05, above the bar of 1e-06" in shown
    assert execute(["feasibility", "--scenario", file, "--bar", "2"]) == 2
    assert capsys.readouterr().err == "--bar: must be a probability from 0 to 1 (got '2')\n"
