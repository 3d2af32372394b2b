"""Where a chain stands between two blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    """

    height: int
    begun: Floats
    free: Floats
    devices: Floats
    owed: Floats

    @property
    def first(self) -> float:
        """When the first node begins."""
        return float(self.begun.min())

    @property
    def last(self) -> float:
        """When the last one does."""
        return float(self.begun[np.isfinite(self.begun)].max())
