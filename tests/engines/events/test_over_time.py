"""Chains over time, message by message."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timed import chain, of, traced

from sim import EngineError, Result, Scenario, run
from sim.engines.events.state_sync import PARTS

INDEPENDENT = {"difficulty": "independent", "rate": 0.02}
PROTOCOLS = ["pbft", "tendermint"]


def over_time(n: int = 13, *, law: dict[str, Any] | None = INDEPENDENT, top: dict[str, Any], **parts: Any) -> Scenario:
    """A chain with keys at the top level."""
    plain = chain(n, law=law, **parts).model_dump(exclude_none=True)
    return Scenario.model_validate(plain | top)


def told(result: Result) -> Any:
    """Measures over time."""
    assert result.over_time is not None
    return result.over_time


class Oracle:
    """Who is away from each block and what becomes of it, from the answers alone."""

    def __init__(self, scenario: Scenario, lines: list[dict[str, Any]]) -> None:
        recovery = scenario.recovery
        assert recovery is not None
        self.outcomes: list[str] = []
        self.away: list[set[int]] = []
        heights = of(lines, "height")
        back: dict[int, int] = {}  # slots, or committed heights
        committed = 0
        proposes, quorum = scenario.consensus.result == "propose", scenario.election.quorum
        for slot, line in enumerate(heights):
            reached = committed if recovery.every else slot
            back = {node: place for node, place in back.items() if place > reached}
            present = [node for node, result in enumerate(line["results"]) if result >= 0 and node not in back]
            sizes: dict[int, list[int]] = {}
            for node in present:
                sizes.setdefault(line["results"][node], []).append(node)
            best = max(sizes.values(), key=len)
            if proposes:
                leader = line["leaders"][0]
                best = sizes[line["results"][leader]] if leader in present else []
            self.away.append(set(back))
            self.outcomes.append("agreed" if len(best) >= quorum else "no_quorum")
            if len(best) < quorum:
                continue
            committed += 1
            for node in set(present) - set(best):
                every, blocks = recovery.every, recovery.blocks
                back[node] = -(-committed // every) * every if every else slot + 1 + (blocks or 0)


RECOVERIES = st.one_of(
    st.integers(1, 30).map(lambda blocks: {"blocks": blocks}), st.integers(1, 20).map(lambda every: {"every": every})
)


@given(
    protocol=st.sampled_from(PROTOCOLS),
    result=st.sampled_from(["certify", "propose"]),
    recovery=RECOVERIES,
    n=st.sampled_from([4, 7, 10, 13]),
    silent=st.sampled_from([0, 1]),
    law=st.sampled_from([{"difficulty": "independent", "rate": 0.05}, {"difficulty": "near_tie", "rate": 0.05}]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_block_by_block_it_does_what_counting_votes_says(
    protocol: str, result: str, recovery: dict[str, int], n: int, silent: int, law: dict[str, Any], seed: int
) -> None:
    scenario = over_time(
        n,
        law=law,
        consensus={"protocol": protocol, "result": result},
        faults={"byzantine": silent},
        run={"blocks": 60, "seed": seed},
        top={"recovery": recovery, "on_failure": "skip"},
    )
    found, lines = traced(scenario)
    oracle = Oracle(scenario, lines)
    assert [line["outcome"] for line in of(lines, "over")] == oracle.outcomes
    mean = sum(map(len, oracle.away)) / len(oracle.away)
    assert told(found).nodes_away.mean == pytest.approx(mean)
    assert told(found).chains == 1


FIVE = [
    ({"difficulty": "independent", "rate": 0.01}, {"recovery": {"law": "geometric", "mean_blocks": 20}}, {}),
    ({"difficulty": "near_tie", "rate": 0.05}, {"recovery": {"blocks": 5}}, {}),
    ({"difficulty": "beta", "rate": 0.03, "correlation": 0.3}, {"recovery": {"every": 25}}, {}),
    (INDEPENDENT, {"recovery": {"law": "lognormal", "mean_blocks": 8}}, {"faults": {"byzantine": 2}}),
    (
        {"difficulty": "independent", "rate": 0.01},
        {"recovery": {"law": "geometric", "mean_blocks": 20}},
        {"consensus": {"result": "propose"}},
    ),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("law", "top", "parts"), FIVE)
def test_it_agrees_with_the_vote_level(
    protocol: str, law: dict[str, Any], top: dict[str, Any], parts: dict[str, Any]
) -> None:
    parts = parts | {"consensus": {"protocol": protocol} | parts.get("consensus", {})}
    scenario = over_time(law=law, top=top | {"on_failure": "skip"}, run={"blocks": 1_000, "chains": 2}, **parts)
    found, wanted = run(scenario, engine="events"), run(scenario, engine="montecarlo", blocks=100_000)
    pairs = [
        (told(found).nodes_away, told(wanted).nodes_away),
        (found.diverged_per_block, wanted.diverged_per_block),
        (found.block_failure, wanted.block_failure),
    ]
    for one, other in pairs:
        assert one.low - (one.high - one.low) / 4 <= other.low + (other.high - other.low) / 2
        assert other.low <= one.high + (one.high - one.low) / 4


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_leaders_that_are_away_cost_turns_as_at_the_vote_level(protocol: str) -> None:
    scenario = over_time(
        law={"difficulty": "independent", "rate": 0.003},
        consensus={"protocol": protocol, "result": "propose", "timeouts": {"view": 1.0}},
        run={"blocks": 3_000},
        top={"recovery": {"law": "geometric", "mean_blocks": 20}},
    )
    found, wanted = run(scenario, engine="events"), run(scenario, engine="montecarlo", blocks=100_000)
    assert found.block_failure.count == 0
    assert found.timing is not None
    assert told(found).retries_per_block == pytest.approx(told(wanted).retries_per_block, rel=0.35)
    assert found.timing.rounds_per_block == pytest.approx(1 + told(found).retries_per_block)
    assert told(found).nodes_away.low < told(wanted).nodes_away.mean < told(found).nodes_away.high


def test_halts_have_a_block_and_a_cause_and_come_about_as_often_as_at_the_vote_level() -> None:
    top = {"recovery": {"law": "geometric", "mean_blocks": 20}, "on_failure": "halt"}
    scenario = over_time(top=top, run={"blocks": 400, "chains": 60})
    found = run(scenario, engine="events")
    wanted = run(scenario, engine="montecarlo", blocks=1_000_000, seed=5)
    assert sum(told(found).halts.values()) >= 50
    assert told(found).blocks_to_halt == pytest.approx(told(wanted).blocks_to_halt, rel=0.35)
    shares = [told(one).halts.get("spent", 0) / sum(told(one).halts.values()) for one in (found, wanted)]
    assert shares[0] == pytest.approx(shares[1], abs=0.15)


def test_a_halt_ends_the_run_in_the_block_that_failed() -> None:
    top = {"recovery": {"never": True}, "on_failure": "halt"}
    scenario = over_time(7, law={"difficulty": "independent", "rate": 0.1}, top=top, run={"blocks": 10_000})
    found, lines = traced(scenario)
    (halt,) = of(lines, "halt")
    over = of(lines, "over")
    assert [line["outcome"] for line in over[:-1]] == ["agreed"] * (len(over) - 1)
    assert found.blocks == len(over) or found.blocks == len(over) + 1  # a stall is no block of its own
    assert found.blocks is not None
    assert found.blocks < 10_000
    assert told(found).halts == {halt["cause"]: 1}
    assert halt["cause"] in {"spent", "budget", "split"}
    assert found.block_failure.count == 1


def test_where_all_that_is_left_is_too_few_for_good_a_skipping_chain_stalls() -> None:
    top = {"recovery": {"never": True}, "on_failure": "skip"}
    crash = {"nodes": {"a": 2}, "at": 5.0}
    law = {"difficulty": "independent", "rate": 0.05}
    scenario = over_time(7, law=law, top=top, faults={"crashes": [crash]}, run={"blocks": 1_000})
    found = run(scenario, engine="events")
    assert found.timing is not None
    assert found.timing.causes["stall"] > 500
    assert found.blocks == 1_000
    assert told(found).longest_stall >= found.timing.causes["stall"]
    assert told(found).nodes_away.mean <= 2


def test_nobody_is_away_without_recovery_and_halts_still_end_the_chain() -> None:
    scenario = over_time(4, law={"difficulty": "independent", "rate": 0.2}, top={"on_failure": "halt"})
    found = run(scenario, engine="events", blocks=1_000)
    assert told(found).nodes_away.mean == 0
    assert told(found).halts == {"split": 1}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_seconds_are_those_from_the_moment_a_node_learns_that_its_answer_lost(protocol: str) -> None:
    top = {"recovery": {"seconds": 7.5}, "on_failure": "skip"}
    scenario = over_time(
        law={"difficulty": "independent", "rate": 0.01}, top=top, consensus={"protocol": protocol}, run={"blocks": 300}
    )
    found, lines = traced(scenario)
    assert found.engine == "events"
    left = {(line["node"], line["t"]) for line in of(lines, "diverge")}
    back = [(line["node"], line["t"]) for line in of(lines, "return")]
    assert len(back) > 10
    for node, time in back:
        assert any(other == node and time == pytest.approx(since + 7.5) for other, since in left)
    for node in range(13):
        times = sorted(line["t"] for name in ("diverge", "return") for line in of(lines, name, node=node))
        silent = list(pairwise(times))[::2]
        assert not any(start < line["t"] < end for start, end in silent for line in of(lines, "send", node=node))


def test_auto_takes_it_for_seconds_and_the_others_say_why_not() -> None:
    scenario = over_time(top={"recovery": {"seconds": 10}}, run={"blocks": 20})
    scenario = scenario.model_copy(update={"network": None})
    found = run(scenario)
    assert (found.engine, found.engine_reason) == ("events", "the scenario has a recovery in seconds")
    for engine in ("exact", "montecarlo"):
        with pytest.raises(EngineError, match="it counts blocks, no seconds"):
            run(scenario, engine=engine)


def synced(**network: Any) -> tuple[Result, list[dict[str, Any]]]:
    """A chain whose nodes fetch 64 MB when their answer lost."""
    return traced(
        over_time(
            law={"difficulty": "independent", "rate": 0.01},
            network=network,
            run={"blocks": 100},
            top={"recovery": {"seconds": 2.0, "state_bytes": 64_000_000}, "on_failure": "skip"},
        )
    )


def test_a_state_takes_its_way_and_its_bytes() -> None:
    found, lines = synced(latency={"kind": "constant", "seconds": 0.1}, bandwidth=1e7)
    first = of(lines, "diverge")[0]
    node = first["node"]
    back = of(lines, "return", node=node)[0]["t"]
    requests = [line for line in of(lines, "send", node=node, type="state-request") if first["t"] <= line["t"] < back]
    assert len(requests) == PARTS
    assert len({line["to"][0] for line in requests}) == 12  # all peers in turn
    alone = PARTS * (0.2 + (64e6 / PARTS + 200) / 1e7) + 2
    assert alone * (1 - 1e-9) <= back - first["t"] <= 1.5 * alone  # votes, and states of others, are on the same links
    assert found.timing is not None
    states = len(of(lines, "send", type="state"))
    assert found.timing.messages_by_type["state"] == pytest.approx(states / 100)
    assert found.timing.bytes_by_type["state"] == pytest.approx(states / 100 * 64e6 / PARTS)
    plain = [
        value
        for name, value in found.timing.messages_by_type.items()
        if name not in {"state-request", "state", "checkpoint"}
    ]
    assert found.timing.messages_per_block == pytest.approx(sum(plain))


def test_parts_that_are_lost_are_asked_for_again() -> None:
    found, lines = synced(latency={"kind": "constant", "seconds": 0.01}, loss=0.05)
    returned = {line["node"] for line in of(lines, "return")}
    assert returned
    asked = len(of(lines, "send", type="state-request"))
    assert asked > len(of(lines, "diverge")) * PARTS * 1.02
    assert told(found).nodes_away.mean < 4


def test_peers_that_are_down_are_not_asked_and_nobody_waits_for_ever() -> None:
    crash = {"nodes": {"a": 12}, "at": 1.0, "until": 100.0}
    scenario = over_time(
        law={"difficulty": "independent", "rate": 0.05},
        faults={"crashes": [crash]},
        run={"blocks": 200},
        top={"recovery": {"seconds": 1.0, "state_bytes": 1_000_000}, "on_failure": "skip"},
    )
    _, lines = traced(scenario)
    for line in of(lines, "send", type="state-request"):
        if 1.0 < line["t"] < 100.0:
            assert line["to"] == [12]
    assert len(of(lines, "over")) == 200


def test_a_node_that_crashes_while_it_is_away_comes_back_when_both_are_over() -> None:
    crash = {"nodes": {"a": 13}, "at": 3.0, "until": 30.0}
    top = {"recovery": {"seconds": 10}, "on_failure": "skip"}
    _, lines = traced(over_time(law={"difficulty": "independent", "rate": 0.05}, top=top, faults={"crashes": [crash]}))
    lost = [line for line in of(lines, "diverge") if line["t"] < 3.0]
    assert lost
    for line in lost:
        node = line["node"]
        assert not [sent for sent in of(lines, "send", node=node) if line["t"] < sent["t"] < 30.0]


def test_chains_are_told_apart_by_their_draws_and_the_first_is_a_chain_of_its_own() -> None:
    top = {"recovery": {"blocks": 20}, "on_failure": "skip"}
    single, several = (
        run(over_time(top=top, run={"blocks": 200, "chains": chains}), engine="events") for chains in (1, 3)
    )
    assert several.blocks == 600
    assert told(several).chains == 3
    assert single.timing is not None
    assert several.timing is not None
    assert several.timing.failed_blocks == single.timing.failed_blocks
    assert 2 * single.timing.simulated_s < several.timing.simulated_s < 4 * single.timing.simulated_s
    assert told(several).nodes_away != told(single).nodes_away
    assert several.to_dict() == run(over_time(top=top, run={"blocks": 200, "chains": 3}), engine="events").to_dict()


def test_a_trace_holds_one_chain() -> None:
    scenario = over_time(top={"on_failure": "skip"}, run={"chains": 2})
    with pytest.raises(EngineError, match="holds one chain"):
        run(scenario, engine="events", trace="never_written.jsonl")


@pytest.mark.parametrize(
    ("top", "parts", "words"),
    [
        ({"on_failure": "retry"}, {}, "execute a block once"),
        ({"recovery": {"blocks": 3}}, {"faults": {"byzantine": 9, "behaviour": "collude"}}, "come back after seconds"),
        (
            {"recovery": {"seconds": 3, "state_bytes": 10}},
            {"network": {"topology": {"kind": "random_regular", "degree": 4}}},
            "complete network",
        ),
    ],
)
def test_what_it_does_not_know_is_refused(top: dict[str, Any], parts: dict[str, Any], words: str) -> None:
    with pytest.raises(EngineError, match=words):
        run(over_time(top=top, **parts), engine="events")


def test_attackers_that_win_send_everybody_away_and_seconds_bring_them_back() -> None:
    scenario = over_time(
        law=None,
        faults={"byzantine": 9, "behaviour": "collude"},
        run={"blocks": 20},
        top={"recovery": {"seconds": 5}, "on_failure": "skip"},
    )
    found = run(scenario, engine="events")
    assert found.outcomes["wrong_result"].count
    assert found.blocks == 20
