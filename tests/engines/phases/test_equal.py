"""On the same delays whole phases give what messages give: every vote, decision and number, whatever is drawn."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from phased import by_messages, check_times, steps_of
from timed import chain

from sim import Scenario

LOGNORMAL = {"kind": "lognormal", "median": 0.05, "sigma": 0.6}
FAR = {"kind": "normal", "mean": 0.1, "deviation": 0.01}
LATENCIES = [
    LOGNORMAL,
    {"kind": "uniform", "low": 0.0, "high": 0.3},
    {"kind": "pareto", "minimum": 0.02, "shape": 1.5},
    {"kind": "regions", "between": {"eu": {"eu": LOGNORMAL, "us": FAR}, "us": {"us": LOGNORMAL}}},
]
SECONDS = [None, 0.01, 0.7, 3.0, {"kind": "lognormal", "median": 0.5, "sigma": 0.5}]
LAWS = [None, None, {"difficulty": "near_tie", "rate": 0.05}, {"difficulty": "independent", "rate": 0.1}]


@st.composite
def crashes(draw: st.DrawFn, counts: dict[str, int]) -> dict[str, Any]:
    """Some nodes of a group that stop, for good or for a while."""
    group = draw(st.sampled_from(sorted(counts)))
    places = st.lists(st.integers(0, counts[group] - 1), min_size=1, max_size=4, unique=True)
    at = draw(st.just(0.0) | st.floats(0.0, 12.0))
    lasts = draw(st.none() | st.floats(0.01, 12.0))
    nodes = {group: draw(st.integers(1, max(1, counts[group] // 3)) | places)}
    return {"nodes": nodes, "at": at} | ({} if lasts is None else {"until": at + lasts})


@st.composite
def scenarios(draw: st.DrawFn, sizes: tuple[int, ...] = (4, 7, 16), *, crashing: bool = False) -> Scenario:
    """Chains of two groups, with anything that the engine knows, and timeouts that may run out."""
    n, law = draw(st.sampled_from(sizes)), draw(st.sampled_from(LAWS))
    first = draw(st.integers(1, n - 1))
    nodes: dict[str, Any] = {}
    for name, region, count in (("a", "eu", first), ("b", "us", n - first)):
        executor: dict[str, Any] = {"kind": "gpu", "nondeterminism": law} if law else {"kind": "cpu"}
        seconds = draw(st.sampled_from(SECONDS))
        executor |= {} if seconds is None else {"seconds_per_request": seconds}
        nodes[name] = {"count": count, "region": region, "executor": executor, "devices": draw(st.sampled_from([1, 2]))}
        nodes[name]["power"] = draw(st.sampled_from([1, 1, 1, 2]))
    power = sum(group["count"] * group["power"] for group in nodes.values())
    consensus: dict[str, Any] = {
        "protocol": draw(st.sampled_from(["pbft", "tendermint"])),
        "result": draw(st.sampled_from(["certify", "propose"])),
        "checkpoint_interval": draw(st.sampled_from([1, 2, 100])),
        "timeouts": draw(
            st.fixed_dictionaries(
                {},
                optional={
                    key: st.sampled_from([0.1, 0.5, 2.0, 20.0])
                    for key in ("view", "propose", "prevote", "precommit", "result", "commit")
                },
            )
        ),
    }
    if draw(st.booleans()):
        consensus["quorum"] = draw(st.integers(power // 2 + 1, power))
    network = {"latency": draw(st.sampled_from(LATENCIES)), "bandwidth": draw(st.sampled_from([None, None, 1e5, 1e7]))}
    faults: dict[str, Any] = {"byzantine": {"a": draw(st.integers(0, first - 1)) if draw(st.booleans()) else 0}}
    if crashing:
        counts = {name: group["count"] for name, group in nodes.items()}
        faults["crashes"] = draw(st.lists(crashes(counts), min_size=1, max_size=3))
    return Scenario.model_validate(
        {
            "nodes": nodes,
            "consensus": consensus,
            "faults": faults,
            "network": network,
            "workload": {"requests_per_block": draw(st.sampled_from([1, 1, 3]))},
            "run": {"blocks": draw(st.integers(1, 12)), "seed": draw(st.integers(0, 2**32))},
        }
    )


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
