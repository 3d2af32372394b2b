"""`sim report`: the command."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sim import load_scenario, run
from sim.cli import execute

pytest.importorskip("plotly")

SCENARIOS = Path(__file__).parents[2] / "scenarios"
ARTICLE = str(SCENARIOS / "ninety_nine_ninety_nine.yaml")
MIX = str(SCENARIOS / "hardware_mix.yaml")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_one_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["report", ARTICLE, "-o", "new/r.html", "--set", "nodes.gpu.count=40"]) == 0
    assert capsys.readouterr().out == "wrote new/r.html\n"
    text = Path("new/r.html").read_text(encoding="utf-8")
    assert len(text.encode()) < 6_000_000
    failure = run(load_scenario(ARTICLE, ["nodes.gpu.count=40"])).block_failure.probability
    assert f"<td>block failure<td>{failure:.5g}<td>exact<td>one block in {1 / failure:,.0f}\n" in text
    assert f"sim run {ARTICLE} --set nodes.gpu.count=40" in text


def test_a_sweep_and_its_store_give_the_same_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["report", MIX, "-o", "a.html", "--store", "mix.db"]) == 0
    assert execute(["report", "mix.db", "-o", "b.html"]) == 0
    capsys.readouterr()
    first, second = (Path(name).read_text(encoding="utf-8").split("Make it again")[0] for name in ("a.html", "b.html"))
    assert first == second
    assert "All points" in first


def test_where_a_scenario_cannot_be_drawn_the_page_says_so() -> None:
    crowd = str(SCENARIOS / "healed_partition.yaml")
    large = ["--set", "nodes.validator.count=65", "--blocks", "1"]
    assert execute(["report", crowd, "-o", "r.html", *large]) == 0
    assert "a chart of messages has at most 64" in Path("r.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing.yaml", "-o", "r.html"], "missing.yaml: "),
        ([ARTICLE, "-o", "r.pdf"], "--output: must end in .html (got 'r.pdf')"),
        ([ARTICLE, "-o", "r.html", "--store", "s.db"], "--store: goes with a scenario with a sweep (got 's.db')"),
        ([ARTICLE, "-o", "r.html", "--engine", "events2"], "--engine events2: run.engine: "),
        (["mix.db", "-o", "r.html", "--seed", "3"], "--seed: does not go with a store (got '3')"),
        (["mix.db", "-o", "r.html", "--set", "name=x"], "--set: does not go with a store (got 'name=x')"),
        (["other.db", "-o", "r.html"], "other.db: is not a store of results"),
        (["mix.html", "-o", "mix.html"], "--output: would overwrite what it shows"),
        ([MIX, "-o", "s.html", "--store", "s.html"], "--output: would overwrite what it shows"),
        ([ARTICLE, "-o", "mix.db/r.html"], "mix.db/r.html: cannot be written: "),
        ([ARTICLE], "sim: "),
    ],
)
def test_a_mistake_is_told_in_one_line(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["sweep", MIX, "--store", "mix.db"]) == 0
    Path("other.db").write_bytes(b"SQLite format 3\x00" + bytes(200))
    capsys.readouterr()
    assert execute(["report", *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(told)
    assert not Path("r.html").exists()


def test_without_plotly_nothing_is_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    assert execute(["report", MIX, "-o", "r.html"]) == 2
    assert capsys.readouterr().err == "sim report: needs plotly: pip install 'splitquorum[report]'\n"
    assert not list(Path().iterdir())


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["report", "--help"]) == 0
    assert "sim report scenarios/failure_curve.yaml -o report.html" in capsys.readouterr().out
