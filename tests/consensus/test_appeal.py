"""The key `consensus.appeal`: its defaults, its checks, and what it costs."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sim import Scenario
from sim.cli import execute
from sim.consensus.appeal import Appeal


def scenario(appeal: dict[str, Any], consensus: dict[str, Any] | None = None, **parts: Any) -> Scenario:
    executor = {"kind": "gpu", "nondeterminism": {"rate": 1e-4}}
    nodes = {"gpu": {"count": 13, "executor": executor}}
    return Scenario.model_validate({"nodes": nodes, "consensus": {"appeal": appeal} | (consensus or {})} | parts)


def test_growth_doubles_committees_and_leaves_all_nodes_as_they_are() -> None:
    assert Appeal.model_validate({"rounds": 1, "committee": 5}).growth == 2
    assert Appeal.model_validate({"rounds": 1}).growth == 1
    assert Appeal.model_validate({"rounds": 1, "committee": 5, "growth": 1.1}).growth == Fraction(11, 10)


@pytest.mark.parametrize(
    ("appeal", "sizes"),
    [
        ({"rounds": 2}, (100, 100, 100)),
        ({"rounds": 3, "committee": 5}, (5, 10, 20, 40)),
        ({"rounds": 2, "committee": 10, "growth": 1.1}, (10, 11, 12)),
        ({"rounds": 2, "committee": 30, "growth": "5/3"}, (30, 50, 83)),
        ({"rounds": 20, "committee": 99, "growth": 1000}, (99, *[100] * 20)),
    ],
)
def test_sizes_are_rounded_down_exactly_and_capped(appeal: dict[str, Any], sizes: tuple[int, ...]) -> None:
    assert Appeal.model_validate(appeal).sizes(100) == sizes


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("rounds", 0, "greater than or equal to 1"),
        ("rounds", 21, "less than or equal to 20"),
        ("growth", 0.5, "must be at least 1, and at most 1000"),
        ("growth", 1001, "must be at least 1, and at most 1000"),
        ("growth", "fast", "must be a fraction"),
        ("committee", 0, "greater than or equal to 1"),
        ("committee", 14, "must be at most the 13 nodes"),
        ("committee", None, "must be 1 where committee is left out"),
    ],
)
def test_values_out_of_range(key: str, value: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        scenario({"rounds": 2, "committee": 5, "growth": 2} | {key: value})


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"consensus": {"result": "propose"}}, "where result is propose"),
        ({"consensus": {"result": "endorse"}}, "where result is endorse"),
        ({"consensus": {"quorum": 9}}, "a committee's quorum follows from its size"),
        ({"workload": {"requests_per_block": 3}}, "several decision points .this has 3.: every attempt would have to"),
        ({"verification": {"kind": "tee"}}, "where one node executes"),
        ({"nodes": {"a": {"count": 5, "power": 2, "executor": {"kind": "cpu"}}}}, "drawn node by node"),
        (
            {"nodes": {"a": {"count": 5, "executor": {"kind": "recorded", "outputs": list("abcde")}}}},
            "where answers are recorded",
        ),
    ],
)
def test_what_does_not_go_with_it(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        scenario({"rounds": 1, "committee": 5}, **parts)
    assert caught.value.error_count() == 1


def test_tokens_are_decision_points_only_where_the_rate_is_per_token() -> None:
    assert scenario({"rounds": 1}, workload={"tokens": 256}).points == 1
    law = {"rate": 1e-4, "per": "token"}
    nodes = {"gpu": {"count": 13, "executor": {"kind": "gpu", "nondeterminism": law}}}
    with pytest.raises(ValidationError, match="this has 256"):
        scenario({"rounds": 1}, workload={"tokens": 256}, nodes=nodes)


def test_a_committee_does_the_work_of_its_members() -> None:
    executor = {"kind": "cpu", "seconds_per_request": 2.0}
    costs = [
        Scenario.model_validate(
            {"nodes": {"a": {"count": 10, "executor": executor}}, "consensus": {"appeal": appeal}}
        ).cost
        for appeal in ({"rounds": 1}, {"rounds": 2, "committee": 4})
    ]
    assert [cost.machine_seconds for cost in costs if cost] == pytest.approx([20, 8])


def test_the_table_tells_of_attempts_and_committees(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "appeal.yaml"
    file.write_text(
        "nodes: {gpu: {count: 13, executor: {kind: gpu, nondeterminism: {rate: 0.01}}}}\n"
        "consensus: {appeal: {rounds: 2, committee: 5}}\n"
    )
    assert execute(["run", str(file)]) == 0
    out = capsys.readouterr().out
    assert "result: certify, appeals: 2 by committees of 5, times 2\n" in out
    assert "attempts             1.0172  exact          a block, 3 at most\n" in out
    assert "no result reaches a quorum in any of 3 attempts, each by a committee." in out
    assert execute(["run", str(file), "--set", "consensus.appeal={rounds: 1}"]) == 0
    assert "no result reaches the quorum of 9 of 13 votes in any of 2 attempts." in capsys.readouterr().out
