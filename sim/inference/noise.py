"""Noise that the nodes of a hardware class share.

A node deviates when sqrt(r) C + sqrt(1-r) E > z: C is its class's noise, E its own, both standard normal, and z is
set by the hardness, so that the chance is p whatever r. At r = 1 the class acts as one node; in between, given C,
its nodes deviate independently with chance Phi((sqrt(r) C - z) / sqrt(1-r)).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.inference.binomial import BELOW_ONE

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]


class Deviating(NamedTuple):
    """How many machines deviate, being filled in.

    Parameters
    ----------
    prefix, machines
        As in `sampler.Groups`, sorted by prefix.
    number
        Deviating machines of each group and unit, shape (R, T).
    """

    prefix: Integers
    machines: Integers
    number: Integers


class ClassNoise(NamedTuple):
    """The units of one hardware class, and the share r of their noise that is common, 0 < r <= 1."""

    units: tuple[int, ...]
    shared: float

    def chance(self, chances: Floats, machines: Integers) -> Floats:
        """Bound of the chance that anybody of the class deviates; exact at r = 1.

        Parameters
        ----------
        chances
            Deviation probability of each unit, shape (T, N).
        machines
            Machines of each unit, shape (T, N).

        Returns
        -------
        Floats
            Below 1, shape (N,).
        """
        members = list(self.units)
        if self.shared == 1:
            bound = np.where(machines[members] > 0, chances[members], 0.0).max(axis=0)
        else:
            bound = (machines[members] * chances[members]).sum(axis=0)
        capped: Floats = np.minimum(bound, BELOW_ONE)
        return capped

    def given(self, chance: Floats, common: Floats) -> Floats:
        """Chance that a machine of this deviation probability deviates, given its class's noise; r < 1."""
        from scipy.special import ndtr, ndtri

        conditional: Floats = ndtr((math.sqrt(self.shared) * common + ndtri(chance)) / math.sqrt(1 - self.shared))
        return conditional

    def deviate(self, stream: Generator, deviating: Deviating, chances: Floats, aim: Floats, used: Floats) -> Floats:
        """Fill in which machines of the class deviate, given where each prefix's aim falls in its row of hazards.

        Parameters
        ----------
        stream
            Source of randomness.
        deviating
            Who may deviate, in R groups of N prefixes; filled in.
        chances
            Deviation probability of each unit, shape (T, N).
        aim, used
            Place that the first deviating machine has in the row, and the hazard of those before; shape (N,).

        Returns
        -------
        Floats
            `used`, with the hazard of this class added.
        """
        prefix, machines, number = deviating
        members = list(self.units)
        totals = np.zeros((machines.shape[1], len(aim)), dtype=np.int64)
        for unit in members:
            totals[unit] = np.bincount(prefix, weights=machines[:, unit], minlength=len(aim))
        bound = self.chance(chances, totals)
        end = used - np.log1p(-bound)
        first = (used <= aim) & (aim < end)
        free = aim < used
        if self.shared == 1:
            out = first | (free & (stream.random(len(aim)) < bound))
            noise = stream.random(len(aim)) * bound
            for unit in members:
                number[:, unit] = machines[:, unit] * (out & (chances[unit] > noise))[prefix]
            return end
        chosen = first & (bound < BELOW_ONE)
        self._partly(stream, deviating, chances, totals, (chosen, first | free))
        return end

    def _partly(
        self,
        stream: Generator,
        deviating: Deviating,
        chances: Floats,
        totals: Integers,
        chosen_or_drawn: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    ) -> None:
        """Draw a class whose noise is partly shared.

        Where the bound, the sum of all chances, decided that somebody deviates, one machine is chosen to, in proportion
        to its chance; a draw with D deviating machines would then come up D times too often, and is kept with
        probability 1/D (Karp and Luby 1983).
        """
        from scipy.special import ndtri

        prefix, machines, number = deviating
        chosen, drawn = chosen_or_drawn
        members = list(self.units)
        weights = np.cumsum(totals[members] * chances[members], axis=0)
        pick = (stream.random(len(drawn)) * weights[-1] >= weights).sum(axis=0)
        unit = np.array(members)[np.minimum(pick, len(members) - 1)]
        columns = np.arange(len(drawn))
        common = stream.standard_normal(len(drawn))
        own = math.sqrt(1 - self.shared)
        noise = -ndtri(chances[unit, columns] * (1 - stream.random(len(drawn))))  # beyond the margin
        common = np.where(chosen, math.sqrt(self.shared) * noise + own * common, common)
        row = _row_of(stream, prefix, machines, unit, chosen)
        count = np.zeros(len(drawn), dtype=np.int64)
        for member in members:
            given = self.given(chances[member], common)
            certain = np.zeros(len(prefix), dtype=np.int64)
            certain[row[chosen & (unit == member)]] = 1
            free = np.where(drawn[prefix], machines[:, member] - certain, 0)
            number[:, member] = certain + stream.binomial(free, given[prefix])
            count += np.bincount(prefix, weights=number[:, member], minlength=len(drawn)).astype(np.int64)
        rejected = chosen & (stream.random(len(drawn)) * count >= 1)
        for member in members:
            number[rejected[prefix], member] = 0


def _row_of(
    stream: Generator, prefix: Integers, machines: Integers, unit: Integers, wanted: NDArray[np.bool_]
) -> Integers:
    """For each prefix, the group of a uniformly drawn machine of the given unit; shape (N,)."""
    mine = machines[np.arange(len(prefix)), unit[prefix]]
    before = np.cumsum(mine) - mine
    starts = np.searchsorted(prefix, np.arange(len(unit)))
    total = np.bincount(prefix, weights=mine, minlength=len(unit)).astype(np.int64)
    place = before[np.minimum(starts, len(prefix) - 1)] + stream.integers(0, np.maximum(total, 1))
    row = np.searchsorted(before + mine, place, side="right")
    return np.where(wanted, np.minimum(row, len(prefix) - 1), 0)
