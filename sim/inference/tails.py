"""One decision point at any number of nodes, by binomial tails instead of a lattice of compositions.

Where wrong answers are all the same (alternatives 0) or all different (.inf), a group reaches the threshold when the
number of deviating machines is small enough, or large enough. Of the unit with most machines only tails and partial
moments of a binomial are then needed; the other units are counted one by one.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.inference.agreement import Lattice, Pattern, patterns
from sim.inference.binomial import binomial_law
from sim.inference.chain import Moments
from sim.inference.quadrature import hardness_nodes, node_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.inference.population import Population

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

WORK_MAX = 2_000_000
"""Largest number of (hardness, composition of the smaller units) pairs that is answered."""


class _Partial(NamedTuple):
    """P, E[D] and E[D^2] of a binomial D over a range of it; arrays of one shape."""

    mass: Floats
    first: Floats
    second: Floats


def work(population: Population, threshold: int) -> float:
    """Size of the task in (hardness, composition) pairs; infinite where tails do not apply."""
    lattice = Lattice(population, threshold)
    if not lattice.free or 0 < population.alternatives < math.inf:
        return math.inf
    counts = sorted(unit.count for unit in lattice.free)
    compositions = math.prod(float(count + 1) for count in counts[:-1]) * lattice.patterns
    return compositions * node_count(population.laws, counts[-1]) if compositions <= WORK_MAX else math.inf


def by_tails(population: Population, threshold: int) -> Moments:
    """Law of the honest group that reaches a threshold, after one decision point (see `chain.after`).

    Parameters
    ----------
    population
        Honest machines, with shared noise 0 or 1 only, at least one unit with noise of its own; alternatives 0 or inf.
    threshold
        Power that a group needs, more than half of the population's.

    Returns
    -------
    Moments
        Relative precision about 1e-10.
    """
    free = sorted((unit for unit in population.units if unit.law and not unit.shared_noise), key=lambda u: u.count)
    rest = [unit for unit in population.units if unit not in free]
    ordered = replace(population, units=(*free, *rest))
    lattice = Lattice(ordered, threshold)
    hardness, weights = hardness_nodes(population.laws, free[-1].count, lattice.compared)
    total = np.zeros(5)
    for pattern in patterns(lattice, hardness, weights):
        total += _pattern_moments(lattice, hardness, pattern)
    total *= 1 - population.harmless
    total[1] += population.harmless  # then all honest machines are one group
    return Moments(*(float(value) for value in total))


def _pattern_moments(lattice: Lattice, hardness: Floats, pattern: Pattern) -> Floats:
    """Five moments, in the order of `Moments`, of one pattern of the classes with shared noise."""
    *small, large = lattice.free
    joint = pattern.weights[:, None]
    for unit in small:
        marginal = binomial_law(unit.count, unit.chance(hardness))
        joint = (joint[:, :, None] * marginal[:, None, :]).reshape(len(joint), -1)
    counts = np.argwhere(np.ones([unit.count + 1 for unit in small], dtype=bool))
    rigid = [unit for unit, out in zip(lattice.rigid, lattice.deviates(pattern.tables), strict=True) if out]
    power = counts @ np.array([u.power for u in small], dtype=np.int64) + sum(u.power for u in rigid)
    nodes = counts.sum(axis=1) + sum(u.nodes for u in rigid)
    p = large.chance(hardness)[:, None]
    spare = lattice.population.power - lattice.threshold - power  # power that may still deviate
    stay_max = np.floor_divide(spare, large.power)
    lower = _at_most(stay_max, large.count, p)
    total = _moments_of(joint, lower, (power, large.power), (nodes, 1))
    if lattice.population.alternatives == 0:
        win_min = -np.floor_divide(power - lattice.threshold, large.power)
        everyone = lattice.population
        outside = (everyone.power - power - large.count * large.power, everyone.nodes - nodes - large.count)
        upper = _at_most(large.count - win_min, large.count, 1 - p)  # of those who did not deviate
        total += _moments_of(joint, upper, (outside[0], large.power), (outside[1], 1))
        total[0] += float((joint * _between(stay_max, win_min, large.count, p)).sum())
        return total
    return total + _alone(lattice, pattern, counts, joint * _tail(stay_max + 1, large.count, p))


def _moments_of(joint: Floats, part: _Partial, power: tuple[Integers, int], nodes: tuple[Integers, int]) -> Floats:
    """Moments of X = power[0] + power[1] D and Y = nodes[0] + nodes[1] D over a range of D."""
    (a, w), (c, m) = power, nodes
    x = a * part.mass + w * part.first
    y = c * part.mass + m * part.first
    xy = a * c * part.mass + (a * m + c * w) * part.first + w * m * part.second
    return np.array([0.0, *(float((joint * value).sum()) for value in (part.mass, x, y, xy))])


def _alone(lattice: Lattice, pattern: Pattern, counts: Integers, mass: Floats) -> Floats:
    """All wrong answers differ: a single deviating customer that reaches the threshold alone, or nobody does.

    `mass` is the probability of each hardness and composition of the smaller units, with too many machines deviating.
    """
    everyone = lattice.population
    always = np.ones(len(counts), dtype=bool)
    deviates = [*(counts[:, axis] == 1 for axis in range(counts.shape[1])), always]  # the largest unit does, here
    customers = [(unit.power, 1, out) for unit, out in zip(lattice.free, deviates, strict=True)]
    for members in pattern.tables:
        units = [lattice.rigid[member] for member in members]
        customers.append((sum(unit.power for unit in units), sum(unit.nodes for unit in units), always))
    for power, nodes, wins in customers:
        if power >= lattice.threshold:  # then it is the only such one, and a unit of one machine
            won = float(mass[:, wins].sum())
            x, y = everyone.power - power, everyone.nodes - nodes
            return np.array([float(mass[:, ~wins].sum()), won, won * x, won * y, won * x * y])
    return np.array([float(mass.sum()), 0.0, 0.0, 0.0, 0.0])


def _tail(least: Integers, n: int, p: Floats) -> Floats:
    """P(D >= least) of Binomial(n, p)."""
    from scipy.special import betainc

    inside = np.clip(least, 1, max(n, 1))
    tail = betainc(inside, n - inside + 1.0, p) if n > 0 else np.zeros(np.broadcast(inside, p).shape)
    return np.where(least <= 0, 1.0, np.where(least > n, 0.0, tail))


def _head(most: Integers, n: int, p: Floats) -> Floats:
    """P(D <= most) of Binomial(n, p)."""
    from scipy.special import betaincc

    inside = np.clip(most, 0, max(n - 1, 0))
    head = betaincc(inside + 1.0, n - inside, p) if n > 0 else np.ones(np.broadcast(inside, p).shape)
    return np.where(most >= n, 1.0, np.where(most < 0, 0.0, head))


def _at_most(most: Integers, n: int, p: Floats) -> _Partial:
    pairs = n * (n - 1) * p * p * _head(most - 2, n - 2, p)
    first = n * p * _head(most - 1, n - 1, p)
    return _Partial(_head(most, n, p), first, pairs + first)


def _between(low: Integers, high: Integers, n: int, p: Floats) -> Floats:
    """P(low < D < high), from whichever tails cancel least."""
    above, below = _tail(low + 1, n, p), _head(high - 1, n, p)
    difference = np.where(above <= below, above - _tail(high, n, p), below - _head(low, n, p))
    return np.where(high - low > 1, np.maximum(difference, 0.0), 0.0)
