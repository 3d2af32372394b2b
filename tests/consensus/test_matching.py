"""Matching rules: which answers count as the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sim import Scenario, run
from sim.consensus.matching import AnyMatching, Equivalence, Exact, Matching, Semantic, Tolerance, number_in

RULES: TypeAdapter[Matching] = TypeAdapter(AnyMatching)
ANSWERS = st.one_of(st.text(max_size=8), st.floats(-1e6, 1e6).map(str), st.integers(-99, 99).map(str))
TEXTS = ["a", "b", "c"]


def semantic(threshold: float, *above: float) -> Semantic:
    ab, ac, bc = above
    return Semantic(threshold=threshold, texts=TEXTS, cosines=[[1.0, ab, ac], [ab, 1.0, bc], [ac, bc, 1.0]])


@given(st.lists(ANSWERS, max_size=6), st.floats(0, 10), st.sampled_from(["words", "answer", "json"]))
def test_rules_are_symmetric_and_every_answer_matches_itself(answers: list[str], bound: float, transform: Any) -> None:
    for rule in (Exact(), Equivalence(transform=transform), Tolerance(absolute=bound), semantic(0.5, 0.9, 0.1, 0.6)):
        table = rule.table(answers)
        assert table.shape == (len(answers), len(answers))
        assert (table == table.T).all()
        assert table.diagonal().all()


@given(st.lists(st.sampled_from(["1", "1.0", "2", "x", "y", "a", "b"]), max_size=6))
def test_a_parameter_that_means_equality_is_exact(answers: list[str]) -> None:
    exact = Exact().table(answers)
    assert (semantic(1.0, 0.999, 0.9, 0.5).table(answers) == exact).all()
    numbers = [answer for answer in answers if answer != "1.0"]  # 1 and 1.0 are one number, and two texts
    assert (Tolerance().table(numbers) == Exact().table(numbers)).all()


def test_equivalence_sorts_answers_into_classes() -> None:
    words = Equivalence()
    assert words.accepts("Un LLM est un grand modèle !", "un llm  est un grand modele")
    assert not words.accepts("a b", "b a")
    answer = Equivalence(transform="answer")
    assert answer.accepts("I think it is 42.", "the answer: 42.0")
    assert not answer.accepts("none", "nothing")
    document = Equivalence(transform="json")
    assert document.accepts('{"a": 1, "b": [2]}', '{"b":[2],"a":1}')
    assert not document.accepts('{"a": 1}', '{"a": "1"}')
    assert not document.accepts("[" * 100_000, "{")
    rounded = Equivalence(transform="round", digits=2)
    assert rounded.accepts("3.141", "3.1423")
    assert not rounded.accepts("3.144", "3.146")
    assert rounded.accepts("-0.001", "0.001")


def test_a_tolerance_is_around_the_proposed_number() -> None:
    assert Tolerance(absolute=0.5).accepts("10", "10.5")
    assert not Tolerance(absolute=0.5).accepts("10", "10.6")
    relative = Tolerance(relative=0.1)
    assert relative.accepts("100", "90")
    assert not relative.accepts("90", "100")  # 10 is more than a tenth of 90
    assert not relative.accepts("about 90", "90")
    assert [number_in(text) for text in (" 1e3 ", "1e999", "0x1", "", "1 2")] == [1000.0, None, None, None, None]


def test_meaning_need_not_be_transitive() -> None:
    rule = semantic(0.5, 0.6, 0.4, 0.6)
    assert rule.accepts("a", "b")
    assert rule.accepts("b", "c")
    assert not rule.accepts("a", "c")
    assert not rule.accepts("a", "unknown")
    assert semantic(0.6, 0.6, 0.4, 0.59).table(TEXTS).sum() == 5  # a threshold that is reached is enough


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (
            {"kind": "exakt"},
            "must be one of exact, equivalence, tolerance, semantic, median, approximate, margin; did you mean exact?",
        ),
        ({"kind": "equivalence", "transform": "round"}, "is required with transform round, and only there"),
        ({"kind": "equivalence", "digits": 2}, "is required with transform round, and only there"),
        ({"kind": "equivalence", "share": 0.5, "transform": "json"}, "excludes transform: give one of"),
        ({"kind": "equivalence", "share": 0.5, "preset": "parsed_answers"}, "excludes share: give one of"),
        ({"kind": "equivalence", "share": 1.5}, "less than or equal to 1"),
        ({"kind": "equivalence", "share": 0.5, "digits": 2}, "is required with transform round, and only there"),
        ({"kind": "tolerance", "absolute": -1.0}, "greater than or equal to 0"),
        ({"kind": "semantic", "threshold": 0.5, "texts": ["a"], "cosines": [[1.0, 1.0]]}, "must have 1 rows of 1"),
        ({"kind": "semantic", "threshold": 0.5, "texts": ["a", "a"], "cosines": [[1.0, 1.0]] * 2}, "a text twice"),
        (
            {"kind": "semantic", "threshold": 0.5, "texts": ["a", "b"], "cosines": [[1.0, 0.2], [0.3, 1.0]]},
            "must be 0.2, as in row 0",
        ),
        ({"kind": "semantic", "threshold": 2.0, "texts": ["a"], "cosines": [[1.0]]}, "less than or equal to 1"),
    ],
)
def test_what_is_wrong_with_a_rule_is_told(rule: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told.replace("?", r"\?")):
        RULES.validate_python(rule)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"consensus": {"matching": {"kind": "tolerance"}}}, "needs recorded answers"),
        ({"consensus": {"matching": {"kind": "equivalence"}}}, "give a share or a preset"),
        ({"faults": {"behaviour": "collude", "answer": "x"}}, "needs recorded answers"),
        ({"faults": {"behaviour": "silent", "answer": "x"}}, "goes with behaviour collude"),
        ({"faults": {"behaviour": "collude", "answer": "\x1b"}}, "must not hold control characters"),
    ],
)
def test_rules_and_made_up_answers_go_with_recorded_ones(keys: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Scenario.model_validate({"nodes": {"n": {"count": 4, "executor": {"kind": "cpu"}}}} | keys)


@pytest.mark.parametrize("rule", [{"share": 0.5}, {"preset": "parsed_answers"}])
def test_a_share_is_of_whole_answers_that_are_drawn(rule: dict[str, Any]) -> None:
    matching = {"kind": "equivalence"} | rule
    executor: dict[str, Any] = {"kind": "gpu", "nondeterminism": {"rate": 0.1, "per": "token"}}
    document = {"nodes": {"n": {"count": 4, "executor": executor}}, "consensus": {"matching": matching}}
    (key,) = rule
    with pytest.raises(ValidationError, match=rf"consensus\.matching\.{key}\n  is of whole answers: .* token and 7"):
        Scenario.model_validate(document | {"workload": {"tokens": 7}})
    assert Scenario.model_validate(document).consensus.equivalent == Equivalence.model_validate(matching).assumed
    executor["nondeterminism"]["per"] = "request"
    Scenario.model_validate(document | {"workload": {"tokens": 7}})
    recorded = {"n": {"count": 1, "executor": {"kind": "recorded", "outputs": ["a"]}}}
    with pytest.raises(ValidationError, match=rf"consensus\.matching\.{key}\n  .*: give a transform"):
        Scenario.model_validate(document | {"nodes": recorded})


def test_without_a_share_texts_are_read_as_words() -> None:
    assert Equivalence() == Equivalence(transform="words") == Equivalence.model_validate({"share": None})
    assert Equivalence().model_dump(exclude_none=True) == {"kind": "equivalence", "transform": "words"}
    assert Equivalence(share=0.5).model_dump(exclude_none=True) == {"kind": "equivalence", "share": 0.5}
    assert [rule.assumed for rule in (Exact(), Equivalence(), Equivalence(share=0.5))] == [None, None, 0.5]
    assert not Equivalence(share=1.0).accepts("a", "A")  # it reads nothing


def test_exact_matching_is_what_is_meant_without_a_word() -> None:
    nodes = {"n": {"count": 4, "executor": {"kind": "recorded", "outputs": ["a", "a", "a", "b"]}}}
    plain = run(Scenario.model_validate({"nodes": nodes}))
    named = run(Scenario.model_validate({"nodes": nodes, "consensus": {"matching": {"kind": "exact"}}}))
    assert named.outcomes == plain.outcomes
    assert named.diverged_per_block == plain.diverged_per_block
    assert "matching" not in Scenario.model_validate({"nodes": nodes}).model_dump(exclude_none=True)["consensus"]


def test_texts_and_numbers_are_rounded_alike_and_overflow_matches_nothing() -> None:
    rule = Equivalence(transform="round", digits=2)
    for one, other in (("2.675", "2.67"), ("2.675", "2.68"), ("0.125", "0.12"), ("-0.001", "0")):
        numbers = (np.array(float(one)), np.array(float(other)))
        assert rule.accepts(one, other) == bool(rule.alike(*numbers))
    last = Equivalence(transform="answer")
    assert not last.accepts("1e999", "-3 then 2e900")
    assert last.accepts("so 4.0", "it is 4")
