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

from sim.inference.acceptance import counted
from sim.inference.agreement import Agreement
from sim.inference.chain import repeated
from sim.inference.quadrature import panels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.inference.difficulty.near_tie import NearTie

    Floats = NDArray[np.float64]

SIGMA_MAX = 38.5  # beyond it a normal tail is zero in double precision
_BULK = 9.0


class Accepting(NamedTuple):
    """How many nodes accept an answer.

    Parameters
    ----------
    mass
        Probability that exactly that many do, from the number needed on, shape (checkers + 1,); zero below it.
    lost
        Probability that fewer do.
    """

    mass: Floats
    lost: float


def accepting(law: NearTie, gap: float, checkers: int, needed: int, points: int, noise: float = 1.0) -> Accepting:
    """Law of the number of nodes that accept an answer.

    Parameters
    ----------
    law
        The margins; its rate is that of every honest node.
    gap
        Largest difference of two tokens that counts as a tie, in standard deviations of the noise.
    checkers
        Honest nodes that check it.
    needed
        How many must accept it.
    points
        Decision points of the answer.
    noise
        Noise of the node that posts it, in that of the checkers; 0: it posts the reference output.
    """
    if needed > checkers:
        return Accepting(np.zeros(checkers + 1), 1.0)
    from scipy.special import ndtr

    hardness, weights = panels(_edges(law, gap, checkers, noise))
    margin = law.margin_max * hardness
    second = ndtr(-margin / noise) if noise else np.zeros_like(margin)
    first = ndtr(margin / noise) if noise else np.ones_like(margin)
    best = counted(checkers, ndtr(-(margin + gap)), ndtr(margin + gap))
    other = counted(checkers, ndtr(margin - gap), ndtr(gap - margin))
    rejects = (weights * first) @ best + (weights * second) @ other
    alive = np.arange(checkers + 1) >= max(needed, 0)
    step = Agreement(np.where(alive, rejects[::-1], 0.0), float(rejects[::-1][~alive].sum()))
    mass = np.zeros(checkers + 1)
    mass[alive], lost = repeated(alive, step, points)
    return Accepting(mass, lost)


def _edges(law: NearTie, gap: float, checkers: int, noise: float) -> Floats:
    """Hardness between which all chances are smooth: about no margin, about the gap, and on the scale of the poster."""
    step = min(0.5, 4 / math.sqrt(max(checkers, 1)))
    bulk = np.arange(0, gap + _BULK + step, step)
    tails = np.concatenate([gap + np.arange(_BULK, SIGMA_MAX), noise * np.arange(0, SIGMA_MAX, 0.5)])
    hardness: Floats = np.concatenate([bulk, tails]) / law.margin_max
    return np.unique(np.concatenate([[0.0, 1.0], hardness[hardness < 1]]))
