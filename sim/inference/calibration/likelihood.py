"""The likelihood of observed groups under a difficulty model.

The runs of a decision point are labelled, so that there is no multinomial coefficient. Which group is the reference
output is not seen: the likelihood sums over all of them, and over none of them being it. With group r as the
reference, D of N runs deviate, and choose among wrong answers by a Chinese-restaurant process (`alternatives`):

    E[p^D (1-p)^(N-D)] x alpha^K prod_k (s_k - 1)! / (alpha (alpha+1) ... (alpha+D-1))

over the K other groups of sizes s_k. Everything is worked out for many sets of parameters at once, so that all
replicates of a bootstrap are fitted together.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from sim.inference.calibration.partitions import Partitions

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

    Moments = Callable[[Floats, "Powers"], Floats]


class Powers(NamedTuple):
    """Deviating runs and all runs, of the moments E[p^D (1-p)^(N-D)] that are needed; shape (P,) each."""

    deviate: Integers
    runs: Integers


class Terms:
    """The sums over references of all kinds of observed groups, flattened.

    Parameters
    ----------
    partitions
        What is observed.
    """

    def __init__(self, partitions: Partitions) -> None:
        rows: list[tuple[int, int, int, float]] = []  # runs, deviating, groups that deviate, constant
        starts: list[int] = []
        for sizes in partitions.sizes:
            starts.append(len(rows))
            runs, constants = sum(sizes), sum(math.lgamma(size) for size in sizes)
            rows.append((runs, runs, len(sizes), constants))
            for size in dict.fromkeys(sizes):
                ways = math.log(sizes.count(size))
                rows.append((runs, runs - size, len(sizes) - 1, constants - math.lgamma(size) + ways))
        self._starts = np.array(starts, dtype=np.int64)
        table = np.array(rows, dtype=np.float64).reshape(-1, 4)
        pairs, self._pair = np.unique(table[:, :2], axis=0, return_inverse=True)
        self._pair = self._pair.reshape(-1)
        self.powers = Powers(pairs[:, 1].astype(np.int64), pairs[:, 0].astype(np.int64))
        self._groups, self._constant = table[:, 2], table[:, 3]
        self._deviate = table[:, 1].astype(np.int64)
        self._length = np.diff(np.append(self._starts, len(table)))
        self._longest = int(self._deviate.max(initial=0))

    @property
    def number(self) -> int:
        """Number of terms."""
        return len(self._constant)

    def log_likelihoods(self, log_moments: Floats, log_alpha: Floats) -> Floats:
        """Log-likelihood of one decision point of each kind.

        Parameters
        ----------
        log_moments
            Of `powers`, shape (B, P).
        log_alpha
            Logarithm of the concentration of wrong answers, shape (B,).

        Returns
        -------
        Floats
            Shape (B, K).
        """
        steps = np.log(np.exp(log_alpha)[:, None] + np.arange(self._longest))
        rising = np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)], axis=1)
        logs = log_moments[:, self._pair] + self._constant + log_alpha[:, None] * self._groups
        logs -= rising[:, self._deviate]
        most = np.maximum.reduceat(logs, self._starts, axis=1)
        shifted = np.exp(logs - np.repeat(most, self._length, axis=1))
        summed: Floats = np.log(np.add.reduceat(shifted, self._starts, axis=1)) + most
        return summed
