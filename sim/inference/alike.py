"""The chance that chosen machines do not all answer alike, for many choices at once.

At a decision point of hardness u, k_g machines of each unit answer alike if all stay with the reference output, or if
all deviate and choose one wrong answer:

    1 - E[ prod (1-p_g)^k_g ] - E[ prod p_g^k_g ] c(K),     c(K) = prod_{i=1}^{K-1} i / (alpha + i)

with K the customers of the restaurant. A class with wholly shared noise counts once: it stays with probability
1 - max p, and deviates with min p, over its units that are present.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sim.inference.agreement import Lattice
from sim.inference.binomial import BELOW_ONE
from sim.inference.quadrature import hardness_nodes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.inference.population import Population

    Floats = NDArray[np.float64]


class Alike:
    """Machines of a population, of which some are chosen.

    Parameters
    ----------
    population
        With shared noise 0 or 1 only; equivalent wrong answers only where all of a decision point are, or none.
    """

    def __init__(self, population: Population) -> None:
        self.population, self.units = population, population.units
        lattice = Lattice(population, population.power)
        largest = max((unit.count for unit in lattice.free), default=1)
        hardness, self._weights = hardness_nodes(population.laws, largest, lattice.compared)
        chances = [unit.chance(hardness) if unit.law else None for unit in self.units]
        self._chances = [None if p is None else np.minimum(p, BELOW_ONE) for p in chances]
        with np.errstate(divide="ignore"):
            self._stays = [None if p is None else np.log1p(-p) for p in self._chances]
            self._deviates = [None if p is None else _log(p) for p in self._chances]

    def differ(self, chosen: Sequence[int], points: int) -> float:
        """Probability that the chosen machines do not all answer alike.

        Parameters
        ----------
        chosen
            Machines of each unit; of a unit that is one machine, whatever nodes it stands for, 0 or 1.
        points
            Decision points M of the block.
        """
        if sum(chosen) < 2:
            return 0.0
        stay, deviate = np.zeros(len(self._weights)), np.zeros(len(self._weights))
        customers, certain = 0, False
        classes: dict[str, list[Floats]] = {}
        for index, (unit, number) in enumerate(zip(self.units, chosen, strict=True)):
            chance, stays, deviates = self._chances[index], self._stays[index], self._deviates[index]
            if not number:
                continue
            if chance is None or stays is None or deviates is None:
                certain = True
            elif unit.shared_noise == 1:
                classes.setdefault(unit.hardware, []).append(chance)
            else:
                stay, deviate, customers = stay + number * stays, deviate + number * deviates, customers + number
        for members in classes.values():
            stay = stay + np.log1p(-np.max(members, axis=0))
            deviate = deviate + _log(np.min(members, axis=0))
            customers += 1
        one = float(self._weights @ _differ(stay, deviate + self._log_table(customers), certain=certain))
        one *= 1 - self.population.harmless
        return -math.expm1(points * math.log1p(-min(max(one, 0.0), BELOW_ONE)))

    def _log_table(self, customers: int) -> float:
        """Logarithm of the chance that all customers sit at one table."""
        alpha = self.population.alternatives
        if customers < 2 or alpha == 0:
            return 0.0
        if math.isinf(alpha):
            return -math.inf
        others = np.arange(1, customers)
        return float(-np.log1p(alpha / others).sum())


def _log(chance: Floats) -> Floats:
    """Logarithm of a chance, precise near 1."""
    with np.errstate(divide="ignore"):
        logs: Floats = np.where(chance > 0.5, np.log1p(-(1 - chance)), np.log(chance))
    return logs


def _differ(stay: Floats, wrong: Floats, *, certain: bool) -> Floats:
    """1 - exp(stay) - exp(wrong), the larger first; without the last where a machine never deviates."""
    if certain:
        return np.asarray(-np.expm1(stay))
    return np.where(stay > wrong, -np.expm1(stay) - np.exp(wrong), -np.expm1(wrong) - np.exp(stay))
