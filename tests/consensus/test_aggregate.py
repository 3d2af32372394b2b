"""Medians and approximate agreement: what they withstand, and how fast they converge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import Scenario, run
from sim.consensus import aggregate
from sim.consensus.aggregate import averaged, convergence
from sim.consensus.matching import Approximate, Median
from sim.consensus.numbers import Numbers
from sim.consensus.tally import Election, Outcome

BEHAVIOURS = ["silent", "random", "collude", "amplify", "equivocate"]


@settings(max_examples=300)
@given(st.data())
def test_a_median_stays_within_the_honest_range_up_to_f_liars(data: Any) -> None:
    """Whatever they report, and whichever reports a Byzantine leader leaves out."""
    faults = data.draw(st.integers(0, 4))
    n = data.draw(st.integers(3 * faults + 1, 3 * faults + 4))
    b = data.draw(st.integers(0, faults))
    election = Election(n, n - faults, b, min(b, 1), data.draw(st.sampled_from(BEHAVIOURS)))
    values = np.random.default_rng(data.draw(st.integers(0, 2**31))).normal(size=(20, n - b))
    forged = data.draw(st.sampled_from([-50.0, -0.3, 0.0, 0.7, 50.0, np.inf]))
    leaders = data.draw(st.sampled_from([None, np.full(20, 0), np.full(20, n - 1)]))
    rule = Median(absolute=float(np.ptp(values, axis=1).max()))  # so wide that every honest node accepts an inner one
    ended = aggregate.median(election, Numbers(values, np.ones(n - b, dtype=np.int64), rule, forged), leaders)
    silent = leaders is not None and leaders[0] >= n - b and election.behaviour in {"silent", "random"}
    assert set(ended.outcome.tolist()) == {Outcome.no_quorum if silent else Outcome.agreed}


def test_a_median_of_mostly_liars_is_theirs() -> None:
    values, power = np.zeros((1, 3)), np.ones(3, dtype=np.int64)
    election = Election(7, 4, 4, 1, "collude")
    ended = aggregate.median(election, Numbers(values, power, Median(absolute=1.0), 5.0), None)
    assert ended.outcome[0] == Outcome.wrong_result
    assert ended.accepted[0]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_byzantine_leader_takes_the_most_slanted_reports(sign: int) -> None:
    """Of 4 nodes it needs 3 reports: its own, and two of 0, 1, 2 (here 3 votes), the highest or the lowest."""
    values = sign * np.array([[0.0, 1.0, 2.0]])
    told = Numbers(values, np.array([1, 1, 1]), Median(absolute=1.0), sign * 9.0)
    election = Election(4, 3, 1, 1, "collude")
    led = aggregate.median(election, told, np.array([3]))
    assert led.outcome[0] == Outcome.no_quorum  # 1 and 2 accept 2, and 0 does not
    if sign > 0:
        fair = aggregate.median(election, told, np.array([0]))
        assert fair.outcome[0] == Outcome.agreed  # the lower of 1 and 2: all accept 1
    three = Numbers(sign * np.array([[0.0, 5.0]]), np.array([1, 1]), Median(absolute=1.0), sign * 9.0)
    hostile = aggregate.median(Election(3, 2, 1, 1, "collude"), three, np.array([2]))
    assert hostile.outcome[0] == Outcome.wrong_result if sign > 0 else Outcome.no_quorum


@settings(max_examples=300)
@given(st.data())
def test_each_round_converges_at_the_rate_of_the_paper_within_the_honest_range(data: Any) -> None:
    """Against anything that f liars say, to each node something else (Dolev et al. 1986, theorem 3)."""
    faults = data.draw(st.integers(1, 4))
    n = data.draw(st.integers(3 * faults + 1, 3 * faults + 6))
    stream = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    values = np.round(stream.normal(size=(5, n - faults)), data.draw(st.sampled_from([0, 3])))
    heard = values.mean() + stream.choice([-9.0, -0.5, 0.0, 0.5, 9.0], (5, n - faults, faults))
    after = averaged(values, heard, faults)
    low, high = values.min(axis=1), values.max(axis=1)
    assert (after >= low[:, None] - 1e-12).all()
    assert (after <= high[:, None] + 1e-12).all()
    assert (np.ptp(after, axis=1) <= (high - low) / convergence(n, faults) + 1e-12).all()


def test_the_rate_is_reached_by_liars_who_split_the_nodes() -> None:
    """Of 4 nodes, two at 0 and one at 1: told -9 and 9, they go to 0 and 1/2; the factor is 2."""
    values = np.array([[0.0, 0.0, 1.0]])
    heard = np.array([[[-9.0], [-9.0], [9.0]]])
    assert averaged(values, heard, 1).tolist() == [[0.0, 0.0, 0.5]]
    assert convergence(4, 1) == 2
    election = Election(4, 3, 1, 1, "equivocate")
    for rounds, outcome in ((0, Outcome.no_quorum), (1, Outcome.no_quorum), (4, Outcome.agreed)):
        rule = Approximate(absolute=0.1, rounds=rounds)
        three = Numbers(np.array([[0.0, 0.4, 1.0]]), np.ones(3, dtype=np.int64), rule, np.inf)
        silent = election._replace(behaviour="silent")
        assert aggregate.approximate(silent, three, 1, rounds).outcome[0] == outcome


def test_without_faults_one_round_is_the_mean() -> None:
    values = np.array([[0.0, 1.0, 5.0]])
    assert averaged(values, np.empty((1, 3, 0)), 0).tolist() == [[2.0, 2.0, 2.0]]
    assert convergence(3, 0) == np.inf


def test_too_many_liars_pull_approximate_agreement_out_of_the_honest_range() -> None:
    values, power = np.zeros((1, 3)), np.ones(3, dtype=np.int64)
    rule = Approximate(absolute=0.5, rounds=3)
    for b, outcome in ((1, Outcome.agreed), (2, Outcome.wrong_result)):
        election = Election(3 + b, 3, b, 1, "collude")
        assert aggregate.approximate(election, Numbers(values, power, rule, 50.0), 1, 3).outcome[0] == outcome


def recorded(outputs: list[str], **keys: Any) -> Scenario:
    nodes = {"n": {"count": len(outputs), "executor": {"kind": "recorded", "outputs": outputs}}}
    return Scenario.model_validate({"nodes": nodes} | keys)


def test_recorded_numbers_can_be_brought_together() -> None:
    """The median of 10, 10.1, 10.2 and a liar's 99 is 10.1: all three accept it, and none accepts 99."""
    outputs = ["10.2", "10", "10.1", "?"]
    faults = {"byzantine": 1, "behaviour": "collude", "answer": "99"}
    for kind in ("median", "approximate"):
        rule = {"kind": kind, "absolute": 0.15}
        texts = ["10.2", "10", "10.1", "0"]
        result = run(recorded(texts, consensus={"matching": rule}, faults=faults))
        assert result.outcomes["agreed"].probability == 1, kind
        wrong = {"consensus": {"matching": rule}, "faults": faults}
        with pytest.raises(ValueError, match=f"must be a number where matching is {kind}"):
            recorded(outputs, **wrong)
    led = {"matching": {"kind": "median", "absolute": 0.05}, "result": "propose", "quorum": 3}
    ended = run(recorded(["10.2", "10", "10.1", "0"], consensus=led, faults=faults))
    assert ended.outcomes["no_quorum"].probability == 1
