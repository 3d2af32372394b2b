"""Holding the phases engine against the events engine: the same delays, so the same times and the same numbers."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from timed import of, traced

from sim.engines.events.engine import run_events
from sim.engines.phases.engine import run_phases
from sim.engines.phases.run import Run

if TYPE_CHECKING:
    from sim import Scenario
    from sim.engines.events.measures import Measures
    from sim.engines.phases.chain import Step
    from sim.engines.phases.flow import Passed

SAME = 1e-12


def numbers(plain: Any, path: str = "") -> dict[str, Any]:
    """The leaves of nested values, by path."""
    if isinstance(plain, dict):
        return {k: v for key, value in plain.items() for k, v in numbers(value, f"{path}.{key}").items()}
    if isinstance(plain, list | tuple):
        return {k: v for key, value in enumerate(plain) for k, v in numbers(value, f"{path}.{key}").items()}
    return {path: plain}


def by_messages(scenario: Scenario, failures: int | None = None) -> int:
    """Run a scenario by both engines, see that all numbers are the same, and count the blocks run by messages."""
    events, phases = run_events(scenario, failures=failures), run_phases(scenario, failures=failures)
    assert phases.timing is not None
    count = phases.timing.blocks_by_messages
    assert count is not None
    expected, found = numbers(asdict(events)), numbers(asdict(phases))
    for apart in (".engine", ".timing.blocks_by_messages"):
        del expected[apart], found[apart]
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        close = pytest.approx(value, rel=SAME, abs=0) if isinstance(value, float) else value
        assert found[path] == close, (path, found[path], value)
    return count


def steps_of(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> dict[int, Step]:
    """Blocks that went through whole phases, by height."""
    steps: dict[int, Step] = {}

    def tell(self: Run, step: Step, measures: Measures) -> None:
        steps[step.before.height] = step
        original(self, step, measures)

    original = Run._tell
    monkeypatch.setattr(Run, "_tell", tell)
    run_phases(scenario)
    return steps


def check_times(scenario: Scenario, steps: dict[int, Step]) -> None:
    """See that every node casts every vote, decides and certifies at the same time as message by message."""
    from sim.consensus.protocols import PROTOCOLS

    course = PROTOCOLS.load(scenario.consensus.protocol)
    _, lines = traced(scenario)
    for height, step in steps.items():
        times = step.times
        found = {"decide": times.decided, course.ballots[1].name: times.prepared}
        if scenario.consensus.result == "certify":
            assert times.voted is not None
            found |= {"certify": times.closed, "result": times.voted}
        sent = {name: of(lines, "send", type=name, height=height) for name in found}
        for name, expected in found.items():
            told = sent[name] or of(lines, name, height=height)
            seen = np.full(scenario.node_count, np.inf)
            for line in told:
                seen[line["node"]] = line["t"]
            assert seen == pytest.approx(expected, rel=SAME, abs=0), (height, name)


def passed_of(scenario: Scenario) -> list[Passed]:
    """Blocks of a chain with several in flight that took the plain course, up to the first that did not."""
    from sim.engines.phases.flow import Disturbed
    from sim.engines.phases.flows import FLOWS

    flow, passed = FLOWS.load(scenario.consensus.protocol)(scenario), []
    with suppress(Disturbed):
        passed.extend(flow.blocks(flow.start()))
    return passed


def check_passed(scenario: Scenario, blocks: list[Passed]) -> None:
    """See that every node casts every vote, decides and certifies at the same time as message by message."""
    _, lines = traced(scenario)
    for block in blocks:
        for name, expected in block.times.items():
            told = of(lines, name if name in {"decide", "certify"} else "send", height=block.height)
            seen = np.full(scenario.node_count, np.inf)
            for line in told:
                if line["event"] != "send" or line["type"] == name:
                    assert seen[line["node"]] == np.inf, (block.height, name)
                    seen[line["node"]] = line["t"]
            assert seen == pytest.approx(expected, rel=SAME, abs=0), (block.height, name)
        (over,) = of(lines, "over", height=block.height)
        assert over["t"] == pytest.approx(block.ended, rel=SAME, abs=0), block.height
