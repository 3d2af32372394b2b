"""Scenarios that name a recording: what counts is its content; what cannot be replayed is refused with what to do."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from scenario.command import refused

from sim.base.errors import ScenarioError
from sim.engines.select import run
from sim.inference.recordings import Header, Record, writing
from sim.scenario.load import load_grid, load_scenario
from sim.scenario.schema import Scenario

NODES = "nodes:\n  gpu:\n    count: 7\n    executor: {kind: recorded, recording: counts.csv}\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(NODES)
    Path("counts.csv").write_text("class_sizes\n10\n7;2;1\n")


def test_the_id_covers_the_content_of_the_recording() -> None:
    first = load_scenario("s.yaml").scenario_id
    Path("counts.csv").write_text("class_sizes\n7;2;1\n10\n")
    assert load_scenario("s.yaml").scenario_id == first, "the order of prompts decides nothing"
    Path("counts.csv").write_text("class_sizes\n7;3\n10\n")
    assert load_scenario("s.yaml").scenario_id != first
    Path("other.csv").write_text("class_sizes\n10\n7;2;1\n")
    Path("s.yaml").write_text(NODES.replace("counts", "other"))
    assert load_scenario("s.yaml").scenario_id == first, "the name of the file decides nothing"


def test_a_file_that_changes_within_a_second_is_read_again() -> None:
    before = load_scenario("s.yaml").scenario_id
    status = Path("counts.csv").stat()
    Path("counts.csv").write_text("class_sizes\n10\n6;3;1\n")
    os.utime("counts.csv", ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert load_scenario("s.yaml").scenario_id != before


def test_a_recorded_executor_is_the_empirical_difficulty() -> None:
    law = "executor: {kind: gpu, nondeterminism: {difficulty: empirical, recording: counts.csv}}"
    Path("t.yaml").write_text(NODES.replace("executor: {kind: recorded, recording: counts.csv}", law))
    assert load_scenario("t.yaml").scenario_id == load_scenario("s.yaml").scenario_id


def test_it_can_be_repeated_from_what_a_trace_holds() -> None:
    from sim.scenario.identity import canonical

    loaded = load_scenario("s.yaml")
    again = Scenario.model_validate(canonical(loaded))
    assert again.scenario_id == loaded.scenario_id
    assert run(again).block_failure == run(loaded).block_failure


def test_a_recording_is_replayed_by_hardware_class() -> None:
    with writing("r.jsonl.gz", Header(recording=1)) as put:
        for prompt in range(4):
            for index in range(13):
                answer = str(index >= 7) if prompt == 0 else ""
                hardware = "h100" if index < 7 else "a100"
                put(Record(prompt=str(prompt), replica=str(index), hardware=hardware, hash=answer))
    assert gzip.decompress(Path("r.jsonl.gz").read_bytes()).startswith(b'{"recording":1}')
    group = "  {0}:\n    count: {1}\n    hardware: {0}\n    executor: {{kind: recorded, recording: r.jsonl.gz}}\n"
    for counts, failing in (((7, 6), 0.25), ((7, 1), 0.0)):
        Path("s.yaml").write_text("nodes:\n" + group.format("h100", counts[0]) + group.format("a100", counts[1]))
        assert run(load_scenario("s.yaml")).block_failure.probability == pytest.approx(failing, abs=1e-15)


def told(*flags: str, capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = refused(["run", "s.yaml", *flags], capsys)
    return line


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("nodes.gpu.count=13", "nodes.gpu.count: must be at most the 10 runs of each prompt that the recording has: "),
        ("nodes.gpu.executor.recording=absent", "recording: must name a file that exists (got 'absent')"),
        ("nodes.gpu.executor.recording=../c", "recording: must be a path relative to the scenario's folder"),
        ("nodes.gpu.executor.recording=/etc/passwd", "recording: must be a path relative to the scenario's folder"),
        ("nodes.gpu.executor.recording=.", "recording: cannot be used: "),
        ("nodes.gpu.executor.recording=s.yaml", "s.yaml:1: must be a recording, or CSV with a column class_sizes"),
        ("verification={kind: tee}", "verification: must be replicate where a recording is replayed"),
        ("consensus.appeal={rounds: 1}", "consensus.appeal: must be left out where a recording is replayed"),
        ("on_failure=retry", "on_failure: must be left out where a recording is replayed"),
        ("nodes.cpu={count: 1, executor: {kind: cpu}}", "nodes.cpu.executor.kind: must replay a recording too"),
        ("nodes.gpu.executor.outputs=[a, a, a, a, a, a, a]", "recording: must stand in place of outputs"),
    ],
)
def test_what_cannot_be_replayed_is_told(flag: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert expected in told("--set", flag, capsys=capsys)


def test_too_many_nodes_are_told_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    line = told("--set", "nodes.gpu.count=13", capsys=capsys)
    assert "record more replicas, or fit a law to it (sim calibrate)" in line


def test_byzantine_nodes_need_no_runs() -> None:
    assert load_scenario("s.yaml", ["nodes.gpu.count=13", "faults.byzantine=3"]).node_count == 13
    with pytest.raises(ScenarioError, match="at most the 10 runs"):
        load_scenario("s.yaml", ["nodes.gpu.count=13", "faults.byzantine=2"])


def test_a_broken_recording_is_told_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("counts.csv").write_text("class_sizes\n10\nmany\n")
    assert "counts.csv:3: class_sizes must be numbers" in told(capsys=capsys)


def test_a_sweep_reads_the_recording_at_every_point() -> None:
    Path("s.yaml").write_text(NODES + "sweep:\n  n: {path: nodes.gpu.count, values: [4, 7, 10]}\n")
    failures = [run(point.scenario).block_failure.probability for point in load_grid("s.yaml").points()]
    assert failures == pytest.approx([1 / 6, 7 / 48, 0], abs=1e-15)  # 1/2 of what hypergeometric tails give for 7;2;1
