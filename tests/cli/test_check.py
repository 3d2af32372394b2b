"""`sim check`: what it prints, its files, its exit codes, and what it makes of bad input."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sim.cli import execute
from sim.cli import progress as progress_module

ROOT = Path(__file__).parents[2]
SAFE = str(ROOT / "scenarios" / "safety_check.yaml")
FORKS = [SAFE, "--set", "consensus.quorum=3", "--set", "nodes.validator.count=5"]


def test_a_protocol_that_holds_is_told_with_all_that_has_happened(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["check", SAFE, "--schedules", "60"]) == 0
    out = capsys.readouterr().out
    assert len(re.findall(r"^  .* held ", out, re.MULTILINE)) == 5
    assert re.search(r"^  carried and decided +[1-9]", out, re.MULTILINE)
    assert out.splitlines()[-1] == "No violation in 60 schedules."


def test_a_search_that_has_shown_little_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["check", SAFE, "--schedules", "1"]) == 3
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("No violation, but never seen: round change, ")


def test_a_violation_prints_seed_and_the_steps_that_are_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["check", *FORKS, "--schedules", "300", "--seed", "5"]) == 3
    out = capsys.readouterr().out
    assert re.search(r"^\d+ schedules, [\d,]+ steps, seed 5$", out, re.MULTILINE)
    assert re.search(r"^  agreement +broken ", out, re.MULTILINE)
    told = re.search(r"^(\d+) of its (\d+) steps are enough", out, re.MULTILINE)
    assert told is not None
    enough, all_steps = map(int, told.groups())
    lines = out.splitlines()[-enough:]
    assert enough < all_steps
    assert [int(line.split()[0]) for line in lines] == list(range(1, enough + 1))
    assert sum(" decides block " in line for line in lines) >= 2


def test_json_has_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["check", *FORKS, "--schedules", "300", "--format", "json"]) == 3
    plain = json.loads(capsys.readouterr().out)
    assert plain["invariants"]["agreement"] is False
    assert plain["invariants"]["validity"] is True
    violation = plain["violation"]
    assert (violation["invariant"], len(violation["kept"])) == ("agreement", len(violation["steps"]))
    assert plain["missing"] == []
    assert execute(["check", SAFE, "--schedules", "60", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["violation"] is None


def test_a_saved_schedule_runs_again_and_is_a_trace(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    saved, traced = str(tmp_path / "new" / "one.json"), tmp_path / "one.jsonl"
    assert execute(["check", *FORKS, "--save", saved, "--trace", str(traced)]) == 3
    told = capsys.readouterr()
    assert told.err.splitlines() == [f"saved {saved}", f"traced {traced}, height 1"]
    first = traced.read_bytes()
    assert execute(["check", *FORKS, "--replay", saved, "--trace", str(traced)]) == 3
    again = capsys.readouterr().out
    assert told.out.endswith(again)
    assert traced.read_bytes() == first
    lines = [json.loads(line) for line in first.splitlines()]
    assert lines[0]["scenario"]["consensus"]["quorum"] == 3
    decided = {tuple(line["value"]) for line in lines if line.get("event") == "decide"}
    assert len(decided) == 2
    assert execute(["chart", str(traced), "--height", "1", "-o", str(tmp_path / "one.svg")]) == 0
    assert "decided block of 4" in (tmp_path / "one.svg").read_text()
    capsys.readouterr()
    assert execute(["replay", str(traced)]) == 2
    assert capsys.readouterr().err.startswith(f"{traced}: is a schedule of sim check")
    assert lines[-1]["outcome"] == "forked"
    steps = re.search(r"^(\d+) of its", again, re.MULTILINE)
    assert steps is not None
    arrivals = sorted(at for line in lines if line.get("event") == "send" for at in line["at"])
    others = [line["t"] for line in lines if line.get("event") in {"timeout", "executed"}]
    assert sorted([*arrivals, *others]) == list(range(1, int(steps[1]) + 1)), "each step is told once"


def test_a_schedule_of_a_mended_protocol_breaks_nothing_any_more(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    saved = tmp_path / "one.json"
    assert execute(["check", *FORKS, "--save", str(saved)]) == 3
    capsys.readouterr()
    assert execute(["check", SAFE, "--replay", str(saved)]) == 2
    assert capsys.readouterr().err == f"{saved}: is a schedule of another scenario\n"
    plain = json.loads(saved.read_text())
    saved.write_text(json.dumps(plain | {"kept": plain["kept"][:2]}))
    assert execute(["check", *FORKS, "--replay", str(saved)]) == 0
    assert capsys.readouterr().out == "The schedule breaks no invariant any more.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--schedules", "0"], "--schedules: must be a whole number of schedules (got '0')"),
        (["--schedules", "1e30"], "--schedules: must be a whole number of schedules (got '1e30')"),
        (["--workers", "none"], "--workers: must be a whole number of processes (got 'none')"),
        (["--replay", "/dev/zero"], "/dev/zero: is not a regular file"),
        (["--replay", SAFE], f"{SAFE}: is not what sim check --save wrote: Invalid JSON"),
        (["--replay", SAFE, "--workers", "2"], "--workers: "),
        (["--trace", SAFE], "--trace: would overwrite the scenario"),
        (["--save", SAFE], "--save: would overwrite the scenario"),
        (["--set", "nodes.validator.count=41"], "it has 41 nodes, more than 40"),
        (["--set", "consensus.protocol=nothing"], "must be one of pbft, tendermint"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["check", SAFE, *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert said in told.err


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", '{"schedule": 2}', "[" * 100_000, '{"kept": [1e400]}', "\0"],
)
def test_hostile_schedules_are_one_line(text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    saved = tmp_path / "one.json"
    saved.write_text(text)
    assert execute(["check", SAFE, "--replay", str(saved)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_help_has_an_example_that_runs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert execute(["check", "--help"]) == 0
    example = re.search(r"For example: sim (.*)", capsys.readouterr().out)
    assert example is not None
    monkeypatch.chdir(ROOT)
    assert execute(example[1].split()) == 0


def test_long_checks_tell_how_far_they_are(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "LINE_EVERY_S", 0.0)
    assert execute(["check", SAFE, "--schedules", "60"]) == 0
    assert re.match(r"2% of 60 schedules, about \d+ s left\n", capsys.readouterr().err)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_keeps_what_was_found(workers: str) -> None:
    arguments = ["check", SAFE, "--schedules", "1e6", "--workers", workers]
    code = "import sys; from sim.cli import progress; progress.LINE_EVERY_S = 0.0; from sim.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    process.stderr.readline()  # some schedules are done
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    kept = re.search(r"^interrupted: kept ([\d,]+) of 1,000,000 schedules$", err, re.MULTILINE)
    assert kept is not None
    assert f"No violation in {kept[1]} schedules." in out or "So it has not shown much" in out
