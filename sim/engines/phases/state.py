"""Where a chain stands between two blocks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.engines.phases.asleep import Asleep

    Floats = NDArray[np.float64]


class State(NamedTuple):
    """All that blocks which are over leave to the next one.

    Parameters
    ----------
    height
        The next block.
    begun
        When each node begins it, in seconds, shape (n,); infinite for those that take no part.
    free
        When each uplink has nothing left to send, shape (n,).
    devices
        When each device of each node is free, shape (n, devices); infinite where a node has fewer.
    owed
        When each node casts a ballot that it owes to the block before, shape (n,); minus infinity if it owes none.
    asleep
        Nodes that are down for a while; where there are any, all others can prove what was decided at the last height.
    failed
        Heights that failed for everybody, of those that such a node will come to.
    """

    height: int
    begun: Floats
    free: Floats
    devices: Floats
    owed: Floats
    asleep: Mapping[int, Asleep] = MappingProxyType({})
    failed: frozenset[int] = frozenset()

    @property
    def first(self) -> float:
        """When the first node begins."""
        return float(self.begun.min())

    @property
    def last(self) -> float:
        """When the last one does."""
        return float(self.begun[np.isfinite(self.begun)].max())
