"""Nodes that are down for a while."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sim.consensus.protocols.replica import Replica


class Asleep(NamedTuple):
    """A node that has crashed and will work again, with all that it knew.

    Parameters
    ----------
    machine
        Its replica.
    executing
        Heights whose execution was lost, and will be begun again.
    height
        The first that it has not closed.
    """

    machine: Replica
    executing: frozenset[int]
    height: int

    def copy(self) -> Asleep:
        """The same, of which nothing is shared."""
        return self._replace(machine=deepcopy(self.machine))
