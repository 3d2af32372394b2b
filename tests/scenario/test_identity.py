"""The id of a scenario depends on what decides its numbers, and on nothing else."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import Scenario
from sim.base.document import parse_document
from sim.scenario.load import validated

REFERENCE = """\
nodes:
  gpu:
    count: 13
    hardware: h100
    executor:
      kind: gpu
      nondeterminism: {difficulty: near_tie, rate: 1e-4, per: request}
consensus: {protocol: icc, fault_threshold: 1/3}
faults: {byzantine: 0, behaviour: silent}
workload: {requests_per_block: 1, tokens: 256}
"""
# Results are stored under this id: a change that breaks this line makes everybody's stored results unreachable.
REFERENCE_ID = "dd35b32fa0f40fe6da53f64d146c014fb8aa6c53b15497ea2987350ec65389f5"


def id_of(text: str) -> str:
    return validated(parse_document(text, "test")).scenario_id


def id_of_tree(tree: dict[str, Any]) -> str:
    return Scenario.model_validate(tree).scenario_id


def tree(**changes: Any) -> dict[str, Any]:
    """Plain values of a scenario of two groups, with one value replaced per dotted path (dots written `__`)."""

    def group(count: int, rate: float, correlation: float) -> dict[str, Any]:
        law = {"difficulty": "beta", "rate": rate, "correlation": correlation, "alternatives": 0.0}
        executor = {"kind": "gpu", "nondeterminism": law | {"per": "request", "shared_noise": 0.0}}
        return {"count": count, "power": 1, "hardware": "h", "executor": executor}

    plain: dict[str, Any] = {
        "nodes": {"a": group(4, 0.1, 0.3), "b": group(9, 0.2, 0.4)},
        "consensus": {"protocol": "icc", "fault_threshold": "1/3", "result": "certify"},
        "faults": {"byzantine": {"a": 1, "b": 1}, "behaviour": "silent"},
        "workload": {"requests_per_block": 1, "tokens": 1},
    }
    for path, value in changes.items():
        *way, last = path.split("__")
        here = plain
        for step in way:
            here = here[step]
        here[last] = value
    return plain


def test_the_id_of_the_reference_scenario_never_changes() -> None:
    assert id_of(REFERENCE) == REFERENCE_ID


def test_the_id_is_the_hash_of_sorted_ascii_json() -> None:
    canonical = {
        "nodes": {"a": {"count": 4, "hardware": "a", "power": 1, "executor": {"kind": "cpu"}}},
        "consensus": {"protocol": "pbft", "fault_threshold": "1/3", "result": "certify"},
        "faults": {"byzantine": {}, "behaviour": "silent"},
        "workload": {"requests_per_block": 1, "tokens": 1},
    }
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"))
    assert id_of("nodes: {a: {count: 4, executor: {kind: cpu}}}") == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("threshold", ["25 %", "25%", "1/4", "0.25", "'0.25'", "0.250", "2/8", "2.5e-1"])
def test_a_threshold_gives_the_same_id_however_it_is_written(threshold: str) -> None:
    written = REFERENCE.replace("fault_threshold: 1/3", f"fault_threshold: {threshold}")
    assert id_of(written) == id_of(REFERENCE.replace("fault_threshold: 1/3", "fault_threshold: 1/4"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("nodes:", "name: another\nnodes:"),
        ("nodes:", "description: what it shows\nnodes:"),
        ("nodes:", "run: {engine: montecarlo, blocks: 5, seed: 99}\nnodes:"),
        ("nodes:", "sweep: {r: {path: nodes.gpu.count, values: [4]}}\nnodes:"),
        ("difficulty: near_tie, ", ""),
        ("per: request", "per: request, alternatives: 0, shared_noise: 0"),
        ("per: request", "per: request, alternatives: -0.0, shared_noise: -0.0"),
        (", per: request", ""),
        ("count: 13", "count: 13\n    power: 1"),
        ("behaviour: silent", ""),
        ("faults: {byzantine: 0, behaviour: silent}\n", ""),
        ("requests_per_block: 1, ", ""),
        ("byzantine: 0", "byzantine: {}"),
        ("byzantine: 0", "byzantine: {gpu: 0}"),
        ("1/3}", "1/3, result: certify}"),
        ("1/3}", "1/3, quorum: null}"),
        ("protocol: icc, fault_threshold: 1/3", "fault_threshold: 1/3, protocol: icc"),
        ("1e-4", "0.0001"),
    ],
)
def test_what_does_not_decide_the_numbers_does_not_change_the_id(old: str, new: str) -> None:
    assert REFERENCE.count(old) == 1
    assert id_of(REFERENCE.replace(old, new)) == REFERENCE_ID


def test_hardware_is_part_of_the_id_and_defaults_to_the_name_of_the_group() -> None:
    bare = REFERENCE.replace("    hardware: h100\n", "")
    assert id_of(bare) != REFERENCE_ID
    assert id_of(bare) == id_of(REFERENCE.replace("h100", "gpu"))


@pytest.mark.parametrize("number", [1, 4, 13])
def test_byzantine_nodes_give_the_same_id_as_a_number_and_by_group(number: int) -> None:
    plain = REFERENCE.replace("byzantine: 0", f"byzantine: {number}")
    assert id_of(plain) == id_of(REFERENCE.replace("byzantine: 0", f"byzantine: {{gpu: {number}}}")) != REFERENCE_ID


def test_the_order_of_groups_does_not_change_the_id() -> None:
    plain = tree()
    assert id_of_tree(plain) == id_of_tree(plain | {"nodes": dict(reversed(plain["nodes"].items()))})


LAW = "nodes__b__executor__nondeterminism__"
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "nodes__b__count": st.integers(1, 1000).filter(lambda n: n != 9),
    "nodes__b__power": st.integers(2, 1000),
    "nodes__b__hardware": st.text("abcxyz", min_size=2, max_size=8),
    LAW + "rate": st.floats(1e-300, 0.99).filter(lambda rate: rate != 0.2),
    LAW + "correlation": st.floats(1e-9, 0.999).filter(lambda rho: rho != 0.4),
    "consensus__protocol": st.sampled_from(["pbft", "tendermint", "hotstuff"]),
    "consensus__fault_threshold": st.fractions(0, "1/2", max_denominator=1000)
    .map(str)
    .filter(_open := lambda t: t not in {"0", "1/2", "1/3"}),
    "consensus__result": st.just("propose"),
    "consensus__quorum": st.integers(7, 13),
    "faults__behaviour": st.sampled_from(["random", "collude", "amplify", "equivocate"]),
    "faults__byzantine": st.sampled_from([{}, {"a": 1}, {"b": 2}, {"a": 1, "b": 2}, {"a": 2, "b": 1}]),
    "workload__requests_per_block": st.integers(2, 10**6),
    "workload__tokens": st.integers(2, 10**6),
}


@given(st.data())
def test_any_other_field_changes_the_id(data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(sorted(FIELDS)))
    value = data.draw(FIELDS[field])
    assert id_of_tree(tree(**{field: value})) != id_of_tree(tree()), (field, value)


@pytest.mark.parametrize(("key", "value"), [("per", "token"), ("alternatives", 2.0), ("shared_noise", 1.0)])
def test_what_all_groups_share_changes_the_id(key: str, value: object) -> None:
    changes = {f"nodes__{name}__executor__nondeterminism__{key}": value for name in "ab"}
    assert id_of_tree(tree(**changes)) != id_of_tree(tree())


def test_recorded_outputs_are_part_of_the_id() -> None:
    text = "nodes: {a: {count: 2, executor: {kind: recorded, outputs: [x, %s]}}}"
    assert id_of(text % "y") != id_of(text % "z")


@given(st.floats(1e-300, 0.49), st.floats(1e-300, 0.49))
def test_rates_give_the_same_id_only_when_they_are_the_same_double(one: float, other: float) -> None:
    path = LAW + "rate"
    assert (id_of_tree(tree(**{path: one})) == id_of_tree(tree(**{path: other}))) == (one == other)
