"""The tally that tolerates differences: against the exact one, and against a plain reading of its definition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import EngineError, Scenario, load_scenario, run
from sim.consensus import tally, tolerant
from sim.consensus.tally import Election, Outcome
from sim.consensus.tolerant import Ballot

BEHAVIOURS = ["silent", "random", "collude", "amplify", "equivocate"]


@st.composite
def elections(draw: Any) -> tuple[Election, list[int]]:
    power = draw(st.lists(st.integers(1, 5), max_size=5))
    byzantine = draw(st.integers(0, 6))
    largest = draw(st.integers(0, byzantine))
    votes = max(sum(power) + byzantine, 1)
    quorum = draw(st.integers(votes // 2 + 1, votes))
    return Election(votes, quorum, byzantine, largest, draw(st.sampled_from(BEHAVIOURS))), power


@settings(max_examples=400)
@given(elections())
def test_where_answers_match_only_themselves_it_is_the_exact_tally(drawn: tuple[Election, list[int]]) -> None:
    election, unsorted = drawn
    power = np.array(sorted(unsorted, reverse=True), dtype=np.int64)
    number = len(power)
    ballot = Ballot(power, np.eye(number, dtype=np.bool_), np.zeros(number, dtype=np.bool_))
    groups = power.reshape(1, -1) if number else np.zeros((1, 1), dtype=np.int64)
    assert tolerant.certify(election, ballot).outcome == tally.certify(election, groups).outcome[0]
    ends = power.cumsum()
    for leader in range(number):
        verdict = tally.propose(election, groups, np.array([ends[leader] - 1]))
        settled = tolerant.propose(election, ballot, leader)
        assert settled.outcome == verdict.outcome[0]
        if settled.outcome == Outcome.agreed:
            assert np.flatnonzero(settled.matched).tolist() == [leader]
    if election.byzantine:
        verdict = tally.propose(election, groups, np.array([election.votes - 1]))
        assert tolerant.propose(election, ballot, None).outcome == verdict.outcome[0]


def plainly(election: Election, ballot: Ballot) -> Outcome:
    """The definition, read aloud: who votes for what, what is certified, and whether it is one result."""
    number, b, q = len(ballot.power), election.byzantine, election.quorum
    support = [sum(int(ballot.power[j]) for j in range(number) if ballot.accepts[i, j]) for i in range(number)]
    ranked = sorted(range(number), key=lambda i: -support[i])
    votes: dict[Any, int] = dict(enumerate(support))
    if election.behaviour == "collude" and b:
        votes["forged"] = b + sum(int(ballot.power[j]) for j in range(number) if ballot.forged[j])
    elif election.behaviour == "random":
        votes["alone"] = election.largest_byzantine
    elif election.behaviour in {"amplify", "equivocate"}:
        for place in range(2) if election.behaviour == "equivocate" else [1]:
            key = ranked[place] if place < number else f"made up {place}"
            votes[key] = votes.get(key, 0) + b
    mutual = ballot.forged if ballot.mutual is None else ballot.mutual
    certified = [result for result, cast in votes.items() if cast >= q]

    def match(one: Any, other: Any) -> bool:
        if isinstance(one, int) and isinstance(other, int):
            return bool(ballot.accepts[one, other] and ballot.accepts[other, one])
        if "forged" in (one, other):
            honest = other if one == "forged" else one
            return bool(one == other or (isinstance(honest, int) and mutual[honest]))
        return bool(one == other)

    if not certified:
        return Outcome.no_quorum
    if not all(match(one, other) for one in certified for other in certified):
        return Outcome.forked
    if any(not isinstance(result, int) for result in certified):
        return Outcome.wrong_result
    best = max(certified, key=lambda i: support[i])
    rivals = [i for i in range(number) if support[i] > support[best] and not match(i, best)]
    return Outcome.wrong_result if rivals and support[best] < q else Outcome.agreed


@settings(max_examples=400)
@given(elections(), st.integers(0, 2**31), st.booleans())
def test_it_is_its_definition_for_any_matching(drawn: tuple[Election, list[int]], seed: int, symmetric: bool) -> None:
    election, power = drawn
    stream, number = np.random.default_rng(seed), len(power)
    accepts = stream.random((number, number)) < 0.6
    if symmetric:
        accepts |= accepts.T
    np.fill_diagonal(accepts, val=True)
    forged = stream.random(number) < 0.5
    mutual = None if symmetric else forged & (stream.random(number) < 0.5)
    ballot = Ballot(np.array(power, dtype=np.int64), accepts, forged, mutual=mutual)
    assert tolerant.certify(election, ballot).outcome == plainly(election, ballot)


def ballot_of(power: list[int], *pairs: tuple[int, int]) -> Ballot:
    accepts = np.eye(len(power), dtype=np.bool_)
    for one, other in pairs:
        accepts[one, other] = accepts[other, one] = True
    return Ballot(np.array(power), accepts, np.zeros(len(power), dtype=np.bool_))


def test_a_fork_needs_no_attacker_where_the_middle_is_large() -> None:
    """A~B, B~C, not A~C: 3 + 4 and 4 + 3 of 10 votes certify A and C, which do not match."""
    honest = Election(10, 7, 0, 0, "silent")
    assert tolerant.certify(honest, ballot_of([3, 4, 3], (0, 1), (1, 2))).outcome == Outcome.forked
    assert (
        tolerant.certify(honest, ballot_of([4, 2, 4], (0, 1), (1, 2))).outcome == Outcome.agreed
    )  # only B is certified
    assert tolerant.certify(honest, ballot_of([3, 4, 3], (0, 1), (1, 2), (0, 2))).outcome == Outcome.agreed
    assert tolerant.certify(honest, ballot_of([3, 4, 3])).outcome == Outcome.no_quorum


def test_what_an_honest_quorum_accepts_is_no_wrong_result() -> None:
    """A has 7 of 10, C has 8 and does not match A: led by A a quorum of honest nodes agrees on it all the same."""
    ballot = ballot_of([2, 5, 3], (0, 1), (1, 2))
    assert tolerant.propose(Election(10, 7, 0, 0, "silent"), ballot, 0).outcome == Outcome.agreed
    helped = ballot_of([2, 4, 4], (0, 1), (1, 2))  # A has 6 of its own: without Byzantine votes it would not pass
    assert tolerant.propose(Election(11, 7, 1, 1, "equivocate"), helped, 0).outcome == Outcome.no_quorum
    assert tolerant.propose(Election(10, 6, 3, 1, "equivocate"), ballot_of([3, 4]), 0).outcome == Outcome.wrong_result


def recorded(*outputs: str, **keys: Any) -> Scenario:
    nodes = {"n": {"count": len(outputs), "executor": {"kind": "recorded", "outputs": list(outputs)}}}
    return Scenario.model_validate({"nodes": nodes} | keys)


def test_numbers_within_a_tolerance_are_agreed_and_outliers_diverge() -> None:
    near = {"matching": {"kind": "tolerance", "absolute": 0.5}}
    result = run(recorded("10.0", "10.2", "10.4", "99", consensus=near))
    assert result.outcomes["agreed"].probability == 1
    assert result.diverged_per_block.mean == 1
    assert run(recorded("10.0", "10.2", "10.4", "99")).outcomes["no_quorum"].probability == 1


def test_a_slanted_answer_passes_where_it_is_close_enough_to_honest_ones() -> None:
    """The attacker is the last node; its 11.4 is accepted by one of three, and beyond the bound around their median."""
    near = {"matching": {"kind": "tolerance", "absolute": 0.5}, "result": "propose", "fault_threshold": "49 %"}
    faults = {"byzantine": 1, "behaviour": "collude", "answer": "11.4"}
    result = run(recorded("10.0", "11.0", "?", consensus=near, faults=faults))
    assert result.outcomes["wrong_result"].probability == pytest.approx(1 / 3)
    assert result.outcomes["no_quorum"].probability == pytest.approx(2 / 3)
    certified = run(recorded("10.0", "11.0", "?", consensus=near | {"result": "certify"}, faults=faults))
    assert certified.outcomes["wrong_result"].probability == 1


def test_a_number_within_the_bound_around_the_honest_median_does_no_harm() -> None:
    near = {"matching": {"kind": "tolerance", "absolute": 0.5}, "result": "propose"}
    faults = {"byzantine": 1, "behaviour": "collude", "answer": "10.6"}
    for result in ("propose", "certify"):
        ended = run(recorded("10.2", "10.3", "10.4", "?", consensus=near | {"result": result}, faults=faults))
        assert ended.outcomes["agreed"].probability == 1
    texts = recorded("10.2", "10.3", "10.4", "?", consensus=near, faults=faults | {"answer": "11"})
    assert run(texts).outcomes["no_quorum"].probability == 0.25


def test_attackers_who_give_an_honest_answer_vote_for_it() -> None:
    faults = {"byzantine": 1, "behaviour": "collude", "answer": "x"}
    result = run(recorded("x", "x", "y", "z", consensus={"result": "propose"}, faults=faults))
    assert result.outcomes["agreed"].probability == 0.75  # led by either x, or by the attacker
    assert result.outcomes["no_quorum"].probability == 0.25
    assert run(recorded("x", "x", "y", "z", faults=faults)).outcomes["agreed"].probability == 1


def test_many_answers_are_compared_as_texts_at_once_and_pair_by_pair_only_up_to_a_bound() -> None:
    many = [str(number) for number in range(20_000)]
    assert run(recorded(*many)).outcomes["no_quorum"].probability == 1
    near = {"matching": {"kind": "tolerance", "absolute": 0.5}}
    assert run(recorded(*many[:200], consensus=near)).outcomes["no_quorum"].probability == 1
    with pytest.raises(EngineError, match=r"501 different answers are too many .* \(at most 500\)"):
        run(recorded(*many[:501], consensus=near))


@pytest.mark.parametrize("result", ["certify", "propose"])
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_pair_by_pair_is_what_texts_give(result: str, behaviour: str) -> None:
    """A rule that matches nothing but equal answers, against the tally of texts."""
    outputs, faults = ["a", "a", "a", "b", "b", "c", "x"], {"byzantine": 1, "behaviour": behaviour}
    plain = run(recorded(*outputs, consensus={"result": result}, faults=faults))
    named = run(recorded(*outputs, consensus={"result": result, "matching": {"kind": "tolerance"}}, faults=faults))
    assert named.outcomes == plain.outcomes
    assert named.diverged_per_block == plain.diverged_per_block


def test_equivocation_helps_only_the_two_largest() -> None:
    election = Election(11, 6, 6, 6, "equivocate")
    ballot = ballot_of([2, 2, 1])
    assert tolerant.propose(election, ballot, 2).outcome == Outcome.no_quorum
    assert tolerant.propose(election, ballot, 0).outcome == Outcome.agreed


@pytest.mark.parametrize(
    ("name", "threshold", "outcome"),
    [
        ("three_computers_semantic", 0.49, "agreed"),
        ("three_computers_semantic", 0.5, "agreed"),
        ("three_computers_semantic", 0.6, "no_quorum"),
        ("three_computers_attacked", 0.49, "wrong_result"),
        ("three_computers_attacked", 0.6, "no_quorum"),
    ],
)
def test_the_shipped_scenarios_do_what_their_comments_claim(name: str, threshold: float, outcome: str) -> None:
    path = Path(__file__).parents[2] / "scenarios" / "tolerant" / f"{name}.yaml"
    assert path.read_text().startswith("# Shows: ")
    result = run(load_scenario(path, [f"consensus.matching.threshold={threshold}"]))
    assert result.outcomes[outcome].probability == 1


def test_nobody_forges_where_nobody_is_byzantine() -> None:
    """An answer that all honest nodes would accept is put to the vote by attackers only."""
    texts, cosines = list("xyzw"), [[1, 0.1, 0.1, 0.9], [0.1, 1, 0.1, 0.9], [0.1, 0.1, 1, 0.9], [0.9, 0.9, 0.9, 1]]
    rule = {"kind": "semantic", "threshold": 0.5, "texts": texts, "cosines": cosines}
    for byzantine, outcome in ((0, "no_quorum"), (1, "wrong_result")):
        faults = {"byzantine": byzantine, "behaviour": "collude", "answer": "w"}
        outputs = ["x", "y", "z", "?"][: 3 + byzantine]
        ended = run(recorded(*outputs, consensus={"matching": rule}, faults=faults))
        assert ended.outcomes[outcome].probability == 1


def test_a_relative_bound_that_holds_one_way_only_does_not_make_two_numbers_one() -> None:
    """Of 100 and 111 the larger accepts the smaller within a tenth of 111, and not the other way round."""
    rule = {"kind": "tolerance", "relative": 0.1}
    faults = {"byzantine": 1, "behaviour": "collude"}
    texts = recorded("100", "100", "100", "?", consensus={"matching": rule}, faults=faults | {"answer": "111"})
    assert run(texts).outcomes["forked"].probability == 1
    executor = {"kind": "numeric"}
    numbers = {"nodes": {"n": {"count": 4, "executor": executor}}, "workload": {"true_value": 100}}
    drawn = Scenario.model_validate(numbers | {"consensus": {"matching": rule}, "faults": faults | {"shift": 11}})
    assert run(drawn, blocks=50).outcomes["forked"].probability == 1
