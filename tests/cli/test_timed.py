"""The command line of what is run message by message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from sim.cli import execute, over_time, timing
from sim.engines.chains.chronicle import Halt
from sim.engines.timing import Cause

SCENARIO = """\
nodes: {gpu: {count: 4, executor: {kind: gpu, nondeterminism: {rate: 0.2}}}}
consensus: {result: propose}
network: {latency: {kind: lognormal, median: 0.05, sigma: 0.4}}
run: {blocks: 50}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> str:
    path = tmp_path / "s.yaml"
    path.write_text(SCENARIO)
    return str(path)


def test_the_table_has_the_measures_and_the_settings_behind_them(
    scenario: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["run", scenario]) == 0
    said = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "p50 0." in said["latency"]
    assert "agreed blocks a second" in said["throughput"]
    assert " a block, " in said["messages"]
    assert "by divergence" in said["failed"]
    assert "sigma: 0.4" in said["network"]
    assert "block_bytes 100000" in said["network"]
    assert "view 4" in said["timeouts"]
    assert "propose" not in said["timeouts"]


def test_timeouts_of_icc_are_told_with_their_defaults(scenario: str, capsys: pytest.CaptureFixture[str]) -> None:
    changed = ["--set", "consensus.protocol=icc", "--set", "consensus.timeouts.notary=0.2"]
    assert execute(["run", scenario, *changed]) == 0
    said = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert said["timeouts"].split(maxsplit=1)[1] == "rank 1.0, notary 0.2, max_rounds 1"


def test_json_has_the_contract_and_the_timing(scenario: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["run", scenario, "--format", "json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["engine"] == "phases"
    assert plain["timing"].pop("blocks_by_messages") >= plain["block_failure"]["count"]
    assert set(plain["timing"]) == {
        "simulated_s",
        "blocks_per_s",
        "latency_s",
        "rounds_per_block",
        "messages_per_block",
        "bytes_per_block",
        "messages_by_type",
        "bytes_by_type",
        "causes",
        "failed_blocks",
        "first_violation",
    }
    assert plain["timing"]["causes"] == {"divergence": plain["block_failure"]["count"]}
    assert plain["timing"]["bytes_by_type"]["pre-prepare"] == 3 * 100_200


def test_a_trace_is_written_where_it_is_wanted(scenario: str, tmp_path: Path) -> None:
    trace = tmp_path / "deep" / "trace"
    assert execute(["run", scenario, "--trace", str(trace)]) == 0
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    assert min(line["height"] for line in lines[1:] if "height" in line) == 1
    assert max(line["height"] for line in lines[1:] if "height" in line) == 50


def test_a_trace_does_not_overwrite_the_scenario(scenario: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["run", scenario, "--trace", scenario]) == 2
    assert "would overwrite the scenario" in capsys.readouterr().err
    assert Path(scenario).read_text() == SCENARIO


def test_protocols_are_listed_told_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["protocols"]) == 0
    assert "Castro and Liskov" in capsys.readouterr().out
    assert execute(["protocols", "tendermint"]) == 0
    assert "locks" in capsys.readouterr().out
    for name in ("pbft", "tendermint", "hotstuff", "icc"):
        pictures = [tmp_path / f"{name}{number}.svg" for number in (1, 2)]
        for picture in pictures:
            assert execute(["protocols", name, "-o", str(picture)]) == 0
        assert pictures[0].read_bytes() == pictures[1].read_bytes()
    assert execute(["protocols", "pbtf"]) == 2
    assert "did you mean pbft?" in capsys.readouterr().err
    assert execute(["protocols", "-o", "x.png"]) == 2


def test_every_cause_is_explained() -> None:
    assert set(timing.MEANING) == set(get_args(Cause))
    assert set(over_time.MEANING) == set(get_args(Halt))
