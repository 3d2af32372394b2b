"""The laws that are fitted: their parameters as free numbers, and the moments of the deviation probability.

All have the rate (below 1/2: the reference output is the commonest answer), and the concentration of wrong answers.
`beta` and `zero_inflated` have a correlation too. Free numbers are logits and logarithms, within bounds at which
nothing changes any more.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.inference.difficulty import DIFFICULTIES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.inference.calibration.likelihood import Powers
    from sim.inference.difficulty.base import Difficulty

    Floats = NDArray[np.float64]

ALPHA_MIN, ALPHA_MAX = 1e-4, 1e4
"""Concentrations that stand for 0 and for infinity."""
_RATE_MIN = 1e-9
_CORRELATION_MIN, _CORRELATION_MAX = 1e-6, 1 - 1e-4
_AT_ONCE = 1 << 21  # doubles held at once
_SIGMAS = 6.0  # beyond, runs deviate 4e-10 times as often as within


def _logit(chance: float) -> float:
    return math.log(chance / (1 - chance))


def _expit(free: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-free)))


class Law(ABC):
    """A law that is fitted."""

    name: str
    """Name of the difficulty model."""
    parameters: tuple[str, ...] = ("rate", "alternatives")
    """Names of its parameters, in the order of the free numbers."""
    _rate_bounds = (math.log(_RATE_MIN), 0.0)  # of log(rate / (1 - rate)) below 1/2

    @property
    def bounds(self) -> list[tuple[float, float]]:
        """Bounds of the free numbers."""
        known = {
            "rate": self._rate_bounds,
            "correlation": (_logit(_CORRELATION_MIN), _logit(_CORRELATION_MAX)),
            "alternatives": (math.log(ALPHA_MIN), math.log(ALPHA_MAX)),
        }
        return [known[name] for name in self.parameters]

    def free(self, **values: float) -> Floats:
        """Free numbers of parameters, moved inside the bounds."""
        raw = [math.log(max(v, ALPHA_MIN)) if n == "alternatives" else self._free(n, v) for n, v in values.items()]
        low, high = np.array(self.bounds).T
        return np.clip(raw, low + 1e-6, high - 1e-6)

    def _free(self, name: str, value: float) -> float:
        del name
        return _logit(min(max(value, 1e-12), 1 - 1e-12))

    def values(self, free: Floats) -> dict[str, Floats]:
        """Parameters of free numbers, each of shape (B,); a concentration at its bound is 0 or infinite."""
        found = {name: self._value(name, free[:, i]) for i, name in enumerate(self.parameters)}
        alpha = np.exp(free[:, -1])
        alpha = np.where(alpha <= 1.01 * ALPHA_MIN, 0.0, np.where(alpha >= ALPHA_MAX / 1.01, np.inf, alpha))
        return found | {"alternatives": alpha}

    def _value(self, name: str, free: Floats) -> Floats:
        del name
        return _expit(free)

    @abstractmethod
    def log_moments(self, free: Floats, powers: Powers) -> Floats:
        """Logarithms of E[p^D (1-p)^(N-D)].

        Parameters
        ----------
        free
            Free numbers, shape (B, F).
        powers
            D and N, shape (P,) each.

        Returns
        -------
        Floats
            Shape (B, P).
        """

    def difficulty(self, values: dict[str, float], per: str = "request") -> Difficulty:
        """The difficulty model of fitted parameters."""
        plain: dict[str, Any] = {"difficulty": self.name, **values, "per": per}
        if plain["rate"] >= 0.5:
            plain["rate"] = 0.5 - 1e-9
        found: Difficulty = DIFFICULTIES.validate(plain)
        return found


class IndependentLaw(Law):
    """One rate, whatever the prompt."""

    name = "independent"

    def log_moments(self, free: Floats, powers: Powers) -> Floats:
        """D log p + (N-D) log(1-p) (see `Law`)."""
        odds = free[:, :1]
        return -powers.deviate * np.log1p(np.exp(-odds)) - (powers.runs - powers.deviate) * np.log1p(np.exp(odds))


class BetaLaw(Law):
    """Rates that vary over prompts as a beta distribution."""

    name = "beta"
    parameters = ("rate", "correlation", "alternatives")

    def log_moments(self, free: Floats, powers: Powers) -> Floats:
        """Rising products of the beta-binomial law, precise for tiny correlations (see `Law`)."""
        rate, correlation = _expit(free[:, :1]), _expit(free[:, 1:2])
        steps = correlation * np.arange(int(powers.runs.max(initial=1)))
        whole = 1 - correlation
        deviate, stay, both = (
            np.concatenate([np.zeros_like(rate), np.cumsum(np.log(start + steps), axis=1)], axis=1)
            for start in (rate * whole, (1 - rate) * whole, whole)
        )
        logs: Floats = deviate[:, powers.deviate] + stay[:, powers.runs - powers.deviate] - both[:, powers.runs]
        return logs


class ZeroInflatedLaw(Law):
    """A share of the prompts never deviates; all others do at one rate p = rate + correlation (1 - rate)."""

    name = "zero_inflated"
    parameters = ("rate", "correlation", "alternatives")

    def log_moments(self, free: Floats, powers: Powers) -> Floats:
        """log(w p^D (1-p)^(N-D) + (1-w) [D=0]) with w = rate / p (see `Law`)."""
        rate, correlation = _expit(free[:, :1]), _expit(free[:, 1:2])
        p = np.minimum(rate + correlation * (1 - rate), 1 - 1e-15)
        share = rate / p
        some = np.log(share) + powers.deviate * np.log(p) + (powers.runs - powers.deviate) * np.log1p(-p)
        with np.errstate(divide="ignore"):
            none = np.where(powers.deviate == 0, np.log1p(-np.minimum(share, 1 - 1e-15)), -np.inf)
        return np.asarray(np.logaddexp(some, none))


class NearTieLaw(Law):
    """Margins uniform near zero, in units of the noise; the free number is the logarithm of the largest margin."""

    name = "near_tie"
    _rate_bounds = (math.log(1e-3), math.log(1e9))

    def _free(self, name: str, value: float) -> float:
        from sim.inference.difficulty.near_tie import NearTie

        del name
        return math.log(NearTie(rate=min(max(value, _RATE_MIN), 0.4999)).margin_max)

    def _value(self, name: str, free: Floats) -> Floats:
        from scipy.special import ndtr

        del name
        m = np.exp(free)
        return np.asarray(ndtr(-m) - np.expm1(-m * m / 2) / math.sqrt(2 * math.pi) / m)

    def log_moments(self, free: Floats, powers: Powers) -> Floats:
        """Gauss-Legendre over the margin up to 6 standard deviations; beyond, nobody deviates (see `Law`)."""
        from scipy.special import ndtr

        most = np.exp(free[:, 0])
        within, row = np.unique(np.minimum(most, _SIGMAS), return_inverse=True)
        order = 24 + 6 * math.ceil(math.sqrt(int(powers.runs.max(initial=1))))
        points, weights = np.polynomial.legendre.leggauss(order)
        margin = within[:, None] * (points + 1) / 2
        largest = int(powers.runs.max(initial=1))
        inside = np.empty((len(within), len(powers.runs)))
        size = max(1, _AT_ONCE // (order * max(len(powers.runs), largest + 1)))
        for start in range(0, len(within), size):
            some = slice(start, start + size)
            deviates, stays = (_powers(ndtr(sign * margin[some]), largest) for sign in (-1, 1))
            product = deviates[:, powers.deviate] * stays[:, powers.runs - powers.deviate]
            inside[some] = product @ weights * within[some, None] / 2
        beyond = np.maximum(most - _SIGMAS, 0.0)[:, None] * (powers.deviate == 0)
        return np.asarray(np.log(inside[row] + beyond) - free[:, :1])


def _powers(chances: Floats, most: int) -> Floats:
    """Powers 0..most of chances of shape (B, Q); shape (B, most + 1, Q)."""
    factors = np.broadcast_to(chances[:, None, :], (len(chances), most + 1, chances.shape[1])).copy()
    factors[:, 0] = 1.0
    return np.asarray(np.cumprod(factors, axis=1), dtype=np.float64)


LAWS: dict[str, Law] = {law.name: law for law in (IndependentLaw(), BetaLaw(), ZeroInflatedLaw(), NearTieLaw())}
"""All laws that are fitted, by name."""
