"""A height of a HotStuff chain that is worked out by whole phases."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.engines.phases.flow import Backing

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]


@dataclass(slots=True)
class Height:
    """When each node does what at a height, in seconds, shape (n,); infinite where it never does.

    Parameters
    ----------
    number
        Which height.
    leader
        Who leads it.
    backing
        Who votes for its block.
    wanted
        A certificate tells the node to begin this height, or one above.
    begun
        It does: later, where too many blocks wait for their results.
    devices
        When each device is free, after all executions of the heights below; shape (n, devices).
    proposed
        When the leader proposes.
    arrived
        The node has the proposal.
    ready
        It has begun, has the proposal, and has executed, where that comes before the vote.
    known
        It knows the certificate of this height's block.
    linked
        It knows those of all heights up to this one.
    decided
        It decides.
    voted
        It has executed what was decided, where that comes after.
    done
        It knows the result.
    closed
        It knows it, and those of all heights below.
    """

    number: int
    leader: int
    backing: Backing
    wanted: Floats
    begun: Floats
    devices: Floats
    proposed: float
    arrived: Floats
    ready: Floats
    known: Floats
    linked: Floats
    decided: Floats
    voted: Floats
    done: Floats
    closed: Floats
    shown: float = math.inf
    """When the collector shows the results."""
    counted: bool = False
    """Whether the vote on results is worked out."""

    @classmethod
    def ahead(cls, number: int, leader: int, backing: Backing) -> Height:
        """One of which nothing is known yet."""
        never = np.full(len(backing.backs), math.inf)
        return cls(number, leader, backing, never, never, never, math.inf, *(never,) * 8)

    @property
    def held_up(self) -> bool:
        """Whether a node that wants to begin it has to wait."""
        return bool((self.begun > self.wanted).any())

    def cast(self, above: Floats) -> Floats:
        """When each node casts its vote.

        Parameters
        ----------
        above
            When each knows a certificate of a height above: a vote that comes later is cast only if the certificate of
            this height is known as well.
        """
        lost = (above <= self.ready) & (self.known > self.ready)
        return np.where(self.backing.backs & ~lost, self.ready, math.inf)
