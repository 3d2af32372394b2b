"""95 % confidence intervals, honest for rare events.

What to use when: `clopper_pearson` for a probability from k of n trials (it covers at least nominally for every n
and p, so k = 0 gives a useful upper bound); `mean_interval` for the mean of a small whole number seen in each trial.
"""

from __future__ import annotations

import math

CONFIDENCE = 0.95


def clopper_pearson(successes: int, trials: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact interval of a binomial probability (Clopper and Pearson, Biometrika 26, 1934).

    Parameters
    ----------
    successes, trials
        0 <= successes <= trials.
    confidence
        Coverage, at least.

    Returns
    -------
    tuple of float
        Low and high; (0, 1) when there were no trials.

    Examples
    --------
    >>> low, high = clopper_pearson(0, 10_000)
    >>> low, f"{high:.4g}"  # about 3.7 / n
    (0.0, '0.0003688')
    """
    from scipy.special import betaincinv  # lazy: SciPy takes a quarter of a second to import

    if not trials:
        return 0.0, 1.0
    tail = (1 - confidence) / 2
    low = float(betaincinv(successes, trials - successes + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, trials - successes, 1 - tail)) if successes < trials else 1.0
    return low, high


def mean_interval(trials: int, total: int, total_squares: int, largest: int) -> tuple[float, float, float]:
    """Mean of a number seen in each trial, and its interval.

    The interval is the central limit one. While all trials gave the same number it has no width; then the ends are what
    the mean would be if the Clopper-Pearson bound of seeing another number were all 0, or all the largest value.

    Parameters
    ----------
    trials
        Number of trials.
    total, total_squares
        Sum, and sum of squares, over the trials.
    largest
        The largest value that a trial can give.

    Returns
    -------
    tuple of float
        Mean, low, high, all within [0, largest]; (0, 0, largest) when there were no trials.
    """
    if not trials:
        return 0.0, 0.0, float(largest)
    mean = total / trials
    if total * total == total_squares * trials:
        other = clopper_pearson(0, trials)[1]
        return mean, mean - other * mean, mean + other * (largest - mean)
    variance = (total_squares * trials - total * total) / (trials * max(trials - 1, 1))
    half = 1.959963984540054 * math.sqrt(variance / trials)
    return mean, max(mean - half, 0.0), min(mean + half, float(largest))
