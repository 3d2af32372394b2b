"""The tally: from honest groups and Byzantine votes to the outcome of a block.

An honest group is a set of honest nodes with one result. Byzantine nodes know all honest answers and vote last. A
result is certified when it has a quorum of votes, and the outcome is

- `no_quorum`: none is certified;
- `forked`: two or more are;
- `agreed`: exactly one is, it has an honest voter, and no honest result has more honest voters (ties are agreed);
- `wrong_result`: exactly one is, but not such a one.

Everything is counted in voting power and vectorised over blocks.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.consensus.faults import Behaviour

    Integers = NDArray[np.int64]

BOOSTED: tuple[Behaviour, ...] = ("amplify", "equivocate")
"""Behaviours that add Byzantine votes to honest results."""
NOBODY = -1
"""The group that is certified where no honest one is."""


class Outcome(IntEnum):
    """What became of a block; exclusive and exhaustive."""

    agreed = 0
    no_quorum = 1
    wrong_result = 2
    forked = 3


class Election(NamedTuple):
    """Who votes, in voting power.

    Parameters
    ----------
    votes
        All votes n.
    quorum
        Votes q that certify a result.
    byzantine
        Votes b of Byzantine nodes.
    largest_byzantine
        Votes of the largest single Byzantine node.
    behaviour
        How Byzantine nodes vote.
    """

    votes: int
    quorum: int
    byzantine: int
    largest_byzantine: int
    behaviour: Behaviour

    @property
    def boost(self) -> int:
        """Votes that Byzantine nodes can add to an honest result."""
        return self.byzantine if self.behaviour in BOOSTED else 0

    @property
    def invented(self) -> int:
        """Votes of the strongest result that no honest node has."""
        return {"random": self.largest_byzantine, "collude": self.byzantine}.get(self.behaviour, 0)

    @property
    def need(self) -> int:
        """Honest power that makes a group certain of its quorum."""
        return self.quorum - (self.byzantine if self.behaviour == "equivocate" else 0)

    @property
    def relevant(self) -> int:
        """Votes below which an honest group decides nothing: even with the boost it misses the quorum."""
        return max(1, self.quorum - self.boost)

    @property
    def unbreakable(self) -> bool:
        """Whether b < 2q - n: then at most one result can be certified, and amplifying is no better than silence."""
        return self.byzantine < 2 * self.quorum - self.votes


class Verdict(NamedTuple):
    """Outcome of each block, and which group was certified (its column, or `NOBODY`); shape (B,)."""

    outcome: Integers
    certified: Integers


def certify(election: Election, groups: Integers) -> Verdict:
    """Tally blocks in which every node votes on what it computed.

    Parameters
    ----------
    election
        Who votes.
    groups
        Power of the honest groups, shape (B, W), each row falling; groups below `election.relevant` may be left out
        (0).

    Returns
    -------
    Verdict
        The certified group is given for agreed blocks.
    """
    first, second = _column(groups, 0), _column(groups, 1)
    byzantine = election.byzantine
    votes_first = first + (byzantine if election.behaviour == "equivocate" else 0)
    votes_second = second + election.boost
    won_first, won_second = votes_first >= election.quorum, votes_second >= election.quorum
    winners = won_first.astype(int) + won_second + (election.invented >= election.quorum)
    fair = np.where(won_first, first > 0, won_second & (second > 0) & (second == first))
    outcome = np.where(fair, Outcome.agreed, Outcome.wrong_result)
    outcome = np.where(winners == 1, outcome, np.where(winners == 0, Outcome.no_quorum, Outcome.forked))
    certified = np.where(outcome == Outcome.agreed, np.where(won_first, 0, 1), NOBODY)
    return Verdict(outcome, certified)


def propose(election: Election, groups: Integers, leader: Integers) -> Verdict:
    """Tally blocks in which nodes vote on whether they computed what the leader computed, in one attempt.

    Parameters
    ----------
    election
        Who votes.
    groups
        Power of the honest groups, shape (B, W), each row falling; groups below `election.relevant` may be left out
        (0).
    leader
        Who leads, shape (B,): a number in [0, n), uniform, since leaders are drawn in proportion to power. Honest
        groups come first, in the order of the columns, then honest nodes left out; the last b numbers are the
        Byzantine nodes.

    Returns
    -------
    Verdict
        The certified group is given for agreed blocks.
    """
    ends = groups.cumsum(axis=1)
    column = (leader[:, None] >= ends).sum(axis=1)
    leads = column < groups.shape[1]
    mine = np.where(leads, groups[np.arange(len(groups)), np.minimum(column, groups.shape[1] - 1)], 0)
    larger = (groups > mine[:, None]).sum(axis=1)
    rivals = (groups >= mine[:, None]).sum(axis=1) - 1  # others at least as large
    boosted = leads & (larger <= 1) & ((election.behaviour == "equivocate") | (rivals >= 1))
    votes = mine + np.where(boosted, election.boost, 0)
    won = leads & (votes >= election.quorum)
    outcome = np.where(won, np.where(larger == 0, Outcome.agreed, Outcome.wrong_result), Outcome.no_quorum)
    certified = np.where(outcome == Outcome.agreed, column, NOBODY)
    led = _byzantine_leader(election, groups)
    hostile = leader >= election.votes - election.byzantine
    return Verdict(np.where(hostile, led.outcome, outcome), np.where(hostile, led.certified, certified))


def _byzantine_leader(election: Election, groups: Integers) -> Verdict:
    """Tally blocks with a Byzantine leader."""
    if election.behaviour == "equivocate":
        return certify(election, groups)
    blocks = len(groups)
    outcome = np.full(blocks, Outcome.no_quorum, dtype=np.int64)
    certified = np.full(blocks, NOBODY)
    if election.behaviour == "collude" and election.byzantine >= election.quorum:
        outcome[:] = Outcome.wrong_result
    elif election.behaviour == "amplify":
        first, second = _column(groups, 0), _column(groups, 1)
        won = second + election.byzantine >= election.quorum
        fair = won & (second > 0) & (second == first)
        outcome[won] = Outcome.wrong_result
        outcome[fair], certified[fair] = Outcome.agreed, 1
    return Verdict(outcome, certified)


def _column(groups: Integers, index: int) -> Integers:
    return groups[:, index] if groups.shape[1] > index else np.zeros(len(groups), dtype=np.int64)
