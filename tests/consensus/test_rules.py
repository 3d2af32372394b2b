"""Faults tolerated and quorums, exactly."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import Consensus

FRACTIONS = st.fractions(Fraction(1, 1000), Fraction(499, 1000), max_denominator=1000)


@pytest.mark.parametrize(
    ("threshold", "votes", "tolerated", "quorum"),
    [
        ("1/3", 3, 0, 3),
        ("1/3", 4, 1, 3),
        ("1/3", 13, 4, 9),
        ("1/3", 34, 11, 23),
        ("1/3", 40, 13, 27),
        ("1/3", 3 * 10**17, 10**17 - 1, 2 * 10**17 + 1),
        ("25 %", 5, 1, 4),
        ("25 %", 8, 1, 7),
        ("0.49", 100, 48, 52),
        ("0.3333333333333333", 3, 0, 3),
        ("0.3333333333333334", 3, 1, 2),
    ],
)
def test_known_chains(threshold: str, votes: int, tolerated: int, quorum: int) -> None:
    consensus = Consensus(fault_threshold=threshold)  # type: ignore[arg-type]
    assert consensus.faults_tolerated(votes) == tolerated
    assert consensus.quorum_of(votes) == quorum


@given(FRACTIONS, st.integers(1, 10**18))
def test_strictly_fewer_than_t_n_may_fail_and_no_fewer(threshold: Fraction, votes: int) -> None:
    consensus = Consensus(fault_threshold=threshold)
    tolerated, quorum = consensus.faults_tolerated(votes), consensus.quorum_of(votes)
    assert tolerated < threshold * votes <= tolerated + 1
    assert quorum > (1 - threshold) * votes >= quorum - 1
    assert votes < 2 * quorum <= 2 * votes


def test_a_given_quorum_wins() -> None:
    assert Consensus(quorum=7).quorum_of(13) == 7
    assert Consensus(quorum=7).faults_tolerated(13) == 4
