"""Draws what honest machines answer when they run the same request again and again.

Whatever is the same every time is drawn once: the hardness, the noise that a class shares, and the wrong answers that
whole classes chose. Every attempt draws the rest afresh: each machine's own noise, and what the deviating ones among
those choose.

Where the first attempt ends well if nobody deviates in it, only points where somebody does are drawn. A point is a
candidate with a probability that bounds, panel by panel, the sum of all machines' chances. At a candidate one machine
is chosen in proportion to its chance and deviates for sure, and the others follow; with D deviating machines a draw
would come up D times too often, and is kept with probability 1/D (Karp and Luby 1983).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.inference.alternatives import seat
from sim.inference.sampler import Groups, PartitionSampler

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from sim.inference.population import Population

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]


class Environment(NamedTuple):
    """What every attempt at a point meets alike.

    Parameters
    ----------
    chances
        Deviation probability of each unit, shape (T, N).
    noise
        Noise of each class that shares any, shape (C, N).
    seats
        Where several classes choose among wrong answers: which of them chose the table of each, shape (C, N).
    """

    chances: Floats
    noise: Floats
    seats: Integers | None

    def where(self, chosen: NDArray[np.bool_]) -> Environment:
        """Some of the points."""
        seats = None if self.seats is None else self.seats[:, chosen]
        return Environment(self.chances[:, chosen], self.noise[:, chosen], seats)


class RepeatSampler(PartitionSampler):
    """Draws attempts at one decision point.

    Parameters
    ----------
    population, threshold
        As for `PartitionSampler`; groups of any power are drawn.
    skips
        Whether only points are drawn at which somebody deviates in the first attempt.
    """

    def __init__(self, population: Population, threshold: int, *, skips: bool) -> None:
        super().__init__(population, threshold, 1, 1)
        bound = np.minimum(self.counts @ self._chances(self.left), 1.0)
        self.envelope = bound if skips else np.ones_like(bound)
        self.cumulative = np.cumsum(self.width * self.envelope)
        self.block_rate = min(float(self.cumulative[-1]), 1.0) if skips else 1.0

    def start(self, stream: Generator, points: int) -> tuple[Environment, Integers]:
        """Draw points, and who deviates at the first attempt.

        Returns
        -------
        environment, deviating
            What further attempts meet, and the deviating machines of each unit, shape (N, T).
        """
        panel = np.searchsorted(self.cumulative, stream.random(points) * self.cumulative[-1], side="right")
        panel = np.minimum(panel, len(self.left) - 1)
        chances = self._chances(self.left[panel] + self.width[panel] * stream.random(points))
        row = np.cumsum(self.counts[:, None] * chances, axis=0)
        aim = stream.random(points) * self.envelope[panel]
        unit = (aim >= row).sum(axis=0)
        bounded = self.envelope[panel] < 1
        chosen = bounded & (unit < len(self.counts))
        noise = self._noise(stream, chances, np.where(chosen, unit, -1))
        sure = np.zeros((points, len(self.counts)), dtype=np.int64)
        sure[chosen, unit[chosen]] = 1
        deviating = self._deviate(stream, chances, noise, sure)
        kept = stream.random(points) * deviating.sum(axis=1) < 1
        deviating[bounded & ~(chosen & kept)] = 0
        return Environment(chances, noise, self._seats(stream, deviating)), deviating

    def again(self, stream: Generator, environment: Environment) -> Integers:
        """Who deviates at another attempt, shape (N, T)."""
        nobody = np.zeros((environment.chances.shape[1], len(self.counts)), dtype=np.int64)
        return self._deviate(stream, environment.chances, environment.noise, nobody)

    def answers(self, stream: Generator, environment: Environment, staying: Integers, deviating: Integers) -> Groups:
        """Group machines by their answers at an attempt, those that deviate and those that do not, shape (N, T)."""
        points = np.arange(len(staying))
        movers = Groups(points, points, deviating).where(deviating.sum(axis=1) > 0)
        moved, _ = self._choose(stream, movers, len(points), environment.seats)
        return Groups.joined([Groups(points, points, staying), moved])

    def _noise(self, stream: Generator, chances: Floats, unit: Integers) -> Floats:
        """Noise of each class, where a machine of the given unit deviates for sure (-1: none does); shape (C, N)."""
        from scipy.special import ndtri

        noise = stream.standard_normal((len(self.classes), len(unit)))
        for index, shared in enumerate(self.classes):
            mine = np.flatnonzero(np.isin(unit, shared.units))
            beyond = -ndtri(chances[unit[mine], mine] * (1 - stream.random(len(mine))))
            own = math.sqrt(1 - shared.shared) * noise[index, mine]
            noise[index, mine] = math.sqrt(shared.shared) * beyond + own
        return noise

    def _deviate(self, stream: Generator, chances: Floats, noise: Floats, sure: Integers) -> Integers:
        """Who deviates, beside the machines that do for sure; shape (N, T)."""
        from scipy.special import ndtri

        deviating = sure.copy()
        for unit in self.own:
            deviating[:, unit] += stream.binomial(self.counts[unit] - sure[:, unit], chances[unit])
        for index, shared in enumerate(self.classes):
            for unit in shared.units:
                others = self.counts[unit] - sure[:, unit]
                if shared.shared == 1:
                    deviating[:, unit] += others * (noise[index] > -ndtri(chances[unit]))
                else:
                    deviating[:, unit] += stream.binomial(others, shared.given(chances[unit], noise[index]))
        return deviating

    def _seats(self, stream: Generator, deviating: Integers) -> Integers | None:
        """Let classes choose among wrong answers, before any machine with noise of its own."""
        alpha = self.population.alternatives
        if len(self.classes) < 2 or not 0 < alpha < math.inf:
            return None
        out = np.array([deviating[:, noise.units].sum(axis=1) > 0 for noise in self.classes])
        point, index = np.nonzero(out.T)
        seats = np.zeros(out.shape, dtype=np.int64)
        seats[index, point] = index[seat(stream, point, alpha)]
        return seats
