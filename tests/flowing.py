"""Chains with several blocks in flight: drawn, and held block by block against the trace of the events engine."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st
from phased import SAME, check_numbers, numbers
from timed import of, traced

from sim import Scenario
from sim.engines.events.measures import Measures
from sim.engines.phases.flow import Disturbed, Flow, Passed
from sim.statistics.counts import Task

LOGNORMAL = {"kind": "lognormal", "median": 0.05, "sigma": 0.6}
FAR = {"kind": "normal", "mean": 0.1, "deviation": 0.01}
LATENCIES = [
    LOGNORMAL,
    {"kind": "uniform", "low": 0.0, "high": 0.3},
    {"kind": "pareto", "minimum": 0.02, "shape": 1.5},
    {"kind": "regions", "between": {"eu": {"eu": LOGNORMAL, "us": FAR}, "us": {"us": LOGNORMAL}}},
]
SECONDS = [None, 0.01, 0.3, 0.7, 3.0, {"kind": "lognormal", "median": 0.5, "sigma": 0.5}]
LAWS = [None, None, {"difficulty": "near_tie", "rate": 0.002}, {"difficulty": "independent", "rate": 0.1}]


@st.composite
def chains(draw: st.DrawFn, protocol: str, timeouts: dict[str, list[float]], blocks: int = 40) -> Scenario:
    """Chains of two groups, with anything that a flow knows, and timeouts that may run out."""
    n, law = draw(st.sampled_from([4, 7, 16])), draw(st.sampled_from(LAWS))
    first = draw(st.integers(1, n - 1))
    nodes: dict[str, Any] = {}
    for name, region, count in (("a", "eu", first), ("b", "us", n - first)):
        executor: dict[str, Any] = {"kind": "gpu", "nondeterminism": law} if law else {"kind": "cpu"}
        seconds = draw(st.sampled_from(SECONDS))
        executor |= {} if seconds is None else {"seconds_per_request": seconds}
        nodes[name] = {"count": count, "region": region, "executor": executor, "devices": draw(st.sampled_from([1, 2]))}
        nodes[name]["power"] = draw(st.sampled_from([1, 1, 1, 2]))
    power = sum(group["count"] * group["power"] for group in nodes.values())
    consensus: dict[str, Any] = {"protocol": protocol, "result": draw(st.sampled_from(["certify", "propose"]))}
    drawn = {key: st.sampled_from(seconds) for key, seconds in timeouts.items()}
    consensus["timeouts"] = draw(st.fixed_dictionaries({}, optional=drawn))
    consensus |= draw(
        st.fixed_dictionaries(
            {}, optional={"quorum": st.integers(power // 2 + 1, power), "max_rounds": st.integers(1, 3)}
        )
    )
    silent = draw(st.sampled_from([0, 0, 0, first - 1]))
    return Scenario.model_validate(
        {
            "nodes": nodes,
            "consensus": consensus,
            "faults": {"byzantine": {"a": silent}},
            "network": {"latency": draw(st.sampled_from(LATENCIES))},
            "workload": {"requests_per_block": draw(st.sampled_from([1, 1, 3]))},
            "run": {"blocks": draw(st.integers(1, blocks)), "seed": draw(st.integers(0, 2**32))},
        }
    )


class Course(NamedTuple):
    """The blocks that went the plain course, and when the first node began one that did not, if any."""

    passed: list[Passed]
    until: float

    @property
    def whole(self) -> bool:
        """Whether all of the chain went that way."""
        return self.until == np.inf


def course_of(flow: Flow) -> Course:
    """Work out blocks until the chain ends, or something disturbs it."""
    passed: list[Passed] = []
    end, until = flow.scenario.run.blocks + 1, np.inf
    try:
        passed.extend(flow.blocks(flow.start()))  # what came before an exception stays
    except Disturbed as disturbed:
        end, until = disturbed.cut.height, disturbed.cut.first
    assert [one.height for one in passed] == [*range(1, end)]
    return Course(passed, until)


def check_course(scenario: Scenario, course: Course) -> None:
    """See that every node does everything at the same time as message by message, and that as much is sent."""
    result, lines = traced(scenario)
    by_height: dict[int, list[dict[str, Any]]] = {}
    for line in lines:
        if line.get("t", 0.0) > course.until:
            break  # what follows may tell again what was said before
        by_height.setdefault(line.get("height", 0), []).append(line)
    for passed in course.passed:
        mine = by_height[passed.height]
        for name, expected in passed.times.items():
            seen = np.full(scenario.node_count, np.inf)
            for line in of(mine, "send", type=name) or of(mine, name):
                seen[line["node"]] = line["t"]
            assert seen == pytest.approx(expected, rel=SAME, abs=0), (passed.height, name)
        (over,) = of(mine, "over")
        assert (over["outcome"], over["t"]) == ("agreed", passed.ended)
        sent: Counter[str] = Counter()
        for line in of(mine, "send"):
            sent[line["type"]] += len(line["to"])
        assert sent == Counter({kind.name: number for kind, number, _ in passed.sent})
    if course.whole:
        check_numbers(numbers(asdict(_timing(scenario, course))), numbers(asdict(result)["timing"]))


def _timing(scenario: Scenario, course: Course) -> Any:
    measures = Measures(Task(scenario.scenario_id, "events", scenario.run.seed))
    for passed in course.passed:
        for kind, number, size in passed.sent:
            measures.sent(kind, number, size)
        for kind, number, size in passed.empties:
            measures.sent(kind, number, size, empty=True)
        measures.agrees(passed.diverged, 1, passed.latency)
    measures.ended(course.passed[-1].ended, None)
    return measures.timing()
