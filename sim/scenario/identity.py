"""The identity of a scenario: what decides its numbers, and nothing else.

Name, description, sweep and the `run` block do not change what is simulated, so they are left out; optional keys
that are not set stay out too, so that a later version with more of them gives old scenarios their old ids.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.scenario.schema import Scenario

_NOT_PART = {"name", "description", "sweep", "run"}


def canonical(scenario: Scenario) -> dict[str, Any]:
    """Everything that decides a scenario's numbers, defaults filled in, as plain values.

    Byzantine nodes are given by group however they were written, without the groups that have none.
    """
    plain = scenario.model_dump(mode="json", exclude=_NOT_PART, exclude_none=True)
    by_group = {name: scenario.faults.of(name) for name in scenario.nodes}
    plain["faults"]["byzantine"] = {name: number for name, number in by_group.items() if number}
    normal: dict[str, Any] = _positive_zeros(plain)
    return normal


def _positive_zeros(value: Any) -> Any:
    """Write -0.0 as the 0.0 that it equals."""
    if isinstance(value, dict):
        return {key: _positive_zeros(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_positive_zeros(entry) for entry in value]
    return value + 0.0 if isinstance(value, float) else value


def scenario_id(scenario: Scenario) -> str:
    """SHA-256 of a scenario's canonical JSON, as 64 hexadecimal digits.

    Parameters
    ----------
    scenario
        A validated scenario.

    Returns
    -------
    str
        The same for scenarios that must give the same numbers.
    """
    text = json.dumps(canonical(scenario), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
