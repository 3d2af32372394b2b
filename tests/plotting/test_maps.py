"""The feasibility map and the tradeoff: what is drawn is what was found."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.text import Text

from sim import ScenarioError, load_scenario
from sim.analysis.compare import Tradeoff, compare
from sim.analysis.feasibility import feasibility
from sim.catalog.catalog import builtin
from sim.cli import execute
from sim.plotting import save
from sim.plotting.feasibility import feasibility_map
from sim.plotting.tradeoff import tradeoff

WAYS = sorted((Path(__file__).parents[2] / "scenarios" / "ways_out").glob("*.yaml"))
ROW = Tradeoff(
    scenario="one",
    way="replicate",
    nodes=13,
    block_failure=1e-4,
    block_failure_high=1e-4,
    attackers=4,
    failure_under_attack=1e-4,
    failure_under_attack_high=1e-4,
    wrong_result_risk=0.0,
    wrong_result_high=0.0,
    answer_s=1.0,
    finality_s=2.0,
    machine_seconds=3.0,
    cost_vs_one_server=13.0,
    cost_usd=None,
    pareto=True,
)
NEVER = replace(ROW, block_failure=0.0, block_failure_high=0.0)


def marks(rows: list[Tradeoff]) -> list[tuple[str, float, float, bool]]:
    """Marker, place and whether it is filled, of each point."""
    points = [line for line in tradeoff(rows).get_lines() if line.get_marker() not in {"None", ""}]
    return [
        (
            str(line.get_marker()),
            float(line.get_xdata()[0]),  # type: ignore[index,arg-type]
            float(line.get_ydata()[0]),  # type: ignore[index,arg-type]
            line.get_markerfacecolor() != "white",
        )
        for line in points
    ]


def test_each_cell_of_the_map_has_the_colour_of_its_verdict_and_the_time() -> None:
    rows = feasibility(builtin(), ["ethereum", "icp_app"], ["image_classifier", "llama_7b_q4"])
    axes = feasibility_map(rows)
    assert len({patch.get_facecolor() for patch in axes.patches}) == 3  # does not fit, runs, slow
    assert [text.get_text() for text in axes.texts[:4]] == ["", "", "0.5 s", "2.25 min"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ethereum", "icp_app"]
    assert axes.get_xticklabels()[1].get_text() == "llama_7b_q4\n3.83 GB"


def test_failures_risks_and_the_front_are_where_they_belong() -> None:
    rows = [
        ROW,
        replace(NEVER, scenario="two", wrong_result_risk=0.01, wrong_result_high=0.01, cost_vs_one_server=2.0),
        replace(ROW, scenario="three", block_failure=0.0, cost_vs_one_server=99.0, pareto=False),
    ]
    assert marks(rows) == [
        ("o", 13.0, 1e-4, True),
        ("s", 2.0, 1e-5, True),  # never: a decade below all others
        ("D", 2.0, 0.01, True),
        ("v", 99.0, 1e-4, False),  # none seen: at most
    ]
    texts = {text.get_text() for text in tradeoff(rows).texts}
    assert {"one", "two", "three"} <= texts


def test_every_mark_is_within_the_axes() -> None:
    axes = tradeoff([replace(ROW, wrong_result_risk=3e-10, wrong_result_high=3e-10)])
    low, high = axes.get_ylim()
    assert low < 3e-10
    assert high > 1e-4


def test_labels_do_not_lie_on_one_another() -> None:
    rows = [replace(ROW, scenario=f"way number {index}", cost_vs_one_server=13 + index / 10) for index in range(8)]
    axes = tradeoff(rows)
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]
    boxes = [Text.get_window_extent(text) for text in axes.texts if text.get_text().startswith("way")]
    assert len(boxes) == 8
    assert not any(a.overlaps(b) for index, a in enumerate(boxes) for b in boxes[index + 1 :])


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [ROW] * 61,
        [replace(ROW, cost_vs_one_server=0.0)],
        [replace(ROW, cost_vs_one_server=float("inf"))],
        [replace(ROW, block_failure_high=2.0)],
        [replace(ROW, block_failure=5e-324)],
        [replace(ROW, cost_vs_one_server=1e308)],
        [replace(ROW, wrong_result_risk=float("nan"))],
    ],
)
def test_what_cannot_be_drawn_is_refused(rows: list[Tradeoff]) -> None:
    with pytest.raises(ScenarioError):
        tradeoff(rows)


def test_an_empty_map_is_refused() -> None:
    with pytest.raises(ScenarioError, match="1 to 60 platforms"):
        feasibility_map([])


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    rows = compare([load_scenario(path) for path in WAYS], builtin())
    for name in ("a.svg", "b.svg"):
        save(tradeoff(rows), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_the_command_draws_both_from_what_was_printed_or_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert execute(["feasibility", "--format", "json", "--plot", "0.svg"]) == 0
    Path("f.json").write_text(capsys.readouterr().out)
    assert execute(["compare", *map(str, WAYS), "--format", "json"]) == 0
    Path("c.json").write_text(capsys.readouterr().out)
    assert execute(["plot", "--kind", "feasibility", "-o", "1.svg"]) == 0
    assert execute(["plot", "f.json", "--kind", "feasibility", "-o", "2.svg"]) == 0
    assert Path("0.svg").read_bytes() == Path("1.svg").read_bytes() == Path("2.svg").read_bytes()
    assert execute(["plot", *map(str, WAYS), "--kind", "tradeoff", "-o", "3.svg"]) == 0
    assert execute(["plot", "c.json", "--kind", "tradeoff", "-o", "4.svg"]) == 0
    assert Path("3.svg").read_bytes() == Path("4.svg").read_bytes()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "rows.json: is not what sim compare --format json printed: Invalid JSON"),
        ("[{}]", "rows.json: 0.scenario: is not what sim compare --format json printed: is required"),
        ("{}", "rows.json: is not what sim compare --format json printed: must be a list"),
        (json.dumps([ROW.to_dict() | {"block_failure": "x"}]), "rows.json: 0.block_failure: is not what sim compare"),
        (json.dumps([ROW.to_dict() | {"cost_vs_one_server": -1}]), "plot: scenario 'one' has a cost or a probability"),
        (json.dumps([ROW.to_dict() | {"block_failure": float("nan")}]), "rows.json: 0.block_failure: is not what sim"),
        (json.dumps([ROW.to_dict() | {"scenario": "x" * 3_000}]), "rows.json: 0.scenario: is not what sim compare"),
        ("[" * 100_000, "rows.json: is not what sim compare --format json printed: Invalid JSON"),
    ],
)
def test_a_file_that_holds_something_else_is_told_in_one_line(
    text: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.json").write_text(text)
    assert execute(["plot", "rows.json", "--kind", "tradeoff", "-o", "x.png"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(told)
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-o", "x.png"], "sim plot: needs one file, a store that sim sweep made (got 0)"),
        (["a.db", "b.db", "-o", "x.png"], "sim plot: needs one file, a store that sim sweep made (got 2)"),
        (
            ["a.json", "b.json", "--kind", "feasibility", "-o", "x.png"],
            "sim plot: needs one file, what sim feasibility",
        ),
        (["--kind", "tradeoff", "-o", "x.png"], "sim compare: needs at least one scenario"),
        (["c.json", "--kind", "tradeoff", "-o", "d.json"], "plot: must end in .png, .svg or .pdf"),
        (["x.png", "--kind", "tradeoff", "-o", "x.png"], "--output: would overwrite what it draws"),
        (["/dev/null", "--kind", "feasibility", "-o", "x.png"], "/dev/null: is not a regular file"),
        (
            ["--kind", "feasibility", "--x", "rate", "-o", "x.png"],
            "--x: does not go with --kind feasibility",
        ),
        (["a.db", "--catalog", "c.yaml", "-o", "x.png"], "--catalog: does not go with --kind curve (got 'c.yaml')"),
        (["nowhere.json", "--kind", "feasibility", "-o", "x.png"], "nowhere.json: cannot be read"),
    ],
)
def test_wrong_arguments_are_told(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["plot", *arguments]) == 2
    assert capsys.readouterr().err.startswith(told)
