"""Many decision points: the largest group that has agreed so far, as a Markov chain.

Only one group can ever hold the quorum, so its composition is all that matters: a state, or "lost". Whatever happened
before, its members meet a decision point as a population of that composition would, and the law of a smaller
population follows from that of the whole by leaving machines out at random (the partition is exchangeable and
consistent). So all transitions follow from one law, by sums of positive terms:

    T[s, j] = T[s + e, j] (s_e + 1 - j_e) / (s_e + 1) + T[s + e, j + e] (j_e + 1) / (s_e + 1)

where e is one machine more of some unit, and the mass that falls below the threshold goes to "lost".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sim.inference.agreement import Agreement, Lattice, agreement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.inference.population import Population

    Floats = NDArray[np.float64]

STATES_MAX = 5_000
"""Largest number of states of the chain that is answered."""


@dataclass(frozen=True, slots=True)
class Moments:
    """What consensus needs to know of the honest group that reaches the threshold.

    With X the power and Y the nodes of honest machines outside that group, and every mean taken over blocks in
    which the group exists:

    Parameters
    ----------
    lost
        Probability that no group reaches the threshold.
    mass
        Probability that one does.
    power_missing, nodes_missing, product_missing
        Mean of X, of Y and of X Y, zero where there is no group.
    """

    lost: float
    mass: float
    power_missing: float
    nodes_missing: float
    product_missing: float


def states(population: Population, threshold: int) -> int:
    """Number of compositions that reach the threshold, counted without listing them where there are too many.

    Returns
    -------
    int
        The number of states, or an upper bound above `STATES_MAX`.
    """
    lattice = Lattice(population, threshold)
    if math.prod(lattice.shape) > 40 * STATES_MAX:
        return math.prod(lattice.shape)
    return int((lattice.power >= threshold).sum())


def after(population: Population, threshold: int, points: int) -> Moments:
    """Law of the honest group that reaches a threshold, after a number of decision points.

    Parameters
    ----------
    population
        Honest machines, with shared noise 0 or 1 only.
    threshold
        Power that a group needs, more than half of the population's.
    points
        Decision points M of the block, at least 1.

    Returns
    -------
    Moments
        Relative precision about 1e-12.
    """
    lattice = Lattice(population, threshold)
    step = agreement(population, threshold)
    alive = lattice.power >= threshold
    return _moments(lattice, alive, *repeated(alive, step, points))


def repeated(alive: NDArray[np.bool_], step: Agreement, points: int) -> tuple[Floats, float]:
    """Law of an exchangeable group after a number of decision points, from its law after one.

    Parameters
    ----------
    alive
        Which compositions of the group count.
    step
        Law of the group of all after one point.
    points
        Decision points, at least 1.

    Returns
    -------
    mass : Floats
        Probability of each composition that counts, in order.
    lost : float
        Probability of all others.
    """
    if points == 1:
        return step.mass[alive], step.lost
    return stepped(*_transitions(alive, step), points)


def stepped(one: Floats, lost: Floats, points: int) -> tuple[Floats, float]:
    """Law of the state after a number of points, from the last state on, and the mass that is lost.

    Parameters
    ----------
    one
        Transition probabilities between states, lower triangular, shape (S, S).
    lost
        Those into "lost", shape (S,).
    points
        Number of steps, at least 1.

    Where a state is almost never left, the chance of staying is 1 - e with a tiny e, whose rounding a power of M
    would blow up to M times 1e-16. T is triangular, so the diagonal of a power is the power of the diagonal, set from
    e itself.
    """
    others = one.copy()
    np.fill_diagonal(others, 0.0)
    leaving = lost + others.sum(axis=1)
    with np.errstate(divide="ignore"):
        staying = np.where(leaving < 0.5, np.log1p(-np.minimum(leaving, 0.5)), np.log(one.diagonal()))
    mass = np.zeros(len(one))
    mass[-1], gone = 1.0, 0.0  # the last state is the whole population
    if points * len(one) ** 2 <= points.bit_length() * len(one) ** 3 and points < 1_000:
        for _ in range(points):
            mass, gone = mass @ one, gone + float(mass @ lost)
        return mass, gone
    for bit in range(points.bit_length()):
        if points >> bit & 1:
            mass, gone = mass @ one, gone + float(mass @ lost)
        if points >> bit > 1:
            one, lost = one @ one, lost + one @ lost
            np.fill_diagonal(one, np.exp(2.0 ** (bit + 1) * staying))
    return mass, gone


def _transitions(alive: NDArray[np.bool_], step: Agreement) -> tuple[Floats, Floats]:
    """Transition probabilities between states, shape (S, S), and into "lost", shape (S,)."""
    compositions = np.argwhere(alive)
    number = np.full(alive.shape, -1)
    number[alive] = np.arange(len(compositions))
    one: Floats = np.zeros((len(compositions), len(compositions)))
    lost: Floats = np.zeros(len(compositions))
    one[-1], lost[-1] = step.mass[alive], step.lost
    full = np.array(alive.shape) - 1
    more, weaker = _neighbours(compositions, number)
    for state in range(len(compositions) - 2, -1, -1):
        axis = int(np.argmax(compositions[state] < full))
        whole = int(compositions[state, axis]) + 1
        above = int(more[axis][state])
        inside = compositions[:, axis] / whole  # chance that the machine left out was in the group
        parent = one[above]
        moved = np.where(more[axis] >= 0, (parent * inside)[more[axis]], 0.0)
        one[state] = parent * np.maximum(1 - inside, 0.0) + moved
        lost[state] = lost[above] + float((parent * inside)[weaker[axis]].sum())
    return one, lost


def _neighbours(
    compositions: NDArray[np.int64], number: NDArray[np.int64]
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.bool_]]]:
    """For each axis: the state with one machine more (-1 if there is none), and whether one less is no state."""
    more, weaker = [], []
    for axis in range(compositions.shape[1]):
        step = np.zeros(compositions.shape[1], dtype=np.int64)
        step[axis] = 1
        above = compositions + step
        inside = above[:, axis] < number.shape[axis]
        index = np.full(len(compositions), -1)
        index[inside] = number[tuple(above[inside].T)]
        more.append(index)
        below = compositions - step
        gone = below[:, axis] < 0
        gone[~gone] = number[tuple(below[~gone].T)] < 0
        weaker.append(gone)
    return more, weaker


def _moments(lattice: Lattice, alive: NDArray[np.bool_], mass: Floats, lost: float) -> Moments:
    outside = np.array(alive.shape) - 1 - np.argwhere(alive)
    power = outside @ np.array([unit.power for unit in lattice.units], dtype=float)
    nodes = outside @ np.array([unit.nodes for unit in lattice.units], dtype=float)
    return Moments(lost, float(mass.sum()), float(mass @ power), float(mass @ nodes), float(mass @ (power * nodes)))
