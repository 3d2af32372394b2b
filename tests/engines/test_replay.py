"""Recorded answers, tallied exactly."""

from __future__ import annotations

from typing import Any

import pytest

from sim import EngineError, Scenario, run


def replay(outputs: list[str], **parts: Any) -> Scenario:
    executor = {"kind": "recorded", "outputs": outputs}
    return Scenario.model_validate({"nodes": {"n": {"count": len(outputs), "executor": executor}}, **parts})


def test_three_different_sentences_never_reach_a_quorum() -> None:
    result = run(replay(["a model", "a language model", "a text machine"]))
    assert result.outcomes["no_quorum"].probability == 1
    assert result.engine == "exact"


def test_a_byte_decides() -> None:
    assert run(replay(["yes"] * 4)).block_failure.probability == 0
    assert run(replay(["yes", "yes", "yes.", "yes."])).block_failure.probability == 1


def test_the_last_nodes_of_a_group_are_the_byzantine_ones() -> None:
    outputs = ["a", "a", "a", "b"]
    assert run(replay(outputs, faults={"byzantine": 1})).outcomes["agreed"].probability == 1
    assert run(replay(outputs[::-1], faults={"byzantine": 1})).outcomes["no_quorum"].probability == 1


def test_a_leader_outside_the_winning_group_fails_the_block() -> None:
    result = run(replay(["a"] * 9 + ["b"] * 4, consensus={"result": "propose"}))
    assert result.outcomes["agreed"].probability == pytest.approx(9 / 13)
    assert result.diverged_per_block.mean == pytest.approx(9 / 13 * 4)


def test_amplifiers_certify_the_second_answer() -> None:
    # 6 honest say a, 3 say b, 4 liars add to b: 7 of 13, a bare majority
    parts = {"consensus": {"quorum": 7}, "faults": {"byzantine": 4, "behaviour": "amplify"}}
    result = run(replay(["a"] * 6 + ["b"] * 3 + ["lie"] * 4, **parts))
    assert result.outcomes["wrong_result"].probability == 1


def test_equivocators_fork() -> None:
    parts = {"consensus": {"quorum": 7}, "faults": {"byzantine": 4, "behaviour": "equivocate"}}
    result = run(replay(["a"] * 5 + ["b"] * 4 + ["lie"] * 4, **parts))
    assert result.outcomes["forked"].probability == 1


def test_montecarlo_refuses_and_names_the_engine_that_can() -> None:
    with pytest.raises(EngineError, match="exact can"):
        run(replay(["a"]), engine="montecarlo")
