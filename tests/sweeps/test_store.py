"""The store: untrusted, never touched when it is something else, and clear about what is wrong."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sim import ScenarioError
from sim.base.document import parse_document
from sim.scenario.grid import Grid
from sim.statistics.counts import Counts, Task
from sim.sweeps.merge import merge
from sim.sweeps.pool import Inline
from sim.sweeps.runner import Runner, choices
from sim.sweeps.stopping import Stopping
from sim.sweeps.store import Store, Stretch
from sim.sweeps.table import as_csv, as_json, flat, write_parquet

if TYPE_CHECKING:
    from sim.scenario.grid import Point

TEXT = """
name: {name}
nodes:
  gpu: {{count: 13, executor: {{kind: gpu, nondeterminism: {{rate: 1e-2, alternatives: .inf}}}}}}
run: {{engine: {engine}, seed: {seed}, blocks: {blocks}}}
sweep:
  rate: {{path: nodes.gpu.executor.nondeterminism.rate, values: {rates}}}
"""


def points(
    engine: str = "exact", rates: str = "[1e-3, 1e-2]", seed: int = 1, blocks: int = 50_000, name: str = "s"
) -> list[Point]:
    text = TEXT.format(engine=engine, rates=rates, seed=seed, blocks=blocks, name=name)
    return list(Grid(parse_document(text, "f.yaml")).points())


def filled(path: Path, some: list[Point]) -> Path:
    with Store(path, create=True) as store:
        Runner(store, Stopping(), Inline(), 1).run(choices(some))
    return path


def test_a_store_alone_is_enough_to_redo_the_sweep(tmp_path: Path) -> None:
    some = points()
    with Store(filled(tmp_path / "s.db", some)) as store:
        rows = store.rows()
    assert [row.scenario.scenario_id for row in rows] == [point.scenario.scenario_id for point in some]
    assert [row.scenario for row in rows] == [point.scenario for point in some]


def test_a_stretch_keeps_both_numbers_and_older_ones_have_one(tmp_path: Path) -> None:
    task = Task("id", "montecarlo", 1)
    both = Stretch(0, 2, Counts(task, 5, (3, 2, 0, 0), 7, 21, 6, 8))
    one = Stretch(2, 1, Counts(task, 4, (4, 0, 0, 0), 10**30, 10**40))
    path = filled(tmp_path / "s.db", points("montecarlo", blocks=1))
    with Store(path, create=True) as store:
        for stretch in (both, one):
            store.keep(1, stretch, 0.5)
        assert store.stretches(1, task) == [both, one]
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT total, total_squares FROM stretch WHERE task = 1 ORDER BY first_cell").fetchall()
    assert rows == [("7 6", "21 8"), (str(10**30), str(10**40))]


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3\x00" + bytes(100)])
def test_a_file_that_is_no_store_is_never_touched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.db"
    path.write_bytes(content)
    if content:
        with pytest.raises(ScenarioError, match="is not a store"):
            Store(path, create=True)
    with pytest.raises(ScenarioError, match=r"is not a store|there are no results"):
        Store(path)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_somebody_elses_database_is_never_touched(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE mine (x)")
    database.close()
    before = path.read_bytes()
    with pytest.raises(ScenarioError, match="is not a store"):
        Store(path, create=True)
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = filled(tmp_path / "s.db", points())
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(ScenarioError, match="newer schema"):
        Store(path)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE task SET scenario = '{\"nodes\": {}}'",
        "UPDATE task SET scenario = 'x'",
        "UPDATE task SET answer = '{}'",
        "UPDATE task SET answer = replace(answer, '\"probability\"', '\"p\"')",
        "UPDATE point SET coordinates = '3'",
        "DROP TABLE task",
    ],
)
def test_a_damaged_store_is_told_in_one_line(tmp_path: Path, damage: str) -> None:
    path = filled(tmp_path / "s.db", points())
    with sqlite3.connect(path) as database:
        database.execute(damage)
    database.close()
    with Store(path) as store, pytest.raises(ScenarioError) as caught:
        store.rows()
    assert len(str(caught.value).splitlines()) == 1


def test_folders_of_a_store_are_made(tmp_path: Path) -> None:
    assert filled(tmp_path / "a" / "b" / "s.db", points()).exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_told_in_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ScenarioError, match="cannot be used as a store"):
        Store(tmp_path / "s.db", create=True)


def test_a_folder_in_place_of_a_store_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError):
        Store(tmp_path, create=True)


def test_a_full_disk_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    path = filled(tmp_path / "s.db", points())
    with Store(path, create=True) as store:
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages}")  # as full as a disk can be
        runner = Runner(store, Stopping(), Inline(), 1)
        with pytest.raises(ScenarioError, match="full"):
            runner.run(choices(points(rates=str([10**-i for i in range(1, 200)]))))
    with Store(path) as store:
        assert [row.result is not None for row in store.rows()] == [True, True]


def test_csv_is_ready_for_pandas_and_harmless_in_a_spreadsheet(tmp_path: Path) -> None:
    import pandas as pd

    with Store(filled(tmp_path / "s.db", points(name="'=cmd()'"))) as store:
        rows = store.rows()
    (tmp_path / "s.csv").write_text(as_csv(rows))
    frame = pd.read_csv(tmp_path / "s.csv")
    assert frame["rate"].tolist() == [1e-3, 1e-2]
    assert frame["block_failure"].tolist() == [row.result.block_failure.probability for row in rows if row.result]
    assert frame["scenario"].tolist() == ["'=cmd()"] * 2
    write_parquet(rows, tmp_path / "s.parquet")
    again = pd.read_parquet(tmp_path / "s.parquet")
    assert again["block_failure"].tolist() == frame["block_failure"].tolist()
    assert flat(rows[0]).keys() == flat(rows[1]).keys()
    assert as_json(rows)[0]["point"] == {"rate": 1e-3}


def test_merging_folds_the_stores_of_two_machines(tmp_path: Path) -> None:
    one = filled(tmp_path / "a.db", points("montecarlo", "[1e-2, 0.1]"))
    two = filled(tmp_path / "b.db", points("montecarlo", "[0.1, 0.2]"))
    assert merge([one, two], tmp_path / "c.db") == 3
    whole = filled(tmp_path / "whole.db", points("montecarlo", "[1e-2, 0.1, 0.2]"))
    with Store(tmp_path / "c.db") as merged, Store(whole) as plain:
        assert merged.rows() == plain.rows()
    with Store(tmp_path / "c.db", create=True) as merged:
        runner = Runner(merged, Stopping(), Inline(), 1)
        runner.run(choices(points("montecarlo", "[1e-2, 0.1, 0.2]")))
    assert runner.reused == 3


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE task SET answer = replace(answer, '\"blocks\": 2000000', '\"blocks\": 1999999')",
        "UPDATE task SET version = '0.0.1'",
        "UPDATE stretch SET total = total + 1",
    ],
)
def test_conflicts_are_refused_and_leave_nothing_behind(tmp_path: Path, tampering: str) -> None:
    some = points("montecarlo", "[0.1]", blocks=2_000_000)
    one, two = filled(tmp_path / "a.db", some), filled(tmp_path / "b.db", some)
    with sqlite3.connect(two) as database:
        assert database.execute(tampering).rowcount > 0
    database.close()
    with pytest.raises(ScenarioError, match=r"disagrees|different versions"):
        merge([one, two], tmp_path / "c.db")
    assert not (tmp_path / "c.db").exists()


def test_merging_never_overwrites(tmp_path: Path) -> None:
    one = filled(tmp_path / "a.db", points())
    with pytest.raises(ScenarioError, match="exists already"):
        merge([one], one)
