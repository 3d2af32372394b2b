"""The median of reports, exactly, where honest numbers are Gaussian and alike.

With b false reports at one place v, the k-th of all n is the middle one of x(k-b), v and x(k), where x(j) is the j-th
lowest honest number. Given which of them it is, and where, the other honest numbers lie independently of one another,
so many below it and so many above, and two binomials tell how many are within the bound of it on each side: those vote
for it. It does harm if the honest median is beyond the bound, which the same two numbers tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.inference.acceptance import normal_nodes
from sim.inference.binomial import counted, log_choose
from sim.inference.normal import within

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_BEYOND = 40.0  # standard deviations
_STEPS = np.array([0.0, 0.25, 0.6, 1.0, 1.6, 2.4, 3.5, 5.0, 8.0])


class MedianLaw(NamedTuple):
    """How a vote on the median ends.

    Parameters
    ----------
    agreed, wrong, refused
        Probabilities that a median has a quorum within the bound around the honest one, beyond it, or none.
    rejecting
        Mean number of honest nodes that do not accept it, zero where none is agreed.
    forged
        Probability that the median is the forged number, and has a quorum.
    """

    agreed: float
    wrong: float
    refused: float
    rejecting: float
    forged: float = 0.0


class Forged(NamedTuple):
    """Where false reports are: Gaussian, in standard deviations of a node's own noise from the honest mean."""

    mean: float
    spread: float


class Vote(NamedTuple):
    """A vote on the median of reports.

    Parameters
    ----------
    honest
        Honest nodes h.
    below, above
        False reports that lie below, and above, all honest ones.
    forged
        False reports at one place.
    hostile
        Byzantine votes for a median that does harm, or is theirs.
    quorum
        Votes that a median needs.
    bound
        Largest difference to the median that a node accepts, in standard deviations of its own noise.
    """

    honest: int
    below: int
    above: int
    forged: int
    hostile: int
    quorum: int
    bound: float

    @property
    def rank(self) -> int:
        """Rank of the median among the honest numbers and the forged ones, from 1."""
        return (self.honest + self.below + self.above + self.forged + 1) // 2 - self.below

    def ends(self, joint: Floats, *, theirs: bool = False) -> Floats:
        """Add up how votes end.

        Parameters
        ----------
        joint
            Probability of each number of rejecting nodes below the median, and above it, shape (K, L).
        theirs
            Whether the median is the forged number.

        Returns
        -------
        Floats
            Agreed, wrong, refused, and the mean number of rejecting nodes where it is agreed.
        """
        below, above = np.arange(joint.shape[0])[:, None], np.arange(joint.shape[1])
        middle = (self.honest + 1) // 2
        harmless = (below < middle) & (above <= self.honest - middle)
        votes = self.honest - below - above + np.where(harmless & (not theirs), 0, self.hostile)
        won = votes >= self.quorum
        agreed = joint * (won & harmless)
        return np.array(
            [agreed.sum(), joint[won & ~harmless].sum(), joint[~won].sum(), (agreed * (below + above)).sum()]
        )


def median_law(vote: Vote, at: Forged | None) -> MedianLaw:
    """Law of a vote on the median.

    Parameters
    ----------
    vote
        Who reports and votes.
    at
        Where the forged reports are; None where there are none.
    """
    if at is None:
        return MedianLaw(*_at_honest(vote, vote.rank, None, 0).tolist())
    theirs = _at_forged(vote, at)
    total = theirs.copy()
    for rank, side in ((vote.rank - vote.forged, 1), (vote.rank, -1)):
        if 1 <= rank <= vote.honest:
            total += _at_honest(vote, rank, at, side)
    agreed, wrong, refused, rejecting = total.tolist()
    return MedianLaw(agreed, wrong, refused, rejecting, float(theirs[:2].sum()))


def _at_honest(vote: Vote, rank: int, at: Forged | None, side: int) -> Floats:
    """The median is the honest number of a rank, with the forged ones below it (side 1) or above (-1)."""
    from scipy.special import log_ndtr, ndtr

    edges = np.zeros((1, 0)) if at is None else (at.mean + np.outer([-1, 1], at.spread * _STEPS)).reshape(1, -1)
    points, weights = (array[0] for array in normal_nodes(edges, vote.honest))
    chance = weights * vote.honest
    if at is not None:
        distance = side * (points - at.mean)
        chance = chance * (ndtr(distance / at.spread) if at.spread else distance > 0)
    logs = log_choose(vote.honest - 1)[rank - 1] + (rank - 1) * log_ndtr(points)
    chance = chance * np.exp(logs + (vote.honest - rank) * log_ndtr(-points))
    return vote.ends(_joint(vote, points, chance, rank - 1, vote.honest - rank))


def _at_forged(vote: Vote, at: Forged) -> Floats:
    """The median is the forged number, with so many honest ones below it that it comes to lie in the middle."""
    from scipy.special import ndtr

    points, weights = np.array([at.mean]), np.ones(1)
    if at.spread:
        edges = (np.outer([-1, 1], _STEPS).ravel() - at.mean) / at.spread
        standard, weights = (array[0] for array in normal_nodes(edges[None, :], vote.honest))
        points = at.mean + at.spread * standard
    beyond = _BEYOND + vote.bound  # where no honest number is, or accepts it
    points = np.clip(points, -beyond, beyond)
    law = counted(vote.honest, ndtr(points), ndtr(-points))
    total = np.zeros(4)
    for below in range(max(vote.rank - vote.forged, 0), min(vote.rank - 1, vote.honest) + 1):
        total += vote.ends(_joint(vote, points, weights * law[:, below], below, vote.honest - below), theirs=True)
    return total


def _joint(vote: Vote, points: Floats, weights: Floats, below: int, above: int) -> Floats:
    """Law of the rejecting nodes on each side of a median, averaged over where it is."""
    left = counted(below, *within(-points, vote.bound))
    right = counted(above, *within(points, vote.bound))
    joint: Floats = (left * weights[:, None]).T @ right
    return joint
