"""Chains with several heights in flight: whole phases give what messages give, whatever is drawn."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from phase_scenarios import LATENCIES, LOGNORMAL, scenarios
from phased import by_messages, check_passed, passed_of
from timed import chain

from sim import Scenario
from sim.consensus.protocols import PROTOCOLS
from sim.engines.events.engine import Stopped
from sim.engines.phases.engine import run_phases
from sim.engines.phases.flows import FLOWS

PIPELINED = ("hotstuff",)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenarios(PIPELINED))
def test_the_result_is_the_same_whatever_happens(scenario: Scenario) -> None:
    by_messages(scenario)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenarios(PIPELINED), st.integers(1, 3))
def test_the_result_is_the_same_up_to_some_failing_block(scenario: Scenario, failures: int) -> None:
    by_messages(scenario, failures)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scenarios(PIPELINED))
def test_every_vote_is_cast_at_the_same_time(scenario: Scenario) -> None:
    check_passed(scenario, passed_of(scenario))


@pytest.mark.parametrize("result", ["certify", "propose"])
@pytest.mark.parametrize("protocol", PIPELINED)
def test_forty_nodes_two_of_them_slow(protocol: str, result: str) -> None:
    fast: dict[str, Any] = {"kind": "cpu", "seconds_per_request": 0.05}
    scenario = Scenario.model_validate(
        {
            "nodes": {
                "fast": {"count": 38, "executor": fast},
                "slow": {"count": 2, "executor": fast | {"seconds_per_request": 0.15}},
            },
            "consensus": {"protocol": protocol, "result": result},
            "network": {"latency": LOGNORMAL},
            "run": {"blocks": 60, "seed": 3},
        }
    )
    blocks = passed_of(scenario)
    assert len(blocks) == 60
    check_passed(scenario, blocks)
    by_messages(scenario)


@pytest.mark.parametrize("latency", LATENCIES[:2], ids=str)
@pytest.mark.parametrize("result", ["certify", "propose"])
@pytest.mark.parametrize("protocol", PIPELINED)
def test_where_nothing_goes_wrong_no_block_is_run_by_messages(protocol: str, result: str, latency: Any) -> None:
    scenario = chain(
        16,
        executor={"seconds_per_request": 0.3},
        consensus={"protocol": protocol, "result": result},
        network={"latency": latency},
        run={"blocks": 120},
    )
    assert by_messages(scenario) == 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("result", ["certify", "propose"])
@pytest.mark.parametrize("protocol", PIPELINED)
def test_messages_that_overtake_each_other_are_all_that_they_are(protocol: str, result: str, seed: int) -> None:
    """Many late proposals: votes are late or lost, nodes begin several heights at once, results precede decisions."""
    scenario = chain(
        40,
        executor={"seconds_per_request": 0.02},
        consensus={"protocol": protocol, "result": result, "timeouts": {"view": 60.0, "result": 60.0}},
        network={"latency": {"kind": "lognormal", "median": 0.05, "sigma": 1.2}},
        run={"blocks": 40, "seed": seed},
    )
    check_passed(scenario, passed_of(scenario))
    by_messages(scenario)


@pytest.mark.parametrize(
    ("result", "seed"), [*(("certify", seed) for seed in (1, 5, 6, 12, 14)), ("propose", 1), ("propose", 13)]
)
def test_late_nodes_at_the_end_do_what_they_do_message_by_message(result: str, seed: int) -> None:
    """Some mistake who collects the results, as they have not begun that leader's height; or begin two at once."""
    scenario = chain(
        40,
        consensus={"protocol": "hotstuff", "result": result, "timeouts": {"view": 60.0, "result": 60.0}},
        network={"latency": {"kind": "lognormal", "median": 0.05, "sigma": 0.9}},
        run={"blocks": 3, "seed": seed},
    )
    assert by_messages(scenario) == 0


@pytest.mark.parametrize(
    ("parts", "most"),
    [
        ({"faults": {"byzantine": 1}}, 60),
        ({"law": {"difficulty": "near_tie", "rate": 0.003}, "consensus": {"result": "propose"}}, 40),
        ({"law": {"difficulty": "near_tie", "rate": 0.01}}, 40),
    ],
)
def test_disturbed_blocks_are_run_by_messages_and_others_are_not(parts: dict[str, Any], most: int) -> None:
    """A silent leader; blocks whose leader somebody contradicts, and blocks on which too few agree."""
    parts["consensus"] = parts.get("consensus", {}) | {"protocol": "hotstuff"}
    scenario = chain(13, network={"latency": LOGNORMAL}, run={"blocks": 120, "seed": 4}, **parts)
    assert 0 < by_messages(scenario) < most


def test_a_hotstuff_whose_arrows_lead_nowhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    hotstuff = PROTOCOLS.load("hotstuff")
    arrows = [arrow for arrow in hotstuff.transitions if arrow.event != "three-chain"]
    monkeypatch.setattr(hotstuff, "transitions", arrows)
    with pytest.raises(ValueError, match="no way from supported on three-chain"):
        FLOWS.load("hotstuff")(chain(4, consensus={"protocol": "hotstuff"}))


def test_a_run_that_is_stopped_keeps_what_is_over() -> None:
    def stop(counts: Any) -> None:
        if counts.trials == 7:
            raise KeyboardInterrupt

    with pytest.raises(Stopped) as stopped:
        run_phases(chain(7, consensus={"protocol": "hotstuff"}, network={"latency": LOGNORMAL}), stop)
    assert stopped.value.result is not None
    assert stopped.value.result.blocks == 7
