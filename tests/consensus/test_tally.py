"""The tally, case by case; brute force over whole blocks is in tests/engines."""

from __future__ import annotations

import numpy as np
import pytest

from sim.consensus.faults import Behaviour
from sim.consensus.tally import NOBODY, Election, Outcome, certify, propose


def election(
    votes: int, quorum: int, byzantine: int = 0, behaviour: Behaviour = "silent", largest: int = 1
) -> Election:
    return Election(votes, quorum, byzantine, largest if byzantine else 0, behaviour)


@pytest.mark.parametrize(
    ("behaviour", "groups", "outcome"),
    [
        ("silent", [9, 0], "agreed"),
        ("silent", [8, 1], "no_quorum"),
        ("random", [9, 0], "agreed"),
        ("collude", [8, 1], "no_quorum"),
        ("equivocate", [5, 4], "agreed"),
        ("equivocate", [4, 4], "no_quorum"),
        ("amplify", [5, 4], "no_quorum"),
        ("amplify", [9, 0], "agreed"),
    ],
)
def test_four_liars_of_thirteen(behaviour: Behaviour, groups: list[int], outcome: str) -> None:
    verdict = certify(election(13, 9, 4, behaviour), np.array([groups]))
    assert Outcome(verdict.outcome[0]).name == outcome


@pytest.mark.parametrize(
    ("behaviour", "byzantine", "quorum", "groups", "outcome", "certified"),
    [
        ("amplify", 4, 8, [5, 4, 0], "wrong_result", NOBODY),  # 8 of 13 for the second answer
        ("amplify", 5, 8, [4, 4, 0], "agreed", 1),  # a tie is agreed
        ("amplify", 7, 7, [6, 0, 0], "wrong_result", NOBODY),  # no second answer: they invent one
        ("equivocate", 4, 8, [5, 4, 0], "forked", NOBODY),
        ("equivocate", 4, 7, [4, 2, 1], "agreed", 0),
        ("equivocate", 7, 7, [6, 0, 0], "forked", NOBODY),
        ("collude", 7, 7, [6, 0, 0], "wrong_result", NOBODY),
        ("silent", 7, 7, [6, 0, 0], "no_quorum", NOBODY),
    ],
)
def test_more_liars_than_two_quorums_can_do_without(
    behaviour: Behaviour, byzantine: int, quorum: int, groups: list[int], outcome: str, certified: int
) -> None:
    verdict = certify(election(13, quorum, byzantine, behaviour), np.array([groups]))
    assert Outcome(verdict.outcome[0]).name == outcome
    assert verdict.certified[0] == certified


def test_one_random_liar_with_most_of_the_stake_certifies_its_invention() -> None:
    rich = election(13, 7, 7, "random", largest=7)
    assert certify(rich, np.array([[6]])).outcome[0] == Outcome.wrong_result
    assert propose(rich, np.array([[6]]), np.array([12])).outcome[0] == Outcome.no_quorum


def test_the_leader_decides_which_group_is_voted_on() -> None:
    leaders = np.arange(13)
    verdict = propose(election(13, 9, 1), np.repeat([[9, 3]], 13, axis=0), leaders)
    assert (verdict.outcome == Outcome.agreed).sum() == 9
    assert verdict.certified[:9].tolist() == [0] * 9
    assert (verdict.outcome[9:] == Outcome.no_quorum).all()


def test_amplifiers_help_a_leader_with_the_second_answer() -> None:
    verdict = propose(election(13, 8, 4, "amplify"), np.repeat([[5, 4]], 3, axis=0), np.array([0, 5, 12]))
    assert [Outcome(o).name for o in verdict.outcome] == ["no_quorum", "wrong_result", "wrong_result"]


def test_groups_that_cannot_matter_may_be_left_out() -> None:
    ballot = election(13, 9, 2, "amplify")
    assert ballot.relevant == 7
    whole = certify(ballot, np.array([[6, 5]]))
    assert whole.outcome[0] == certify(ballot, np.array([[0]])).outcome[0] == Outcome.no_quorum
