"""`sim run` prints the table, the JSON of the contract, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sim import load_scenario, run
from sim.cli import execute

KEYS = [
    *("scenario", "scenario_id", "engine", "engine_reason", "nodes", "faults_tolerated", "quorum", "blocks", "seed"),
    *("outcomes", "block_failure", "diverged_per_block", "warnings"),
]
OUTCOMES = ["agreed", "no_quorum", "wrong_result", "forked"]
OFTEN = ("--set", "nodes.gpu.executor.nondeterminism.rate=0.1")
RATE_13 = 9.7338971e-05  # 13 nodes, near ties at rate 1e-4, as the design quotes it


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert execute(["run", *arguments, "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    parsed: dict[str, Any] = json.loads(out)
    return parsed


def table(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert execute(["run", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines: list[str] = out.splitlines()
    return lines


def test_an_exact_answer_has_the_keys_of_the_contract_and_no_counts(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result = answer(capsys, file)
    assert sorted(result) == sorted(KEYS)
    assert list(result["outcomes"]) == OUTCOMES
    for estimate in [*result["outcomes"].values(), result["block_failure"]]:
        assert list(estimate) == ["probability", "low", "high", "count"]
        assert estimate["low"] == estimate["high"] == estimate["probability"]
        assert estimate["count"] is None
    assert result["block_failure"]["probability"] == pytest.approx(RATE_13, rel=1e-3)
    assert list(result["diverged_per_block"]) == ["mean", "low", "high"]
    assert (result["scenario"], result["engine"], result["blocks"]) == ("thirteen", "exact", None)
    assert (result["nodes"], result["faults_tolerated"], result["quorum"]) == (13, 4, 9)
    assert result["scenario_id"] == load_scenario(file).scenario_id
    assert "cheapest" in result["engine_reason"]


def test_a_simulated_answer_has_counts_that_sum_to_the_blocks_and_intervals(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result = answer(capsys, file, *OFTEN, "--engine", "montecarlo", "--blocks", "3e3", "--seed", "7")
    assert sorted(result) == sorted(KEYS)
    assert (result["engine"], result["blocks"], result["seed"]) == ("montecarlo", 3_000, 7)
    assert sum(estimate["count"] for estimate in result["outcomes"].values()) == 3_000
    assert result["block_failure"]["count"] == 3_000 - result["outcomes"]["agreed"]["count"] > 0
    for estimate in [*result["outcomes"].values(), result["block_failure"]]:
        assert estimate["probability"] == estimate["count"] / 3_000
        assert 0 <= estimate["low"] <= estimate["probability"] <= estimate["high"] <= 1
        assert estimate["low"] < estimate["high"]
    mean = result["diverged_per_block"]
    assert 0 < mean["low"] < mean["mean"] < mean["high"] < 13


def test_json_says_the_same_as_python(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = answer(capsys, file, *OFTEN, "--engine", "montecarlo", "--blocks", "500")
    assert said == run(load_scenario(file, OFTEN[1:]), engine="montecarlo", blocks=500).to_dict()


def test_the_same_seed_gives_the_same_text_and_another_seed_another(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (file, *OFTEN, "--engine", "montecarlo", "--blocks", "2000")
    assert table(capsys, *arguments) == table(capsys, *arguments)
    assert table(capsys, *arguments) != table(capsys, *arguments, "--seed", "2")


def test_the_table_shows_setting_outcomes_failure_and_what_they_mean(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = table(capsys, file)
    assert lines[0] == "thirteen  13 nodes, quorum 9, tolerates 4 faults, result: certify"
    assert [line.split()[0] for line in lines[2:6]] == OUTCOMES
    assert lines[3].split()[:3] == ["no_quorum", "9.7339e-05", "exact"]
    assert lines[6].split()[:4] == ["block", "failure", "9.7339e-05", "exact"]
    assert lines[6].endswith("one block in 10,273")
    assert lines[8].startswith("A block fails about once in 10,273: no result reaches the quorum of 9 of 13 votes.")
    assert lines[-1].startswith("exact engine (computed exactly)")


def test_the_table_of_a_simulation_shows_intervals_blocks_and_seed(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = table(capsys, file, "--engine", "montecarlo", "--blocks", "20000", "--seed", "3")
    failure = run(load_scenario(file), engine="montecarlo", blocks=20_000, seed=3).block_failure
    assert f"{failure.probability:.5g}" in lines[6]
    assert f"{failure.low:.3g} to {failure.high:.3g}" in lines[6]
    assert lines[-1] == "montecarlo engine (20,000 blocks, seed 3): asked for."


def test_the_table_warns_of_what_changes_the_meaning_of_the_numbers(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = table(capsys, file, "--set", "faults.byzantine=6")
    assert lines[-1] == "warning: 6 Byzantine votes are more than the 4 that the chain tolerates"
    assert answer(capsys, file, "--set", "faults.byzantine=6")["warnings"] == [lines[-1].removeprefix("warning: ")]


def test_no_line_of_the_table_ends_in_blanks_or_holds_escape_codes(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for line in table(capsys, file):
        assert line == line.rstrip()
        assert line.isprintable()


@pytest.mark.parametrize("name", ["[red]x[/red]", "[/]", "[bold", "[link=http://x]y", "a\\", ":smile:", "{x}", "%s"])
def test_markup_in_names_is_shown_literally(name: str, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = Path(file).read_text(encoding="utf-8").replace("name: thirteen", f"name: '{name}'")
    Path(file).write_text(text.replace("  gpu:", f"  '{name}':"), encoding="utf-8")
    lines = table(capsys, file)
    assert lines[0].startswith(f"{name}  13 nodes")
    assert any(f"One node of group {name} deviates" in line for line in lines)


@pytest.mark.parametrize(("bar", "code"), [("1e-5", 3), ("0", 3), ("1e-3", 0), ("1", 0)])
def test_a_missed_bar_is_exit_code_3_and_said_on_stderr(
    bar: str, code: int, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["run", file, "--fail-above", bar]) == code
    out, err = capsys.readouterr()
    assert "block failure" in out
    assert err == (f"block failure 9.734e-05 is above the bar of {float(bar):g}\n" if code else "")


def test_a_failure_at_the_bar_itself_does_not_miss_it(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    probability = answer(capsys, file)["block_failure"]["probability"]
    assert execute(["run", file, "--fail-above", repr(probability)]) == 0


def test_an_interruption_before_anything_is_done_is_exit_code_130(
    file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sim.engines.select.run", interrupt)
    assert execute(["run", file]) == 130
    assert capsys.readouterr() == ("", "interrupted\n")


def test_a_fault_of_ours_is_not_swallowed(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("sim.engines.select.run", break_down)
    with pytest.raises(ZeroDivisionError):
        execute(["run", file])


def test_the_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["--version"]) == 0
    assert capsys.readouterr().out == "splitquorum 0.1.0\n"
