"""Sweeps whose points are run message by message."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from unittest.mock import ANY

import pytest

from sim import Stopping, load_scenario, run, sweep
from sim.cli import execute
from sim.engines.result import Result
from sim.sweeps.repeat import repeat_store
from sim.sweeps.table import as_csv
from sim.sweeps.work import Answered, answer_whole

SCENARIO = """\
nodes: {gpu: {count: 4, executor: {kind: gpu, nondeterminism: {rate: 0.2}}}}
network: {latency: 0.05}
run: {blocks: 40}
sweep:
  latency: {path: network.latency, values: [0.02, 0.08]}
  protocol: {path: consensus.protocol, values: [pbft, tendermint]}
"""
CHAINS = """\
nodes: {gpu: {count: 4, executor: {kind: gpu, nondeterminism: {rate: 0.01}}}}
recovery: {blocks: 20}
run: {blocks: 100, chains: 1000000, engine: montecarlo}
sweep:
  rate: {path: nodes.gpu.executor.nondeterminism.rate, values: [0.01, 0.02, 0.03]}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "s.yaml"
    path.write_text(SCENARIO)
    return path


@pytest.mark.parametrize("workers", [1, 2])
def test_a_sweep_gives_what_single_runs_give_whatever_the_workers(scenario: Path, tmp_path: Path, workers: int) -> None:
    rows = sweep(scenario, tmp_path / "r.db", workers=workers)
    assert [row.coordinates["protocol"] for row in rows] == ["pbft", "tendermint"] * 2
    for row in rows:
        assert row.result == run(row.scenario)
        assert row.result is not None
        assert row.result.timing is not None
    again = sweep(scenario, tmp_path / "r.db", workers=workers)
    assert again == rows


def test_a_point_ends_at_the_failing_block_that_was_asked_for(scenario: Path, tmp_path: Path) -> None:
    rows = sweep(scenario, tmp_path / "r.db", stopping=Stopping(max_blocks=1000, max_failures=5), workers=1)
    for row in rows:
        assert row.result is not None
        assert row.result.block_failure.count == 5
        assert row.result.blocks is not None
        assert row.result.blocks < 1000
        assert any("stopped at failing block 5" in warning for warning in row.result.warnings)
        alone = run(row.scenario, blocks=row.result.blocks)
        assert alone.outcomes == row.result.outcomes


def test_the_table_has_what_was_measured(scenario: Path, tmp_path: Path) -> None:
    rows = sweep(scenario, tmp_path / "r.db", workers=1)
    (first, *_) = csv.DictReader(io.StringIO(as_csv(rows)))
    assert rows[0].result is not None
    assert rows[0].result.timing is not None
    assert rows[0].result.timing.latency_s is not None
    assert float(first["latency_p50_s"]) == rows[0].result.timing.latency_s["p50"]
    assert float(first["messages_per_block"]) == 36
    assert float(first["blocks_per_s"]) == rows[0].result.timing.blocks_per_s


def test_a_dry_run_tells_the_work(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["sweep", str(scenario), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "0: latency = 0.02, protocol = 'pbft' (phases)" in said
    assert "4 points: 0 exact, 4 simulated (at most 160 blocks)" in said


def test_the_curve_of_a_latency_sweep_is_drawn(scenario: Path, tmp_path: Path) -> None:
    picture = tmp_path / "c.png"
    arguments = ["sweep", str(scenario), "--store", str(tmp_path / "r.db"), "--plot", str(picture), "--workers", "1"]
    assert execute(arguments) == 0
    assert picture.stat().st_size > 10_000
    assert load_scenario(scenario).network is not None


def test_the_table_shows_throughput_and_work_where_they_are_known(
    scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["sweep", str(scenario), "--store", str(tmp_path / "a.db")]) == 0
    head = capsys.readouterr().out.splitlines()[0]
    assert "blocks a second" in head
    assert "one server" not in head
    scenario.write_text(
        SCENARIO.replace("network: {latency: 0.05}\n", "").replace("kind: gpu,", "kind: gpu, seconds_per_request: 2,")
    )
    where = ["--set", "sweep={nodes: {path: nodes.gpu.count, values: [4, 7]}}", "--engine", "exact"]
    assert execute(["sweep", str(scenario), "--store", str(tmp_path / "b.db"), *where]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "blocks a second" not in lines[0]
    assert [line.split()[-1] for line in lines[1:]] == ["4", "7"]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("engine", ["events", "phases"])
def test_time_ends_a_point_that_is_one_run(tmp_path: Path, engine: str, workers: int) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SCENARIO.replace("blocks: 40", f"blocks: 1000000, engine: {engine}"))
    check_late(path, tmp_path / "r.db", workers, max_time=3.0)


def test_time_ends_a_point_that_is_many_chains(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(CHAINS)
    result = check_late(path, tmp_path / "r.db", workers=1, max_time=1.0)
    assert result.over_time is not None
    assert result.over_time.chains is not None
    assert 0 < result.over_time.chains < 1_000_000


def test_what_comes_to_a_worker_too_late_is_not_begun(scenario: Path) -> None:
    point = load_scenario(scenario)
    assert answer_whole(point, "events", "", 40, None, until=time.time() - 1) == Answered(None, "", ANY, late=True)
    assert answer_whole(point, "events", "", 40, None, until=time.time() + 60).result is not None


def check_late(path: Path, store: Path, workers: int, max_time: float) -> Result:
    """See that a sweep of too much ends in time, and that what it kept can be had again."""
    started = time.monotonic()
    rows = sweep(path, store, stopping=Stopping(max_time=max_time), workers=workers)
    assert time.monotonic() - started < 60
    result = rows[0].result
    assert result is not None
    assert any("--max-time" in warning for warning in result.warnings)
    assert result.blocks is not None
    assert 0 < result.blocks < 1_000_000
    assert all(row.result is None for row in rows[2 * workers :])
    assert [repeated.difference for repeated in repeat_store(store, rows[0].scenario.scenario_id)] == [""]
    return result
