"""Who accepts posted tokens under teacher forcing, where ties are accepted either way, exactly.

A node that checks an answer runs the model once over the posted tokens, so that at every decision point all nodes meet
the same prefix, whatever they would have written themselves. The margin between the two best tokens is d = U u, in
units of the noise (`NearTie.margin_max`), and node i sees d - E_i. It accepts the posted token if that is its own best
one, or if the two are closer than the gap:

    posted the best token:         rejects with probability Phi(-(d + gap))
    posted the second-best token:  rejects with probability Phi(d - gap)

An honest node posts the second-best one with probability Phi(-d); one whose noise is s times as large, such as a
cheaper model's, with Phi(-d / s). A node accepts an answer if it accepts each of its tokens, so that those who do are a
Markov chain, as in `sim.inference.chain`. With gap 0 they are those that would have posted the same themselves.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.inference.agreement import Agreement
from sim.inference.binomial import counted, log_choose
from sim.inference.chain import repeated, stepped
from sim.inference.normal import interval
from sim.inference.quadrature import panels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.inference.difficulty.near_tie import NearTie

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

SIGMA_MAX = 38.5  # beyond it a normal tail is zero in double precision
TOLD_MAX = 24
"""Nodes up to which those that would have posted the same are told apart."""
_BULK = 9.0
_TAILS = np.array([9.0, 10.5, 12.0, 14.0, 16.0, 19.0, 22.0, 26.0, 30.0, 34.0, SIGMA_MAX])
_SCALE = np.concatenate([np.arange(0, _BULK, 1.5), _TAILS])


class Accepting(NamedTuple):
    """How many nodes accept an answer, and how many would have posted it themselves.

    Parameters
    ----------
    mass
        Probability of each number of nodes that accept it, from the number needed on, and of those among them that
        would have posted it; shape (checkers + 1, checkers + 1). Where they are not told apart, shape (checkers + 1,).
    lost
        Probability that fewer accept it than are needed.
    """

    mass: Floats
    lost: float


class Check(NamedTuple):
    """A check of posted tokens.

    Parameters
    ----------
    law
        The margins; its rate is that of every honest node.
    gap
        Largest difference of two tokens that counts as a tie, in standard deviations of the noise.
    checkers
        Honest nodes that check.
    needed
        How many must accept the answer.
    points
        Decision points of the answer.
    noise
        Noise of the node that posts it, in that of the checkers; 0: it posts the reference output.
    """

    law: NearTie
    gap: float
    checkers: int
    needed: int
    points: int
    noise: float = 1.0

    def chances(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Chances that a checker would have posted the same, accepts something else, and rejects; and their weights."""
        from scipy.special import ndtr

        hardness, weights = panels(self._edges())
        d = self.law.margin_max * hardness
        first, second = np.ones_like(d), np.zeros_like(d)
        if self.noise:
            first, second = ndtr(d / self.noise), ndtr(-d / self.noise)
        same = np.concatenate([ndtr(d), ndtr(-d)])
        tied = np.concatenate([interval(d, d + self.gap), interval(d - self.gap, d)])
        rejects = np.concatenate([ndtr(-d - self.gap), ndtr(d - self.gap)])
        return same, tied, rejects, np.concatenate([weights * first, weights * second])

    def _edges(self) -> Floats:
        """Hardness between which all of them are smooth: about no margin, about the gap, and on the poster's scale."""
        step = min(1.0, 5 / math.sqrt(max(self.checkers, 1)))
        about = np.concatenate([-_TAILS, np.arange(-_BULK, _BULK + step, step), _TAILS])
        hardness: Floats = np.concatenate([about, self.gap + about, self.noise * _SCALE]) / self.law.margin_max
        return np.unique(np.concatenate([[0.0, 1.0], hardness[(hardness > 0) & (hardness < 1)]]))


def accepting(check: Check) -> Accepting:
    """Law of the number of nodes that accept an answer."""
    n = check.checkers
    if check.needed > n:
        return Accepting(np.zeros(n + 1), 1.0)
    same, tied, rejects, weights = check.chances()
    law = (weights @ counted(n, rejects, same + tied))[::-1]
    alive = np.arange(n + 1) >= max(check.needed, 0)
    step = Agreement(np.where(alive, law, 0.0), float(law[~alive].sum()))
    mass = np.zeros(n + 1)
    mass[alive], lost = repeated(alive, step, check.points)
    return Accepting(mass, lost)


def told_apart(check: Check) -> Accepting:
    """Law of the number of nodes that accept an answer, and of those that would have posted it, at most `TOLD_MAX`.

    A Markov chain on both numbers (a, e): of the e nodes that would have posted all so far, some still would, some
    accept what they would not have posted, the others reject; of the a - e others, some accept.
    """
    n = check.checkers
    mass = np.zeros((n + 1, n + 1))
    if check.needed > n:
        return Accepting(mass, 1.0)
    states = [(a, e) for a in range(max(check.needed, 0), n + 1) for e in range(a + 1)]
    number = np.full((n + 1, n + 1), -1)
    number[tuple(np.array(states).T)] = np.arange(len(states))
    same, tied, rejects, weights = check.chances()
    one, lost = np.zeros((len(states), len(states))), np.zeros(len(states))
    for e in range(n + 1):
        kept, both = _of_same(e, same, tied, rejects)
        for state, a in ((number[a, e], a) for a in range(e, n + 1) if number[a, e] >= 0):
            others = counted(a - e, rejects, same + tied)[:, ::-1]
            chance = (both * weights[:, None]).T @ others
            reached = number[kept.sum(axis=1)[:, None] + np.arange(a - e + 1), kept[:, :1]]
            np.add.at(one[state], reached[reached >= 0], chance[reached >= 0])
            lost[state] = chance[reached < 0].sum()
    law, gone = stepped(one, lost, check.points)
    mass[tuple(np.array(states).T)] = law
    return Accepting(mass, gone)


def _of_same(e: int, same: Floats, tied: Floats, rejects: Floats) -> tuple[Integers, Floats]:
    """Of e nodes, how many would post the next token too and how many only accept it, shape (P, 2); the law, (K, P)."""
    from scipy.special import xlogy

    kept = np.array([(more, only) for more in range(e + 1) for only in range(e + 1 - more)], dtype=np.int64)
    more, only = kept.T
    ways = log_choose(e)[more] + np.array([log_choose(e - m)[o] for m, o in kept.tolist()])
    logs = xlogy(more, same[:, None]) + xlogy(only, tied[:, None]) + xlogy(e - more - only, rejects[:, None])
    return kept, np.exp(ways + logs)
