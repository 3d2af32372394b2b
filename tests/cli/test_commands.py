"""Commands: what they print, and their exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import sim
from sim.cli import dry, execute
from sim.cli import progress as progress_module

ROOT = Path(__file__).parents[2]
ARTICLE = str(ROOT / "scenarios" / "ninety_nine_ninety_nine.yaml")
CURVE = str(ROOT / "scenarios" / "failure_curve.yaml")
KEYS = [
    "scenario",
    "scenario_id",
    "engine",
    "engine_reason",
    "nodes",
    "faults_tolerated",
    "quorum",
    "blocks",
    "seed",
    "outcomes",
    "block_failure",
    "diverged_per_block",
    "warnings",
]


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    assert execute([*arguments, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_json_has_what_the_contract_says(capsys: pytest.CaptureFixture[str]) -> None:
    exact = printed(["run", ARTICLE], capsys)
    assert sorted(exact) == sorted(KEYS)
    assert list(exact["outcomes"]) == ["agreed", "no_quorum", "wrong_result", "forked"]
    assert exact["blocks"] is None
    failure = exact["block_failure"]
    assert list(failure) == ["probability", "low", "high", "count"]
    assert failure["low"] == failure["high"] == failure["probability"]
    assert failure["count"] is None
    simulated = printed(["run", ARTICLE, "--engine", "montecarlo", "--blocks", "1e5", "--seed", "7"], capsys)
    assert (simulated["blocks"], simulated["seed"], simulated["nodes"]) == (100_000, 7, 13)
    assert sum(outcome["count"] for outcome in simulated["outcomes"].values()) == 100_000
    assert list(simulated["diverged_per_block"]) == ["mean", "low", "high"]
    assert simulated["scenario_id"] == exact["scenario_id"]


def test_the_table_shows_markup_in_names_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["run", ARTICLE, "--set", "name='[red]x[/red] [/]'"]) == 0
    assert "[red]x[/red] [/]  13 nodes" in capsys.readouterr().out


@pytest.mark.parametrize(("bar", "code"), [("1e-3", 0), ("1e-6", 3), ("2", 2), ("x", 2), ("nan", 2)])
def test_a_bar_that_is_missed_exits_with_three(bar: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["run", ARTICLE, "--fail-above", bar]) == code
    captured = capsys.readouterr()
    assert bool(captured.out) == (code != 2)
    assert len(captured.err.splitlines()) == (code != 0)


@pytest.mark.parametrize(
    "arguments", [["fly"], ["run"], ["run", ARTICLE, "--fast"], ["run", ARTICLE, "--format", "xml"]]
)
def test_a_wrong_command_line_is_told_in_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(arguments) == 2
    captured = capsys.readouterr()
    assert not captured.out
    assert len(captured.err.splitlines()) == 1


def test_version_and_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"splitquorum {sim.__version__}"
    assert execute(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["required"] == ["nodes"]
    assert set(schema["properties"]) == set(sim.Scenario.model_fields)
    law = schema["$defs"]["NearTie"]["properties"]
    assert law["rate"]["exclusiveMaximum"] == 0.5
    assert "default" not in law["alternatives"]
    assert all("description" in key or "$ref" in key for key in schema["properties"].values())


def test_an_interrupted_run_keeps_what_was_finished(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sim", "run", ARTICLE, "--engine", "montecarlo", "--blocks", "1e12"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path}
    for seconds in (3, 10, 30):  # a busy machine needs longer until the first blocks are done
        with subprocess.Popen([*command, "--format", "json"], **pipes) as process:
            time.sleep(seconds)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        if out:
            break
    assert process.returncode == 130
    assert "kept" in err
    assert "Traceback" not in err
    partial = json.loads(out)
    assert 0 < partial["blocks"] < 10**12
    assert sum(outcome["count"] for outcome in partial["outcomes"].values()) == partial["blocks"]


def test_a_reader_that_leaves_early_causes_no_noise() -> None:
    line = f"{sys.executable} -m sim schema | head -1"
    done = subprocess.run(["/bin/bash", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout == "{\n"
    assert not done.stderr


def test_piped_progress_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress_module, "LINE_EVERY_S", 0.0)
    assert execute(["run", ARTICLE, "--engine", "montecarlo", "--blocks", "5e7"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 2
    assert all("of 50,000,000 blocks, about" in line for line in lines)


def test_a_sweep_from_file_to_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["sweep", CURVE, "--set", "sweep.rate.points=3", "--plot", "new/curve.svg"]
    assert execute(arguments) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 1 + 12
    assert "results go to failure_curve.db" in captured.err
    assert (tmp_path / "new" / "curve.svg").stat().st_size > 1_000
    assert execute(["results", "failure_curve.db", "--format", "csv", "-o", "new/r.csv"]) == 0
    assert (tmp_path / "new" / "r.csv").read_text().startswith("nodes,rate,scenario,")
    table = printed(["results", "failure_curve.db"], capsys)
    assert [row["point"]["nodes"] for row in table] == [4] * 3 + [13] * 3 + [34] * 3 + [40] * 3
    assert execute(["plot", "failure_curve.db", "-o", "map.png", "--kind", "heatmap"]) == 0
    assert execute(["merge", "failure_curve.db", "-o", "copy.db"]) == 0
    assert printed(["results", "copy.db"], capsys) if not capsys.readouterr().err else True
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "failure_curve.db", "map.png", "new"]


def test_results_do_not_depend_on_how_they_were_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen = []
    for number, name in enumerate(("a", "b"), start=1):
        more = ["--engine", "montecarlo", "--set", "sweep.rate.points=2", "--workers", str(number)]
        assert execute(["sweep", CURVE, "--store", str(tmp_path / name / "s.db"), *more]) == 0
        capsys.readouterr()
        for form in ("table", "csv", "json"):
            assert execute(["results", str(tmp_path / name / "s.db"), "--format", form]) == 0
        seen.append(capsys.readouterr().out)
    assert seen[0] == seen[1]
    assert execute(["results", str(tmp_path / "a" / "s.db"), "--timings"]) == 0
    assert "seconds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep", ARTICLE, "--store", "s.db"], "sweep: must have at least one axis to sweep"),
        (["sweep", CURVE, "--store", "s.db", "--plot", "s.db"], "must end in .png, .svg or .pdf"),
        (["sweep", CURVE, "--store", "s.png", "--plot", "s.png"], "would overwrite an input (got 's.png')"),
        (["sweep", CURVE, "--max-failures", "1"], "--max-failures: must be at least 2 (got 1)"),
        (["sweep", CURVE, "--max-blocks", "0"], "--max-blocks: must be a whole number of blocks up to 1e12 (got '0')"),
        (["sweep", CURVE, "--relative-error", "x"], "--relative-error: must be a number such as 0.1 (got 'x')"),
        (["sweep", CURVE, "--workers", "0"], "--workers: must be a whole number of processes (got '0')"),
        (["results", "none.db"], "none.db: is missing or empty: there are no results"),
        (["plot", "none.db", "-o", "none.db"], "would overwrite what it draws"),
        (["results", ARTICLE], "is not a store of results as sim sweep makes them, and is left as it is"),
        (["merge", "-o", "c.db"], "needs at least one store to read"),
    ],
)
def test_mistakes_are_told_in_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert execute(arguments) == 2
    captured = capsys.readouterr()
    assert not captured.out
    (line,) = captured.err.splitlines()
    assert message in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("points", [0, 1, 4, 5, 8, 57])
def test_a_dry_run_tries_points_at_both_ends_and_between(points: int) -> None:
    tried = dry._some(range(points))
    assert len(tried) == len(set(tried)) == min(points, 5)
    assert not tried or (tried[0], tried[-1]) == (0, points - 1)


def test_a_dry_run_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert execute(["sweep", CURVE, "--dry-run", "--engine", "montecarlo", "--max-blocks", "1e6"]) == 0
    out = capsys.readouterr().out
    assert "116 points: 0 exact, 116 simulated (at most 116,000,000 blocks)" in out
    assert "nothing run yet" in out
    assert not list(tmp_path.iterdir())
