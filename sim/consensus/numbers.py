"""The tally of answers that are numbers, for many blocks at once.

What is one result, how a fork can arise, and what is wrong, is defined in `sim.consensus.tolerant`. On top of that, a
number that only Byzantine nodes gave does no harm where a node with the median of the honest numbers, by voting power,
would accept it: there it is `agreed`, beyond it `wrong_result`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.consensus import tally, tolerant
from sim.consensus.tally import BOOSTED, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from sim.consensus.matching import Matching
    from sim.consensus.tally import Election

    Flags = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]


class Ended(NamedTuple):
    """How blocks end.

    Parameters
    ----------
    outcome
        Of each block, shape (B,).
    matched
        Which honest nodes accept what is agreed, shape (B, h); none where nothing is.
    accepted
        Whether the number of colluding nodes has a quorum, where it is put to the vote; shape (B,).
    """

    outcome: Integers
    matched: Flags
    accepted: Flags


class Numbers:
    """Numbers that honest nodes answered, and what colluding ones put beside them.

    Parameters
    ----------
    values
        Answers of the honest nodes, shape (B, h).
    power
        Their voting power, shape (h,).
    rule
        Which numbers match.
    forged
        What colluding nodes answer; infinite: something that no rule accepts.
    """

    def __init__(self, values: Floats, power: Integers, rule: Matching, forged: float) -> None:
        self.values, self.power, self.rule, self.forged = values, power, rule, forged

    @cached_property
    def pairs(self) -> Flags:
        """Whether the node that computed the second number accepts the first, shape (B, h, h)."""
        return self.rule.alike(self.values[:, :, None], self.values[:, None, :])

    @cached_property
    def support(self) -> Integers:
        """Honest power that accepts each number, shape (B, h)."""
        support: Integers = self.pairs @ self.power
        return support

    @cached_property
    def middle(self) -> Floats:
        """Median of the honest numbers, by power, shape (B,)."""
        return weighted_median(self.values, np.broadcast_to(self.power, self.values.shape))

    def accepts(self, proposed: Floats) -> Flags:
        """Which honest nodes accept a number of each block, shape (B, h)."""
        return self.rule.alike(proposed[:, None], self.values)

    def harmless(self, proposed: Floats) -> Flags:
        """Whether a node that computed the honest median would accept a number of each block, shape (B,)."""
        return self.rule.alike(proposed, self.middle)

    @property
    def everywhere(self) -> Floats:
        """The forged number, once a block."""
        return np.full(len(self.values), self.forged)


def weighted_median(values: Floats, weights: Integers) -> Floats:
    """Lower median of each row.

    Parameters
    ----------
    values
        Shape (B, k); infinite ones are in order.
    weights
        Of each value, not negative, some positive; shape (B, k).

    Returns
    -------
    Floats
        The smallest value of each row up to which at least half of the weight lies, shape (B,).

    Examples
    --------
    >>> weighted_median(np.array([[3.0, 1.0, 2.0, 9.0]]), np.array([[1, 1, 1, 1]]))
    array([2.])
    """
    order = np.argsort(values, axis=1, kind="stable")
    reached = 2 * np.take_along_axis(weights, order, axis=1).cumsum(axis=1)
    place = (reached < reached[:, -1:] // 2).sum(axis=1)
    return np.take_along_axis(values, np.take_along_axis(order, place[:, None], axis=1), axis=1)[:, 0]


def certify(election: Election, numbers: Numbers) -> Ended:
    """Tally blocks in which every node votes for every number that it accepts."""
    if not numbers.values.shape[1]:
        return _nobody(election, numbers, tally.certify(election, np.zeros((1, 1), dtype=np.int64)).outcome[0])
    if _joins_honest(election, numbers):
        return _one_by_one(election, numbers, lambda ballot, _: tolerant.certify(election, ballot), None)
    blocks = np.arange(len(numbers.values))
    won = numbers.support >= election.quorum
    forked = (won[:, :, None] & won[:, None, :] & ~numbers.pairs).any(axis=(1, 2))
    best = np.argmax(numbers.support, axis=1)
    honest = won[blocks, best]
    matched = numbers.pairs[blocks, best]
    accepts, accepted = _forged(election, numbers)
    harmless = numbers.harmless(numbers.everywhere) & (election.behaviour == "collude")
    either = accepts & numbers.rule.alike(numbers.values, numbers.everywhere[:, None])
    forked |= accepted & (won & ~either).any(axis=1)
    matched = np.where((accepted & ~honest)[:, None], accepts, matched)
    good = np.where(accepted, harmless, honest)
    outcome = np.where(good, Outcome.agreed, np.where(accepted, Outcome.wrong_result, Outcome.no_quorum))
    outcome = np.where(forked, Outcome.forked, outcome)
    return Ended(outcome, matched & (outcome == Outcome.agreed)[:, None], accepted)


def propose(election: Election, numbers: Numbers, leader: Integers) -> Ended:
    """Tally blocks in which nodes vote on whether they accept what a leader computed, in one attempt.

    Parameters
    ----------
    election, numbers
        Who votes, and on what.
    leader
        Who leads, shape (B,): a number in [0, n), uniform; honest nodes come first, by power.
    """
    column = np.searchsorted(numbers.power.cumsum(), leader, side="right")
    honest = column < len(numbers.power)
    if not len(numbers.power):
        verdict = tally.propose(election, np.zeros((1, 1), dtype=np.int64), np.array([election.votes - 1]))
        return _nobody(election, numbers, verdict.outcome[0])
    if _joins_honest(election, numbers):
        leaders = (column, honest)
        return _one_by_one(election, numbers, lambda ballot, who: tolerant.propose(election, ballot, who), leaders)
    blocks = np.arange(len(numbers.values))
    proposed = numbers.values[blocks, np.minimum(column, len(numbers.power) - 1)]
    accepts = numbers.accepts(proposed)
    forged, accepted = _forged(election, numbers)
    if election.behaviour != "collude":
        accepted = np.zeros_like(accepted)
    won = np.where(honest, accepts @ numbers.power >= election.quorum, accepted)
    good = honest | numbers.harmless(numbers.everywhere)
    outcome = np.where(won, np.where(good, Outcome.agreed, Outcome.wrong_result), Outcome.no_quorum)
    matched = np.where(honest[:, None], accepts, forged) & (outcome == Outcome.agreed)[:, None]
    return Ended(outcome, matched, accepted)


def _joins_honest(election: Election, numbers: Numbers) -> bool:
    """Whether Byzantine nodes vote for numbers that honest nodes gave."""
    if not election.byzantine:
        return False
    same = election.behaviour == "collude" and bool((numbers.values == numbers.forged).any())
    return same or election.behaviour in BOOSTED


def _forged(election: Election, numbers: Numbers) -> tuple[Flags, Flags]:
    """Honest nodes that accept the forged number, and whether it has a quorum."""
    accepts = numbers.accepts(numbers.everywhere)
    if election.behaviour == "collude" and election.byzantine:
        return accepts, accepts @ numbers.power + election.byzantine >= election.quorum
    alone = election.largest_byzantine if election.behaviour == "random" else 0
    return np.zeros_like(accepts), np.full(len(accepts), alone >= election.quorum)


def _nobody(election: Election, numbers: Numbers, outcome: int) -> Ended:
    """End blocks without honest nodes."""
    blocks = len(numbers.values)
    accepted = np.full(blocks, election.behaviour == "collude" and election.byzantine >= election.quorum)
    return Ended(np.full(blocks, outcome), np.zeros((blocks, 0), dtype=np.bool_), accepted)


def _one_by_one(
    election: Election,
    numbers: Numbers,
    settle: Callable[[tolerant.Ballot, int | None], tolerant.Settled],
    leaders: tuple[Integers, Flags] | None,
) -> Ended:
    """Tally block by block."""
    blocks, honest = numbers.values.shape
    collude = election.behaviour == "collude"
    taken, accepted = _forged(election, numbers)
    mutual = taken & numbers.rule.alike(numbers.values, numbers.everywhere[:, None])
    harmless = numbers.harmless(numbers.everywhere) & collude
    outcome, matched = np.empty(blocks, dtype=np.int64), np.zeros((blocks, honest), dtype=np.bool_)
    for block, values in enumerate(numbers.values):
        different, first, answer = np.unique(values, return_index=True, return_inverse=True)
        order = np.argsort(first)  # answers in the order of the nodes
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        known = different[order]
        power = np.zeros(len(known), dtype=np.int64)
        np.add.at(power, rank[answer], numbers.power)
        pairs = numbers.rule.alike(known[:, None], known[None, :])
        same = next(iter(np.flatnonzero((known == numbers.forged) & collude).tolist()), None)
        answers = first[order]
        ballot = tolerant.Ballot(
            power, pairs, taken[block, answers], same, bool(harmless[block]), mutual[block, answers]
        )
        who = int(rank[answer[leaders[0][block]]]) if leaders and leaders[1][block] else None
        settled = settle(ballot, who)
        outcome[block], matched[block] = settled.outcome, settled.matched[rank[answer]]
    return Ended(outcome, matched, accepted & collude)
