"""The tally of consensus that tolerates differences, for one block.

A node votes for a result if it accepts it: if its own answer matches it. So a result's *support* is the power of all
honest nodes whose answers match it, and one vote may stand for several results. A result is certified when its support,
with the Byzantine votes that go to it, reaches the quorum. Matching need not be transitive:

- Certified results that match one another, both ways, are one result: whoever reads one accepts the other.
- Two certified results that do not match are a fork, and it needs no Byzantine node: with A~B, B~C and not A~C the
  nodes that computed B support both A and C. With exact matching a fork needs b >= 2q - n; here that much power in the
  middle is enough.
- A block is `agreed` if what is certified is one result that some honest node computed, and it has a quorum of honest
  support, or no honest answer that does not match it has more. Otherwise Byzantine votes decided against honest ones,
  and it is a `wrong_result`.
- So it is whenever an answer that only Byzantine nodes gave is certified: a tolerant rule accepts what no honest node
  computed. Numbers alone can do no harm: within the bound around the honest median (`harmless`).

Where answers match only themselves this is `sim.consensus.tally`, as tests hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.consensus.tally import Outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.consensus.tally import Election

    Flags = NDArray[np.bool_]
    Integers = NDArray[np.int64]


class Ballot(NamedTuple):
    """Honest answers of a block, and what attackers put beside them.

    Parameters
    ----------
    power
        Voting power of the honest nodes that gave each answer, shape (K,).
    accepts
        Whether a node that computed the second answer accepts the first, shape (K, K); true on the diagonal.
    forged
        Which honest nodes accept what colluding attackers made up, by their answers, shape (K,).
    same
        The honest answer that colluding attackers give too; None where theirs is another.
    harmless
        Whether what they made up does no harm.
    mutual
        Which honest answers match what they made up both ways; None: all whose nodes accept it.
    """

    power: Integers
    accepts: Flags
    forged: Flags
    same: int | None = None
    harmless: bool = False
    mutual: Flags | None = None

    @property
    def support(self) -> Integers:
        """Honest power that accepts each answer, shape (K,)."""
        return self.accepts.astype(np.int64) @ self.power

    def fair(self, answer: int, quorum: int) -> bool:
        """Whether honest nodes are content with an honest answer: a quorum of them, or more than with any other."""
        support = self.support
        alike = self.accepts[answer] & self.accepts[:, answer]
        return bool(support[answer] >= quorum or not (~alike & (support > support[answer])).any())


class Settled(NamedTuple):
    """How a block ends, and which honest answers match what was certified; none where no result stands."""

    outcome: Outcome
    matched: Flags


def certify(election: Election, ballot: Ballot) -> Settled:
    """Tally a block in which every node votes for every result that it accepts."""
    support = ballot.support
    votes = support.copy()
    order = np.argsort(-support, kind="stable")
    wanted = {"amplify": order[1:2], "equivocate": order[:2]}.get(election.behaviour, order[:0])
    votes[wanted] += election.byzantine
    if ballot.same is not None and election.behaviour == "collude":
        votes[ballot.same] += election.byzantine
    made_up = _made_up(election, ballot)
    mutual = ballot.forged if ballot.mutual is None else ballot.mutual
    matched = mutual & (election.behaviour == "collude")  # what others make up, nobody accepts
    forged = sum(one >= election.quorum for one in made_up)
    return _settled(ballot, election.quorum, votes >= election.quorum, forged, matched)


def propose(election: Election, ballot: Ballot, leader: int | None) -> Settled:
    """Tally a block in which nodes vote on whether they accept what a leader computed, in one attempt.

    Parameters
    ----------
    election, ballot
        As in `certify`.
    leader
        The answer of an honest leader; None: a Byzantine node leads.
    """
    support, q = ballot.support, election.quorum
    if leader is None:
        return _led_by_byzantine(election, ballot)
    mine = support[leader]
    larger, rivals = int((support > mine).sum()), int((support >= mine).sum()) - 1
    boosted = larger <= 1 and (election.behaviour == "equivocate" or rivals >= 1)
    votes = mine + (election.boost if boosted else 0)
    if election.behaviour == "collude" and ballot.same == leader:
        votes += election.byzantine
    return _proposed(ballot, leader, q, won=votes >= q)


def _led_by_byzantine(election: Election, ballot: Ballot) -> Settled:
    support, q = ballot.support, election.quorum
    nobody = np.zeros(len(support), dtype=np.bool_)
    if election.behaviour == "equivocate":
        return certify(election, ballot)
    order = np.argsort(-support, kind="stable")
    chosen: int | None = None
    if election.behaviour == "collude":
        chosen = ballot.same
    elif election.behaviour == "amplify" and len(order) > 1:
        chosen = int(order[1])
    if chosen is not None:
        return _proposed(ballot, chosen, q, won=support[chosen] + election.byzantine >= q)
    won = election.behaviour in {"collude", "amplify"} and any(votes >= q for votes in _made_up(election, ballot))
    if won and ballot.harmless:
        return Settled(Outcome.agreed, ballot.forged)
    return Settled(Outcome.wrong_result if won else Outcome.no_quorum, nobody)


def _proposed(ballot: Ballot, answer: int, quorum: int, *, won: bool) -> Settled:
    """End a block in which an honest answer was proposed."""
    if won and ballot.fair(answer, quorum):
        return Settled(Outcome.agreed, ballot.accepts[answer])
    return Settled(Outcome.wrong_result if won else Outcome.no_quorum, np.zeros(len(ballot.power), dtype=np.bool_))


def _made_up(election: Election, ballot: Ballot) -> list[int]:
    """Votes of each result that no honest node computed."""
    answers, b = len(ballot.power), election.byzantine
    if election.behaviour == "collude":
        return [] if ballot.same is not None or not b else [b + int(ballot.forged @ ballot.power)]
    if election.behaviour == "random":
        return [election.largest_byzantine]
    absent = {"amplify": int(answers < 2), "equivocate": max(2 - answers, 0)}.get(election.behaviour, 0)
    return [b] * absent


def _settled(ballot: Ballot, quorum: int, won: Flags, forged: int, matched: Flags) -> Settled:
    """End a block, given the honest answers that are certified, how many made-up ones are, and which match those."""
    support = ballot.support
    nobody = np.zeros(len(support), dtype=np.bool_)
    winners = np.flatnonzero(won)
    alike = ballot.accepts[np.ix_(winners, winners)].all() and forged <= 1
    if not alike or (forged and not matched[winners].all()):
        return Settled(Outcome.forked, nobody)
    if forged and not ballot.harmless:
        return Settled(Outcome.wrong_result, nobody)
    if not len(winners):
        return Settled(Outcome.agreed, ballot.forged) if forged else Settled(Outcome.no_quorum, nobody)
    best = int(winners[np.argmax(support[winners])])
    if not ballot.fair(best, quorum):
        return Settled(Outcome.wrong_result, nobody)
    return Settled(Outcome.agreed, ballot.accepts[best])
