"""One height of ICC at all replicas: who gives, finishes and decides what when."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sim.consensus.protocols.icc_messages import FinalizationShare, Notarization, NotarizationShare

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.engines.phases.wire import Quorum, Wire

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]


@dataclass(slots=True)
class Height:
    """A height that is worked out; times in seconds by node, infinite where a node never comes to it.

    Parameters
    ----------
    number
        Which.
    makers
        Block makers, by rank.
    backs
        Who gives a notarization share to the block of rank 0.
    agree
        Whose result wins.
    diverged
        Honest nodes that computed something else.
    shared_below
        When each node shares the beacon of this height; None for the first one.
    devices
        When each device is free of what comes before.
    arrived
        When each node has the proposal.
    executed
        `propose`: when each node has executed it; minus infinity where nothing is executed.
    begun
        When each node begins the height.
    ranked
        When each node knows the ranks, too.
    turned
        When the notary delay of rank 0 is over for it.
    given
        When it gives its notarization share.
    finished
        When it has the block and its notarization, and goes on.
    shared
        When it shares the beacon of the next height.
    finals
        When it has q finalization shares, too.
    decided
        When it has those of this height or a later one.
    voted
        `certify`: when it has executed the block, and says its result.
    certified
        When it has q equal results, too.
    closed
        When it is through with this height and all below.
    odd
        When something happens that is not the plain course.
    """

    number: int
    makers: list[int]
    backs: Bools
    agree: Bools
    diverged: int
    shared_below: Floats | None
    devices: Floats
    arrived: Floats
    executed: Floats
    begun: Floats = field(init=False)
    ranked: Floats = field(init=False)
    turned: Floats = field(init=False)
    given: Floats = field(init=False)
    finished: Floats = field(init=False)
    shared: Floats = field(init=False)
    finals: Floats = field(init=False)
    decided: Floats = field(init=False)
    voted: Floats | None = None
    certified: Floats = field(init=False)
    closed: Floats | None = None
    odd: float = math.inf


class Notaries:
    """Works out how replicas notarize a block and make it final: a shortest-path problem, since finishing is relayed.

    Parameters
    ----------
    wire
        Links between all nodes.
    quorum, more
        The moment at which votes are a quorum, and at which they are more than f.
    """

    def __init__(self, wire: Wire, quorum: Quorum, more: Quorum) -> None:
        self._wire, self._quorum, self._more = wire, quorum, more
        self._arrivals = np.empty((wire.n, wire.n))

    def take(self, number: int) -> None:
        """Draw how long the messages of a height are on their way."""
        self._shares = self._wire.delays(NotarizationShare, number)
        self._relays = self._wire.delays(Notarization, number)
        self._finals = self._wire.delays(FinalizationShare, number)

    def _reached(self, quorum: Quorum, delays: Floats, sent: Floats, rows: Bools | slice = slice(None)) -> Floats:
        into = self._arrivals[: self._wire.n if isinstance(rows, slice) else int(rows.sum())]
        np.add(delays.T[rows], sent, out=into)
        return quorum.reached(into)

    def finish(self, at: Height, child: Floats) -> None:
        """When every node gives its share, and goes on with the block and its notarization.

        Parameters
        ----------
        at
            The height; `given`, `finished`, `shared` and `finals` are set.
        child
            When the proposal of the next height, which carries the notarization, comes to each node.
        """
        floor = np.maximum(at.begun, at.arrived)
        turn = np.maximum(np.maximum(at.turned, floor), at.executed)
        given = np.where(at.backs, turn, math.inf)
        shares = self._reached(self._quorum, self._shares, given)
        finished = np.maximum(floor, np.minimum(shares, child))
        while True:
            relayed = (self._relays + finished[:, np.newaxis]).min(axis=0)
            sooner = np.maximum(floor, np.minimum(np.minimum(shares, child), relayed))
            early = np.where(at.backs, np.minimum(turn, np.maximum(sooner, at.executed)), math.inf)
            moved: Bools = early < given
            if not moved.any() and (sooner == finished).all():
                break
            given, finished = early, sooner
            if moved.any():
                gains = self._shares[moved] + given[moved, np.newaxis] < shares
                rows: Bools = np.asarray(gains.any(axis=0))
                shares[rows] = self._reached(self._quorum, self._shares, given, rows)
        at.given, at.finished = given, finished
        at.shared = np.minimum(at.ranked, finished)
        at.finals = np.maximum(finished, self._reached(self._quorum, self._finals, finished))

    def overtaken(self, at: Height, below: Floats, lower: Floats) -> float:
        """When a node that is two heights behind hears it from more than f others; infinite if none does.

        Parameters
        ----------
        at
            The height that others have come to.
        below, lower
            When each node begins the height below it, and the one below that.
        """
        first = np.minimum(at.given, at.finished)
        first[at.makers[0]] = min(first[at.makers[0]], at.arrived[at.makers[0]])
        soonest = float(self._more.reached(first.copy()))
        if soonest == math.inf:
            return math.inf
        if (lower >= soonest).any():
            return soonest
        behind = below >= soonest
        if not behind.any():
            return math.inf
        heard = (self._shares.T[behind] + at.given, self._relays.T[behind] + at.finished)
        told = np.minimum(np.minimum(*heard), self._finals.T[behind] + at.finished)
        told[:, at.makers[0]] = np.minimum(told[:, at.makers[0]], at.arrived[behind])
        times = self._more.reached(told)
        odd = times <= below[behind]
        return float(times[odd].min()) if odd.any() else math.inf
