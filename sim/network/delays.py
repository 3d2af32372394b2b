"""From uniforms to ordinary delays, pair by pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sim.network.latency import Regions
from sim.statistics.durations import DurationLaw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Numbers = NDArray[np.int64]


class PairDelays:
    """The latency of every pair of nodes.

    Parameters
    ----------
    latency
        One law for all, or one for each pair of regions.
    regions
        Region of each node; not looked at where one law serves all.

    Raises
    ------
    ValueError
        A node is in a region that has no laws.
    """

    def __init__(self, latency: DurationLaw | Regions, regions: Sequence[str]) -> None:
        self._laws: list[DurationLaw] = [latency] if isinstance(latency, DurationLaw) else []
        self._table: Numbers | None = None
        if isinstance(latency, Regions):
            known = latency.names
            for name in regions:
                if name not in known:
                    raise ValueError(f"region {name} has no latency")
            used = sorted(set(regions))
            self._region = np.array([used.index(name) for name in regions])
            laws = {(first, second): latency.law(first, second) for first in used for second in used}
            self._laws = list(dict.fromkeys(laws.values()))
            self._table = np.array([[self._laws.index(laws[first, second]) for second in used] for first in used])

    @property
    def constant(self) -> float | None:
        """The delay in seconds if it is always the same for all pairs, else None."""
        values = {law.constant for law in self._laws}
        return values.pop() if len(values) == 1 else None

    def seconds(self, uniform: Floats, senders: Numbers, receivers: Numbers) -> Floats:
        """Delays of pairs; each law is evaluated once.

        Parameters
        ----------
        uniform
            Numbers strictly between 0 and 1, any shape.
        senders, receivers
            Node numbers; together they broadcast to the shape of `uniform`.

        Returns
        -------
        Floats
            Seconds, the shape of `uniform`.
        """
        if self._table is None:
            return self._laws[0].quantile(uniform)
        which = np.broadcast_to(self._table[self._region[senders], self._region[receivers]], uniform.shape)
        seconds = np.empty(uniform.shape)
        for number, law in enumerate(self._laws):
            chosen = which == number
            seconds[chosen] = law.quantile(uniform[chosen])
        return seconds
