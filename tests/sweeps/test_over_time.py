"""Sweeps of chains over time: each point is one run, and is kept with the blocks of its chains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim import run, sweep
from sim.cli import execute


def swept(folder: Path, values: list[float], run_block: dict[str, object]) -> Path:
    law = {"difficulty": "near_tie", "rate": 0.01}
    written = {
        "nodes": {"g": {"count": 13, "executor": {"kind": "gpu", "nondeterminism": law}}},
        "recovery": {"law": "geometric", "mean_blocks": 5},
        "on_failure": "skip",
        "run": run_block,
        "sweep": {"x": {"path": "recovery.mean_blocks", "values": values}},
    }
    path = folder / "s.yaml"
    path.write_text(json.dumps(written))
    return path


@pytest.mark.parametrize("engine", ["exact", "montecarlo"])
def test_points_are_those_of_single_runs(engine: str, tmp_path: Path) -> None:
    scenario = swept(tmp_path, [2, 50], {"blocks": 3_000, "chains": 4, "engine": engine})
    store = tmp_path / "s.db"
    rows = sweep(scenario, store, workers=1)
    for row in rows:
        assert row.result is not None
        assert row.result.to_dict() == run(row.scenario).to_dict()
    again = sweep(scenario, store, workers=1)
    assert [row.result for row in again] == [row.result for row in rows]
    first, second = (row.result.over_time for row in rows if row.result)
    assert first is not None
    assert second is not None
    assert first.nodes_away.mean < second.nodes_away.mean


def test_longer_chains_are_another_answer(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    kept = []
    for blocks in (500, 5_000):
        run_block: dict[str, object] = {"blocks": blocks, "chains": 3, "engine": "montecarlo"}
        rows = sweep(swept(tmp_path, [20], run_block), store, workers=1)
        assert rows[0].result is not None
        kept.append(rows[0].result.blocks)
    assert kept == [1_500, 15_000]


def test_a_number_of_failures_ends_no_chain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = swept(tmp_path, [20], {"blocks": 500, "chains": 3, "engine": "montecarlo"})
    command = ["sweep", str(path), "--store", str(tmp_path / "s.db"), "--workers", "1"]
    assert execute([*command, "--max-failures", "3"]) == 2
    assert "--max-failures, --relative-error: does not go with chains over time" in capsys.readouterr().err
    assert execute([*command, "--dry-run"]) == 0
    assert "1 points: 0 exact, 1 simulated (at most 1,500 blocks)" in capsys.readouterr().out
