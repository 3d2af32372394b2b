"""Probabilities of a standard normal variable that keep their digits where they are tiny."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sim.inference.quadrature import legendre

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_NARROW = 0.25  # width, times the steepness of the density, up to which it is integrated
_LOG_SQRT_2PI = math.log(2 * math.pi) / 2


def interval(low: Floats, high: Floats) -> Floats:
    """Probability of an interval.

    Parameters
    ----------
    low, high
        Its ends, low <= high; infinite ones too.

    Examples
    --------
    >>> interval(np.array([-1.0, 11.0, 0.0]), np.array([1.0, 13.0, 1e-30]))
    array([6.82689492e-01, 1.91065957e-28, 3.98942280e-31])
    """
    from scipy.special import ndtr

    above = low > 0  # of two numbers close to 1 the difference is rounding
    left, right = np.where(above, -high, low), np.where(above, -low, high)
    probability: Floats = ndtr(right) - ndtr(left)
    nearest = np.minimum(np.abs(left), np.abs(right))
    with np.errstate(invalid="ignore", over="ignore"):
        width = np.where(np.isfinite(high - low), high - low, np.inf)
        narrow = width * (1 + nearest) < _NARROW
    if narrow.any():
        probability = np.where(narrow, _integrated(low, np.where(narrow, width, 0.0), 0.0), probability)
    return np.maximum(probability, 0.0)


def within(place: Floats, bound: float) -> tuple[Floats, Floats]:
    """Of a variable that is above a place: chances that it is more than a bound above it, and that it is not.

    Parameters
    ----------
    place
        Any finite numbers.
    bound
        Not negative.
    """
    from scipy.special import log_ndtr

    tail = log_ndtr(-place)
    logs = np.minimum(log_ndtr(-(place + bound)) - tail, 0.0)
    outside, inside = np.exp(logs), -np.expm1(logs)
    narrow = bound * (1 + np.abs(place)) < _NARROW
    if narrow.any():
        inside = np.where(narrow, _integrated(place, np.where(narrow, bound, 0.0), tail), inside)
    return outside, np.minimum(inside, 1.0)


def _integrated(low: Floats, width: Floats, log_norm: Floats | float) -> Floats:
    """Density over a norm, integrated from a place on over a width that is narrow."""
    points, weights = legendre()
    places = np.where(np.isfinite(low), low, 0.0)[..., None] + width[..., None] * points
    density = np.exp(-places * places / 2 - _LOG_SQRT_2PI - np.asarray(log_norm)[..., None])
    integral: Floats = width * (density @ weights)
    return integral
