"""Recorded groups, replayed: the runs of a prompt are dealt to machines, none twice.

Of s runs of N that gave one answer, h machines get j with the hypergeometric probability C(s, j) C(N-s, h-j) / C(N, h);
a second unit that draws from the same runs meets what is left. Units of several hardware classes draw from the runs of
their own class, of the same prompt.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sim.inference.binomial import BELOW_ONE, log_choose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sim.inference.agreement import Lattice
    from sim.inference.difficulty.empirical import Empirical
    from sim.inference.population import Unit

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_ROUNDING = 1e-14


def sources(law: Empirical, units: Sequence[Unit]) -> tuple[list[int], Integers]:
    """Where units draw their runs from.

    Parameters
    ----------
    law
        The recording.
    units
        Machines, T units of them.

    Returns
    -------
    source : list of int
        Of each unit.
    runs : Integers
        Runs in each source of each group of each table, padded with groups of none; shape (tables, groups, sources).
    """
    columns = [law.column(unit.hardware) for unit in units]
    together = any(column is None for column in columns)
    source = [0 if together or column is None else column for column in columns]
    widest = max(len(groups) for _, groups in law.tables)
    runs = np.zeros((len(law.tables), widest, 1 if together else len(law.columns)), dtype=np.int64)
    for index, (_, groups) in enumerate(law.tables):
        table = np.array(groups, dtype=np.int64)
        runs[index, : len(groups)] = table.sum(axis=1, keepdims=True) if together else table
    return source, runs


def weights(law: Empirical) -> Floats:
    """Probability of each table; sums to 1."""
    numbers = np.array([number for number, _ in law.tables], dtype=np.float64)
    chances: Floats = numbers / numbers.sum()
    return chances


def mass(lattice: Lattice, law: Empirical) -> tuple[Floats, float]:
    """Law of the group that reaches the threshold after one decision point.

    Returns
    -------
    mass : Floats
        Probability of each composition that does, shape `lattice.shape`.
    lost : float
        Probability that no group does.
    """
    source, runs = sources(law, lattice.units)
    strong = lattice.power >= lattice.threshold
    counts = [unit.count for unit in lattice.units]
    total, lost = np.zeros(lattice.shape), 0.0
    for weight, table in zip(weights(law).tolist(), runs, strict=True):
        alive = np.zeros(lattice.shape)
        everyone = table.sum(axis=0)
        for group in table[table.sum(axis=1) > 0]:
            alive += _dealt(group, everyone, source, counts)
        alive = np.where(strong, alive, 0.0)
        total += weight * alive
        left = 1 - float(alive.sum())
        lost += weight * left if left > _ROUNDING else 0.0  # all runs in one group: what is left is rounding
    return total, lost


def _dealt(group: Integers, everyone: Integers, source: list[int], counts: list[int]) -> Floats:
    """Probability that each unit gets so many runs of a group, shape (c_1 + 1, ..., c_T + 1)."""
    if not source:
        return np.ones(())
    first, *others = counts
    at = source[0]
    law = _hypergeometric(int(everyone[at]), int(group[at]), first)
    if not others:
        return law
    total = np.zeros([count + 1 for count in counts])
    for number in np.flatnonzero(law):
        left, rest = group.copy(), everyone.copy()
        left[at] -= number
        rest[at] -= first
        total[number] = law[number] * _dealt(left, rest, source[1:], others)
    return total


def _hypergeometric(runs: int, alike: int, drawn: int) -> Floats:
    """Probability of j = 0..drawn of `alike` among `runs`, drawn without replacement."""
    number = np.arange(drawn + 1)
    possible = (number <= alike) & (drawn - number <= runs - alike)
    law: Floats = np.zeros(drawn + 1)
    some = number[possible]
    logs = log_choose(alike)[some] + log_choose(runs - alike)[drawn - some] - log_choose(runs)[drawn]
    law[possible] = np.exp(logs)
    return law


class Deal:
    """Deals the runs of drawn prompts to groups of machines.

    Parameters
    ----------
    law
        The recording.
    units
        Machines, T units of them.
    """

    def __init__(self, law: Empirical, units: Sequence[Unit]) -> None:
        self._source, runs = sources(law, units)
        chances = weights(law)
        split = (runs.sum(axis=2) > 0).sum(axis=1) > 1
        self._runs, self._cumulative = runs[split], np.cumsum(chances[split])
        self.chance = min(math.fsum(chances[split].tolist()), BELOW_ONE)
        """Probability that the runs of a prompt are not all alike."""

    @property
    def groups(self) -> int:
        """Largest number of groups of a prompt."""
        return int(self._runs.shape[1])

    def draw(self, stream: np.random.Generator, prefix: Integers, machines: Integers, prefixes: int) -> Integers:
        """Deal runs of one prompt a prefix, whose runs are not all alike.

        Parameters
        ----------
        stream
            Source of randomness.
        prefix
            Prefix of each group of machines, sorted, shape (R,).
        machines
            Machines of each unit, shape (R, T).
        prefixes
            Number of prefixes.

        Returns
        -------
        Integers
            Machines that get each answer, shape (R, groups, T).
        """
        aim = stream.random(prefixes) * self._cumulative[-1]
        table = np.minimum(np.searchsorted(self._cumulative, aim, side="right"), len(self._cumulative) - 1)
        left = self._runs[table]  # (prefixes, groups, sources), of which runs are taken
        dealt = np.zeros((len(prefix), self.groups, machines.shape[1]), dtype=np.int64)
        rank = np.arange(len(prefix)) - np.searchsorted(prefix, prefix)
        for turn in range(int(rank.max(initial=-1)) + 1):
            rows = np.flatnonzero(rank == turn)
            where = prefix[rows]
            for unit, source in enumerate(self._source):
                wanted = machines[rows, unit]
                beyond = left[where, :, source].sum(axis=1)
                for group in range(self.groups):
                    here = left[where, group, source]
                    beyond = beyond - here
                    taken = stream.hypergeometric(here, beyond, wanted)
                    dealt[rows, group, unit] = taken
                    left[where, group, source] -= taken
                    wanted = wanted - taken
        return dealt
