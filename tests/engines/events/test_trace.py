"""Traces: the same bytes, everything in them, and enough to run it again."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from timed import chain, of, traced

from sim import EngineError, Scenario, ScenarioError, run
from sim.base.version import __version__
from sim.engines.events.engine import run_events
from sim.engines.events.trace import Trace
from sim.engines.select import Interrupted

LATENCY = {"latency": {"kind": "pareto", "minimum": 0.02, "shape": 2.5}, "loss": 0.05, "duplication": 0.1}


def written(scenario: Scenario) -> str:
    stream = io.StringIO()
    run_events(scenario, trace=Trace(stream, scenario))
    return stream.getvalue()


@pytest.mark.parametrize("protocol", ["pbft", "tendermint", "hotstuff", "icc"])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(protocol: str) -> None:
    scenario = chain(5, law={"rate": 0.2}, consensus={"protocol": protocol}, network=LATENCY)
    other = scenario.model_copy(update={"run": scenario.run.model_copy(update={"seed": 2})})
    assert written(scenario) == written(scenario)
    assert written(scenario) != written(other)


def test_the_first_line_is_enough_to_run_it_again() -> None:
    scenario = chain(5, law={"rate": 0.2, "alternatives": float("inf")}, network=LATENCY, run={"blocks": 7, "seed": 9})
    text = written(scenario)
    head = json.loads(text.splitlines()[0])
    assert (head["scenario_id"], head["seed"], head["version"]) == (scenario.scenario_id, 9, __version__)
    again = Scenario.model_validate(head["scenario"] | {"run": {"blocks": head["blocks"], "seed": head["seed"]}})
    assert again.scenario_id == scenario.scenario_id
    assert written(again.model_copy(update={"name": head["name"]})) == text


def test_a_trace_tells_what_the_result_counts() -> None:
    scenario = chain(4, law={"rate": 0.3}, run={"blocks": 30})
    found, lines = traced(scenario)
    over = of(lines, "over")
    assert [line["height"] for line in over] == list(range(1, 31))
    for name, estimate in found.outcomes.items():
        assert sum(line["outcome"] == name for line in over) == estimate.count
    assert {line["cause"] for line in over if line["outcome"] != "agreed"} == {"divergence"}
    sends = of(lines, "send")
    assert found.timing is not None
    assert sum(len(line["to"]) for line in sends) == round(30 * sum(found.timing.messages_by_type.values()))
    assert [line["t"] for line in lines[1:]] == sorted(line["t"] for line in lines[1:])
    assert all(time >= line["t"] for line in sends for time in line["at"])
    for line in of(lines, "height"):
        leader = line["leaders"][0]
        (proposal,) = of(sends, "send", height=line["height"], type="pre-prepare")
        assert proposal["node"] == leader


def test_tracing_changes_nothing() -> None:
    scenario = chain(5, law={"rate": 0.2}, network=LATENCY)
    assert traced(scenario)[0] == run_events(scenario)


def test_what_was_done_is_kept_when_a_run_is_interrupted() -> None:
    scenario = chain(4, law={"rate": 0.3}, run={"blocks": 100})

    def stop(counts: object) -> None:
        if counts.trials == 20:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as stopped:
        run(scenario, engine="events", progress=stop)
    kept = stopped.value.result
    assert kept is not None
    assert kept.blocks == 20
    assert kept.outcomes == run(scenario, engine="events", blocks=20).outcomes


def test_only_the_events_engine_writes_a_trace(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="only events, and chains that are simulated"):
        run(chain(), engine="exact", trace=tmp_path / "t.jsonl")
    assert not (tmp_path / "t.jsonl").exists()
    with pytest.raises(ScenarioError, match="cannot be written"):
        run(chain(), trace=tmp_path)
    run(chain(), trace=tmp_path / "new" / "any name")
    assert (tmp_path / "new" / "any name").read_text().startswith('{"trace":1,')


def test_results_are_read_back_as_they_were_written() -> None:
    found = run_events(chain(4, law={"rate": 0.3}, faults={"byzantine": 3, "behaviour": "collude"}))
    assert found.timing is not None
    assert found.timing.first_violation is not None
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert type(found).from_dict(plain) == found
    assert "timing" not in run(chain(), engine="exact").to_dict()
