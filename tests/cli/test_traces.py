"""The commands that run one block, draw a trace, and run a trace or a store again."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from sim.analysis.height import read_height
from sim.cli import execute

NODES = "nodes: {gpu: {count: 4, executor: {kind: gpu, nondeterminism: {rate: 0.2}}}}\n"
LATENCY = "network: {latency: {kind: lognormal, median: 0.05, sigma: 0.4}}\n"
SWEEP = "sweep: {rate: {path: nodes.gpu.executor.nondeterminism.rate, values: [0.01, 0.2]}}\n"
MESSAGES = NODES + LATENCY + "run: {blocks: 20}\n"
CHAINS = NODES + "recovery: {blocks: 2}\nrun: {blocks: 50, chains: 3, engine: montecarlo}\n"
SCENARIOS = {
    "messages": MESSAGES,
    "away": MESSAGES + "recovery: {seconds: 1, state_bytes: 10000}\non_failure: skip\n",
    "chains": CHAINS,
}


def scenario(tmp_path: Path, text: str) -> str:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    return str(path)


@pytest.fixture
def trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    path = tmp_path / "t.jsonl"
    assert execute(["run", scenario(tmp_path, MESSAGES), "--trace", str(path)]) == 0
    capsys.readouterr()
    return path


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("block", [None, "7"])
def test_a_trace_is_the_same_when_it_is_run_again(
    name: str, block: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.jsonl"
    one = ["--block", block] if block else []
    if block and name == "chains":
        pytest.skip("chains that are simulated have no single blocks")
    assert execute(["run", scenario(tmp_path, SCENARIOS[name]), "--trace", str(path), *one]) == 0
    capsys.readouterr()
    lines = path.read_text().count("\n")
    assert execute(["replay", str(path), "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["same"], found["compared"], found["difference"]) == (True, f"{lines:,} lines", "")
    assert lines > 5
    assert execute(["replay", str(path), "--id", found["scenario_id"][:6].upper()]) == 0
    told = f"same     unnamed ({found['scenario_id'][:12]}, {found['engine']}, seed {found['seed']}): {lines:,} lines\n"
    assert capsys.readouterr().out == told


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"t":0.0,"event":"phase"', '"t":1.0,"event":"phase"', "line 3: t: 1.0 in the file, 0.0 now"),
        ('"t":0.0,"event":"phase"', '"t": 0.0,"event":"phase"', "line 3: is written differently"),
        ('"node":1', '"node":2', "node: 2 in the file, 1 now"),
        ('"seed":1,"blocks"', '"seed":2,"blocks"', "line 2: leaders"),
        ('"blocks":20', '"blocks":19', "line 9"),
        ('"blocks":20', '"blocks":21', "line 9"),
        ('"outcome":"agreed"', '"outcome":"\\u001b[2J"', "outcome: "),
        ('"height":1,', '"height":1', "is no whole line"),
    ],
)
def test_a_trace_that_differs_is_told_with_the_first_difference(
    old: str, new: str, told: str, trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = trace.read_text()
    assert old in text
    trace.write_text(text.replace(old, new, 1))
    assert execute(["replay", str(trace)]) == 3
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("differs  unnamed (")
    assert told in line
    assert "\x1b" not in line


def test_a_trace_that_is_cut_or_goes_on_differs(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = trace.read_text().splitlines(keepends=True)
    for text, told in (
        ("".join(lines[:-1]), f"the file ends after line {len(lines) - 1:,}, and the run goes on"),
        ("".join(lines)[:-20], f"line {len(lines):,} is no whole line"),
        ("".join(lines) + "x", f"the run ends after line {len(lines):,}, and the file goes on"),
    ):
        trace.write_text(text)
        assert execute(["replay", str(trace)]) == 3
        assert told in capsys.readouterr().out


def test_another_version_is_told(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head, _, rest = trace.read_text().partition("\n")
    trace.write_text(json.dumps(json.loads(head) | {"version": "0.0.9"}) + "\n" + rest)
    assert execute(["replay", str(trace)]) == 0
    told = capsys.readouterr()
    assert "written by version 0.0.9" in told.err
    assert told.out.startswith("same ")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": 2**63}, "run.seed: in its scenario, must be less than"),
        ({"seed": "1"}, "run.seed: in its scenario, must be a whole number"),
        ({"blocks": 1e400}, "run.blocks: in its scenario"),
        ({"scenario_id": "0" * 64}, "its scenario has another id than it says"),
        ({"scenario": 5}, "its scenario is no mapping"),
        ({"engine": "exact"}, "it does not begin as one"),
        ({"version": "\x1b[2J"}, "version must be a text"),
        ({"block": 21}, "--block: must be from 1 to 20"),
        ({"block": True}, "block must be a whole number"),
    ],
)
def test_a_hostile_header_is_one_line_and_exit_code_2(
    change: dict[str, Any], told: str, trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, _, rest = trace.read_text().partition("\n")
    trace.write_text(json.dumps(json.loads(head) | change) + "\n" + rest)
    assert execute(["replay", str(trace)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert "\x1b" not in line


def swept(tmp_path: Path, text: str, *flags: str) -> Path:
    store = tmp_path / "r.db"
    assert execute(["sweep", scenario(tmp_path, text + SWEEP), "--store", str(store), "--workers", "1", *flags]) == 0
    return store


@pytest.mark.parametrize(
    ("text", "flags", "compared"),
    [
        (NODES + "run: {blocks: 3000}\n", ("--engine", "montecarlo"), "the numbers of 3,000 blocks at rate 0.2"),
        (NODES, ("--engine", "exact"), "exact numbers at rate 0.2"),
        (NODES + "run: {blocks: 9000}\n", ("--engine", "montecarlo", "--max-failures", "30"), "blocks at rate 0.2"),
        (MESSAGES, (), "the numbers of 20 blocks at rate 0.2"),
        (MESSAGES + "consensus: {result: propose}\n", ("--max-failures", "2"), "blocks at rate 0.2"),
        (NODES + "run: {blocks: 90000}\n", ("--engine", "montecarlo", "--relative-error", "0.3"), "at rate 0.2"),
        (NODES + "run: {blocks: 9000}\n", ("--engine", "montecarlo", "--max-time", "1000"), "at rate 0.2"),
        (CHAINS, (), "blocks at rate 0.2"),
    ],
)
def test_a_store_is_the_same_when_it_is_run_again(
    text: str, flags: tuple[str, ...], compared: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = swept(tmp_path, text, *flags)
    capsys.readouterr()
    assert execute(["replay", str(store), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["same"] for one in found] == [True, True]
    assert found[1]["compared"].endswith(compared)
    if "--max-failures" in flags:
        assert found[1]["compared"] != found[0]["compared"].replace("0.01", "0.2")
    assert execute(["replay", str(store), "--id", found[0]["scenario_id"][:10]]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "at rate 0.01" in line


def test_a_store_that_was_tampered_with_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = swept(tmp_path, MESSAGES)
    with sqlite3.connect(store) as opened:
        opened.execute("UPDATE task SET answer = replace(answer, '\"simulated_s\"', '\"simulated_s\" ')")
        (answer,) = opened.execute("SELECT answer FROM task WHERE id = 2").fetchone()
        plain = json.loads(answer)
        plain["timing"]["messages_per_block"] += 1
        opened.execute("UPDATE task SET answer = ? WHERE id = 2", (json.dumps(plain),))
    opened.close()
    capsys.readouterr()
    assert execute(["replay", str(store)]) == 3
    same, differs = capsys.readouterr().out.splitlines()
    assert same.startswith("same ")
    assert differs.startswith("differs ")
    assert "timing.messages_per_block: " in differs
    with sqlite3.connect(store) as opened:
        opened.execute("UPDATE task SET rule = 'blocks=1e9'")
    opened.close()
    assert execute(["replay", str(store)]) == 2
    assert "is damaged: a rule that no sweep has (got 'blocks=1e9')" in capsys.readouterr().err


def test_one_block_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    constant = scenario(tmp_path, NODES + "network: {latency: 0.1}\nrun: {blocks: 1000000, seed: 1}\n")
    assert execute(["run", constant, "--block", "999999"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("unnamed  block 999,999 of 1,000,000: ")
    assert second.endswith("begun with this block: nothing is carried over from the blocks before.")
    assert execute(["run", scenario(tmp_path, SCENARIOS["away"]), "--block", "3", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["block"], found["blocks"], found["first_block"]) == (3, 20, 1)
    assert "who is away" in found["reason"]


@pytest.mark.parametrize(
    ("text", "flags", "told"),
    [
        (MESSAGES, ("--block", "0"), "--block: must be a whole number from 1"),
        (MESSAGES, ("--block", "21"), "--block: must be from 1 to 20, the blocks of the run (got 21)"),
        (MESSAGES, ("--block", "x"), "--block: must be a whole number"),
        (MESSAGES, ("--block", "2", "--fail-above", "0.1"), "--fail-above: "),
        (NODES, ("--block", "2"), "--block needs the events engine"),
        (CHAINS, ("--block", "2"), "--block needs the events engine"),
        (CHAINS, ("--block", "2", "--engine", "events"), "is a block of one chain (set run.chains to 1)"),
    ],
)
def test_a_block_that_cannot_be_run_is_one_line(
    text: str, flags: tuple[str, ...], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["run", scenario(tmp_path, text), *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_a_chart_is_drawn(suffix: str, trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "new" / f"c{suffix}"
    assert execute(["chart", str(trace), "--height", "3", "-o", str(picture)]) == 0
    assert capsys.readouterr().out == f"drew {picture}\n"
    assert picture.stat().st_size > 5_000


def test_one_block_is_drawn_as_in_the_whole_run(trace: Path, tmp_path: Path) -> None:
    alone = tmp_path / "one.jsonl"
    assert execute(["run", scenario(tmp_path, MESSAGES), "--block", "3", "--trace", str(alone)]) == 0
    whole, one = read_height(trace, 3), read_height(alone, 3)
    assert not one.others
    whole.others = 0
    assert whole == one


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--height", "0"), "--height: must be a whole number from 1 (got '0')"),
        (("--height", "1e400"), "--height: must be a whole number from 1 (got '1e400')"),
        (("--height", "21"), "has no height 21: it has 1 to 20"),
        (("--height", "1", "-o", "x.bmp"), "must end in .png, .svg or .pdf"),
        (("--height", "1", "-o", "TRACE"), "would overwrite what it draws"),
    ],
)
def test_a_chart_that_cannot_be_drawn_is_one_line(
    flags: tuple[str, ...], told: str, trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(trace) if flag == "TRACE" else flag for flag in flags]
    if "-o" not in given:
        given += ["-o", str(tmp_path / "c.svg")]
    assert execute(["chart", str(trace), *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_a_torn_trace_is_one_line(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = trace.read_bytes()
    for length in (0, 1, 50, 1_000, 3_000):
        trace.write_bytes(whole[:length])
        assert execute(["chart", str(trace), "--height", "1", "-o", str(tmp_path / "c.svg")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "is no trace" in line
