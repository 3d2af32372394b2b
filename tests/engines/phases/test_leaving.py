"""When the phases are not all that happens, that block is run message by message, and the others are not."""

from __future__ import annotations

from typing import Any

import pytest
from phased import by_messages
from timed import chain

from sim import EngineError, Scenario, run
from sim.consensus.protocols import PROTOCOLS
from sim.engines.events import engine
from sim.engines.phases.course import course_of
from sim.engines.phases.engine import refusal, run_phases
from sim.engines.select import choose

WIDE = {"kind": "uniform", "low": 0.0, "high": 0.3}


def mixed(slow_s: float, protocol: str, result: str, timeouts: dict[str, float], **parts: Any) -> Scenario:
    """Six fast nodes and a slow one."""
    nodes = {
        name: {"count": count, "executor": {"kind": "cpu", "seconds_per_request": seconds}}
        for name, count, seconds in (("fast", 6, 0.1), ("slow", 1, slow_s))
    }
    consensus = {"protocol": protocol, "result": result, "timeouts": timeouts}
    document = {"nodes": nodes, "consensus": consensus, "network": {"latency": 0.05}, "run": {"blocks": 12}}
    return Scenario.model_validate(document | parts)


@pytest.mark.parametrize(
    ("protocol", "result", "timeout", "short"),
    [
        ("pbft", "certify", "view", 0.35),
        ("pbft", "certify", "result", 0.1),
        ("tendermint", "certify", "propose", 0.2),
        ("tendermint", "certify", "result", 0.1),
    ],
)
def test_a_timer_that_may_run_out_leads_out_and_one_that_cannot_does_not(
    protocol: str, result: str, timeout: str, short: float
) -> None:
    parts: dict[str, Any] = {"network": {"latency": WIDE}, "run": {"blocks": 20}}
    consensus: dict[str, Any] = {"protocol": protocol, "result": result}
    quiet = chain(7, consensus=consensus | {"timeouts": {timeout: 60.0}}, **parts)
    loud = chain(7, consensus=consensus | {"timeouts": {timeout: short}}, **parts)
    assert by_messages(quiet) == 0
    assert by_messages(loud) > 0


def test_a_prevote_timer_runs_from_prevotes_of_any_kind() -> None:
    """Where some prevote nil and the votes for the proposal come late, a quorum of any kind starts the timer."""
    law = {"difficulty": "near_tie", "rate": 0.02}
    parts: dict[str, Any] = {"law": law, "network": {"latency": WIDE}, "run": {"blocks": 60, "seed": 2}}
    consensus = {"protocol": "tendermint", "result": "propose"}
    long = by_messages(chain(7, consensus=consensus | {"timeouts": {"prevote": 5.0}}, **parts))
    short = by_messages(chain(7, consensus=consensus | {"timeouts": {"prevote": 0.01}}, **parts))
    assert short > long


def test_a_slow_node_that_hears_of_the_next_height_for_long_asks_and_leads_out() -> None:
    assert by_messages(mixed(0.15, "pbft", "propose", {})) == 0
    assert by_messages(mixed(0.4, "pbft", "propose", {"result": 0.4})) > 0  # it is later than a quarter of that
    assert by_messages(mixed(1.2, "pbft", "propose", {"result": 20.0})) > 0  # or two heights behind


def test_a_slow_node_votes_late_on_results_and_keeps_nobody() -> None:
    assert by_messages(mixed(2.5, "pbft", "certify", {})) == 0
    assert by_messages(mixed(2.5, "pbft", "certify", {}, network={"latency": 0.05, "bandwidth": 1e6})) > 0


def test_failing_blocks_are_run_by_messages_and_the_others_are_not() -> None:
    scenario = chain(13, law={"difficulty": "near_tie", "rate": 0.01}, run={"blocks": 300, "seed": 4})
    result = run(scenario)
    assert result.engine == "phases"
    assert result.timing is not None
    assert result.block_failure.count is not None
    assert result.timing.blocks_by_messages is not None
    assert 0 < result.block_failure.count <= result.timing.blocks_by_messages < 30
    by_messages(scenario)


@pytest.mark.parametrize("until", [None, 6.5])
def test_a_crash_leads_out_and_in_again(until: float | None) -> None:
    crash = {"nodes": {"a": 1}, "at": 5.0} | ({} if until is None else {"until": until})
    scenario = chain(
        7, faults={"crashes": [crash]}, network={"latency": WIDE}, consensus={"max_rounds": 7}, run={"blocks": 60}
    )
    count = by_messages(scenario)
    assert 0 < count < 60


def test_a_chain_that_can_never_decide_ends_at_once() -> None:
    scenario = chain(4, faults={"byzantine": 2}, run={"blocks": 10_000})
    assert by_messages(scenario) == 10_000


