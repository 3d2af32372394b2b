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
from timed import traced

from sim import Result, Scenario
from sim.engines.events.measures import Measures
from sim.engines.events.trace import Trace
from sim.engines.phases.cut import Cut
from sim.engines.phases.detour import Detour
from sim.engines.phases.executions import Executions
from sim.engines.result import counted_result
from sim.network.keyed import KeyedUniforms
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
    one, other = numbers(asdict(whole)), numbers(asdict(found))
    assert one.keys() == other.keys()
    for path, value in one.items():
        close = pytest.approx(value, rel=SAME, abs=0) if isinstance(value, float) else value
        assert other[path] == close, (path, other[path], value)
    return parts


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chains(), st.sampled_from([1, 1, 2, 5]))
def test_a_chain_in_parts_is_the_same_to_the_last_message(scenario: Scenario, blocks: int) -> None:
    check(scenario, blocks)
