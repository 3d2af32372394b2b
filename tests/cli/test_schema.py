"""`sim schema` prints a JSON Schema that fits what the loader accepts, and refuses what it refuses."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from sim import Scenario
from sim.cli import execute

LAW = {"difficulty": "near_tie", "rate": 1e-4, "per": "request"}
GOOD: dict[str, dict[str, Any]] = {
    "smallest": {"nodes": {"a": {"count": 4, "executor": {"kind": "cpu"}}}},
    "full": {
        "name": "x",
        "description": "y",
        "nodes": {
            "a": {"count": 4, "power": 3, "hardware": "h", "executor": {"kind": "gpu", "nondeterminism": LAW}},
            "b": {"count": 1, "executor": {"kind": "cpu"}},
        },
        "consensus": {"protocol": "icc", "fault_threshold": "33 %", "result": "propose", "quorum": 12},
        "faults": {"byzantine": {"a": 1}, "behaviour": "collude"},
        "workload": {"requests_per_block": 2, "tokens": 3},
        "run": {"engine": "exact", "blocks": 5, "seed": 0},
        "sweep": {"r": {"path": "nodes.a.count", "values": [4]}},
    },
    "timed": {
        "nodes": {
            "a": {
                "count": 4,
                "devices": 2,
                "region": "eu",
                "executor": {"kind": "cpu", "seconds_per_request": {"kind": "normal", "mean": 1, "deviation": 0.2}},
            }
        },
        "consensus": {"protocol": "tendermint", "max_rounds": 3, "timeouts": {"propose": 2}, "checkpoint_interval": 5},
        "faults": {
            "byzantine": 1,
            "behaviour": "delay",
            "delay": 0.5,
            "crashes": [{"nodes": {"a": [0, 1]}, "at": 1, "until": 2}],
        },
        "network": {
            "latency": {"kind": "regions", "between": {"eu": {"eu": 0.01}}},
            "bandwidth": 1e7,
            "topology": {"kind": "small_world", "neighbours": 2, "rewiring": 0.1},
            "loss": 0.1,
            "reordering": {"probability": 0.1, "delay": 1},
            "partitions": [{"start": 1, "end": 2, "apart": [{"a": 2}]}],
            "gst": {"time": 5, "extra": {"kind": "pareto", "minimum": 0.1, "shape": 2}},
        },
        "run": {"engine": "events"},
    },
    "beta": {
        "nodes": {
            "a": {
                "count": 4,
                "executor": {
                    "kind": "gpu",
                    "nondeterminism": {"difficulty": "beta", "rate": 0, "correlation": 0.5, "alternatives": 2},
                },
            }
        },
        "consensus": {"fault_threshold": 0.25},
        "faults": {"byzantine": 1},
    },
    "appeal": {
        "nodes": {"a": {"count": 9, "executor": {"kind": "gpu", "nondeterminism": LAW}}},
        "consensus": {"appeal": {"rounds": 2, "committee": 3, "growth": "3/2"}},
    },
    "endorse": {"nodes": {"a": {"count": 9, "executor": {"kind": "cpu"}}}, "consensus": {"result": "endorse"}},
    "recorded": {"nodes": {"a": {"count": 2, "executor": {"kind": "recorded", "outputs": ["x", "y"]}}}},
}
BAD: list[tuple[str, Any]] = [
    ("nods", {}),
    ("nodes", {}),
    ("nodes.a.count", 0),
    ("nodes.a.count", "4"),
    ("nodes.a.cuont", 4),
    ("nodes.a.executor.kind", "gpuu"),
    ("nodes.a.executor.nondeterminism.rate", 0.5),
    ("nodes.a.executor.nondeterminism.rat", 0.1),
    ("nodes.a.power", 0),
    ("consensus.protocol", "paxos"),
    ("consensus.fault_threshold", [1, 3]),
    ("faults.behaviour", "nasty"),
    ("faults.byzantine", "one"),
    ("workload.tokens", 0),
    ("run.seed", -1),
    ("run.seed", 2**63),
    ("run.blocks", 0),
    ("run.blocks", 10**13),
    ("run.engine", "fast"),
]
TYPES: dict[str, tuple[type, ...]] = {
    "object": (),
    "array": (),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


@pytest.fixture
def schema(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert execute(["schema"]) == 0
    parsed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return parsed


def fits(value: Any, part: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether a value satisfies a JSON Schema, for the keywords that a structure needs."""
    if "$ref" in part:
        *_, name = part["$ref"].split("/")
        return fits(value, root["$defs"][name], root)
    if "anyOf" in part:
        return any(fits(value, choice, root) for choice in part["anyOf"])
    if isinstance(value, dict):
        return _object_fits(value, part, root)
    if isinstance(value, list):
        return part.get("type", "array") == "array" and all(fits(item, part.get("items", {}), root) for item in value)
    return _plain_fits(value, part)


def _plain_fits(value: Any, part: dict[str, Any]) -> bool:
    unbounded = not isinstance(value, int | float)
    number = 0 if unbounded else value
    return (
        isinstance(value, TYPES.get(part.get("type", ""), (object,)))
        and value in part.get("enum", [value])
        and value == part.get("const", value)
        and (unbounded or part.get("minimum", -math.inf) <= number <= part.get("maximum", math.inf))
        and (unbounded or part.get("exclusiveMinimum", -math.inf) < number < part.get("exclusiveMaximum", math.inf))
    )


def _object_fits(value: dict[str, Any], part: dict[str, Any], root: dict[str, Any]) -> bool:
    known, other = part.get("properties", {}), part.get("additionalProperties", True)
    other = {} if other is True else other
    return part.get("type", "object") == "object" and (
        set(part.get("required", [])) <= value.keys()
        and part.get("minProperties", 0) <= len(value)
        and all(
            fits(item, known[key], root) if key in known else other is not False and fits(item, other, root)
            for key, item in value.items()
        )
    )


@pytest.mark.parametrize("name", GOOD)
def test_a_valid_scenario_fits_the_schema(name: str, schema: dict[str, Any]) -> None:
    Scenario.model_validate(GOOD[name])
    assert fits(GOOD[name], schema, schema)


@pytest.mark.parametrize(("path", "value"), BAD)
def test_a_mistake_does_not_fit_the_schema(path: str, value: Any, schema: dict[str, Any]) -> None:
    plain = json.loads(json.dumps(GOOD["full"]))
    *way, last = path.split(".")
    here = plain
    for step in way:
        here = here[step]
    here[last] = value
    with pytest.raises(ValueError, match="validation error"):
        Scenario.model_validate(plain)
    assert not fits(plain, schema, schema)


def test_every_key_is_explained(schema: dict[str, Any]) -> None:
    for name, part in [("Scenario", schema), *schema["$defs"].items()]:
        assert part.get("description"), name
        for key, field in part["properties"].items():
            explained = field.get("description") or "const" in field or "$ref" in field
            assert explained, f"{name}.{key}"


def test_the_schema_knows_no_keyword_but_those_of_json_schema(schema: dict[str, Any]) -> None:
    words = {"ge", "le", "gt", "lt", "min_length", "max_length", "strict"}
    for name, part in schema["$defs"].items():
        for key, field in part["properties"].items():
            assert not words & field.keys(), f"{name}.{key}"
