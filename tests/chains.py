"""Chains whose schedules are explored."""

from __future__ import annotations

from typing import Any

from sim import Scenario
from sim.analysis.explorer.chain import Chain, chain_of

LAW = {"kind": "gpu", "nondeterminism": {"difficulty": "near_tie", "rate": 0.1}}


def scenario(protocol: str, n: int = 4, result: str = "certify", **parts: Any) -> Scenario:
    """A chain of nodes that may deviate, with as many equivocators as it tolerates and as many rounds as nodes."""
    document: dict[str, Any] = {
        "nodes": {"a": {"count": n, "executor": LAW}},
        "consensus": {"protocol": protocol, "result": result, "max_rounds": n},
        "faults": {"byzantine": (n - 1) // 3, "behaviour": "equivocate"},
        "network": {},
    }
    for key, value in parts.items():
        document[key] = document.get(key, {}) | value
    return Scenario.model_validate(document)


def explored(protocol: str, n: int = 4, result: str = "certify", **parts: Any) -> Chain:
    """The same, as the explorer takes it."""
    return chain_of(scenario(protocol, n, result, **parts))
