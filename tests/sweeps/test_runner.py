"""The runner: the same results for any executor and interruption, and finished work is never redone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sim import ScenarioError, load_scenario, run
from sim.engines.montecarlo import MonteCarlo
from sim.scenario.load import load_grid
from sim.sweeps import pool
from sim.sweeps.runner import Runner, choices
from sim.sweeps.stopping import Stopping
from sim.sweeps.store import Store
from sim.sweeps.work import failures_of, finish, nothing_of, simulation

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from sim.scenario.grid import Point
    from sim.sweeps.row import Row

SWEEP = """
nodes:
  gpu: {count: 13, executor: {kind: gpu, nondeterminism: {rate: 1e-2}}}
run: {engine: montecarlo, seed: 3}
sweep:
  n: {path: nodes.gpu.count, values: [4, 13]}
  rate: {path: nodes.gpu.executor.nondeterminism.rate, values: [1e-3, 3e-2]}
"""
LONG = Stopping(max_blocks=8_000_000)


@pytest.fixture
def points(tmp_path: Path) -> list[Point]:
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    return list(load_grid(tmp_path / "sweep.yaml").points())


def swept(
    path: Path, points: list[Point], stopping: Stopping, executor: Executor | None = None, ahead: int = 1
) -> tuple[Runner, list[Row]]:
    with Store(path, create=True) as store:
        runner = Runner(store, stopping, executor or pool.Inline(), ahead)
        runner.run(choices(points))
        return runner, store.rows()


def answers(rows: list[Row]) -> list[dict[str, Any]]:
    assert all(row.result for row in rows)
    return [row.result.to_dict() for row in rows if row.result]


@pytest.mark.parametrize("stopping", [Stopping(), LONG, Stopping(max_blocks=10**9, max_failures=5_000)])
def test_the_same_results_for_any_number_of_workers(tmp_path: Path, points: list[Point], stopping: Stopping) -> None:
    _, alone = swept(tmp_path / "one.db", points, stopping)
    for number in (2, 5):
        with pool.workers(number) as executor:
            _, together = swept(tmp_path / f"{number}.db", points, stopping, executor, number)
        assert answers(together) == answers(alone)


def test_a_sweep_gives_what_single_runs_give(tmp_path: Path, points: list[Point]) -> None:
    _, rows = swept(tmp_path / "s.db", points, Stopping(max_blocks=300_000))
    for row in rows:
        single = run(row.scenario, blocks=300_000)
        assert row.result is not None
        assert row.result.outcomes == single.outcomes
        assert row.result.block_failure == single.block_failure


def test_finished_work_is_never_redone(tmp_path: Path, points: list[Point], monkeypatch: pytest.MonkeyPatch) -> None:
    first, before = swept(tmp_path / "s.db", points, LONG)
    assert (first.answered, first.reused) == (4, 0)

    def refuse(*_: Any) -> None:
        raise AssertionError("counted again")

    monkeypatch.setattr(MonteCarlo, "count", refuse)
    again, after = swept(tmp_path / "s.db", points, LONG)
    assert (again.answered, again.reused, again.failed) == (4, 4, 0)
    assert after == before


def test_a_raised_target_goes_on_from_what_is_there(
    tmp_path: Path, points: list[Point], monkeypatch: pytest.MonkeyPatch
) -> None:
    swept(tmp_path / "s.db", points[1:2], LONG)
    cell_blocks = simulation(points[1].scenario).cell_blocks
    counted: list[int] = []
    count = MonteCarlo.count

    def noted(self: MonteCarlo, cell: int, blocks: int) -> Any:
        counted.append(cell)
        return count(self, cell, blocks)

    monkeypatch.setattr(MonteCarlo, "count", noted)
    more = Stopping(max_blocks=12_000_000)
    _, rows = swept(tmp_path / "s.db", points[1:2], more)
    assert counted
    assert min(counted) >= 8_000_000 // cell_blocks
    _, fresh = swept(tmp_path / "fresh.db", points[1:2], more)
    assert answers(rows) == answers(fresh)


def test_a_lowered_target_uses_what_is_there(tmp_path: Path, points: list[Point]) -> None:
    swept(tmp_path / "s.db", points, LONG)
    _, rows = swept(tmp_path / "s.db", points, Stopping(max_blocks=3_000_000))
    _, fresh = swept(tmp_path / "fresh.db", points, Stopping(max_blocks=3_000_000))
    assert answers(rows) == answers(fresh)


def test_a_changed_description_runs_nothing_again(tmp_path: Path, points: list[Point]) -> None:
    swept(tmp_path / "s.db", points, Stopping())
    text = SWEEP.replace("\nnodes:", "\nname: another\ndescription: what for\nnodes:", 1)
    (tmp_path / "again.yaml").write_text(text)
    again, rows = swept(tmp_path / "s.db", list(load_grid(tmp_path / "again.yaml").points()), Stopping())
    assert again.reused == 4
    assert rows[0].scenario.name == "another"


def test_the_rth_failing_block_ends_a_point(points: list[Point]) -> None:
    scenario = points[0].scenario
    done = finish(scenario, nothing_of(scenario), 0, 10**9, 500)
    assert done.by_failures
    assert failures_of(done.counts) == 500
    blocks = done.counts.trials
    assert run(scenario, blocks=blocks).block_failure.count == 500
    assert run(scenario, blocks=blocks - 1).block_failure.count == 499


def test_intervals_of_single_outcomes_are_then_marked_approximate(tmp_path: Path, points: list[Point]) -> None:
    _, rows = swept(tmp_path / "s.db", points, Stopping(max_blocks=10**9, max_failures=100))
    for row in rows:
        assert row.result is not None
        assert row.result.block_failure.count == 100
        assert row.result.blocks is not None
        assert row.result.block_failure.probability == 99 / (row.result.blocks - 1)
        assert any("approximate" in warning for warning in row.result.warnings)


def test_one_failing_point_does_not_keep_the_others_back(
    tmp_path: Path, points: list[Point], monkeypatch: pytest.MonkeyPatch
) -> None:
    count = MonteCarlo.count

    def fragile(self: MonteCarlo, cell: int, blocks: int) -> Any:
        if self.scenario.node_count == 4:
            raise MemoryError("no room")
        return count(self, cell, blocks)

    monkeypatch.setattr(MonteCarlo, "count", fragile)
    runner, rows = swept(tmp_path / "s.db", points, Stopping())
    assert (runner.answered, runner.failed) == (2, 2)
    assert [row.error for row in rows] == ["MemoryError: no room"] * 2 + [""] * 2
    monkeypatch.undo()
    again, rows = swept(tmp_path / "s.db", points, Stopping())
    assert (again.answered, again.reused, again.failed) == (4, 2, 0)
    assert not any(row.error for row in rows)


def test_time_ends_a_sweep_and_says_so(tmp_path: Path, points: list[Point]) -> None:
    stopping = Stopping(max_blocks=10**12, max_time=0.5)
    _, rows = swept(tmp_path / "s.db", points, stopping)
    assert rows[0].result is not None
    assert any("--max-time" in warning for warning in rows[0].result.warnings)
    assert rows[0].result.blocks is not None
    assert 0 < rows[0].result.blocks < 10**12
    _, resumed = swept(tmp_path / "s.db", points[:1], Stopping(max_blocks=rows[0].result.blocks))
    assert resumed[0].result is not None
    assert resumed[0].result.outcomes == rows[0].result.outcomes


def test_results_of_another_version_are_not_mixed_in(
    tmp_path: Path, points: list[Point], monkeypatch: pytest.MonkeyPatch
) -> None:
    swept(tmp_path / "s.db", points, Stopping())
    monkeypatch.setattr("sim.sweeps.store.__version__", "0.0.1")
    with pytest.raises(ScenarioError, match=r"results of version .*, and this is 0\.0\.1"):
        swept(tmp_path / "s.db", points, Stopping())


def test_exact_points_are_answered_without_blocks(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    scenario = root / "scenarios" / "hardware_mix.yaml"
    _, rows = swept(tmp_path / "s.db", list(load_grid(scenario).points()), Stopping())
    assert len(rows) == 12
    for row in rows:
        assert row.result is not None
        assert row.result.engine == "exact"
        assert row.result.outcomes == run(row.scenario).outcomes
    assert load_scenario(scenario).sweep is not None
