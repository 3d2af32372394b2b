"""The law of agreement at one decision point: which group of honest machines can still reach a quorum.

Fix a threshold of more than half of the honest power. Then at most one group of machines that answer alike reaches it,
and two things are all that consensus needs: the expected number of groups of each composition that reach it
(`mass`, in fact the probability that the one group has that composition), and the probability that none does (`lost`).

Both follow from who deviates (binomial given the hardness of the prompt, or whole hardware classes at shared noise 1)
and from how those who deviate spread over wrong answers (a Chinese-restaurant process). `lost` is a sum of positive
terms, never one minus the rest, and so keeps its relative precision down to 1e-300.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.inference import replayed
from sim.inference.alternatives import log_kept_probability, log_table_probability, table_complement
from sim.inference.binomial import binomial_law, log_choose
from sim.inference.quadrature import hardness_nodes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from sim.inference.difficulty.base import Difficulty
    from sim.inference.population import Population, Unit

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Tables = tuple[tuple[int, ...], ...]

_ROUNDING = 1e-13
_CHUNK = 1 << 20  # doubles held at once while averaging over hardness


@dataclass(frozen=True, slots=True)
class Agreement:
    """Law of the one group that reaches the threshold.

    Parameters
    ----------
    mass
        Probability of each composition; shape (c_1 + 1, ..., c_T + 1), one axis a unit; zero where it is too weak.
    lost
        Probability that no group reaches the threshold.
    """

    mass: Floats
    lost: float


class Lattice:
    """Compositions of groups of honest machines: how many machines of each unit are in it.

    Parameters
    ----------
    population
        Honest machines, with shared noise 0 or 1 only.
    threshold
        Power that a group needs, more than half of the population's.
    """

    def __init__(self, population: Population, threshold: int) -> None:
        units = population.units
        self.free = [unit for unit in units if unit.law and not unit.shared_noise]
        self.rigid = [unit for unit in units if unit.law and unit.shared_noise == 1]
        self.fixed = [unit for unit in units if unit.law is None]
        self.units: list[Unit] = [*self.free, *self.rigid, *self.fixed]
        self.population, self.threshold = population, threshold

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an array with an entry for every composition."""
        return tuple(unit.count + 1 for unit in self.units)

    @property
    def free_shape(self) -> tuple[int, ...]:
        """Shape over the machines that have noise of their own."""
        return tuple(unit.count + 1 for unit in self.free)

    @cached_property
    def power(self) -> Integers:
        """Voting power of each composition, shape `shape`."""
        return _outer_sum([unit.power for unit in self.units], self.shape)

    @cached_property
    def free_power(self) -> Integers:
        """Voting power of machines with own noise, shape `free_shape`."""
        return _outer_sum([unit.power for unit in self.free], self.free_shape)

    @cached_property
    def free_machines(self) -> Integers:
        """Number of machines with own noise, shape `free_shape`."""
        return _outer_sum([1] * len(self.free), self.free_shape)

    @cached_property
    def classes(self) -> list[list[int]]:
        """Indices into `rigid`, by hardware class."""
        by_class: dict[str, list[int]] = {}
        for index, unit in enumerate(self.rigid):
            by_class.setdefault(unit.hardware, []).append(index)
        return list(by_class.values())

    @property
    def compared(self) -> list[tuple[Difficulty, Difficulty]]:
        """Pairs of laws that the units of one class deviate by."""
        pairs = [pair for members in self.classes for pair in itertools.combinations(members, 2)]
        laws = [(self.rigid[one].law, self.rigid[other].law) for one, other in pairs]
        return [(one, other) for one, other in laws if one and other]

    @property
    def closed_law(self) -> Floats | None:
        """Closed form of the law of how many machines deviate, where only one unit can; None if there is none."""
        if self.rigid or len(self.free) != 1:
            return None
        (unit,) = self.free
        return unit.law.deviator_law(unit.count) if unit.law and unit.kept == 1 else None

    def deviates(self, tables: Tables) -> list[bool]:
        """Whether each rigid unit deviates, given those of each class that does."""
        members = {m for table in tables for m in table}
        return [index in members for index in range(len(self.rigid))]

    @property
    def patterns(self) -> int:
        """Number of ways in which classes with shared noise can deviate."""
        return 1 << len(self.rigid)


def _outer_sum(steps: list[int], shape: tuple[int, ...]) -> Integers:
    total: Integers = np.zeros(shape, dtype=np.int64)
    for axis, (step, size) in enumerate(zip(steps, shape, strict=True)):
        total += (step * np.arange(size)).reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return total


@dataclass(frozen=True, slots=True)
class Pattern:
    """One way in which the classes with shared noise deviate.

    Parameters
    ----------
    tables
        Rigid units of each class that deviates: one customer each.
    weights
        Quadrature weight times probability of this pattern, shape (K,).
    """

    tables: Tables
    weights: Floats


