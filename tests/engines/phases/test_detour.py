"""A chain that is run in parts, each from the cut that the one before handed back, is the chain that is run at once."""

from __future__ import annotations

import io
import json
from collections import Counter
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from phased import SAME, numbers
from timed import chain, of, traced

from sim import EngineError, Result, Scenario
from sim.consensus.protocols.icc import Icc
from sim.consensus.protocols.icc_messages import BeaconShare
from sim.consensus.protocols.setting import Setting
from sim.consensus.timeouts import Timeouts
from sim.engines.events import engine
from sim.engines.events.engine import run_events
from sim.engines.events.measures import Measures
from sim.engines.events.trace import Trace
from sim.engines.phases.cut import Cut
from sim.engines.phases.detour import Detour, run_detour
from sim.engines.phases.executions import Executions
from sim.engines.result import counted_result
from sim.network.keyed import Address, KeyedUniforms
from sim.network.links import Links
from sim.network.schema import Network
from sim.statistics.counts import Task

LOGNORMAL = {"kind": "lognormal", "median": 0.05, "sigma": 0.6}
LATENCIES = [
    LOGNORMAL,
    LOGNORMAL,
    {"kind": "uniform", "low": 0.0, "high": 0.3},
    {"kind": "pareto", "minimum": 0.02, "shape": 1.5},
    {"kind": "normal", "mean": 0.1, "deviation": 0.01},
]
SECONDS = [None, 0.01, 0.2, 0.7, 3.0, {"kind": "lognormal", "median": 0.5, "sigma": 0.5}]
LAWS = [None, None, {"difficulty": "near_tie", "rate": 0.05}, {"difficulty": "independent", "rate": 0.1}]


