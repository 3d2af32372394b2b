"""Messages of many senders at once, and the order statistics of their arrivals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sim.engines.events.world import regions_of
from sim.network.keyed import Address
from sim.network.links import Links
from sim.network.schema import Network
from sim.statistics.streams import named_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from sim.consensus.protocols.messages import Message
    from sim.network.keyed import Uniforms
    from sim.scenario.schema import Scenario

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]


class Wire:
    """Direct links between all nodes.

    Parameters
    ----------
    scenario
        Whose network.
    kinds
        Every kind of message, in the order that numbers them.
    uniforms
        Makes the source of the delays, from its key.
    """

    def __init__(
        self, scenario: Scenario, kinds: tuple[type[Message], ...], uniforms: Callable[[int], Uniforms]
    ) -> None:
        self.network = scenario.network or Network()
        self.n = scenario.node_count
        drawn = uniforms(named_key("network", scenario.run.seed))
        self._links = Links(self.network, regions_of(scenario), scenario.numbering, scenario.run.seed, drawn)
        self._phase = {kind: number for number, kind in enumerate(kinds)}
        self._buffer: Floats | None = None
        self._own = np.arange(self.n)
        bandwidth = self.network.bandwidth
        self.bandwidth = bandwidth
        self._place = (self._own[:, np.newaxis] - self._own) % self.n if bandwidth is not None else None

    def size(self, kind: type[Message], signatures: int = 1) -> int:
        """Bytes of a message that carries so many signatures."""
        return self.network.vote_bytes * signatures + (self.network.block_bytes if kind.block else 0)

    def _address(self, kind: type[Message], height: int) -> Address:
        return Address(height, 0, self._phase[kind])

    def from_one(self, kind: type[Message], height: int, sender: int, sent: float, free: Floats) -> Floats:
        """When a message of one node arrives at each other, and at once at itself; its uplink is busy until then.

        Parameters
        ----------
        kind, height, sender
            Which message.
        sent
            When.
        free
            When each uplink is free; changed.
        """
        constant = self._links.constant
        address = self._address(kind, height)
        delays = np.full(self.n, constant) if constant is not None else self._links.delays(address, sender)
        leave = np.full(self.n, sent)
        if self.bandwidth is not None and self.n > 1 and self._place is not None:
            each = self.size(kind) / self.bandwidth
            start = max(sent, float(free[sender]))
            leave = start + each * self._place[:, sender]
            free[sender] = start + each * (self.n - 1)
        arrivals: Floats = delays + leave
        arrivals[sender] = sent
        return arrivals

    def to_one(self, kind: type[Message], height: int, receiver: int, sent: Floats) -> Floats:
        """When the messages of all nodes arrive at one, and its own at once; for links without bandwidth.

        Parameters
        ----------
        kind, height, receiver
            Which messages.
        sent
            When each node sends its own, shape (n,); infinite where it sends none.
        """
        constant = self._links.constant
        delays = constant if constant is not None else self._links.delays_to(self._address(kind, height), receiver)
        arrivals: Floats = sent + delays
        arrivals[receiver] = sent[receiver]
        return arrivals

    def from_all(self, kind: type[Message], height: int, sent: Floats, free: Floats) -> Floats:
        """When the messages of all nodes arrive.

        Parameters
        ----------
        kind, height
            Which messages.
        sent
            When each node sends its own, which it counts at once; infinite where it sends none.
        free
            When each uplink is free; changed.

        Returns
        -------
        Floats
            Shape (n, n) by receiver and sender; overwritten by the next call.
        """
        if self._buffer is None:
            self._buffer = np.empty((self.n, self.n))
        arrivals, leave = self._buffer, sent
        if self.bandwidth is not None and self.n > 1 and self._place is not None:
            each = self.size(kind) / self.bandwidth
            start = np.maximum(sent, free)
            sends = np.isfinite(sent)
            free[sends] = start[sends] + each * (self.n - 1)
            leave = start + each * self._place
        constant = self._links.constant
        if constant is not None:
            np.add(leave, constant, out=arrivals) if leave.ndim > 1 else np.copyto(arrivals, leave + constant)
        else:
            delays = self._links.delays(self._address(kind, height))
            np.add(delays.T, leave, out=arrivals)
        arrivals[self._own, self._own] = sent
        return arrivals


class Quorum:
    """The moment at which a given voting power is reached.

    Parameters
    ----------
    power
        Voting power of every node.
    wanted
        How much is needed.
    """

    def __init__(self, power: tuple[int, ...], wanted: int) -> None:
        equal = len(set(power)) == 1
        self._count = math.ceil(wanted / power[0]) if equal else None
        self._power, self._wanted = np.array(power), wanted

    def reached(self, times: Floats) -> Floats:
        """When the votes that come at some times are enough.

        Parameters
        ----------
        times
            Of the vote of each node, along the last axis; infinite for those that do not vote. May be reordered.

        Returns
        -------
        Floats
            Without that axis; infinite where it is never reached.
        """
        found: Floats
        if self._count is not None:
            if self._count > times.shape[-1]:
                return np.full(times.shape[:-1], math.inf)
            times.partition(self._count - 1, axis=-1)
            found = times[..., self._count - 1].copy()
            return found
        order = np.argsort(times, axis=-1)
        power = np.cumsum(self._power[order], axis=-1)
        place = (power >= self._wanted).argmax(axis=-1)[..., np.newaxis]
        found = np.take_along_axis(np.take_along_axis(times, order, axis=-1), place, axis=-1)[..., 0]
        return found
