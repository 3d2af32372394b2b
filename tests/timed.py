"""Scenarios for the tests of the events engine, and their traces."""

from __future__ import annotations

import io
import json
from typing import Any

from sim import Result, Scenario
from sim.engines.events.engine import run_events
from sim.engines.events.trace import Trace


def chain(n: int = 4, *, law: dict[str, Any] | None = None, **parts: Any) -> Scenario:
    """A chain of n nodes, deterministic unless a law is given; parts are merged in, by their top-level key."""
    executor: dict[str, Any] = {"kind": "gpu", "nondeterminism": law} if law else {"kind": "cpu"}
    document: dict[str, Any] = {
        "nodes": {"a": {"count": n, "executor": executor | parts.pop("executor", {})} | parts.pop("node", {})},
        "network": {},
        "run": {"blocks": 10, "seed": 1},
    }
    for key, value in parts.items():
        document[key] = document.get(key, {}) | value
    return Scenario.model_validate(document)


def traced(scenario: Scenario) -> tuple[Result, list[dict[str, Any]]]:
    """Run it, and read its trace."""
    stream = io.StringIO()
    result = run_events(scenario, trace=Trace(stream, scenario))
    return result, [json.loads(line) for line in stream.getvalue().splitlines()]


def of(lines: list[dict[str, Any]], event: str, **fields: Any) -> list[dict[str, Any]]:
    """The lines of one event."""
    return [
        line
        for line in lines
        if line.get("event") == event and all(line.get(key) == value for key, value in fields.items())
    ]
