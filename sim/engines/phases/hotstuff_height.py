"""A height of a HotStuff chain that is worked out by whole phases."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
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
    before
        It has asked for the last execution of all those below.
    asked
        It asks for the execution of the block.
    executed
        It has executed it.
    ready
        It has begun, has the proposal, and has executed, where that comes before the vote.
    known
        It knows the certificate of this height's block.
    linked
        It waits for none up to this height any more.
    decided
        It decides.
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
    before: Floats
    asked: Floats
    executed: Floats
    ready: Floats
    known: Floats
    linked: Floats
    decided: Floats
    done: Floats
    closed: Floats
    shown: float = math.inf
    """When the collector shows the results."""
    counted: bool = False
    """Whether the vote on results is worked out."""
    strays: dict[int, int] = field(default_factory=dict)
    """Nodes that take another one for the collector, and whom."""
    jumped: bool = False
    """Whether a node has asked for its execution before it asked for one below."""

    @classmethod
    def ahead(cls, number: int, leader: int, backing: Backing) -> Height:
        """One of which nothing is known yet."""
        never = np.full(len(backing.backs), math.inf)
        return cls(number, leader, backing, never, never, never, math.inf, *(never,) * 10)

    def cast(self, above: Floats) -> Floats:
        """When each node casts its vote.

        Parameters
        ----------
        above
            When each knows a certificate of a height above: a vote that comes later is cast only if the certificate of
            this height is known as well.
        """
        return np.where(self.backing.backs & ~self.lost(self.ready, above), self.ready, math.inf)

    def lost(self, moment: Floats, above: Floats) -> Bools:
        """Whether nodes have gone on without this height's certificate by some moment (see `cast`)."""
        return (above <= moment) & (self.known > moment)
