"""What is observed: into which groups of identical outputs the runs of each decision point fall."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

    Sizes = tuple[int, ...]

RUNS_MAX = 1_000
"""Runs of a decision point that can be fitted."""


@dataclass(frozen=True)
class Partitions:
    """Group sizes of many decision points, each with how often every prompt shows them.

    Parameters
    ----------
    sizes
        The different group sizes seen, largest group first; shape (K,) of tuples.
    prompt, kind, number
        That a prompt has a number of decision points of a kind (index into `sizes`); shape (E,) each.
    prompts
        Number of prompts.
    """

    sizes: tuple[Sizes, ...]
    prompt: Integers
    kind: Integers
    number: Integers
    prompts: int

    @classmethod
    def of(cls, points: Iterable[tuple[int, Sizes]]) -> Partitions:
        """Count the decision points of prompts.

        Parameters
        ----------
        points
            Number of the prompt, from 0, and the group sizes of one of its decision points.
        """
        seen: dict[Sizes, int] = {}
        entries: Counter[tuple[int, int]] = Counter()
        for prompt, sizes in points:
            entries[prompt, seen.setdefault(tuple(sorted(sizes, reverse=True)), len(seen))] += 1
        table = np.array(sorted(entries), dtype=np.int64).reshape(-1, 2)
        number = np.array([entries[prompt, kind] for prompt, kind in table.tolist()], dtype=np.int64)
        prompts = int(table[:, 0].max(initial=-1)) + 1
        return cls(tuple(seen), table[:, 0], table[:, 1], number, prompts)

    @cached_property
    def counts(self) -> Floats:
        """Decision points of each kind, shape (K,)."""
        return np.bincount(self.kind, weights=self.number, minlength=len(self.sizes)).astype(np.float64)

    @property
    def points(self) -> int:
        """Number of decision points."""
        return int(self.number.sum())

    @cached_property
    def runs(self) -> Integers:
        """Runs of each kind, shape (K,)."""
        return np.array([sum(sizes) for sizes in self.sizes], dtype=np.int64)

    @cached_property
    def largest(self) -> Integers:
        """Largest group of each kind, shape (K,)."""
        return np.array([max(sizes) for sizes in self.sizes], dtype=np.int64)

    def resampled(self, stream: Generator, times: int) -> Floats:
        """Counts of each kind when prompts are drawn with replacement, shape (times, K)."""
        if len(self.prompt) == self.prompts == self.points:  # one point a prompt: those of a kind are alike
            return stream.multinomial(self.prompts, self.counts / self.prompts, size=times).astype(np.float64)
        counts = np.zeros((times, len(self.sizes)))
        share = np.full(self.prompts, 1 / max(self.prompts, 1))
        for index in range(times):
            drawn = stream.multinomial(self.prompts, share)
            weights = self.number * drawn[self.prompt]
            counts[index] = np.bincount(self.kind, weights=weights, minlength=len(self.sizes))
        return counts

    def halved(self, stream: Generator) -> tuple[Partitions, Partitions]:
        """Split the runs of every decision point at random: half of them, rounded up, and the others."""
        first: list[tuple[int, Sizes]] = []
        second: list[tuple[int, Sizes]] = []
        for prompt, kind, number in zip(self.prompt.tolist(), self.kind.tolist(), self.number.tolist(), strict=True):
            sizes = np.array(self.sizes[kind])
            half = int(sizes.sum() + 1) // 2
            drawn = stream.multivariate_hypergeometric(sizes, half, size=number)
            for one in drawn:
                first.append((prompt, tuple(one[one > 0].tolist())))
                rest = sizes - one
                second.append((prompt, tuple(rest[rest > 0].tolist())))
        return Partitions.of(first), Partitions.of(second)