@st.composite
def chains(draw: st.DrawFn, protocols: tuple[str, ...] = ("hotstuff", "icc")) -> Scenario:
    """Chains with several blocks in flight, in which anything goes wrong that can without crashes."""
    n, law = draw(st.sampled_from([4, 7, 7, 13])), draw(st.sampled_from(LAWS))
    first = draw(st.integers(1, n - 1))
    nodes: dict[str, Any] = {}
    for name, count in (("a", first), ("b", n - first)):
        executor: dict[str, Any] = {"kind": "gpu", "nondeterminism": law} if law else {"kind": "cpu"}
        seconds = draw(st.sampled_from(SECONDS))
        executor |= {} if seconds is None else {"seconds_per_request": seconds}
        nodes[name] = {"count": count, "executor": executor, "devices": draw(st.sampled_from([1, 1, 2]))}
        nodes[name]["power"] = draw(st.sampled_from([1, 1, 1, 2]))
    power = sum(group["count"] * group["power"] for group in nodes.values())
    timeouts = {key: st.sampled_from([0.3, 0.6, 2.0, 20.0]) for key in ("view", "rank", "result")}
    timeouts["notary"] = st.sampled_from([0.0, 0.1, 0.3])
    consensus: dict[str, Any] = {
        "protocol": draw(st.sampled_from(protocols)),
        "result": draw(st.sampled_from(["certify", "propose"])),
        "timeouts": draw(st.fixed_dictionaries({}, optional=timeouts)),
    }
    if draw(st.booleans()):
        consensus["max_rounds"] = draw(st.integers(1, 4))
    if draw(st.integers(0, 3)) == 0:
        consensus["quorum"] = draw(st.integers(power // 2 + 1, power))
    silent = draw(st.integers(0, min(first - 1, 2))) if draw(st.integers(0, 2)) == 0 else 0
    return Scenario.model_validate(
        {
            "nodes": nodes,
            "consensus": consensus,
            "faults": {"byzantine": {"a": silent}},
            "network": {"latency": draw(st.sampled_from(LATENCIES))},
            "workload": {"requests_per_block": draw(st.sampled_from([1, 1, 3]))},
            "run": {"blocks": draw(st.integers(1, 60)), "seed": draw(st.integers(0, 2**32))},
        }
    )


def beginning(scenario: Scenario) -> Cut:
    """Where a chain begins."""
    silent = {
        node for name, nodes in scenario.numbering.items() for node in nodes[len(nodes) - scenario.faults.of(name) :]
    }
    begun = np.array([np.inf if node in silent else 0.0 for node in range(scenario.node_count)])
    idle = Executions(scenario, lambda key: KeyedUniforms(key, scenario.node_count)).idle
    return Cut(1, begun, idle)


def in_parts(
    scenario: Scenario, blocks: int = 1, failures: int | None = None
) -> tuple[Result, list[dict[str, Any]], list[int]]:
    """Run a chain by one detour after another; also what was traced, and how many blocks each part had."""
    measures = Measures(Task(scenario.scenario_id, "events", scenario.run.seed))
    cut: Cut | None = beginning(scenario)
    lines: list[dict[str, Any]] = []
    parts, ended = [], 0.0
    while cut is not None:
        stream = io.StringIO()
        wanted = None if failures is None else failures - measures.failures
        detour = Detour(scenario, cut, blocks, measures.fresh(), wanted, Trace(stream, scenario))
        detour.run()
        told = map(json.loads, stream.getvalue().splitlines())
        lines += [one for one in told if detour.left is None or one.get("height", 0) < detour.left.height]
        measures.absorb(detour.seen)
        parts.append(detour.seen.blocks)
        cut, ended = detour.left, detour.over_at
    measures.ended(ended, None)
    return replace(counted_result(scenario, measures.counts), timing=measures.timing()), lines, parts


def check(scenario: Scenario, blocks: int = 1) -> list[int]:
    """See that a chain in parts is the same to the last message; how long the parts are."""
    whole, expected = traced(scenario)
    found, lines, parts = in_parts(scenario, blocks)
    told, wanted = (Counter(json.dumps(one) for one in some if "height" in one) for some in (lines, expected))
    missing, more = wanted - told, told - wanted
    assert not missing, (min(missing, key=lambda line: json.loads(line)["t"]), parts)
    assert not more, (min(more, key=lambda line: json.loads(line)["t"]), parts)
    same(whole, found)
    return parts


def same(whole: Result, found: Result) -> None:
    """See that two results are the same."""
    one, other = numbers(asdict(whole)), numbers(asdict(found))
    assert one.keys() == other.keys()
    for path, value in one.items():
        close = pytest.approx(value, rel=SAME, abs=0) if isinstance(value, float) else value
        assert other[path] == close, (path, other[path], value)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chains(), st.sampled_from([1, 1, 2, 5]))
def test_a_chain_in_parts_is_the_same_to_the_last_message(scenario: Scenario, blocks: int) -> None:
    check(scenario, blocks)


def ten(protocol: str, seconds: Any = None, rate: float = 0.003, **parts: Any) -> Scenario:
    """Ten nodes that sometimes answer differently."""
    executor: dict[str, Any] = {} if seconds is None else {"seconds_per_request": seconds}
    law = {"difficulty": "near_tie", "rate": rate}
    common: dict[str, Any] = {"consensus": {"protocol": protocol}, "network": {"latency": LOGNORMAL}}
    for key, value in parts.items():
        common[key] = common.get(key, {}) | value
    return chain(10, law=law, executor=executor, run={"blocks": 40, "seed": 5}, **common)


@pytest.mark.parametrize("result", ["certify", "propose"])
@pytest.mark.parametrize("protocol", ["hotstuff", "icc"])
def test_where_nothing_goes_wrong_parts_are_short(protocol: str, result: str) -> None:
    parts = check(ten(protocol, consensus={"result": result}))
    assert len(parts) > 20
    assert max(parts) < 10


@pytest.mark.parametrize("result", ["certify", "propose"])
@pytest.mark.parametrize("protocol", ["hotstuff", "icc"])
def test_a_chain_with_a_silent_leader_now_and_then_is_handed_back_in_between(protocol: str, result: str) -> None:
    parts = check(ten(protocol, consensus={"result": result}, faults={"byzantine": 1}))
    assert 10 < len(parts) < 40
    assert max(parts) < 30


@pytest.mark.parametrize(("protocol", "short"), [("hotstuff", {"view": 0.25}), ("icc", {"rank": 0.25, "notary": 0.1})])
def test_timers_that_run_out_now_and_then(protocol: str, short: dict[str, float]) -> None:
    _, lines = traced(ten(protocol, consensus={"timeouts": short}))
    assert len(of(lines, "timeout")) > 2
    assert 2 < len(check(ten(protocol, consensus={"timeouts": short}))) < 40


def test_shares_of_a_beacon_are_still_on_their_way() -> None:
    scenario = ten("icc")
    measures = Measures(Task(scenario.scenario_id, "phases", 1))
    cut = run_detour(scenario, beginning(scenario), 3, None, measures).left
    assert cut is not None
    shared = cut.begun - np.linspace(0.06, 0.0, 10)  # some are there before the first node begins, others are not
    stream = io.StringIO()
    Detour(scenario, cut._replace(shared=shared), 1, measures.fresh(), None, Trace(stream, scenario)).run()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    links = Links(scenario.network or Network(), [""] * 10, scenario.numbering, scenario.run.seed)
    setting = Setting(0, (1,) * 10, 7, 3, False, 10, Timeouts(), 100, watched=False)  # noqa: FBT003 -- a tuple
    kinds = Icc(setting).messages
    delays = links.delays(Address(cut.height - 1, 0, kinds.index(BeaconShare)))
    known = np.sort(shared[:, np.newaxis] + delays, axis=0)[scenario.faults_tolerated]
    ranked = {one["node"]: one["t"] for one in of(lines, "phase", phase="ranks", height=cut.height)}
    assert [ranked[node] for node in range(10)] == np.maximum(cut.begun, known).tolist()
    assert (known > cut.begun).sum() > 0
    assert known.min() < cut.begun.max()


def test_devices_go_on_with_blocks_below() -> None:
    parts = check(ten("icc", 0.3, node={"devices": 2}, workload={"requests_per_block": 3}))
    assert len(parts) > 20


def test_flow_control_counts_what_is_not_closed_below() -> None:
    """Blocks take much longer to execute than to order: it is flow control that sets the pace."""
    parts = check(ten("icc", 2.0))
    assert len(parts) > 20


def test_nothing_is_handed_back_where_flow_control_and_decisions_come_at_the_same_moment() -> None:
    parts = check(ten("hotstuff", 0.3))
    assert parts[-1] > 15


def test_copies_are_numbered_on() -> None:
    """Replicas of ICC number what they ask and answer; how long a copy takes depends on its number."""
    timeouts = {"rank": 0.3, "result": 0.2}
    scenario = ten("icc", consensus={"result": "propose", "timeouts": timeouts}, faults={"byzantine": 1})
    _, lines = traced(scenario)
    assert len(of(lines, "send", type="fetch")) > 4
    assert len(check(scenario)) > 4


def test_it_ends_at_a_number_of_failing_blocks() -> None:
    scenario = ten("icc", rate=0.03, consensus={"quorum": 10})
    whole = run_events(scenario, failures=2)
    assert whole.blocks is not None
    assert whole.blocks < 40
    assert whole.block_failure.count == 2
    found, _, parts = in_parts(scenario, failures=2)
    assert len(parts) > 1
    same(whole, found)


def test_a_detour_that_does_not_fit_in_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = ten("hotstuff")
    measures = Measures(Task(scenario.scenario_id, "phases", 1))
    detour = run_detour(scenario, beginning(scenario), 3, None, measures)
    assert detour.left is not None
    assert detour.left.height == 1 + detour.seen.blocks >= 4
    assert measures.blocks == 0
    monkeypatch.setattr(engine, "memory_refusal", lambda _: "too large")
    with pytest.raises(EngineError, match="block 4 fails, or may time out, and must run message by message: too large"):
        run_detour(scenario, detour.left._replace(height=4), 1, None, measures)
