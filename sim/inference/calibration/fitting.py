"""Maximum likelihood, and its uncertainty by resampling prompts.

Replicates of the bootstrap are fitted all at once, by Newton steps from the fit itself: derivatives are differences
of the likelihood, parameters at a bound stay there, and a step that makes things worse is damped (Levenberg 1944).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.inference.calibration.laws import LAWS, Law
from sim.inference.calibration.likelihood import Terms
from sim.statistics.intervals import clopper_pearson

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from sim.inference.calibration.partitions import Partitions
    from sim.inference.difficulty.base import Difficulty

    Floats = NDArray[np.float64]

REPLICATES = 400
_AT_ONCE = 1 << 22  # numbers held at once
_STEP = 1e-4
_GRID, _LIKELY = 400, 1.920729  # points between bounds; half of the 95 % quantile of chi-square with one degree
_ROUNDS = 25
_STARTS = ((0.1, 0.2), (0.5, 1.0), (0.3, 0.02), (0.02, 5.0))  # correlation, alternatives


class Interval(NamedTuple):
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Fit:
    """A law, fitted.

    Parameters
    ----------
    law
        Which.
    parameters
        By name, with intervals.
    log_likelihood
        Of the labelled partitions.
    replicates
        Parameters of each replicate of the bootstrap, by name, shape (B,).
    """

    law: Law
    parameters: dict[str, Interval]
    log_likelihood: float
    replicates: dict[str, Floats]

    @property
    def aic(self) -> float:
        """Akaike's criterion; lower is better."""
        return 2 * len(self.law.parameters) - 2 * self.log_likelihood

    @property
    def values(self) -> dict[str, float]:
        """Fitted parameters."""
        return {name: interval.value for name, interval in self.parameters.items()}

    def difficulty(self, per: str = "request") -> Difficulty:
        """The difficulty model that was fitted."""
        return self.law.difficulty(self.values, per)


class _Objective:
    """Log-likelihood of samples of decision points under one law, one set of free numbers a sample."""

    def __init__(self, law: Law, terms: Terms) -> None:
        self.law, self._terms = law, terms
        self.low, self.high = np.array(law.bounds).T

    @property
    def size(self) -> int:
        """Numbers that one evaluation holds."""
        return self._terms.number

    def __call__(self, free: Floats, counts: Floats) -> Floats:
        """Log-likelihood, shape (B,), of free numbers (B, F) and counts (B, K)."""
        logs = self._terms.log_likelihoods(self.law.log_moments(free, self._terms.powers), free[:, -1])
        value: Floats = np.where(counts > 0, counts * np.maximum(logs, -1e6), 0.0).sum(axis=1)
        return value

    def derivatives(self, free: Floats, counts: Floats) -> tuple[Floats, Floats, Floats]:
        """Value (B,), gradient (B, F) and Hessian (B, F, F) by central differences."""
        samples, number = free.shape
        steps = _STEP * np.eye(number)
        here = self(free, counts)
        gradient, hessian = np.zeros((samples, number)), np.zeros((samples, number, number))
        up = [self(free + steps[i], counts) for i in range(number)]
        down = [self(free - steps[i], counts) for i in range(number)]
        for i in range(number):
            gradient[:, i] = (up[i] - down[i]) / (2 * _STEP)
            hessian[:, i, i] = (up[i] - 2 * here + down[i]) / _STEP**2
            for j in range(i):
                both = self(free + steps[i] + steps[j], counts) + self(free - steps[i] - steps[j], counts)
                mixed = (both - up[i] - down[i] - up[j] - down[j] + 2 * here) / (2 * _STEP**2)
                hessian[:, i, j] = hessian[:, j, i] = mixed
        return here, gradient, hessian

    def climbed(self, free: Floats, counts: Floats) -> tuple[Floats, Floats]:
        """Climb to a maximum from each starting point; the free numbers, and the value there."""
        damping = np.full(len(free), 1e-3)
        done = np.zeros(len(free), dtype=np.bool_)
        values = self(free, counts)
        for _ in range(_ROUNDS):
            going = np.flatnonzero(~done)
            if not len(going):
                break
            at, mine = free[going], counts[going]
            here, gradient, hessian = self.derivatives(at, mine)
            tried = self._stepped(at, gradient, hessian, damping[going])
            there = self(tried, mine)
            better = there > here
            free[going[better]], values[going] = tried[better], np.where(better, there, here)
            damping[going] = np.where(better, damping[going] / 10, damping[going] * 10)
            done[going] = (there - here < 1e-7) & (np.abs(tried - at).max(axis=1) < 1e-3) | (damping[going] > 1e12)
        return free, values

    def _stepped(self, free: Floats, gradient: Floats, hessian: Floats, damping: Floats) -> Floats:
        """One damped Newton step, within the bounds."""
        outward = ((free <= self.low) & (gradient < 0)) | ((free >= self.high) & (gradient > 0))
        gradient = np.where(outward, 0.0, gradient)
        number = free.shape[1]
        curvature = -hessian
        curvature[np.broadcast_to(outward[:, :, None] | outward[:, None, :], curvature.shape)] = 0.0
        values, vectors = np.linalg.eigh(curvature)
        values = np.maximum(np.abs(values), 1e-6) + damping[:, None]
        along = np.einsum("bij,bi->bj", vectors, gradient) / values
        step = np.clip(np.einsum("bij,bj->bi", vectors, along), -2.0, 2.0)
        assert step.shape[1] == number  # noqa: S101 -- one step a free number
        return np.asarray(np.clip(free + step, self.low, self.high))


