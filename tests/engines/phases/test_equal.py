"""On the same delays whole phases give what messages give: every vote, decision and number, whatever is drawn."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from phase_scenarios import LATENCIES, LOGNORMAL, scenarios
from phased import by_messages, check_times, steps_of
from timed import chain

from sim import Scenario


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenarios())
def test_the_result_is_the_same_whatever_happens(scenario: Scenario) -> None:
    by_messages(scenario)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenarios(crashing=True))
def test_the_result_is_the_same_while_nodes_come_and_go(scenario: Scenario) -> None:
    by_messages(scenario)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenarios() | scenarios(crashing=True), st.integers(1, 3))
def test_the_result_is_the_same_up_to_some_failing_block(scenario: Scenario, failures: int) -> None:
    by_messages(scenario, failures)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scenario=scenarios() | scenarios(crashing=True))
def test_every_vote_is_cast_at_the_same_time(scenario: Scenario) -> None:
    with pytest.MonkeyPatch.context() as patch:
        check_times(scenario, steps_of(scenario, patch))


@pytest.mark.parametrize("result", ["certify", "propose"])
@pytest.mark.parametrize("protocol", ["pbft", "tendermint"])
def test_forty_nodes_two_of_them_slow_five_silent(protocol: str, result: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fast: dict[str, Any] = {"kind": "gpu", "seconds_per_request": LOGNORMAL, "nondeterminism": {"rate": 1e-3}}
    scenario = Scenario.model_validate(
        {
            "nodes": {
                "fast": {"count": 38, "executor": fast},
                "slow": {"count": 2, "executor": fast | {"seconds_per_request": 0.4}},
            },
            "consensus": {"protocol": protocol, "result": result},
            "faults": {"byzantine": {"fast": 5}},
            "network": {"latency": LOGNORMAL},
            "run": {"blocks": 8, "seed": 3},
        }
    )
    steps = steps_of(scenario, monkeypatch)
    assert len(steps) >= 4
    check_times(scenario, steps)
    by_messages(scenario)


@pytest.mark.parametrize("latency", [0.05, *LATENCIES[:2]], ids=str)
@pytest.mark.parametrize("result", ["certify", "propose"])
@pytest.mark.parametrize("protocol", ["pbft", "tendermint"])
def test_where_nothing_goes_wrong_no_block_is_run_by_messages(protocol: str, result: str, latency: Any) -> None:
    scenario = chain(
        16,
        executor={"seconds_per_request": 0.3},
        consensus={"protocol": protocol, "result": result},
        network={"latency": latency},
        run={"blocks": 120},  # a checkpoint among them
    )
    assert by_messages(scenario) == 0


def test_one_node_alone_is_a_chain() -> None:
    assert by_messages(chain(1)) == 0
