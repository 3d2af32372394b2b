"""Benchmarks: what is measured, and that it is what runs."""

from __future__ import annotations

import json

import pytest

from sim.analysis import bench
from sim.cli import execute

KEYS = ["engine", "protocol", "nodes", "blocks_per_s", "messages_per_s", "peak_mb"]


def test_everything_is_planned_and_the_quick_part_is_pbft_of_two_sizes() -> None:
    rows, quick = bench.plan(quick=False), bench.plan(quick=True)
    assert {engine for engine, _, _ in rows} == {"events", "phases", "delays", "simpy", "heapq", "montecarlo", "exact"}
    assert {nodes for _, _, nodes in rows} == {4, 16, 64, 128, 256, 512}
    assert {protocol for _, protocol, _ in rows} == {"pbft", "tendermint", "hotstuff", "icc", None}
    assert {(protocol, nodes) for _, protocol, nodes in quick} == {("pbft", 16), ("pbft", 64), (None, 16), (None, 64)}


@pytest.mark.parametrize("engine", ["events", "phases", "delays", "simpy", "heapq"])
def test_a_block_has_as_many_messages_wherever_it_is_measured(engine: str) -> None:
    speed = bench.measure(engine, "pbft", 7, 0.01)
    assert speed.messages_per_s is not None
    assert speed.messages_per_s / speed.blocks_per_s == pytest.approx(2 * 7 * 6, rel=0.01)  # but for checkpoints
    assert speed.peak_mb is None or 10 < speed.peak_mb < 10_000


@pytest.mark.parametrize("engine", ["montecarlo", "exact"])
def test_votes_have_no_messages(engine: str) -> None:
    speed = bench.measure(engine, None, 7, 0.01)
    assert speed.messages_per_s is None
    assert speed.blocks_per_s > 0


def test_the_bare_loops_do_as_many_events_as_asked_for() -> None:
    assert bench.simpy_loop(1000, 10) == bench.heapq_loop(1000, 10) == 1000


def test_the_command_prints_a_row_for_each(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(bench, "plan", lambda **_: [("phases", "pbft", 4), ("exact", None, 4)])
    monkeypatch.setattr(bench, "QUICK_SECONDS", 0.01)
    assert execute(["bench", "--quick", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [list(row) for row in rows] == [KEYS, KEYS]
    assert [(row["engine"], row["protocol"], row["nodes"]) for row in rows] == [
        ("phases", "pbft", 4),
        ("exact", None, 4),
    ]
    assert execute(["bench", "--quick"]) == 0
    head, first, second, *_ = capsys.readouterr().out.splitlines()
    assert head.split() == ["nodes", "protocol", "engine", "blocks/s", "messages/s", "peak", "MB"]
    assert first.split()[:3] == ["4", "pbft", "phases"]
    assert second.split()[:3] == ["4", "votes", "exact"]
