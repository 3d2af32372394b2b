"""Binomial probabilities without overflow, with relative precision down to 1e-300."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


BELOW_ONE = 1 - 2.0**-53
"""The largest double below 1: chances are capped here, so that log(1 - p) stays finite."""


@lru_cache(maxsize=256)
def log_choose(n: int) -> Floats:
    """Logarithms of the binomial coefficients C(n, k), k = 0..n, by products.

    Returns
    -------
    Floats
        Shape (n + 1,), not to be written to.

    Examples
    --------
    >>> np.exp(log_choose(4)).round(12)
    array([1., 4., 6., 4., 1.])
    """
    half = np.arange(1, n // 2 + 1)
    rising = np.concatenate([[0.0], np.cumsum(np.log((n + 1 - half) / half))])
    logs: Floats = np.concatenate([rising, rising[::-1] if n % 2 else rising[-2::-1]])
    logs.flags.writeable = False
    return logs


def binomial_law(n: int, probability: Floats) -> Floats:
    """Binomial probabilities of 0..n successes.

    Parameters
    ----------
    n
        Number of trials.
    probability
        Success probabilities in [0, 1), shape (K,).

    Returns
    -------
    Floats
        Shape (K, n + 1).

    Examples
    --------
    >>> binomial_law(2, np.array([0.5, 0.0])).round(12)
    array([[0.25, 0.5 , 0.25],
           [1.  , 0.  , 0.  ]])
    """
    from scipy.special import xlogy

    successes = np.arange(n + 1)
    p = probability[:, None]
    logs = log_choose(n) + xlogy(successes, p) + successes[::-1] * np.log1p(-p)
    law: Floats = np.exp(logs)
    return law


def counted(number: int, outside: Floats, inside: Floats) -> Floats:
    """Binomial law of how many of a number of nodes are outside, from both chances; one axis more."""
    from scipy.special import xlogy

    k = np.arange(number + 1)
    logs = log_choose(number) + xlogy(k, outside[..., None]) + xlogy(number - k, inside[..., None])
    law: Floats = np.exp(logs)
    return law
