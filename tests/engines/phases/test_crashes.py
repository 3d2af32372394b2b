"""Nodes that come and go: those blocks are run message by message, and the others go on without them."""

from __future__ import annotations

from typing import Any

import pytest
from phased import by_messages, steps_of
from timed import chain

from sim import Scenario

WIDE = {"kind": "uniform", "low": 0.0, "high": 0.3}
LONG = {"kind": "lognormal", "median": 0.05, "sigma": 0.6}
TAILS = {"kind": "pareto", "minimum": 0.02, "shape": 1.5}


def crash(nodes: int | list[int], at: float, until: float | None = None, group: str = "a") -> dict[str, Any]:
    """Some nodes stop."""
    return {"nodes": {group: nodes}, "at": at} | ({} if until is None else {"until": until})


def crashing(n: int, *crashes: dict[str, Any], **parts: Any) -> Scenario:
    """A chain some of whose nodes stop."""
    return chain(n, faults={"crashes": list(crashes)}, **{"network": {"latency": WIDE}} | parts)


@pytest.mark.parametrize("protocol", ["pbft", "tendermint"])
def test_only_blocks_that_a_node_would_lead_are_run_by_messages_once_it_is_gone(protocol: str) -> None:
    scenario = crashing(16, crash(1, 5.0), consensus={"protocol": protocol, "max_rounds": 4}, run={"blocks": 150})
    assert 1 < by_messages(scenario) < 30