def patterns(lattice: Lattice, hardness: Floats, weights: Floats) -> Iterator[Pattern]:
    """Yield every possible pattern of classes, with its probability at each hardness.

    The machines of a class meet one noise, so their deviating sets are nested: of a set S, all deviate and no other of
    the class does with probability min over S of p(u) minus max over the rest.
    """
    p = [unit.chance(hardness) for unit in lattice.rigid]
    choices = []
    for members in lattice.classes:
        sets = []
        for chosen in itertools.product([False, True], repeat=len(members)):
            inside = [p[m] for m, c in zip(members, chosen, strict=True) if c]
            outside = [p[m] for m, c in zip(members, chosen, strict=True) if not c]
            upper = np.min(inside, axis=0) if inside else np.ones(len(hardness))
            lower = np.max(outside, axis=0) if outside else np.zeros(len(hardness))
            sets.append((tuple(m for m, c in zip(members, chosen, strict=True) if c), np.maximum(upper - lower, 0.0)))
        choices.append(sets)
    for combination in itertools.product(*choices):
        joint = weights * math.prod((probability for _, probability in combination), start=np.ones(len(hardness)))
        if joint.any():
            yield Pattern(tuple(members for members, _ in combination if members), joint)


def agreement(population: Population, threshold: int) -> Agreement:
    """Law of the group of honest machines that reaches a threshold, after one decision point.

    Parameters
    ----------
    population
        Honest machines, with shared noise 0 or 1 only.
    threshold
        Power that a group needs, more than half of the population's.

    Returns
    -------
    Agreement
        Its axes are the units of `Lattice(population, threshold)`, in order.
    """
    lattice = Lattice(population, threshold)
    if population.replayed is not None:
        return Agreement(*replayed.mass(lattice, population.replayed))
    step = _Step(lattice)
    hardness, weights = hardness_nodes(
        population.laws, max((unit.count for unit in lattice.free), default=1), lattice.compared
    )
    met = (
        (pattern.tables, deviator_law(lattice, hardness, pattern.weights))
        for pattern in patterns(lattice, hardness, weights)
    )
    for tables, law in _counted(lattice, met) if population.equivalents else met:
        step.add(tables, law)
    whole = (-1,) * step.mass.ndim
    step.mass *= 1 - population.harmless
    step.mass[whole] += population.harmless
    return Agreement(step.mass, step.lost * (1 - population.harmless))


def _counted(lattice: Lattice, met: Iterable[tuple[Tables, Floats]]) -> Iterable[tuple[Tables, Floats]]:
    """Leave out the customers whose wrong answers are equivalent to the reference output: they stay with the others.

    Given their number, any set of customers is as likely as another of its size to be those who are left.
    """
    left: dict[Tables, Floats] = {}
    for tables, law in met:
        everyone, probability = np.argwhere(law > 0), law[law > 0]
        customers = everyone.sum(axis=1) + len(tables)
        for number, some in itertools.product(np.unique(customers), _subsets(tables)):
            chosen, size = customers == number, lattice.free_machines + len(some)
            fits = size <= number
            logs = log_kept_probability(int(number), lattice.population.alternatives, lattice.population.equivalents)
            ways = _log_ways(everyone[chosen], np.argwhere(fits)) + logs[size[fits]]
            left.setdefault(some, np.zeros(lattice.free_shape))[fits] += probability[chosen] @ np.exp(ways)
    return left.items()


def _subsets(tables: Tables) -> list[Tables]:
    """Every choice of some of the tables."""
    choices = itertools.product([False, True], repeat=len(tables))
    return [tuple(itertools.compress(tables, chosen)) for chosen in choices]


