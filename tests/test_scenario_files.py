"""Every shipped scenario runs, and does what its comment claims."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim import load_scenario, run
from sim.statistics.intervals import clopper_pearson

FOLDER = Path(__file__).parents[1] / "scenarios"
T = "consensus.fault_threshold="
RHO = "nodes.gpu.executor.nondeterminism.correlation="
INDEPENDENT = "nodes.gpu.executor.nondeterminism.difficulty=independent"

CLAIMS = [
    ("one_plus_one", [], "block_failure", None, 0.0),
    ("three_computers", [], "no_quorum", None, 1.0),
    ("ninety_nine_ninety_nine", [], "block_failure", "9.73e-05", 9.73391741342e-5),
    ("ninety_nine_ninety_nine", [INDEPENDENT], "block_failure", "1.29e-17", 1.28614225735e-17),
    ("independent_replicas", [], "block_failure", "1.29e-17", 1.28614225735e-17),
    ("leader_proposes", [], "block_failure", "1.50e-04", 1.50e-4),
    ("leader_proposes", ["consensus.result=certify"], "block_failure", "9.73e-05", 9.73391741342e-5),
    ("leader_proposes", [INDEPENDENT], "block_failure", "1.00e-04", 1.0e-4),
    ("mixed_hardware", [], "block_failure", "1.41e-04", 1.41421356237e-4),
    ("mixed_hardware", ["nodes.ada.hardware=hopper"], "block_failure", None, 0.0),
    ("cpu_anchor", [], "block_failure", None, 0.0),
    ("cpu_anchor", ["nodes.cpu.count=8", "nodes.gpu.count=5"], "block_failure", "1.69e-06", 1.69e-6),
    ("spent_fault_budget", [], "block_failure", "3.72e-04", 3.72237598059e-4),
    ("spent_fault_budget", ["faults.byzantine=0"], "block_failure", "9.73e-05", 9.73391741342e-5),
    ("temperature_zero", [], "block_failure", "9.98e-04", 9.98124212519e-4),
    ("threshold_range", [T + "25 %"], "block_failure", "1.73e-04", 1.73e-4),
    ("threshold_range", [T + "1/3"], "block_failure", "1.07e-04", 1.06577526057e-4),
    ("threshold_range", [T + "2/5"], "block_failure", "6.66e-05", 6.66e-5),
    ("threshold_range", [T + "49 %"], "block_failure", "9.41e-06", 9.41e-6),
    ("failure_curve", ["nodes.gpu.count=4"], "block_failure", "7.44e-05", 7.445e-5),
    ("failure_curve", [], "block_failure", "9.73e-05", 9.73391741342e-5),
    ("failure_curve", ["nodes.gpu.count=34"], "block_failure", "1.04e-04", 1.04e-4),
    ("failure_curve", ["nodes.gpu.count=40"], "block_failure", "1.04e-04", 1.045e-4),
    ("threshold_curve", [T + "25 %"], "block_failure", "1.73e-04", 1.73e-4),
    ("threshold_curve", [], "block_failure", "1.07e-04", 1.06577526057e-4),
    ("threshold_curve", [T + "49 %"], "block_failure", "9.41e-06", 9.41e-6),
    ("correlation_map", [], "block_failure", "9.68e-05", 9.68e-5),
    ("correlation_map", [RHO + "0.01"], "block_failure", "2.16e-08", 2.16e-8),
    ("hardware_mix", ["nodes.first.count=4", "nodes.second.count=9"], "block_failure", None, 0.0),
    ("hardware_mix", ["nodes.first.count=5", "nodes.second.count=8"], "block_failure", "1.41e-04", 1.41421356e-4),
    ("fault_budget", [], "block_failure", "9.73e-05", 9.73391741342e-5),
    ("fault_budget", ["faults.byzantine=4"], "block_failure", "3.72e-04", 3.72237598059e-4),
    ("fault_budget", ["faults.byzantine=5"], "block_failure", None, 1.0),
    ("message_by_message", [], "block_failure", "1.20e-02", 0.012),
    ("message_by_message", ["run.engine=exact"], "block_failure", "9.73e-03", 9.73391741e-3),
    ("healed_partition", [], "block_failure", "7.50e-02", 0.075),
    ("fork_above_a_third", [], "forked", "4.55e-01", 0.455),
    ("fork_above_a_third", ["consensus.fault_threshold=1/3", "faults.byzantine=2"], "block_failure", None, 0.0),
    ("more_nodes_no_throughput", [], "block_failure", None, 0.0),
    ("one_silent_too_many", [], "block_failure", None, 1.0),
    ("stake_weighted", [], "block_failure", None, 0.0),
    ("stake_weighted", ["nodes.large.power=20"], "block_failure", "1.00e-04", 1e-4),
    ("latency_vs_nodes", [], "block_failure", None, 0.0),
    ("four_protocols", [], "block_failure", None, 0.0),
    ("slow_gpu_timeouts", [], "block_failure", None, 0.0),
    ("slow_gpu_timeouts", ["nodes.fast.count=8", "nodes.slow.count=5"], "block_failure", "2.15e-01", 0.215),
    ("wide_area", [], "block_failure", None, 0.0),
    ("design_space", [], "block_failure", "7.51e-05", 7.509e-5),
    ("safety_check", [], "block_failure", None, 0.0),
]


@pytest.mark.parametrize(("name", "overrides", "outcome", "written", "expected"), CLAIMS)
def test_a_scenario_does_what_its_comment_claims(
    name: str, overrides: list[str], outcome: str, written: str | None, expected: float
) -> None:
    path = FOLDER / f"{name}.yaml"
    result = run(load_scenario(path, overrides))
    estimate = result.block_failure if outcome == "block_failure" else result.outcomes[outcome]
    assert estimate.probability == pytest.approx(expected, rel=5e-3)
    if written:
        assert written in path.read_text()
        assert f"{estimate.probability:.2e}" == written


def test_every_file_opens_with_what_it_shows_and_has_a_claim() -> None:
    names = {path.stem for path in FOLDER.glob("*.yaml")}
    assert names == {name for name, *_ in CLAIMS}
    for path in FOLDER.glob("*.yaml"):
        assert path.read_text().startswith("# Shows: ")
        assert "# Expect" in path.read_text()


def test_a_small_test_at_temperature_zero_sees_nothing() -> None:
    failure = run(load_scenario(FOLDER / "temperature_zero.yaml")).block_failure.probability
    assert (1 - failure) ** 25 == pytest.approx(0.975, abs=1e-3)


def test_what_runs_message_by_message_is_as_its_comment_says() -> None:
    timing = {
        path.stem: run(load_scenario(path)).timing for path in FOLDER.glob("*.yaml") if "network:" in path.read_text()
    }
    slow, split = timing["message_by_message"], timing["healed_partition"]
    forked, silent = timing["fork_above_a_third"], timing["one_silent_too_many"]
    assert slow is not None
    assert slow.latency_s is not None
    assert slow.latency_s["p50"] == pytest.approx(2.23, abs=0.005)
    assert slow.messages_per_block == 468
    assert slow.bytes_per_block == pytest.approx(1.29e6, rel=5e-3)
    assert set(slow.causes) == {"divergence"}
    assert split is not None
    assert split.causes == {"partition": 15}
    assert forked is not None
    assert forked.first_violation is not None
    assert forked.first_violation.height == 5
    assert silent is not None
    assert (silent.causes, silent.simulated_s) == ({"stall": 1_000_000}, 0)


@pytest.mark.parametrize(
    ("name", "overrides", "written", "expected"),
    [
        ("latency_vs_nodes", ["nodes.validator.count=4"], "0.144 s among 4 nodes", 0.144),
        ("latency_vs_nodes", [], "0.202 s among 64", 0.202),
        ("latency_vs_nodes", ["nodes.validator.count=250"], "0.302 s among 250", 0.302),
        ("latency_vs_nodes", ["nodes.validator.count=1000", "run.blocks=10"], "0.722 s among 1,000", 0.722),
        ("slow_gpu_timeouts", [], "take 1.30 s", 1.30),
        (
            "slow_gpu_timeouts",
            ["nodes.fast.count=8", "nodes.slow.count=5", "consensus.timeouts.result=6"],
            "take 5.06 s",
            5.06,
        ),
        ("wide_area", [], "within 0.232 s", 0.232),
        ("wide_area", ["nodes.asia.count=5"], "within 0.133 s", 0.133),
        ("wide_area", ["network.latency=0.01"], "take 0.03 s", 0.03),
        ("four_protocols", [], "known after 0.333 s", 0.333),
        ("four_protocols", ["consensus.protocol=hotstuff"], "known after 0.616 s", 0.616),
        ("four_protocols", ["consensus.protocol=hotstuff", "nodes.gpu.count=4"], "known after 1.07 s", 1.07),
    ],
)
def test_blocks_take_as_long_as_a_comment_says(name: str, overrides: list[str], written: str, expected: float) -> None:
    path = FOLDER / f"{name}.yaml"
    result = run(load_scenario(path, overrides))
    assert result.engine == "phases"
    assert result.timing is not None
    assert result.timing.blocks_by_messages == 0
    assert result.timing.latency_s is not None
    assert result.timing.latency_s["p50"] == pytest.approx(expected, rel=5e-3)
    assert written in path.read_text()


def test_slow_gpus_fail_blocks_because_the_fast_ones_stop_waiting() -> None:
    path = FOLDER / "slow_gpu_timeouts.yaml"
    timing = run(load_scenario(path, ["nodes.fast.count=8", "nodes.slow.count=5"])).timing
    assert timing is not None
    assert timing.causes == {"divergence": 1, "timeout": 42}
    assert "all but one because the fast ones stop waiting" in path.read_text()


@pytest.mark.parametrize(
    ("protocol", "rate", "messages"),
    [("pbft", 2.98, 12_096), ("tendermint", 0.749, None), ("hotstuff", 8.35, 252), ("icc", 2.78, 20_223)],
)
def test_protocols_agree_on_as_many_blocks_as_a_comment_says(protocol: str, rate: float, messages: int | None) -> None:
    path = FOLDER / "four_protocols.yaml"
    timing = run(load_scenario(path, [f"consensus.protocol={protocol}"])).timing
    assert timing is not None
    assert timing.blocks_per_s == pytest.approx(rate, rel=2e-3)
    assert f"{rate}" in path.read_text()
    if messages is not None:
        assert timing.messages_per_block == messages
        assert f"{messages:,}" in path.read_text()


def test_messages_grow_as_the_square_of_the_nodes() -> None:
    path = FOLDER / "latency_vs_nodes.yaml"
    for count, messages in ((4, 24), (1000, 1_998_000)):
        timing = run(load_scenario(path, [f"nodes.validator.count={count}"]), blocks=2).timing
        assert timing is not None
        assert timing.messages_per_block == messages
        assert f"{messages:,}" in path.read_text()


def test_more_nodes_do_not_answer_faster_and_cost_more() -> None:
    path = FOLDER / "more_nodes_no_throughput.yaml"
    rates, costs = [], []
    for count in (4, 7, 13, 25):
        scenario = load_scenario(path, [f"nodes.h100.count={count}"])
        timing = run(scenario).timing
        assert timing is not None
        assert scenario.cost is not None
        rates.append(timing.blocks_per_s)
        costs.append(scenario.cost.cost_vs_one_server)
    assert rates == pytest.approx([0.36] * 4, rel=1e-3)
    assert costs == pytest.approx([1.35 * count for count in (4, 7, 13, 25)])
    for written in ("0.36 answers a second", "5.4 to 33.8 times"):
        assert written in path.read_text()


def test_large_validators_leave_the_others_behind() -> None:
    result = run(load_scenario(FOLDER / "stake_weighted.yaml"))
    assert result.diverged_per_block.mean == pytest.approx(0.004)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_simulation_confirms_every_scenario(path: Path) -> None:
    scenario = load_scenario(path)
    if scenario.recorded or scenario.network is not None:
        pytest.skip("the same in every block, or run message by message")
    exact = run(scenario).block_failure.probability
    blocks = 10**7
    failures = run(scenario, engine="montecarlo", blocks=blocks).block_failure.count
    assert failures is not None
    low, high = clopper_pearson(failures, blocks, confidence=1 - 1e-6)
    assert low <= exact <= high
