"""Pictures of chains over time: what they show is what the runs say."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim import Result, Scenario, ScenarioError, load_scenario, run
from sim.analysis.timeline import read_timeline
from sim.cli import execute
from sim.plotting.over_time import blocks_needed, seen_by_tests, survival, timeline

FOLDER = Path(__file__).parents[2] / "scenarios" / "over_time"


def ran(**keys: Any) -> Result:
    law = {"difficulty": "near_tie", "rate": 1e-3}
    nodes = {"g": {"count": 13, "executor": {"kind": "gpu", "nondeterminism": law}}}
    return run(Scenario.model_validate({"nodes": nodes, "recovery": {"never": True}, "name": "a $b$"} | keys))


def test_survival_falls_from_one_to_what_still_runs() -> None:
    result = ran(run={"blocks": 2_000, "chains": 40, "engine": "montecarlo"})
    assert result.over_time is not None
    (line,) = survival([result]).get_lines()
    shares = np.asarray(line.get_ydata())
    assert shares[0] == 1
    assert (np.diff(shares) <= 0).all()
    assert shares[-1] == pytest.approx(1 - sum(result.over_time.halts.values()) / 40)
    with pytest.raises(ScenarioError, match="its chains never halt"):
        survival([ran(recovery={"law": "geometric", "mean_blocks": 9}, on_failure="skip")])
    with pytest.raises(ScenarioError, match="1 to 8 runs"):
        survival([])


def test_a_test_sees_something_nearly_for_sure_after_so_many_blocks() -> None:
    result = ran(run={"blocks": 100_000})
    assert result.over_time is not None
    tests = dict(result.over_time.looked_deterministic)
    needed = blocks_needed(result.over_time.looked_deterministic)
    assert needed is not None
    one = tests[1]
    assert needed == pytest.approx(np.log(0.05) / np.log(one), rel=1e-3)  # exact blocks are alike
    axes = seen_by_tests([result])
    curve = axes.get_lines()[0]
    drawn = np.interp(needed, np.asarray(curve.get_xdata()), np.asarray(curve.get_ydata()))
    assert drawn == pytest.approx(0.05, rel=0.05)
    axes.figure.canvas.draw()
    assert blocks_needed([(1, 0.99), (10, 0.9)]) is None


def test_the_commands_draw_runs_and_refuse_other_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "run.json"
    saved.write_text(json.dumps(ran().to_dict() | {"filled_in": {}}))
    for kind in ("survival", "testing"):
        picture = tmp_path / f"{kind}.svg"
        assert execute(["plot", str(saved), str(saved), "--kind", kind, "-o", str(picture)]) == 0
        assert picture.read_text().startswith("<?xml")
    plain = tmp_path / "plain.json"
    plain.write_text(json.dumps(run(load_scenario(FOLDER.parent / "ninety_nine_ninety_nine.yaml")).to_dict()))
    hostile = json.loads(saved.read_text())
    hostile["over_time"]["still_running"] = [[0, 7.0]]
    endless = json.loads(saved.read_text())
    endless["over_time"]["still_running"] = [[math.inf, 0.5]]
    for text in ("{", "[]", "3", '{"over_time": 1}', plain.read_text(), json.dumps(hostile), json.dumps(endless)):
        saved.write_text(text)
        assert execute(["plot", str(saved), "--kind", "survival", "-o", str(tmp_path / "x.svg")]) == 2
        told = capsys.readouterr().err.strip()
        assert "\n" not in told
        assert "is not what sim run --format json printed" in told or "out of range" in told
    assert execute(["plot", str(saved), "--kind", "testing", "--catalog", "x", "-o", str(tmp_path / "x.svg")]) == 2


def test_a_timeline_has_all_that_a_trace_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    law = {"difficulty": "near_tie", "rate": 0.02}
    nodes = {"g": {"count": 13, "executor": {"kind": "gpu", "nondeterminism": law}}}
    written = {"nodes": nodes, "recovery": {"law": "geometric", "mean_blocks": 30}, "on_failure": "skip"}
    scenario = Scenario.model_validate(written | {"run": {"blocks": 2_000, "chains": 2, "engine": "montecarlo"}})
    trace = tmp_path / "t.jsonl"
    result = run(scenario, trace=trace)
    again = run(scenario)
    assert result == again
    chains = [read_timeline(trace, chain) for chain in (0, 1)]
    slots = sum(chain.end for chain in chains)
    assert slots == 4_000
    assert result.over_time is not None
    away = sum(end - start for chain in chains for _, start, end in chain.away)
    assert away / slots == pytest.approx(result.over_time.nodes_away.mean)
    failed = sum(number for chain in chains for _, number in chain.failures)
    assert failed == result.block_failure.count
    lines = timeline(chains[1]).get_lines()
    assert len(lines) == len(chains[1].away)
    picture = tmp_path / "t.svg"
    assert execute(["plot", str(trace), "--kind", "timeline", "--chain", "1", "-o", str(picture)]) == 0
    assert picture.read_text().startswith("<?xml")
    for arguments, told in (
        (["--chain", "2"], "has 2 chains, from 0 on (got 2)"),
        (["--chain", "x"], "--chain: must be a whole number"),
        (["--catalog", "x"], "--catalog: does not go with --kind timeline"),
    ):
        assert execute(["plot", str(trace), "--kind", "timeline", "-o", str(picture), *arguments]) == 2
        assert told in capsys.readouterr().err
    first = trace.read_text().splitlines()[0]
    endless, long = first.replace('"machines":13', '"machines":Infinity'), '{"chain":0,"slot":Infinity,"event":"end"}'
    back = '{"chain":0,"slot":1,"event":"return","machines":[5]}'
    for text in (
        "",
        "{}",
        first + "\n{",
        first.replace("montecarlo", "events") + f"\n{back}",
        f"{first}\n{back}",
        endless,
        f"{first}\n{long}",
    ):
        trace.write_text(text)
        assert execute(["plot", str(trace), "--kind", "timeline", "-o", str(picture)]) == 2
        assert "is no trace" in capsys.readouterr().err
    assert execute(["plot", "x", "--kind", "survival", "--chain", "1", "-o", str(picture)]) == 2


def test_a_timeline_of_messages_counts_seconds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    law = {"difficulty": "independent", "rate": 0.02}
    written: dict[str, Any] = {
        "nodes": {"g": {"count": 7, "executor": {"kind": "gpu", "nondeterminism": law}}},
        "consensus": {"protocol": "pbft"},
        "network": {"latency": {"kind": "constant", "seconds": 0.05}},
        "faults": {"crashes": [{"nodes": {"g": 1}, "at": 0.5, "until": 50.0}]},
        "recovery": {"seconds": 10},
        "on_failure": "skip",
        "run": {"blocks": 100},
    }
    trace = tmp_path / "t.jsonl"
    result = run(Scenario.model_validate(written), trace=trace)
    chain = read_timeline(trace)
    assert result.over_time is not None
    assert result.timing is not None
    assert (chain.unit, chain.machines) == ("seconds", 7)
    assert chain.end == pytest.approx(result.timing.simulated_s)
    assert len(chain.failures) == result.block_failure.count
    assert chain.failures
    assert all(length > 2.9 for _, length in chain.failures)  # they wait for a timer
    assert chain.down == [(0, 0.5, 50.0)]
    whole = [end - start for _, start, end in chain.away if end < chain.end]
    assert len(whole) > 3
    assert whole == pytest.approx([10.0] * len(whole))
    assert not chain.halt
    axes = timeline(chain)
    assert axes.get_xlabel() == "time (s)"
    assert len(axes.get_lines()) == len(chain.away) + 1
    halting = Scenario.model_validate(written | {"on_failure": "halt"})
    run(halting, trace=trace)
    halted = read_timeline(trace)
    assert halted.halt == "spent"  # by the node that crashed, not by one that is away
    assert halted.end < chain.end
    lines = trace.read_text().splitlines()
    for hostile in (
        '{"t":NaN,"event":"diverge","node":1}',
        '{"t":1,"event":"diverge","node":7}',
        '{"t":1,"event":"recover","node":1}',
        '{"t":1,"event":"over","height":5,"outcome":"agreed"}',
    ):
        trace.write_text(f"{lines[0]}\n{hostile}")
        assert execute(["plot", str(trace), "--kind", "timeline", "-o", str(tmp_path / "x.svg")]) == 2
        assert "t.jsonl:2: is no trace of messages" in capsys.readouterr().err
    trace.write_text(lines[0])
    assert execute(["plot", str(trace), "--kind", "timeline", "--chain", "1", "-o", str(tmp_path / "x.svg")]) == 2
    assert "has 1 chain, from 0 on (got 1)" in capsys.readouterr().err
