"""The tally of numbers: against the tally of one block at a time, against the exact one, and by its symmetries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sim.consensus import aggregate, numbers, tally, tolerant
from sim.consensus.matching import Approximate, Equivalence, Exact, Matching, Median, Tolerance
from sim.consensus.numbers import Ended, Numbers, weighted_median
from sim.consensus.tally import Election, Outcome
from sim.consensus.tolerant import Ballot

BEHAVIOURS = ["silent", "random", "collude", "amplify", "equivocate"]
EQUAL: list[Matching] = [
    Tolerance(),
    Equivalence(transform="round", digits=0),
    Approximate(rounds=0),
    Median(),
]


@st.composite
def blocks(draw: Any) -> tuple[Election, NDArray[np.float64], NDArray[np.int64], float]:
    """Eight blocks of the same few nodes, with whole numbers close to one another, and what attackers answer."""
    power = np.array(draw(st.lists(st.integers(1, 3), min_size=1, max_size=6)), dtype=np.int64)
    byzantine = draw(st.integers(0, 5))
    largest = draw(st.integers(min(byzantine, 1), byzantine))
    votes = int(power.sum()) + byzantine
    quorum = draw(st.integers(votes // 2 + 1, votes))
    spread = draw(st.integers(1, 6))
    values = np.random.default_rng(draw(st.integers(0, 2**31))).integers(0, spread, (8, len(power))).astype(float)
    forged = draw(st.sampled_from([0.5, 1.5, 2.0, 9.0, np.inf]))
    return Election(votes, quorum, byzantine, largest, draw(st.sampled_from(BEHAVIOURS))), values, power, forged


def ballot_of(answers: Numbers, row: int, rule: Matching) -> tuple[Ballot, list[float]]:
    """One block as a ballot of different answers, in the order of the nodes."""
    values = answers.values[row].tolist()
    known = list(dict.fromkeys(values))
    power = [sum(int(p) for v, p in zip(values, answers.power, strict=True) if v == one) for one in known]
    ranked = sorted((v, int(p)) for v, p in zip(values, answers.power, strict=True))
    expanded = [v for v, p in ranked for _ in range(p)]
    middle = expanded[(len(expanded) - 1) // 2]

    def near(proposed: float, computed: float) -> bool:
        return bool(rule.alike(np.array(proposed), np.array(computed)))

    accepts = np.array([[near(one, other) for other in known] for one in known])
    taken = np.array([near(answers.forged, other) for other in known])
    same = known.index(answers.forged) if answers.forged in known else None
    return Ballot(np.array(power), accepts, taken, same, near(answers.forged, middle)), known


@settings(max_examples=300)
@given(blocks(), st.sampled_from([0.0, 1.0, 2.0]))
def test_many_blocks_end_as_each_does_alone(drawn: Any, bound: float) -> None:
    election, values, power, forged = drawn
    rule = Tolerance(absolute=bound)
    answers = Numbers(values, power, rule, forged)
    together = numbers.certify(election, answers)
    leaders = np.arange(8) % election.votes
    led = numbers.propose(election, answers, leaders)
    holder = [*np.repeat(np.arange(len(power)), power), *[None] * election.byzantine]
    for row in range(8):
        ballot, known = ballot_of(answers, row, rule)
        if election.behaviour != "collude":
            ballot = ballot._replace(harmless=False)
        alone = tolerant.certify(election, ballot)
        who = holder[leaders[row]]
        leader = None if who is None else known.index(values[row, who])
        mine = tolerant.propose(election, ballot, leader)
        for many, one in ((together, alone), (led, mine)):
            assert many.outcome[row] == one.outcome
            if one.outcome == Outcome.agreed:
                assert many.matched[row].tolist() == [bool(one.matched[known.index(v)]) for v in values[row]]


def settled(election: Election, answers: Numbers, faults: int = 0) -> Ended:
    rule = answers.rule
    if isinstance(rule, Median):
        return aggregate.median(election, answers, None)
    if isinstance(rule, Approximate):
        return aggregate.approximate(election, answers, faults, rule.rounds)
    return numbers.certify(election, answers)


@settings(max_examples=300)
@given(blocks(), st.sampled_from(EQUAL))
def test_rules_whose_parameter_means_equality_are_the_exact_one(drawn: Any, rule: Matching) -> None:
    election, values, power, _ = drawn
    if isinstance(rule, Median):  # attackers choose what to report, and push a median that does harm over the quorum
        assume(election.largest_byzantine < election.quorum)
        assume(election.behaviour in {"silent", "random"} or (election.behaviour == "collude" and election.unbreakable))
    ended = settled(election, Numbers(values, power, rule, np.inf))
    for row in range(8):
        groups = [int(power[values[row] == one].sum()) for one in set(values[row].tolist())]
        plain = tally.certify(election, np.array([sorted(groups, reverse=True)]))
        assert ended.outcome[row] == plain.outcome[0]
        assert np.array_equal(
            ended.outcome == Outcome.agreed, settled(election, Numbers(values, power, Exact(), np.inf)).outcome == 0
        )


RULES: list[Matching] = [
    Exact(),
    Equivalence(transform="round", digits=0),
    Tolerance(absolute=1.0),
    Median(absolute=1.0),
    Approximate(absolute=1.0, rounds=2),
]


@settings(max_examples=200)
@given(blocks(), st.sampled_from(RULES), st.integers(-5, 5), st.randoms(use_true_random=False))
def test_names_and_the_zero_of_the_scale_make_no_difference(drawn: Any, rule: Matching, by: int, random: Any) -> None:
    election, values, power, forged = drawn
    faults = 1 if len(power) + election.byzantine > 3 and (power == 1).all() else 0
    if isinstance(rule, Approximate) and (power > 1).any():
        power = np.ones_like(power)
        election = election._replace(votes=len(power) + election.byzantine)
        election = election._replace(quorum=election.votes // 2 + 1)
    before = settled(election, Numbers(values, power, rule, forged), faults).outcome
    order = list(range(len(power)))
    random.shuffle(order)
    if election.behaviour not in {"amplify", "equivocate"}:  # those break ties by the order of nodes
        renamed = settled(election, Numbers(values[:, order], power[order], rule, forged), faults).outcome
        assert before.tolist() == renamed.tolist()
    moved = settled(election, Numbers(values + 2 * by, power, rule, forged + 2 * by), faults).outcome
    if not isinstance(rule, Approximate):  # means round
        assert before.tolist() == moved.tolist()


@settings(max_examples=200)
@given(blocks(), st.sampled_from([Exact(), Tolerance(absolute=1.0)]))
def test_up_and_down_make_no_difference_to_votes(drawn: Any, rule: Matching) -> None:
    election, values, power, forged = drawn
    assume(power.sum() % 2)  # of two in the middle, the lower one is on one side
    turned = numbers.certify(election, Numbers(-values, power, rule, -forged)).outcome
    assert numbers.certify(election, Numbers(values, power, rule, forged)).outcome.tolist() == turned.tolist()


def test_the_weighted_median_is_that_of_the_votes_written_out() -> None:
    stream = np.random.default_rng(3)
    values, weights = stream.integers(0, 9, (200, 7)).astype(float), stream.integers(0, 4, (200, 7))
    weights[:, 0] += 1
    for row, middle in enumerate(weighted_median(values, weights)):
        written = sorted(np.repeat(values[row], weights[row]).tolist())
        assert middle == written[(len(written) - 1) // 2]


def test_two_numbers_far_apart_are_certified_by_those_in_between() -> None:
    """0, 1, 1, 2 within 1: all accept 1, three accept 0, and three accept 2: two results that do not match."""
    honest = Election(4, 3, 0, 0, "silent")
    values, power = np.array([[0.0, 1.0, 1.0, 2.0], [0.0, 0.5, 0.5, 1.0]]), np.ones(4, dtype=np.int64)
    ended = numbers.certify(honest, Numbers(values, power, Tolerance(absolute=1.0), np.inf))
    assert ended.outcome.tolist() == [Outcome.forked, Outcome.agreed]
    assert ended.matched.sum(axis=1).tolist() == [0, 4]


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_without_honest_nodes_numbers_end_as_votes_do(behaviour: Any) -> None:
    election = Election(3, 2, 3, 1, behaviour)
    nothing = Numbers(np.empty((2, 0)), np.empty(0, dtype=np.int64), Tolerance(absolute=1.0), 5.0)
    plain = tally.certify(election, np.zeros((1, 1), dtype=np.int64)).outcome[0]
    assert numbers.certify(election, nothing).outcome.tolist() == [plain, plain]