def deviator_law(lattice: Lattice, hardness: Floats, weights: Floats) -> Floats:
    """Probability of each number of deviating machines with own noise, averaged over hardness.

    Returns
    -------
    Floats
        Shape `lattice.free_shape`; sums to the sum of the weights.
    """
    closed = lattice.closed_law
    if closed is not None:
        return closed
    total: Floats = np.zeros(lattice.free_shape)
    if not lattice.free:
        total += weights.sum()
        return total
    lead = math.prod(lattice.free_shape[:-1])
    chunk = max(1, _CHUNK // max(lead, lattice.free_shape[-1]))
    for start in range(0, len(hardness), chunk):
        piece = slice(start, start + chunk)
        joint = weights[piece, None]
        for unit in lattice.free[:-1]:
            marginal = binomial_law(unit.count, unit.chance(hardness[piece]))
            joint = (joint[:, :, None] * marginal[:, None, :]).reshape(len(joint), -1)
        last = binomial_law(lattice.free[-1].count, lattice.free[-1].chance(hardness[piece]))
        total += (joint.T @ last).reshape(total.shape)
    return total


class _Step:
    """Sums `mass` and `lost` over patterns."""

    def __init__(self, lattice: Lattice) -> None:
        self.lattice = lattice
        self.mass: Floats = np.zeros(lattice.shape)
        self.lost = 0.0

    def add(self, tables: Tables, law: Floats) -> None:
        """Add one pattern of classes; `law` is the joint probability with the machines of own noise that deviate."""
        lattice = self.lattice
        deviates = lattice.deviates(tables)
        rigid_power = sum(unit.power for unit, out in zip(lattice.rigid, deviates, strict=True) if out)
        deviating = lattice.free_power + rigid_power
        stays = lattice.population.power - deviating >= lattice.threshold
        backwards = (slice(None, None, -1),) * len(lattice.free)
        self._alive(np.where(stays, law, 0.0)[backwards], [not out for out in deviates], stay=True)
        left = np.where(stays, 0.0, law)
        if lattice.population.alternatives == 0:
            wins = deviating >= lattice.threshold
            self._alive(np.where(wins, left, 0.0), deviates, stay=False)
            self.lost += float(left[~wins].sum())
        elif math.isinf(lattice.population.alternatives):
            self._all_differ(tables, left)
        else:
            self._restaurant(tables, left, deviating >= lattice.threshold)

    def _alive(self, law: Floats, rigid: list[bool], *, stay: bool) -> None:
        """Add the law of a group with the given rigid units; machines that never deviate are in it if it stays."""
        where: Any = (..., *(int(inside) for inside in rigid), *(int(stay) for _ in self.lattice.fixed))
        self.mass[where] += law

    def _all_differ(self, tables: Tables, left: Floats) -> None:
        """No two customers answer alike, so only a customer that reaches the threshold alone counts."""
        lattice = self.lattice
        for members in tables:
            if sum(lattice.rigid[m].power for m in members) >= lattice.threshold:
                nothing = np.zeros(lattice.free_shape)
                nothing[(0,) * len(lattice.free)] = left.sum()
                self._alive(nothing, [i in members for i in range(len(lattice.rigid))], stay=False)
                return
        for axis, unit in enumerate(lattice.free):
            if unit.power >= lattice.threshold:  # then there is just one such machine
                alone = np.zeros(lattice.free_shape)
                alone[tuple(int(a == axis) for a in range(len(lattice.free)))] = left.take(1, axis).sum()
                self._alive(alone, [False] * len(lattice.rigid), stay=False)
                left = left.take([0], axis)
        self.lost += float(left.sum())

    def _restaurant(self, tables: Tables, left: Floats, strong: NDArray[np.bool_]) -> None:
        """Expected tables of each composition that reach the threshold, for every set of customers."""
        alpha = self.lattice.population.alternatives
        self.lost += float(left[~strong].sum())
        possible = strong & (left > 0)
        deviators, probability = np.argwhere(possible), left[possible]
        customers = deviators.sum(axis=1) + len(tables)
        for number in np.unique(customers):
            chosen = customers == number
            together = log_table_probability(int(number), alpha)
            others = self._tables(tables, deviators[chosen], probability[chosen], together)
            complement = table_complement(int(number), alpha)
            apart = complement - others
            apart[apart < _ROUNDING * complement] = 0.0  # all other tables are strong: what is left is rounding
            self.lost += float(probability[chosen] @ apart)

    def _tables(self, tables: Tables, deviators: Integers, probability: Floats, together: Floats) -> Floats:
        """Add the tables of customers who are equally many; return the chance of a strong one that is not all."""
        lattice, customers = self.lattice, len(together) - 1
        others = np.zeros(len(deviators))
        for seated in _subsets(tables):
            members = {m for table in seated for m in table}
            need = lattice.threshold - sum(lattice.rigid[m].power for m in members)
            size = lattice.free_machines + len(seated)
            fits = (lattice.free_power >= need) & (size >= 1) & (size <= customers)
            compositions, sizes = np.argwhere(fits), size[fits]
            if not len(sizes):
                continue
            expected = np.exp(together[sizes][None, :] + _log_ways(deviators, compositions))
            law = np.zeros(lattice.free_shape)
            law[fits] = probability @ expected
            self._alive(law, [i in members for i in range(len(lattice.rigid))], stay=False)
            others += np.where(sizes == customers, 0.0, expected).sum(axis=1)
        return others


def _log_ways(deviators: Integers, compositions: Integers) -> Floats:
    """Logarithm of the number of ways to choose a composition among the deviators; shape (deviators, compositions)."""
    ways: Floats = np.zeros((len(deviators), len(compositions)))
    for axis in range(deviators.shape[1]):
        numbers, row = np.unique(deviators[:, axis], return_inverse=True)
        table = np.full((len(numbers), int(compositions[:, axis].max(initial=0)) + 1), -np.inf)
        for index, number in enumerate(numbers):
            logs = log_choose(int(number))[: table.shape[1]]
            table[index, : len(logs)] = logs
        ways += table[row][:, compositions[:, axis]]
    return ways