@pytest.mark.parametrize("result", ["certify", "propose"])
@pytest.mark.parametrize("protocol", ["pbft", "tendermint"])
def test_blocks_go_on_by_whole_phases_while_nodes_are_away(
    protocol: str, result: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: dict[str, Any] = {
        "executor": {"seconds_per_request": {"kind": "lognormal", "median": 0.1, "sigma": 0.5}},
        "consensus": {"protocol": protocol, "result": result, "max_rounds": 4, "checkpoint_interval": 3},
        "run": {"blocks": 150},
    }
    scenario = crashing(13, crash([2, 5], 10.0, 60.0), crash([9], 40.0, 75.0), **parts)
    assert by_messages(scenario) < 75
    asleep = {frozenset(step.before.asleep) for step in steps_of(scenario, monkeypatch).values()}
    assert asleep >= {frozenset(), frozenset({2, 5}), frozenset({2, 5, 9})}


def test_crashes_after_the_chain_has_ended_change_nothing() -> None:
    late = crashing(7, crash(1, 500.0), crash([3], 600.0, 700.0))
    assert by_messages(late) == 0


def test_silent_nodes_may_crash_unseen() -> None:
    faults = {"byzantine": 2, "crashes": [crash([5, 6], 0.5, 1.0)]}
    scenario = chain(7, faults=faults, network={"latency": WIDE}, consensus={"max_rounds": 7}, run={"blocks": 40})
    without = chain(
        7, faults={"byzantine": 2}, network={"latency": WIDE}, consensus={"max_rounds": 7}, run={"blocks": 40}
    )
    assert by_messages(scenario) == by_messages(without)


def test_a_node_that_comes_back_after_the_last_block_still_asks_while_votes_are_on_their_way() -> None:
    for seed in range(8):
        by_messages(crashing(7, crash(2, 0.6, 0.7), network={"latency": TAILS}, run={"blocks": 1, "seed": seed}))


def test_an_execution_that_a_crash_ends_is_done_again() -> None:
    slow: dict[str, Any] = {"executor": {"kind": "cpu", "seconds_per_request": 3.0}, "count": 1, "devices": 2}
    nodes = {"a": {"executor": {"kind": "cpu"}, "count": 3}, "slow": slow}
    for until in (1.3, 3.4, None):
        document = {
            "nodes": nodes,
            "consensus": {"timeouts": {"result": 20.0}},
            "faults": {"crashes": [crash(1, 1.0, until, "slow")]},
            "network": {"latency": WIDE},
            "run": {"blocks": 14, "seed": 5},
        }
        by_messages(Scenario.model_validate(document))


def test_nodes_that_come_back_together_answer_each_other() -> None:
    """Node 0 is asleep from the start; node 1, which knows more, falls asleep later and wakes at the same time."""
    crashes = [crash(1, 0.0, 1.9), crash(1, 1.4, 2.4), crash(2, 4.4, 7.3), crash(11, 1.2, 1.5)]
    law = {"difficulty": "near_tie", "rate": 0.05}
    for seed in range(6):
        network, consensus = {"latency": LONG}, {"result": "propose", "timeouts": {"result": 2.0}}
        by_messages(crashing(13, *crashes, law=law, network=network, consensus=consensus, run={"seed": seed}))


def test_a_node_comes_back_to_blocks_that_have_failed_without_it() -> None:
    law = {"difficulty": "independent", "rate": 0.1}
    for seed in range(6):
        for protocol in ("pbft", "tendermint"):
            consensus = {"protocol": protocol, "timeouts": {"result": 0.5}}
            parts: dict[str, Any] = {"law": law, "consensus": consensus, "run": {"blocks": 20, "seed": seed}}
            by_messages(crashing(7, crash(2, 0.0, 4.0), crash([3], 5.0, 9.0), **parts))


def test_heights_that_failed_meanwhile_are_passed_over_by_those_who_come_back() -> None:
    """Node 0 wakes at a height that has failed, and leads the next that has not."""
    consensus = {"max_rounds": 2, "timeouts": {"view": 0.6}}
    by_messages(
        crashing(4, crash(1, 1.0, 25.0), crash([1], 1.0, 6.0), consensus=consensus, run={"blocks": 30, "seed": 29})
    )


def test_who_fell_asleep_later_answers_those_who_fell_asleep_before() -> None:
    crashes = [crash([2, 5], 10.0, 40.0), crash([9], 30.0, 40.0)]
    for seed in range(3):
        by_messages(crashing(13, *crashes, consensus={"max_rounds": 4}, run={"blocks": 60, "seed": seed}))


def test_timers_of_the_last_block_run_on_where_it_fails() -> None:
    law = {"difficulty": "near_tie", "rate": 0.05}
    gpu: dict[str, Any] = {"kind": "gpu", "nondeterminism": law, "seconds_per_request": 0.01}
    slow = gpu | {"seconds_per_request": {"kind": "lognormal", "median": 0.5, "sigma": 0.5}}
    document = {
        "nodes": {
            "a": {"count": 4, "region": "eu", "devices": 2, "executor": slow},
            "b": {"count": 3, "region": "us", "devices": 3, "executor": gpu},
        },
        "consensus": {"checkpoint_interval": 7, "result": "certify", "timeouts": {"view": 0.01}},
        "faults": {"byzantine": {"a": 0}},
        "network": {"latency": WIDE},
        "workload": {"requests_per_block": 5},
        "run": {"blocks": 3, "seed": 14},
    }
    by_messages(Scenario.model_validate(document))


def test_nodes_that_wait_do_not_ask_for_ever() -> None:
    """All have left a block that failed, in a view that lasts 10 ms, when a stretch of messages ends."""
    nodes = {
        "fast": {"count": 9, "executor": {"kind": "cpu", "seconds_per_request": 0.05}},
        "slow": {"count": 4, "executor": {"kind": "cpu", "seconds_per_request": 3.0}},
    }
    document = {
        "nodes": nodes,
        "consensus": {"checkpoint_interval": 7, "timeouts": {"view": 0.01, "result": 2.0}},
        "faults": {"byzantine": {"fast": 3}},
        "network": {"latency": TAILS},
        "run": {"blocks": 3, "seed": 2680686841},
    }
    by_messages(Scenario.model_validate(document))


def test_a_replica_that_hears_the_votes_before_the_proposal_sends_no_nil() -> None:
    law = {"difficulty": "independent", "rate": 0.1}
    consensus = {"protocol": "tendermint", "result": "propose"}
    for seed in range(4):
        by_messages(
            chain(4, law=law, consensus=consensus, network={"latency": TAILS}, run={"blocks": 40, "seed": seed})
        )


def test_no_quorum_left_after_the_last_block_is_no_stall() -> None:
    """Two of four nodes stop for good while the last votes are on their way; in one case, after all wanted failures."""
    for at in (0.3, 0.4, 0.5, 0.6):
        by_messages(crashing(4, crash(2, at), network={"latency": TAILS}, run={"blocks": 1, "seed": 2}))
