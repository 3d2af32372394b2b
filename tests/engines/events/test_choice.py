"""When the events engine is chosen, when it refuses, and what it needs."""

from __future__ import annotations

import tracemalloc
from types import SimpleNamespace
from typing import Any

import pytest
from timed import chain

from sim import EngineError, Scenario, run
from sim.engines.events import engine
from sim.engines.events.engine import run_events
from sim.engines.select import choose

PLAIN: dict[str, Any] = {"nodes": {"a": {"count": 4, "executor": {"kind": "cpu"}}}}


@pytest.mark.parametrize(
    ("parts", "chosen"),
    [
        ({}, "exact"),
        ({"network": {}}, "phases"),
        ({"network": {"loss": 0.1}}, "events"),
        ({"faults": {"crashes": [{"nodes": {"a": 1}, "at": 1}]}}, "phases"),
        ({"faults": {"byzantine": 1, "behaviour": "withhold"}}, "events"),
        ({"faults": {"byzantine": 1, "behaviour": "delay", "delay": 1}}, "events"),
        ({"faults": {"byzantine": 1, "behaviour": "random"}}, "exact"),
        ({"network": {}, "consensus": {"protocol": "icc"}}, "phases"),
    ],
)
def test_auto_takes_a_clock_only_for_a_network_or_timed_faults(parts: dict[str, Any], chosen: str) -> None:
    scenario = Scenario.model_validate(PLAIN | parts)
    name, _ = choose(scenario, "auto")
    assert name == chosen


@pytest.mark.parametrize("name", ["exact", "montecarlo"])
@pytest.mark.parametrize("faults", [{"byzantine": 1, "behaviour": "withhold"}, {"crashes": [{"nodes": {}, "at": 1}]}])
def test_engines_without_time_refuse_timed_faults_and_name_one_that_can(name: Any, faults: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match="need messages and time; events can"):
        choose(Scenario.model_validate(PLAIN | {"faults": faults}), name)


def test_votes_alone_take_a_perfect_network_for_granted_and_say_so() -> None:
    found = run(chain(), engine="exact")
    assert any("every vote arrives in time" in warning for warning in found.warnings)


def test_protocols_that_are_not_there_yet_are_refused_with_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "PROTOCOLS", SimpleNamespace(names=lambda: ["pbft", "tendermint"]))
    with pytest.raises(EngineError, match=r"protocol icc .* yet \(it has pbft, tendermint\); exact can"):
        choose(chain(consensus={"protocol": "icc"}), "events")


@pytest.mark.parametrize("protocol", ["hotstuff", "icc"])
def test_pipelined_protocols_refuse_chains_over_time(protocol: str) -> None:
    chained: dict[str, Any] = {"law": {"rate": 0.01}, "recovery": {"blocks": 5}}
    choose(chain(consensus={"protocol": "pbft"}, **chained), "events")
    with pytest.raises(EngineError, match=f"{protocol} begins a block before it is known who diverged at the last one"):
        choose(chain(consensus={"protocol": protocol}, **chained), "events")


def test_a_chain_without_an_honest_node_is_refused() -> None:
    with pytest.raises(EngineError, match="no node is honest"):
        choose(chain(faults={"byzantine": 4, "behaviour": "collude"}), "events")


def test_a_run_that_cannot_fit_is_refused_before_anything_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    tracemalloc.start()
    with pytest.raises(EngineError, match=r"n\^2 messages of 100,000 nodes, and their requests, need about .* GiB"):
        choose(chain(100_000), "events")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000
    monkeypatch.setattr(engine, "machine_memory", lambda: 10_000_000)
    assert engine.refusal(chain(200)) is not None
    assert engine.refusal(chain(10)) is None
    heavy: dict[str, Any] = {"workload": {"requests_per_block": 10_000}, "executor": {"seconds_per_request": 1.0}}
    assert engine.refusal(chain(10, **heavy)) is not None


def test_the_estimate_of_memory_is_not_below_what_is_taken() -> None:
    scenario = chain(64, network={"latency": {"kind": "lognormal", "median": 0.05, "sigma": 0.5}}, run={"blocks": 4})
    run_events(scenario)  # imports
    tracemalloc.start()
    run_events(scenario)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.1 * engine.memory_needed(scenario) < peak < engine.memory_needed(scenario)


def test_memory_does_not_grow_with_the_number_of_blocks() -> None:
    def peak(blocks: int) -> int:
        tracemalloc.start()
        run_events(chain(4, law={"rate": 0.01}, run={"blocks": blocks}))
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return taken

    peak(50)
    assert peak(2000) < peak(400) + 150_000, "eight bytes a block for the percentiles, and no more"
