"""Rows in notebooks: HTML, tables of pandas and xarray that hold every point where it belongs, pictures in one call."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest
from engines.test_frames import HOSTILE, read

from sim import ScenarioError, SplitquorumError, sweep
from sim.sweeps.rows import SHOWN_MAX, Rows
from sim.sweeps.store import Store
from sim.sweeps.table import flat

ROOT = Path(__file__).parents[2]
CURVE = ROOT / "scenarios" / "failure_curve.yaml"
MIX = ROOT / "scenarios" / "hardware_mix.yaml"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    return sweep(CURVE, tmp_path_factory.mktemp("curve") / "c.db", overrides=["sweep.rate.points=9"])


@pytest.fixture(scope="module")
def mix(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    return sweep(MIX, tmp_path_factory.mktemp("mix") / "m.db")


def test_rows_are_a_list_and_their_slices_rows(rows: Rows, tmp_path: Path) -> None:
    assert isinstance(rows, list)
    assert len(rows) == 36
    assert isinstance(rows[3:9], Rows)
    assert list(rows[3:9]) == list(rows)[3:9]
    assert rows[-1].position == 35
    assert repr(rows) == "<36 rows of 'failure curve' over nodes, rate: 36 answered>"
    assert pickle.loads(pickle.dumps(rows)) == rows  # noqa: S301 -- our own
    assert repr(Rows()) == "<0 rows: 0 answered>"
    sweep(MIX, tmp_path / "m.db")
    with Store(tmp_path / "m.db") as store:
        assert isinstance(store.rows(), Rows)


def test_html_shows_the_first_and_the_last_rows_and_escapes_names(rows: Rows, tmp_path: Path) -> None:
    whole = read(rows._repr_html_())
    assert whole.texts.count("exact") == 2 * SHOWN_MAX, "interval and engine"
    assert whole.texts[-1] == "the first and the last 10 of 36 rows; to_pandas() has all"
    assert f"{rows[0].result.block_failure.probability:.4g}" in whole.texts  # type: ignore[union-attr]
    assert read(rows[:7]._repr_html_()).texts.count("exact") == 14
    assert read(Rows()._repr_html_()).texts
    text = MIX.read_text(encoding="utf-8").replace("name: hardware mix", "name: '<b>&</b><script>'")
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    hostile = read(sweep(tmp_path / "x.yaml", tmp_path / "x.db")._repr_html_())
    assert hostile.seen == whole.seen - {"div"} | {"div"}
    assert "<b>&</b><script>" in hostile.texts[0]
    assert "</script>" in HOSTILE


def test_pandas_has_every_row_and_column(rows: Rows, mix: Rows) -> None:
    for chosen in (rows, mix):
        frame = chosen.to_pandas()
        assert len(frame) == len(chosen)
        for row, (_, line) in zip(chosen, frame.iterrows(), strict=True):
            for key, value in flat(row).items():
                assert (str(line[key]) in {"None", "nan", "<NA>"}) if value is None else line[key] == value
    assert str(mix.to_pandas()["quorum"].dtype) == "Int64"
    assert not len(Rows().to_pandas())


def test_xarray_has_every_point_at_its_coordinates(rows: Rows) -> None:
    dataset = rows.to_xarray()
    assert dict(dataset.sizes) == {"rate": 9, "nodes": 4}
    for row in rows:
        assert row.result is not None
        there = dataset.block_failure.sel(rate=row.coordinates["rate"], nodes=row.coordinates["nodes"])
        assert float(there) == row.result.block_failure.probability
    assert "result_nodes" in dataset, "the axis nodes keeps its name"
    shuffled = Rows([*rows[20:], *rows[:20]]).to_xarray()
    assert dataset.block_failure.equals(shuffled.block_failure.sel(dataset.coords))


def test_what_is_no_full_grid_lies_along_its_points(rows: Rows, mix: Rows) -> None:
    for chosen in (mix, rows[:-1], Rows([*rows[:-1], rows[0]])):
        dataset = chosen.to_xarray()
        assert dict(dataset.sizes) == {"point": len(chosen)}
        for place, row in enumerate(chosen):
            assert row.result is not None
            assert float(dataset.block_failure[place]) == row.result.block_failure.probability
            for axis, value in row.coordinates.items():
                assert dataset[axis].values[place] == value


def test_a_picture_comes_in_one_call(rows: Rows, tmp_path: Path) -> None:
    picture = rows.plot()
    assert picture._repr_png_().startswith(b"\x89PNG")
    picture.save(tmp_path / "new" / "c.svg")
    assert (tmp_path / "new" / "c.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert picture.axes.get_yscale() == "log"
    assert rows.plot("heatmap", x="rate", y="nodes")._repr_png_()
    with pytest.raises(ScenarioError, match="no point has nodes"):
        rows.plot(series="nodes=5")


@pytest.mark.parametrize("name", ["pandas", "xarray"])
def test_without_the_package_the_error_says_what_to_install(
    name: str, mix: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SplitquorumError) as caught:
        getattr(mix, f"to_{name}")()
    assert str(caught.value) == f"Rows.to_{name} needs {name}: pip install 'splitquorum[{name}]'"
