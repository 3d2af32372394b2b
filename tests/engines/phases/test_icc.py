"""ICC by whole phases, beyond what all protocols with several heights in flight are tested for."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from phase_scenarios import LATENCIES, LOGNORMAL, scenarios
from phased import by_messages, check_passed, passed_of
from timed import chain, of, traced

from sim import Scenario
from sim.consensus.protocols.icc import Icc
from sim.engines.phases.engine import memory_needed, run_phases
from sim.engines.phases.icc import IccFlow

LONG = {"rank": (5.0, 20.0), "notary": (0.0, 0.1, 0.3), "result": (5.0, 20.0)}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenarios(("icc",), timeouts=LONG, blocks=80))
def test_many_blocks_wait_for_their_execution_or_fail_and_all_is_the_same(scenario: Scenario) -> None:
    check_passed(scenario, passed_of(scenario))
    by_messages(scenario)


@pytest.mark.parametrize("seconds", [None, 0.3], ids=str)
@pytest.mark.parametrize("latency", [0.05, *LATENCIES[:2]], ids=str)
@pytest.mark.parametrize("result", ["certify", "propose"])
def test_where_nothing_goes_wrong_no_block_is_run_by_messages(result: str, latency: Any, seconds: float | None) -> None:
    executor = {} if seconds is None else {"seconds_per_request": seconds}
    consensus = {"protocol": "icc", "result": result}
    scenario = chain(16, executor=executor, consensus=consensus, network={"latency": latency}, run={"blocks": 60})
    assert by_messages(scenario) == 0


def test_a_slow_node_says_its_results_late_and_not_at_all_once_it_has_forgotten_the_block() -> None:
    nodes = {
        name: {"count": count, "executor": {"kind": "cpu", "seconds_per_request": seconds}}
        for name, count, seconds in (("fast", 6, 0.1), ("slow", 1, 2.5))
    }
    document = {"nodes": nodes, "consensus": {"protocol": "icc"}, "network": {"latency": LOGNORMAL}}
    scenario = Scenario.model_validate(document | {"run": {"blocks": 120}})
    blocks = passed_of(scenario)
    late = [bool(np.isfinite(passed.times["result"][6])) for passed in blocks]
    assert late[0]
    assert not late[40]
    check_passed(scenario, blocks)
    assert by_messages(scenario) == 0


def test_blocks_wait_for_those_that_are_not_executed_yet() -> None:
    scenario = chain(7, executor={"seconds_per_request": 0.9}, consensus={"protocol": "icc"}, run={"blocks": 60})
    blocks = passed_of(scenario)
    assert len(blocks) == 60
    assert blocks[-1].ended == pytest.approx(60 * 0.9, rel=0.02)
    check_passed(scenario, blocks)
    assert by_messages(scenario) == 0


def test_most_blocks_have_a_node_that_goes_on_with_a_notarization_from_another() -> None:
    scenario = chain(16, consensus={"protocol": "icc"}, network={"latency": LOGNORMAL}, run={"blocks": 40})
    _, lines = traced(scenario)
    relayed = 0
    for height in range(1, 41):
        went_on = {line["node"]: line["t"] for line in of(lines, "phase", height=height, phase="notarized")}
        told = {
            (node, moment)
            for line in of(lines, "send", type="notarization", height=height)
            for node, moment in zip(line["to"], line["at"], strict=True)
        }
        relayed += bool(told & went_on.items())
    assert relayed > 20


def test_a_node_may_go_on_before_it_knows_the_ranks_and_shares_the_next_beacon_then() -> None:
    scenario = chain(
        3,
        consensus={"protocol": "icc", "fault_threshold": 0.49, "timeouts": {"rank": 60.0, "notary": 0.0}},
        network={"latency": {"kind": "lognormal", "median": 0.05, "sigma": 1.5}},
        run={"blocks": 50, "seed": 35},
    )
    blocks = passed_of(scenario)
    _, lines = traced(scenario)
    ranked = {(line["height"], line["node"]) for line in of(lines, "phase", phase="ranks")}
    assert {(block.height, node) for block in blocks for node in range(3)} - ranked
    check_passed(scenario, blocks)


@pytest.mark.parametrize(
    ("result", "timeouts"),
    [
        ("certify", {"rank": 0.05}),
        ("propose", {"rank": 0.05}),
        ("certify", {"rank": 0.3, "notary": 0.0}),
        ("certify", {"rank": 0.2}),  # before some have the block, but not before they finish
        ("certify", {"result": 0.06}),
        ("propose", {"result": 0.06}),
    ],
    ids=str,
)
def test_a_timer_that_may_run_out_leads_out_and_one_that_cannot_does_not(
    result: str, timeouts: dict[str, float]
) -> None:
    network = {"latency": {"kind": "uniform", "low": 0.0, "high": 0.3}}
    consensus: dict[str, Any] = {"protocol": "icc", "result": result}
    quiet = chain(7, consensus=consensus | {"timeouts": {"rank": 60.0, "result": 60.0}}, network=network)
    loud = chain(7, consensus=consensus | {"timeouts": timeouts}, network=network)
    assert by_messages(quiet) == 0
    assert by_messages(loud) > 0


def test_a_node_that_knows_no_ranks_for_long_asks_and_that_leads_out() -> None:
    scenario = chain(
        3,
        consensus={"protocol": "icc", "fault_threshold": 0.49, "timeouts": {"rank": 0.3, "notary": 0.0}},
        network={"latency": {"kind": "lognormal", "median": 0.05, "sigma": 1.5}},
        run={"blocks": 40, "seed": 63},
    )
    _, lines = traced(scenario)
    assert of(lines, "timeout", timer="beacon", height=8)
    assert len(passed_of(scenario)) < 8
    assert by_messages(scenario) > 0


def test_nodes_that_wait_for_results_too_long_lead_out_though_the_block_is_final() -> None:
    nodes = {
        name: {"count": count, "executor": {"kind": "cpu", "seconds_per_request": seconds}}
        for name, count, seconds in (("fast", 4, 0.1), ("slow", 3, 0.3))
    }
    for result_s, loud in ((0.15, True), (0.4, False)):
        consensus = {"protocol": "icc", "timeouts": {"result": result_s}}
        scenario = Scenario.model_validate({"nodes": nodes, "consensus": consensus, "network": {"latency": 0.05}})
        scenario = scenario.model_copy(update={"run": scenario.run.model_copy(update={"blocks": 20})})
        assert (by_messages(scenario) > 0) == loud


def test_a_node_that_hears_of_others_two_heights_ahead_asks_and_that_leads_out() -> None:
    tailed = {"kind": "pareto", "minimum": 0.02, "shape": 1.2}
    consensus = {"protocol": "icc", "timeouts": {"rank": 60.0, "notary": 0.0, "result": 60.0}}
    scenario = chain(7, consensus=consensus, network={"latency": tailed}, run={"blocks": 60})
    blocks = passed_of(scenario)
    _, lines = traced(scenario)
    asked = of(lines, "send", type="fetch")
    assert asked[0]["t"] > blocks[-1].ended
    assert asked[0]["height"] <= len(blocks) + 3
    check_passed(scenario, blocks)
    assert 0 < by_messages(scenario) < 60


def test_silent_makers_and_blocks_without_a_quorum_are_run_by_messages_and_the_others_are_not() -> None:
    consensus = {"protocol": "icc"}
    silent = chain(7, consensus=consensus, faults={"byzantine": 1}, run={"blocks": 60})
    executor = {"seconds_per_request": 0.9}
    waiting = chain(7, executor=executor, consensus=consensus, faults={"byzantine": 1}, run={"blocks": 60})
    parts: dict[str, Any] = {"network": {"latency": LOGNORMAL}, "run": {"blocks": 300, "seed": 4}}
    split = chain(13, law={"difficulty": "near_tie", "rate": 0.01}, consensus=consensus, **parts)
    assert 0 < by_messages(silent) < 60
    assert 0 < by_messages(waiting) < 60
    assert 0 < by_messages(split) < 150


def test_a_run_needs_no_more_memory_than_it_says() -> None:
    node = {"executor": {"kind": "cpu"}}
    nodes = {"a": node | {"count": 200}, "b": node | {"count": 200, "power": 2}}
    document = {"consensus": {"protocol": "icc"}, "network": {"latency": LOGNORMAL}, "run": {"blocks": 2}}
    scenario = Scenario.model_validate({"nodes": nodes} | document)
    run_phases(scenario)  # imports take memory once
    tracemalloc.start()
    run_phases(scenario)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.5 * memory_needed(scenario) < peak < memory_needed(scenario)


@pytest.mark.parametrize("seconds", [0.2, 3.0])
@pytest.mark.parametrize("result", ["certify", "propose"])
def test_one_node_alone_is_a_chain(result: str, seconds: float) -> None:
    consensus = {"protocol": "icc", "result": result, "timeouts": {"rank": 60.0, "result": 60.0}}
    scenario = chain(1, executor={"seconds_per_request": seconds}, consensus=consensus, run={"blocks": 30})
    assert by_messages(scenario) == 0


def test_an_icc_whose_arrows_lead_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = chain(4, consensus={"protocol": "icc"})
    monkeypatch.setattr(Icc, "transitions", tuple(arrow for arrow in Icc.transitions if arrow.target != "shared"))
    with pytest.raises(ValueError, match="no way from ranks"):
        IccFlow(scenario)
    monkeypatch.undo()
    monkeypatch.setattr(Icc, "ballots", Icc.ballots[1:])
    with pytest.raises(ValueError, match="another way"):
        IccFlow(scenario)
