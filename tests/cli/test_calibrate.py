"""`sim calibrate`: what it prints, that its block is a scenario's, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from runs import drawn

from sim.cli import execute
from sim.scenario.load import load_scenario

WHERE = ["calibrate", "counts.csv"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    observed = drawn(1, "beta", rate=0.06, correlation=0.3, alternatives=0.5, prompts=300, runs=10)
    rows = [";".join(map(str, observed.sizes[kind])) for kind in observed.kind]
    Path("counts.csv").write_text("class_sizes,task\n" + "".join(f"{row},t{i % 2}\n" for i, row in enumerate(rows)))


def test_json_has_fits_best_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute([*WHERE, "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    fits = told["fits"]
    assert {fit["model"] for fit in fits} == {"independent", "beta", "zero_inflated", "near_tie"}
    assert [fit["aic"] for fit in fits] == sorted(fit["aic"] for fit in fits)
    for fit in fits:
        assert set(fit) == {"model", "parameters", "log_likelihood", "aic"}
        number = len(fit["parameters"])
        assert fit["aic"] == pytest.approx(2 * number - 2 * fit["log_likelihood"])
        for interval in fit["parameters"].values():
            assert set(interval) == {"value", "low", "high"}
            assert interval["low"] <= interval["value"] <= interval["high"]
    assert told["quorum"][0]["runs"] == 10
    assert told["cannot_know"]


def test_the_same_seed_gives_the_same_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    outs = []
    for seed in ("4", "4", "5"):
        assert execute([*WHERE, "--format", "json", "--seed", seed]) == 0
        outs.append(capsys.readouterr().out)
    assert outs[0] == outs[1] != outs[2]


def test_the_block_is_an_executor_of_a_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute([*WHERE, "--format", "yaml"]) == 0
    block = capsys.readouterr().out
    Path("s.yaml").write_text(
        "nodes:\n  gpu:\n    count: 13\n" + "".join(f"    {line}\n" for line in block.splitlines())
    )
    law = load_scenario("s.yaml").nodes["gpu"].executor.nondeterminism  # type: ignore[union-attr]
    assert law.difficulty in block
    assert law.intervals is not None
    assert law.intervals.rate is not None
    assert law.intervals.rate[0] < law.rate < law.intervals.rate[1]
    assert execute(["run", "s.yaml", "--parameter-draws", "5"]) == 0


def test_the_table_tells_fits_quorums_and_what_it_cannot_know(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute([*WHERE, "--by", "task", "--where", "task=t1"]) == 0
    out = capsys.readouterr().out
    for piece in (
        "1,500 runs of 150 prompts",
        "log-likelihood",
        "7 of 10",
        "held out: ",
        "What this cannot know:",
        "kind: gpu",
    ):
        assert piece in out, piece


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_picture_is_drawn_the_same_twice(suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        assert execute([*WHERE, "--plot", f"{name}{suffix}", "--format", "yaml"]) == 0
    assert Path(f"a{suffix}").read_bytes() == Path(f"b{suffix}").read_bytes()
    assert "drew a" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["calibrate"], "sim calibrate: needs at least one recording, or table of counts"),
        (["calibrate", "absent"], "absent: cannot be read: no such file or directory"),
        ([*WHERE, "--by", "tusk"], "counts.csv: has no 'tusk'; did you mean task?"),
        ([*WHERE, "--where", "task"], "--where task: must be FIELD=VALUE"),
        ([*WHERE, "--where", "task=x"], "counts.csv: there is no run where {'task': 'x'}"),
        ([*WHERE, "--seed", "-1"], "--seed: must be a whole number from 0"),
        ([*WHERE, "--plot", "a.gif"], "plot: must end in .png, .svg or .pdf"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(expected)
    assert err.count("\n") == 1


def test_bad_lines_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    with Path("counts.csv").open("a") as file:
        file.write("nonsense,t0\n")
    assert execute(WHERE) == 2
    assert "counts.csv:302: class_sizes must be numbers" in capsys.readouterr().err
    assert execute([*WHERE, "--skip-bad"]) == 0
    assert "3,000 runs of 300 prompts, 1 bad lines left out" in capsys.readouterr().out
