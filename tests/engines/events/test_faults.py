"""Crashes, partitions, attackers and slow machines, in a whole chain."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timed import chain, of, traced

from sim import Scenario, run
from sim.engines.events.engine import run_events

PROTOCOLS = ["pbft", "tendermint", "hotstuff", "icc"]
RESULTS = ["certify", "propose"]
BEHAVIOURS = ["silent", "random", "collude", "amplify", "equivocate", "withhold", "delay"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize(("n", "threshold"), [(4, "1/3"), (7, "1/3"), (5, "1/4")])
def test_one_silent_node_too_many_stalls_the_chain_at_once(protocol: str, result: str, n: int, threshold: str) -> None:
    consensus = {"protocol": protocol, "result": result, "fault_threshold": threshold}
    tolerated = chain(n, consensus=consensus).faults_tolerated
    found = run_events(chain(n, consensus=consensus, faults={"byzantine": tolerated + 1}, run={"blocks": 10**6}))
    assert found.block_failure.probability == 1
    assert found.outcomes["no_quorum"].count == 10**6
    assert found.timing is not None
    assert found.timing.causes == {"stall": 10**6}
    assert found.timing.simulated_s == 0
    assert len(found.timing.failed_blocks) == 100


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize(("n", "threshold"), [(4, "1/3"), (7, "1/3"), (13, "1/3"), (5, "1/4"), (9, "1/4"), (13, "1/4")])
def test_f_faulty_nodes_of_any_kind_stop_no_block(protocol: str, result: str, n: int, threshold: str) -> None:
    for behaviour in BEHAVIOURS:
        scenario = chain(
            n,
            consensus={"protocol": protocol, "result": result, "fault_threshold": threshold, "max_rounds": n},
            faults={"behaviour": behaviour} | ({"delay": 0.3} if behaviour == "delay" else {}),
            network={"latency": {"kind": "lognormal", "median": 0.05, "sigma": 0.5}},
            run={"blocks": 8, "seed": n},
        )
        faults = scenario.faults.model_copy(update={"byzantine": scenario.faults_tolerated})
        found = run_events(scenario.model_copy(update={"faults": faults}))
        assert found.timing is not None
        assert found.outcomes["agreed"].count == 8, (behaviour, found.timing)
        assert found.timing.first_violation is None


@given(seed=st.integers(0, 10**6), protocol=st.sampled_from(PROTOCOLS), behaviour=st.sampled_from(BEHAVIOURS))
@settings(max_examples=60, deadline=None)
def test_after_gst_every_block_is_agreed_and_before_it_nothing_is_unsafe(
    seed: int, protocol: str, behaviour: str
) -> None:
    n = 4 + seed % 4
    scenario = chain(
        n,
        consensus={"protocol": protocol},
        faults={"byzantine": (n - 1) // 3, "behaviour": behaviour} | ({"delay": 0.2} if behaviour == "delay" else {}),
        network={
            "latency": {"kind": "lognormal", "median": 0.05, "sigma": 0.5},
            "loss": 0.2,
            "gst": {"time": 60.0, "extra": {"kind": "uniform", "low": 0, "high": 30}},
        },
        run={"blocks": 25, "seed": seed},
    )
    found, lines = traced(scenario)
    assert found.timing is not None
    assert found.timing.first_violation is None
    begun = {line["height"]: line["t"] for line in of(lines, "height")}
    late = {height for height, time in begun.items() if time >= 60}
    assert late, "the run goes on after GST"
    failed = {block.height for block in found.timing.failed_blocks}
    assert not late & failed


def test_above_a_third_equivocation_forks_the_chain() -> None:
    for protocol in ("pbft", "tendermint", "icc"):  # in HotStuff one leader alone sees the votes
        scenario = chain(
            7,
            consensus={"protocol": protocol, "fault_threshold": "45 %"},
            faults={"byzantine": 3, "behaviour": "equivocate"},
            network={"gst": {"time": 100.0, "extra": {"kind": "uniform", "low": 0, "high": 10}}},
            run={"blocks": 30, "seed": 1},
        )
        found = run_events(scenario)
        assert found.outcomes["forked"].count
        assert found.timing is not None
        assert found.timing.first_violation is not None
        assert found.timing.first_violation.property == "agreement"
        assert len(found.timing.first_violation.nodes) == 2
        assert "attack" in found.timing.causes


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_partition_that_heals_delays_and_is_the_cause_of_what_fails(protocol: str) -> None:
    split = {"start": 2.0, "end": 30.0, "apart": [{"a": [0, 1]}]}
    scenario = chain(
        4, consensus={"protocol": protocol, "result": "propose"}, network={"partitions": [split]}, run={"blocks": 40}
    )
    found, lines = traced(scenario)
    assert found.timing is not None
    assert set(found.timing.causes) == {"partition"}
    decided = [line["t"] for line in of(lines, "decide")]
    assert any(time < 2 for time in decided)
    assert not any(3 < time < 30 for time in decided), "neither side has a quorum"
    assert any(time > 30 for time in decided)
    assert found.timing.first_violation is None


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_partition_for_good_leaves_the_larger_side_or_stalls(protocol: str) -> None:
    for side, cause in ((1, None), (2, "stall")):
        split = {"start": 2.0, "apart": [{"a": side}]}
        scenario = chain(4, consensus={"protocol": protocol}, network={"partitions": [split]}, run={"blocks": 30})
        found = run_events(scenario)
        assert found.timing is not None
        assert (cause in found.timing.causes) == (cause is not None)
        assert found.outcomes["agreed"].count == (30 if cause is None else 30 - found.timing.causes["stall"])


@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_crashed_node_that_recovers_takes_part_again(protocol: str, result: str) -> None:
    crash = {"nodes": {"a": [3]}, "at": 1.0, "until": 20.0}
    scenario = chain(
        4,
        consensus={"protocol": protocol, "result": result, "max_rounds": 4},
        faults={"crashes": [crash]},
        executor={"seconds_per_request": 0.1},
        run={"blocks": 60, "seed": 3},
    )
    found, lines = traced(scenario)
    assert found.outcomes["agreed"].count == 60
    assert [line["node"] for line in of(lines, "crash") + of(lines, "recover")] == [3, 3]
    mine = [line["t"] for line in lines if line.get("node") == 3 and line["event"] in {"send", "decide"}]
    assert not any(1 < time < 20 for time in mine)
    assert of(lines, "decide", node=3, height=60)


def test_a_node_that_is_down_from_the_start_joins_later() -> None:
    crash = {"nodes": {"a": 1}, "at": 0.0, "until": 3.0}
    _, lines = traced(chain(4, faults={"crashes": [crash]}, run={"blocks": 60}))
    assert of(lines, "decide", node=0, height=60)


def test_too_many_crashes_for_good_stall_the_rest_of_the_run() -> None:
    crashes = [{"nodes": {"a": [0]}, "at": 1.0}, {"nodes": {"a": [1]}, "at": 2.0}]
    found = run_events(chain(4, faults={"crashes": crashes}, run={"blocks": 1000}))
    assert found.timing is not None
    assert found.timing.simulated_s == 2
    assert set(found.timing.causes) == {"stall"}
    assert found.outcomes["agreed"].count == 1000 - found.timing.causes["stall"] > 0


def test_too_many_crashes_for_a_while_fail_blocks_by_timeout() -> None:
    crash = {"nodes": {"a": 2}, "at": 1.0, "until": 60.0}
    found = run_events(chain(4, consensus={"result": "propose"}, faults={"crashes": [crash]}, run={"blocks": 200}))
    assert found.timing is not None
    assert set(found.timing.causes) == {"timeout"}
    assert found.outcomes["agreed"].count == 200 - found.timing.causes["timeout"] > 0


def test_withholding_forces_view_changes_and_delay_slows() -> None:
    honest = run_events(chain(4, run={"blocks": 40})).timing
    withheld = run_events(chain(4, faults={"byzantine": 1, "behaviour": "withhold"}, run={"blocks": 40})).timing
    delay = {"byzantine": 1, "behaviour": "delay", "delay": {"kind": "uniform", "low": 0.5, "high": 1.0}}
    delayed = run_events(chain(4, faults=delay, run={"blocks": 40})).timing
    assert honest is not None
    assert withheld is not None
    assert delayed is not None
    assert honest.rounds_per_block == delayed.rounds_per_block == 1
    assert withheld.rounds_per_block is not None
    assert 1.1 < withheld.rounds_per_block < 1.5, "one leader in four"
    assert honest.latency_s is not None
    assert delayed.latency_s is not None
    assert delayed.latency_s["p99"] > honest.latency_s["p99"] + 0.4


@pytest.mark.parametrize(
    ("parts", "cause"),
    [
        ({"law": {"rate": 0.4}}, "divergence"),
        ({"law": {"rate": 0.4}, "consensus": {"result": "propose"}}, "divergence"),
        ({"consensus": {"result": "propose"}, "faults": {"byzantine": 1}}, "attack"),
        ({"consensus": {"result": "propose", "protocol": "hotstuff"}, "faults": {"byzantine": 1}}, "attack"),
        ({"consensus": {"result": "propose"}, "executor": {"seconds_per_request": 3}}, "timeout"),
        ({"faults": {"byzantine": 3, "behaviour": "collude"}}, "attack"),
    ],
)
def test_a_failed_block_has_its_cause(parts: dict[str, Any], cause: str) -> None:
    found = run_events(chain(4, run={"blocks": 60}, **parts))
    assert found.timing is not None
    assert set(found.timing.causes) == {cause}
    assert sum(found.timing.causes.values()) == found.block_failure.count
    assert all(block.cause == cause for block in found.timing.failed_blocks)


def test_colluding_nodes_beyond_f_break_validity() -> None:
    found = run_events(chain(4, faults={"byzantine": 3, "behaviour": "collude"}))
    assert found.outcomes["wrong_result"].count == 10
    assert found.timing is not None
    assert found.timing.first_violation is not None
    assert found.timing.first_violation.property == "validity"


def test_devices_share_the_requests_of_a_block() -> None:
    def seconds(devices: int, requests: int) -> float:
        scenario = chain(
            4,
            executor={"seconds_per_request": 0.5},
            node={"devices": devices},
            workload={"requests_per_block": requests},
            network={"latency": 0.0},
            run={"blocks": 10},
        )
        timing = run_events(scenario).timing
        assert timing is not None
        return timing.simulated_s / 10

    assert seconds(1, 1) == pytest.approx(0.5)
    assert seconds(1, 6) == pytest.approx(3.0)
    assert seconds(4, 6) == pytest.approx(1.0)
    assert seconds(6, 6) == pytest.approx(0.5)


def test_a_long_execution_holds_its_device_when_the_next_block_comes() -> None:
    slow = {"count": 1, "executor": {"kind": "cpu", "seconds_per_request": 2.0}}
    nodes = {"a": {"count": 4, "executor": {"kind": "cpu", "seconds_per_request": 0.1}}, "slow": slow}
    scenario = chain().model_copy(update={"nodes": type(chain()).model_validate({"nodes": nodes}).nodes})
    _, lines = traced(scenario)
    done = [line["t"] for line in of(lines, "executed", node=4)]
    assert done == sorted(done)
    assert all(later - earlier >= 2 - 1e-9 for earlier, later in pairwise(done))


def test_a_single_node_and_no_delay_end_too() -> None:
    found = run(chain(1, network={"latency": 0}, run={"blocks": 3000}), engine="events")
    assert found.outcomes["agreed"].count == 3000
    assert found.timing is not None
    assert found.timing.blocks_per_s is None


def test_crashes_at_one_moment_count_no_block_twice() -> None:
    crashes = [{"nodes": {"a": [node]}, "at": 5.0} for node in (0, 1, 2)]
    consensus = {"result": "propose", "timeouts": {"view": 1.0}}
    for seed in range(20):
        parts: dict[str, Any] = {
            "faults": {"crashes": crashes},
            "network": {"latency": 0.9},
            "run": {"blocks": 3, "seed": seed},
        }
        found = run_events(chain(4, consensus=consensus, **parts))
        assert found.blocks == 3


def test_what_arrives_at_the_moment_of_a_stall_counts_no_block_twice() -> None:
    crash = {"nodes": {"a": [1]}, "at": 1.5}
    for seed in range(8):  # either node may lead
        parts: dict[str, Any] = {"faults": {"crashes": [crash]}, "run": {"blocks": 5, "seed": seed}}
        found = run_events(chain(2, consensus={"result": "propose"}, network={"latency": 0.5}, **parts))
        assert found.blocks == 5
        assert found.outcomes["agreed"].count == 1, "the leader had decided by then"
        assert found.timing is not None
        assert found.timing.causes == {"stall": 4}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_run_ends_though_timers_are_shorter_than_the_way_of_a_message(protocol: str) -> None:
    timeouts = {"view": 0.08, "propose": 0.06, "prevote": 0.01, "precommit": 0.01, "result": 0.06}
    found = run_events(chain(4, consensus={"protocol": protocol, "timeouts": timeouts}, network={"latency": 0.5}))
    assert found.blocks == 10


def test_a_run_ends_though_a_node_that_is_needed_lets_no_three_chain_be() -> None:
    scenario = chain(
        5,
        consensus={"protocol": "hotstuff", "result": "propose", "max_rounds": 2},
        faults={"byzantine": 1, "behaviour": "withhold", "crashes": [{"nodes": {"a": [3]}, "at": 2.0}]},
        run={"blocks": 20},
    )
    found = run_events(scenario)
    assert found.blocks == 20
    assert found.outcomes["no_quorum"].count
    assert found.outcomes["agreed"].count


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("seed", [8, 11, 21, 26])
def test_a_run_ends_though_answers_are_lost(protocol: str, seed: int) -> None:
    scenario = chain(4, consensus={"protocol": protocol}, network={"loss": 0.3}, run={"blocks": 3, "seed": seed})
    assert run_events(scenario).blocks == 3


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_node_that_crashed_relays_cut_off_does_not_hold_the_chain_up(protocol: str) -> None:
    scenario = chain(
        13,
        consensus={"protocol": protocol},
        faults={"crashes": [{"nodes": {"a": [1, 3]}, "at": 1.0}]},
        network={"topology": {"kind": "ring"}},
        run={"blocks": 5},
    )
    found, lines = traced(scenario)
    assert found.blocks == 5
    assert [line["node"] for line in of(lines, "cut")] == [2]


def test_a_crash_after_the_last_block_ends_the_run() -> None:
    slow = {"count": 1, "executor": {"kind": "cpu", "seconds_per_request": 10.0}}
    nodes = {"a": {"count": 3, "executor": {"kind": "cpu"}}, "slow": slow}
    crash = {"crashes": [{"nodes": {"slow": 1}, "at": 5.0}]}
    scenario = Scenario.model_validate({"nodes": nodes, "faults": crash, "network": {}, "run": {"blocks": 1}})
    found = run_events(scenario)
    assert found.outcomes["agreed"].count == 1
    assert found.timing is not None
    assert found.timing.simulated_s < 1, "what stragglers do after the last block takes no time"


def test_an_execution_that_a_crash_cut_short_is_done_again() -> None:
    crash = {"nodes": {"a": [0]}, "at": 1.0, "until": 3.0}
    executor = {"seconds_per_request": 5.0}
    scenario = chain(4, executor=executor, faults={"crashes": [crash]}, network={"latency": 0.01}, run={"blocks": 1})
    _, lines = traced(scenario)
    (done,) = of(lines, "executed", node=0)
    assert done["t"] == pytest.approx(8.0)


def test_a_node_that_crashes_again_while_it_is_down_stays_down() -> None:
    crashes = [{"nodes": {"a": [0]}, "at": 1.0, "until": 3.0}, {"nodes": {"a": [0]}, "at": 2.0, "until": 9.0}]
    _, lines = traced(chain(4, faults={"crashes": crashes}, run={"blocks": 60}))
    assert [line["t"] for line in of(lines, "crash") + of(lines, "recover")] == [1.0, 9.0]