def fitted(partitions: Partitions, name: str, stream: Generator | None = None, replicates: int = REPLICATES) -> Fit:
    """Fit a law.

    Parameters
    ----------
    partitions
        What is observed: at least one decision point of two runs.
    name
        The law.
    stream
        Source of randomness of the bootstrap; None: no intervals are needed, and none are given.
    replicates
        Replicates of the bootstrap.
    """
    law = LAWS[name]
    objective = _Objective(law, Terms(partitions))
    start = np.array([law.free(**_start(law, partitions, *guess)) for guess in _STARTS])
    counts = np.tile(partitions.counts, (len(start), 1))
    free, values = objective.climbed(start, counts)
    best = int(np.argmax(values))
    found = {key: float(value[best]) for key, value in law.values(free).items()}
    if stream is None or _never_deviates(partitions):
        drawn = {key: np.full(1, value) for key, value in found.items()}
    else:
        sampled = partitions.resampled(stream, replicates)
        size = max(1, _AT_ONCE // objective.size)
        climbed = [
            objective.climbed(np.tile(free[best], (len(some), 1)), some)[0]
            for some in (sampled[start : start + size] for start in range(0, replicates, size))
        ]
        drawn = law.values(np.concatenate(climbed))
    if _never_deviates(partitions):
        found |= {"rate": 0.0, "alternatives": 0.0}  # which answers are wrong, nobody knows
        intervals = _unseen(found, partitions)
    else:
        likely = _likely(objective, free[best], partitions.counts)
        intervals = {key: _interval(found[key], drawn[key], likely[key]) for key in law.parameters}
    return Fit(law, intervals, float(values[best]), drawn)


def _start(law: Law, partitions: Partitions, correlation: float, alternatives: float) -> dict[str, float]:
    """Where to start: everything outside the largest group deviates."""
    runs = float(partitions.counts @ partitions.runs)
    rate = float(partitions.counts @ (partitions.runs - partitions.largest)) / max(runs, 1.0)
    guess = {"rate": min(max(rate, 1e-8), 0.49), "correlation": correlation, "alternatives": alternatives}
    return {name: guess[name] for name in law.parameters}


def _interval(value: float, drawn: Floats, likely: tuple[float, float]) -> Interval:
    """The interval that holds 95 % of the replicates and what is likely."""
    low, high = (float(np.quantile(drawn, tail, method="nearest")) for tail in (0.025, 0.975))
    return Interval(value, min(low, value, likely[0]), max(high, value, likely[1]))


def _likely(objective: _Objective, free: Floats, counts: Floats) -> dict[str, tuple[float, float]]:
    """Ends between which a parameter alone may move before the likelihood is lower by half a chi-square quantile.

    Where few prompts differ, drawing them again shows too little: a concentration, say, seems to be known exactly.
    """
    found = {}
    for index, name in enumerate(objective.law.parameters):
        grid = np.concatenate(
            [np.linspace(objective.low[index], objective.high[index], _GRID), free[index : index + 1]]
        )
        tried = np.tile(free, (len(grid), 1))
        tried[:, index] = grid
        logs = objective(tried, np.tile(counts, (len(grid), 1)))
        inside = tried[logs >= logs[-1] - _LIKELY]
        ends = objective.law.values(inside[[np.argmin(inside[:, index]), np.argmax(inside[:, index])]])[name]
        found[name] = (float(ends.min()), float(ends.max()))
    return found


def _never_deviates(partitions: Partitions) -> bool:
    return all(len(sizes) == 1 for sizes in partitions.sizes)


def _unseen(found: dict[str, float], partitions: Partitions) -> dict[str, Interval]:
    """Intervals where all runs of every prompt agree: at most so many prompts can be ones that differ."""
    most = clopper_pearson(0, partitions.prompts)[1]
    bounds = {"rate": (0.0, most), "correlation": (0.0, 1.0), "alternatives": (0.0, np.inf)}
    return {name: Interval(found[name], *bounds[name]) for name in found}
