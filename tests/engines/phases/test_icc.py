"""On the same delays ICC by whole phases gives what messages give: every share, decision and number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flowing import LATENCIES, LOGNORMAL, chains, check_course, course_of
from hypothesis import HealthCheck, given, settings
from timed import chain, of, traced

from sim import Scenario
from sim.engines.phases.icc import IccFlow

SHORT = {"rank": [0.1, 0.5, 2.0, 20.0], "notary": [0.0, 0.05, 0.3, 1.0], "result": [0.1, 0.5, 2.0, 20.0]}
LONG = {"rank": [5.0, 20.0], "notary": [0.0, 0.1, 0.3], "result": [5.0, 20.0]}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chains("icc", SHORT))
def test_every_share_is_given_at_the_same_time_while_nothing_goes_wrong(scenario: Scenario) -> None:
    check_course(scenario, course_of(IccFlow(scenario)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chains("icc", LONG, blocks=100))
def test_so_it_is_over_many_blocks_that_wait_for_their_execution(scenario: Scenario) -> None:
    check_course(scenario, course_of(IccFlow(scenario)))


@pytest.mark.parametrize("result", ["certify", "propose"])
def test_forty_nodes_two_of_them_slow(result: str) -> None:
    fast: dict[str, Any] = {"kind": "gpu", "seconds_per_request": LOGNORMAL, "nondeterminism": {"rate": 1e-3}}
    slow = fast | {"seconds_per_request": 2.5}
    scenario = Scenario.model_validate(
        {
            "nodes": {"fast": {"count": 38, "executor": fast}, "slow": {"count": 2, "executor": slow}},
            "consensus": {"protocol": "icc", "result": result},
            "network": {"latency": LOGNORMAL},
            "run": {"blocks": 8, "seed": 2},
        }
    )
    course = course_of(IccFlow(scenario))
    assert len(course.passed) >= 4
    check_course(scenario, course)


@pytest.mark.parametrize("seconds", [None, 0.3], ids=str)
@pytest.mark.parametrize("latency", [0.05, *LATENCIES[:2]], ids=str)
@pytest.mark.parametrize("result", ["certify", "propose"])
def test_where_nothing_goes_wrong_the_whole_chain_goes_the_plain_course(
    result: str, latency: Any, seconds: float | None
) -> None:
    executor = {} if seconds is None else {"seconds_per_request": seconds}
    consensus = {"protocol": "icc", "result": result}
    scenario = chain(16, executor=executor, consensus=consensus, network={"latency": latency}, run={"blocks": 100})
    course = course_of(IccFlow(scenario))
    assert course.whole
    check_course(scenario, course)


def test_a_slow_node_says_its_results_late_and_not_at_all_once_it_has_forgotten_the_block() -> None:
    nodes = {
        name: {"count": count, "executor": {"kind": "cpu", "seconds_per_request": seconds}}
        for name, count, seconds in (("fast", 6, 0.1), ("slow", 1, 2.5))
    }
    consensus = {"protocol": "icc", "result": "certify"}
    document = {"nodes": nodes, "consensus": consensus, "network": {"latency": LOGNORMAL}, "run": {"blocks": 120}}
    scenario = Scenario.model_validate(document)
    course = course_of(IccFlow(scenario))
    late = [bool(np.isfinite(passed.times["result"][6])) for passed in course.passed]
    assert late[0]
    assert not late[40]
    check_course(scenario, course)


def test_blocks_wait_for_those_that_are_not_executed_yet() -> None:
    scenario = chain(7, executor={"seconds_per_request": 0.9}, consensus={"protocol": "icc"}, run={"blocks": 60})
    course = course_of(IccFlow(scenario))
    assert course.whole
    assert course.passed[-1].ended == pytest.approx(60 * 0.9, rel=0.02)
    check_course(scenario, course)


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


@pytest.mark.parametrize(
    ("result", "timeouts"),
    [
        ("certify", {"rank": 0.05}),
        ("propose", {"rank": 0.05}),
        ("certify", {"rank": 0.3, "notary": 0.0}),
        ("certify", {"result": 0.06}),
    ],
    ids=str,
)
def test_a_timer_that_runs_out_leads_out(result: str, timeouts: dict[str, float]) -> None:
    network = {"latency": {"kind": "uniform", "low": 0.0, "high": 0.3}}
    consensus: dict[str, Any] = {"protocol": "icc", "result": result}
    quiet = chain(7, consensus=consensus | {"timeouts": {"rank": 60.0, "result": 60.0}}, network=network)
    loud = chain(7, consensus=consensus | {"timeouts": timeouts}, network=network)
    assert course_of(IccFlow(quiet)).whole
    assert not course_of(IccFlow(loud)).whole


def test_a_node_that_hears_of_others_two_heights_ahead_asks_and_that_leads_out() -> None:
    tailed = {"kind": "pareto", "minimum": 0.02, "shape": 1.2}
    consensus = {"protocol": "icc", "timeouts": {"rank": 60.0, "notary": 0.0, "result": 60.0}}
    scenario = chain(7, consensus=consensus, network={"latency": tailed}, run={"blocks": 60})
    course = course_of(IccFlow(scenario))
    assert not course.whole
    _, lines = traced(scenario)
    asked = of(lines, "send", type="fetch")
    assert asked[0]["t"] > course.passed[-1].ended
    assert asked[0]["height"] <= len(course.passed) + 3
    check_course(scenario, course)


def test_a_silent_maker_and_a_block_without_a_quorum_lead_out() -> None:
    consensus = {"protocol": "icc"}
    silent = chain(7, consensus=consensus, faults={"byzantine": 2}, run={"blocks": 30})
    split = chain(13, law={"difficulty": "near_tie", "rate": 0.02}, consensus=consensus, run={"blocks": 200, "seed": 4})
    for scenario in (silent, split):
        course = course_of(IccFlow(scenario))
        assert not course.whole
        check_course(scenario, course)


def test_one_node_alone_is_a_chain() -> None:
    scenario = chain(1, consensus={"protocol": "icc"})
    course = course_of(IccFlow(scenario))
    assert course.whole
    check_course(scenario, course)