def test_a_block_that_does_not_fit_in_memory_message_by_message_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "memory_refusal", lambda _: "too large")
    assert run_phases(chain(4)).blocks == 10
    with pytest.raises(EngineError, match="block 1 fails, or may time out, and must run message by message: too large"):
        run_phases(chain(4, faults={"byzantine": 2}))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"faults": {"byzantine": 1, "behaviour": "random"}}, "silent"),
        (
            {"consensus": {"protocol": "hotstuff"}, "network": {"bandwidth": 1e6}},
            "with several blocks in flight (hotstuff)",
        ),
        ({"consensus": {"protocol": "icc"}, "network": {"bandwidth": 1e6}}, "no network.bandwidth"),
        ({"network": {"loss": 0.1}}, "ordinary time"),
        ({"network": {"topology": {"kind": "ring"}}}, "direct way"),
        ({"recovery": {"law": "geometric", "mean_blocks": 3}}, "do not depend on those before"),
    ],
)
def test_what_it_cannot_answer_is_refused_and_auto_takes_events(parts: dict[str, Any], said: str) -> None:
    scenario = chain(7, **parts)
    refused = refusal(scenario)
    assert refused is not None
    assert said in refused
    assert choose(scenario, "auto")[0] == "events"
    with pytest.raises(EngineError, match="the phases engine cannot answer this"):
        choose(scenario, "phases")


def test_auto_takes_phases_for_timing_and_events_where_every_message_is_told() -> None:
    assert choose(chain(), "auto")[0] == "phases"
    assert choose(chain(), "auto", traced=True)[0] == "events"
    with pytest.raises(EngineError, match="only events"):
        run(chain(), engine="phases", trace="t.jsonl")


def test_the_course_is_read_off_the_transitions() -> None:
    pbft, tendermint = (course_of(PROTOCOLS.load(name)) for name in ("pbft", "tendermint"))
    assert [kind.name for kind in (pbft.proposal, *pbft.ballots)] == ["pre-prepare", "prepare", "commit"]
    assert (pbft.phases, pbft.own_first, pbft.nil, pbft.proposal_votes) == (
        ("pre-prepared", "prepared"),
        True,
        False,
        True,
    )
    assert [kind.name for kind in (tendermint.proposal, *tendermint.ballots)] == ["proposal", "prevote", "precommit"]
    assert (tendermint.phases, tendermint.own_first, tendermint.nil, tendermint.proposal_votes) == (
        ("prevote", "precommit"),
        False,
        True,
        False,
    )


def test_a_protocol_whose_arrows_lead_nowhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pbft = PROTOCOLS.load("pbft")
    monkeypatch.setattr(pbft, "transitions", [arrow for arrow in pbft.transitions if arrow.event != "q commits"])
    with pytest.raises(ValueError, match="no way from prepared on q commits"):
        course_of(pbft)


def test_a_ballot_that_is_owed_is_forgotten_where_the_next_block_goes_wrong() -> None:
    """Node 0 still executes block 1 when block 2 fails, and decides block 3 before it could vote on block 1."""
    nodes = {
        "slow": {"count": 1, "executor": {"kind": "cpu", "seconds_per_request": 9.0}},
        "fast": {"count": 3, "executor": {"kind": "cpu"}},
    }
    consensus = {"protocol": "tendermint", "result": "propose"}
    network = {"latency": {"kind": "lognormal", "median": 0.05, "sigma": 0.6}}
    for seed in range(8):
        document = {"nodes": nodes, "consensus": consensus, "network": network, "run": {"blocks": 5, "seed": seed}}
        by_messages(Scenario.model_validate(document))


def test_a_node_that_is_two_heights_behind_at_the_end_of_a_stretch_asks() -> None:
    """It would have heard of the block after the stretch, and asked, while it was still at the one before the last."""
    law = {"difficulty": "near_tie", "rate": 0.05}
    gpu: dict[str, Any] = {"kind": "gpu", "nondeterminism": law}
    seconds = {"kind": "lognormal", "median": 0.5, "sigma": 0.5}
    timeouts = {"view": 20.0, "propose": 2.0, "prevote": 0.1, "precommit": 0.5, "commit": 2.0, "result": 20.0}
    consensus = {"protocol": "tendermint", "quorum": 15, "timeouts": timeouts, "checkpoint_interval": 100}
    document = {
        "nodes": {
            "a": {
                "count": 11,
                "power": 2,
                "region": "eu",
                "devices": 1,
                "executor": gpu | {"seconds_per_request": 0.7},
            },
            "b": {"count": 5, "devices": 2, "region": "us", "executor": gpu | {"seconds_per_request": seconds}},
        },
        "consensus": consensus,
        "faults": {"crashes": [{"nodes": {"b": 1}, "at": 1.0, "until": 1.3}]},
        "network": {"latency": {"kind": "pareto", "minimum": 0.02, "shape": 1.5}},
        "run": {"blocks": 7, "seed": 63},
    }
    by_messages(Scenario.model_validate(document))


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("protocol", ["pbft", "tendermint"])
def test_no_delay_at_all_gives_the_same_too(protocol: str, n: int) -> None:
    by_messages(chain(n, network={"latency": 0}, consensus={"protocol": protocol}, run={"blocks": 150}))


@pytest.mark.parametrize(("slow_s", "power"), [(3.0, 2), (0.7, 1)])
def test_a_checkpoint_proves_a_block_to_a_node_that_has_not_begun_it(slow_s: float, power: int) -> None:
    nodes = {
        "slow": {"count": 1, "power": power, "executor": {"kind": "cpu", "seconds_per_request": slow_s}},
        "fast": {"count": 6, "executor": {"kind": "cpu"}},
    }
    consensus = {"result": "propose", "checkpoint_interval": 2, "timeouts": {"result": 20.0}}
    network = {"latency": {"kind": "lognormal", "median": 0.05, "sigma": 0.6}}
    for seed in range(6):
        document = {"nodes": nodes, "consensus": consensus, "network": network, "run": {"blocks": 4, "seed": seed}}
        by_messages(Scenario.model_validate(document))
