"""Entries of the catalog that a scenario names fill in what is not written, and say so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sim import Scenario, ScenarioError, load_scenario
from sim.base.document import parse_document
from sim.catalog.catalog import builtin, catalog_with
from sim.cli import execute
from sim.consensus.verification import Proof
from sim.scenario.load import load_grid, open_document, validated

LAW = "nondeterminism: {difficulty: near_tie, rate: 1e-4}"
NODES = f"nodes: {{gpu: {{count: 4, hardware: h100, executor: {{kind: gpu, {LAW}}}}}}}\n"
NAMED = f"""\
platform: icp_app
nodes: {{gpu: {{hardware: h100, executor: {{kind: gpu, {LAW}}}}}}}
workload: {{model: llama3_8b_q4}}
"""


def read(text: str) -> Scenario:
    return validated(parse_document(text, "s.yaml"))


def mistakes(text: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        read(text)
    return str(caught.value)


def test_a_platform_a_model_and_hardware_fill_in_what_is_not_written() -> None:
    scenario = read(NAMED)
    group = scenario.nodes["gpu"]
    assert (group.count, scenario.consensus.protocol, str(scenario.consensus.fault_threshold)) == (13, "icc", "1/3")
    assert scenario.workload.tokens == 20
    assert group.executor.seconds_per_request is not None
    assert group.executor.seconds_per_request.expected == pytest.approx(20 / 144.5, rel=1e-5)
    assert group.price_per_hour == 3.51


def test_explicit_values_win() -> None:
    group = "count: 4, hardware: h100, price_per_hour: 1, executor: {kind: gpu, seconds_per_request: 9, "
    scenario = read(
        f"platform: icp_app\nnodes: {{gpu: {{{group}{LAW}}}}}}}\nworkload: {{model: llama3_8b_q4, tokens: 7}}\n"
        "consensus: {protocol: pbft, fault_threshold: 25 %}\n"
    )
    nodes = scenario.nodes["gpu"]
    assert (nodes.count, nodes.price_per_hour, scenario.workload.tokens) == (4, 1, 7)
    assert nodes.executor.seconds_per_request is not None
    assert nodes.executor.seconds_per_request.expected == 9
    assert (scenario.consensus.protocol, str(scenario.consensus.fault_threshold)) == ("pbft", "1/4")


def test_a_written_number_of_tokens_makes_the_time() -> None:
    scenario = read(NAMED.replace("llama3_8b_q4", "llama3_8b_q4, tokens: 289"))
    assert scenario.nodes["gpu"].executor.seconds_per_request.expected == pytest.approx(2)  # type: ignore[union-attr]


def test_unknown_labels_stay_free_and_names_fill_in_nothing_but_time_and_cost() -> None:
    plain, named = read(NODES), read(NODES + "workload: {model: llama3_8b_q4}\n")
    assert plain.nodes["gpu"].executor.seconds_per_request is None
    assert plain.nodes["gpu"].price_per_hour is None
    assert read(NODES.replace("h100", "my own card")).nodes["gpu"].hardware == "my own card"
    assert plain.population == named.population
    free = read(NODES.replace("h100", "my own card") + "workload: {model: llama3_8b_q4}\n")
    assert free.nodes["gpu"].executor.seconds_per_request is None


def test_a_scenario_that_names_nothing_keeps_its_id() -> None:
    """Computed before there was a catalog."""
    text = "nodes: {gpu: {count: 13, hardware: h100, executor: {kind: gpu, nondeterminism: {difficulty: near_tie, "
    scenario = read(text + "rate: 1e-4, per: request}}}}\nconsensus: {protocol: icc, fault_threshold: 1/3}\n")
    assert "verification" not in scenario.model_dump(exclude_none=True)
    assert not {"model"} & set(scenario.model_dump(exclude_none=True)["workload"])
    assert set(scenario.model_dump(exclude_none=True)["nodes"]["gpu"]["executor"]) == {"kind", "nondeterminism"}


def test_a_group_that_is_named_like_hardware_is_that_hardware() -> None:
    scenario = read(
        "workload: {model: gpt2_124m}\n" + NODES.replace("gpu: {count: 4, hardware: h100", "h100: {count: 4")
    )
    assert scenario.nodes["h100"].executor.seconds_per_request is not None


def test_cpus_of_a_platform_take_what_its_contracts_take() -> None:
    scenario = read("platform: icp_app\nnodes: {n: {executor: {kind: cpu}}}\nworkload: {model: llama_7b_q4}\n")
    assert scenario.node_count == 13
    assert scenario.nodes["n"].executor.seconds_per_request.expected == pytest.approx(20 * 13.48e9 / 2e9)  # type: ignore[union-attr]


def test_cpus_of_a_platform_stay_its_own_whatever_their_group_is_called() -> None:
    text = "platform: ethereum\nnodes: {cpu: {count: 5, executor: {kind: cpu}}}\nworkload: {model: image_classifier}\n"
    assert read(text).nodes["cpu"].executor.seconds_per_request.expected == 200  # type: ignore[union-attr]
    written = read(text.replace("count: 5,", "count: 5, hardware: cpu,"))
    assert written.nodes["cpu"].executor.seconds_per_request.expected == 0.5  # type: ignore[union-attr]


def test_a_value_of_the_catalog_that_does_not_suit_names_its_entry(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("platforms:\n  mine: {title: m, protocol: {value: raft, source: me, known: read}}\n")
    file = tmp_path / "s.yaml"
    file.write_text(f"platform: mine\n{NODES}")
    with pytest.raises(ScenarioError, match=r"protocol: must be one of .*, filled in by platform mine \(got 'raft'\)"):
        load_scenario(file, catalog=catalog_with(own))


def test_an_alias_means_its_entry() -> None:
    scenario = read(NODES + "workload: {model: gpt2}\n")
    assert scenario.workload.model == "gpt2_124m"
    assert scenario.scenario_id == read(NODES + "workload: {model: gpt2_124m}\n").scenario_id


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            f"platform: icp_ap\n{NODES}",
            "s.yaml:1:11: platform: is not in the catalog of platforms; did you mean icp_app?",
        ),
        (f"{NODES}workload: {{model: lama3_8b_q4}}\n", "workload.model: is not in the catalog of models; did you mean"),
        (f"{NODES}workload: {{model: 8}}\n", "s.yaml:2:19: workload.model: must be a text (got 8)"),
        (f"platform: []\n{NODES}", "platform: must be a text (got [])"),
        (f"platform: icp_app\n{NODES}consensus: 7\n", "consensus: must be a mapping (got 7)"),
        ("platform: icp_app\nworkload: {model: gpt2}\nnodes: 3\n", "nodes: must be a mapping (got 3)"),
        (
            f"{NODES}verification: {{kind: proof, system: nanozkk}}\n",
            "is no proof of the catalog; did you mean nano",
        ),
        (f"{NODES}verification: {{kind: tee, system: zkllm}}\n", "is no tee of the catalog; known: cpu_tee, gpu_tee"),
        (f"{NODES}verification: {{kind: tea}}\n", "verification.kind: must be one of replicate, proof, optimistic"),
        (f"{NODES}verification: tee\n", "verification: must be a mapping"),
        (
            f"{NODES}verification: {{kind: proof, provers: 5}}\n",
            "verification.provers: must be at most 4 on a chain",
        ),
        (f"{NODES}verification: {{kind: spot_check, checkers: 4}}\n", "verification.checkers: must be at most 3"),
        (f"{NODES}verification: {{kind: optimistic, watchers: 4}}\n", "verification.watchers: must be at most 3"),
        (f"{NODES}verification: {{kind: proof, failure: 0.1}}\n", "verification.timeout_s: is required where a prover"),
        (
            f"{NODES}verification: {{kind: proof, timeout_s: 9}}\n",
            "verification.timeout_s: needs prove_s, or",
        ),
        (f"{NODES}verification: {{kind: proof, prover_ratio: 0.5}}\n", "verification.prover_ratio: must be at least 1"),
        (f"{NODES}verification: {{kind: replicate, system: x}}\n", "verification.system: unknown key"),
        (f"{NODES}workload: {{model: gpt2, tokens: {10**300}}}\n", "workload.tokens: must be at most 1000000"),
        (NODES.replace("kind: gpu,", f"kind: gpu, arithmetic: class_exact, residual: {10**300},"), "residual: must be"),
        (
            NODES.replace("kind: gpu,", "kind: gpu, seconds_per_request: 0,")
            + "verification: {kind: proof, timeout_s: 9}\n",
            "verification.timeout_s: needs prove_s, or executor.seconds_per_request of at least 1e-09 in every group",
        ),
        (f"{NODES}verification: {{kind: proof, prove_s: 1e-300}}\n", "verification.prove_s: must be at least 1e-09"),
        (f"{NODES}verification: {{kind: proof, watch: 1}}\n", "verification.watch: unknown key"),
    ],
)
def test_what_is_wrong_is_told_once_with_its_place(text: str, told: str) -> None:
    lines = mistakes(text).splitlines()
    assert len(lines) == 1
    assert told in lines[0]
    assert lines[0].startswith("s.yaml:")


def test_recorded_answers_are_replicated() -> None:
    nodes = "nodes: {a: {count: 2, executor: {kind: recorded, outputs: [x, y]}}}\n"
    assert "verification.kind: must be replicate where answers are recorded" in mistakes(
        nodes + "verification: {kind: tee}\n"
    )


@pytest.mark.parametrize(
    ("system", "model", "seconds"),
    [("zkpytorch", "llama3_8b_q4", 150 * 20), ("nanozk", "gpt2_124m", 43), ("zkllm", "llama_7b_q4", 900)],
)
def test_a_proof_takes_what_was_measured_for_the_model(system: str, model: str, seconds: float) -> None:
    text = f"{NODES}workload: {{model: {model}}}\nverification: {{kind: proof, system: {system}}}\n"
    verification = read(text).verification
    assert isinstance(verification, Proof)
    assert verification.prove_s == seconds
    ratio = read(text.replace("kind: proof,", "kind: proof, prover_ratio: 1000,")).verification
    assert isinstance(ratio, Proof)
    assert (ratio.prove_s, ratio.prover_ratio) == (None, 1000)


def test_an_own_catalog_is_used_for_all_names(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "platforms:\n  mine: {title: m, nodes: {value: 7, source: me, known: read}}\n"
        "mitigations:\n"
        "  fp32: {slowdown: {value: 3, source: me, known: read}}\n"
        "  mytee: {title: t, kind: tee, slowdown: {value: 2, source: me, known: read}, "
        "verify_s: {value: 1, source: me, known: read}, proof_bytes: {value: 9, source: me, known: read}}\n"
    )
    file = tmp_path / "s.yaml"
    file.write_text(
        f"platform: mine\nnodes: {{gpu: {{executor: {{kind: gpu, arithmetic: fp32, {LAW}}}}}}}\n"
        "verification: {kind: tee, system: mytee}\n"
    )
    scenario = load_scenario(file, catalog=catalog_with(own))
    assert scenario.node_count == 7
    assert scenario.nodes["gpu"].executor.slowed == 3
    assert scenario.verification is not None
    assert scenario.verification.slowdown == 2  # type: ignore[union-attr]
    with pytest.raises(ScenarioError, match="platform: is not in the catalog"):
        load_scenario(file)
    assert Scenario.model_validate(scenario.model_dump()) == scenario


def test_what_is_filled_in_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(NAMED)
    assert execute(["run", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "filled in: nodes.gpu.count 13, by platform icp_app\n" in shown
    assert "by model llama3_8b_q4 on hardware h100 (measured: 144.5 tokens a second)" in shown
    assert execute(["run", str(file), "--format", "json"]) == 0
    plain: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert plain["filled_in"]["nodes.gpu.count"] == {"value": 13, "from": "platform icp_app"}
    document, _ = open_document(file)
    validated(document)
    assert set(document.filled) == set(plain["filled_in"])
    assert execute(["run", str(file), "--set", "platform=null", "--set", "nodes.gpu.count=4"]) == 0
    assert "consensus.protocol" not in capsys.readouterr().out


def test_how_results_are_verified_is_shown_with_all_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    file = Path(__file__).parents[2] / "scenarios" / "ways_out" / "proof.yaml"
    assert execute(["run", str(file)]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("verification"))
    assert line.split(maxsplit=1)[1] == (
        "kind proof, system zkpytorch, prover_ratio 20000, prove_s 3000, spread 0, proof_bytes 1e+06, verify_s 1, "
        "provers 1, failure 0, soundness 0"
    )


def test_a_sweep_fills_in_each_point_anew(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(NAMED + "sweep:\n  model: {path: workload.model, values: [gpt2_124m, llama3_8b_q4]}\n")
    times = [
        point.scenario.nodes["gpu"].executor.seconds_per_request.expected  # type: ignore[union-attr]
        for point in load_grid(file).points()
    ]
    assert times[1] == pytest.approx(20 / 144.5, rel=1e-5)
    assert times[0] == pytest.approx(20 * builtin().models["gpt2_124m"].bytes.value / 2.0e12, rel=1e-5)


LAW_MAPPING = "{difficulty: near_tie, rate: 1e-2}"
GPUS = f"{{count: 13, hardware: h100, executor: {{kind: gpu, nondeterminism: {LAW_MAPPING}}}}}"


EXECUTOR = f"{{kind: gpu, nondeterminism: {LAW_MAPPING}}}"
MODELS = "model: {path: workload.model, values: [llama3_8b_q4, llama3_70b_q4]}"
PLATFORMS = "platform: {path: platform, values: [generic_25, generic_33, generic_49]}"
KERNELS = "kernels: {path: nodes.gpu.executor.arithmetic, values: [fp32, layercast, class_exact, exact, native]}"
TWO = f"nodes: {{a: {GPUS.replace('h100', 'a100')}, h: {GPUS}}}\nworkload: {{model: llama3_8b_q4}}\n"
SWEEPS = {
    "platform": (NODES, ["consensus: {path: consensus, values: [{result: certify}]}", PLATFORMS]),
    "kernels": (NODES, [f"executor: {{path: nodes.gpu.executor, values: [{EXECUTOR}]}}", KERNELS]),
    "model": (NODES, [f"nodes: {{path: nodes, values: [{{gpu: {GPUS}}}]}}", MODELS]),
    "proof": (NODES, ["way: {path: verification, values: [{kind: proof, system: zkpytorch}]}", MODELS]),
    "paths": (TWO, [f"both: {{paths: [nodes.a.executor, nodes.h.executor], values: [{EXECUTOR}]}}"]),
    "list": (NODES, ["list: [{platform: icp_app, consensus: {result: certify}}, {platform: generic_49}]"]),
}


@pytest.mark.parametrize("name", SWEEPS)
def test_what_is_filled_in_at_one_point_of_a_sweep_stays_there(name: str, tmp_path: Path) -> None:
    """Each point is what a single run with the same settings is, and axes keep the values that were written."""
    text, axes = SWEEPS[name]
    file = tmp_path / "s.yaml"
    file.write_text(f"{text}sweep: {{{', '.join(axes)}}}\n")
    document, _ = open_document(file)
    written = document.tree["sweep"]
    points = list(load_grid(file).points())
    assert len(points) >= 1
    for point in points:
        overrides = []
        for key, value in point.coordinates.items():
            axis = written.get(key, {"path": key})
            assert value in axis.get("values", [entry.get(key) for entry in written.get("list", [])])
            overrides += [f"{path}={json.dumps(value)}" for path in axis.get("paths", [axis.get("path")])]
        assert point.scenario.scenario_id == load_scenario(file, overrides).scenario_id


def test_gpus_in_a_group_called_cpu_are_no_cpus() -> None:
    scenario = read(NODES.replace("gpu: {count: 4, hardware: h100", "cpu: {count: 4") + "workload: {model: gpt2}\n")
    assert scenario.nodes["cpu"].executor.seconds_per_request is None


def test_with_one_executor_all_nodes_have_as_many_devices() -> None:
    nodes = f"nodes: {{a: {GPUS}, b: {GPUS.replace('count: 13', 'count: 4, devices: 8')}}}\n"
    assert "nodes.b.devices: must be the same in all groups where one node executes (a has 1) (got 8)" in mistakes(
        nodes + "verification: {kind: proof}\n"
    )
