"""The network at run time: when each copy of a message arrives, if it does."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sim.network.delays import PairDelays
from sim.network.disruption import DELAY, DRAWS, REPEAT_DELAY, Disruption, drawn_for
from sim.network.gossip import Flood, Gossip
from sim.network.keyed import BATCH_NODES_MAX, KEPT, Address, Batches, KeyedUniforms, Uniforms
from sim.network.schema import Network
from sim.statistics.streams import named_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Numbers = NDArray[np.int64]


class Flight(NamedTuple):
    """What becomes of a message."""

    receivers: list[int]
    """Who receives a copy; the sender never does."""
    times: list[float]
    """When, in seconds, ascending; one a receiver."""
    transmissions: int
    """Messages put on the wire: lost and held ones, repeats and relays among them."""


class Links:
    """All links between n nodes.

    Delays depend on the seed, the address, the sender and the receiver, and on nothing else of a scenario.

    Parameters
    ----------
    network
        What the scenario says.
    regions
        Region of each of the n nodes.
    numbering
        Global numbers of each group's nodes.
    seed
        The user's seed.
    uniforms
        Where draws come from; None: keyed by the seed.

    Attributes
    ----------
    down : set of int
        Nodes that have crashed and relay nothing; for the caller to change.
    free : list of float
        When the uplink of each node has nothing left to send, in seconds.

    Raises
    ------
    ValueError
        The topology does not fit the nodes, or a region has no latency.
    """

    def __init__(
        self,
        network: Network,
        regions: Sequence[str],
        numbering: Mapping[str, range],
        seed: int,
        uniforms: Uniforms | None = None,
    ) -> None:
        n = self._n = len(regions)
        self.down: set[int] = set()
        self._network = network
        self._uniforms = uniforms or KeyedUniforms(named_key("network", seed), n)
        self._pairs = PairDelays(network.latency, regions)
        self._constant = self._pairs.constant
        self._disruption = Disruption(network, numbering, self._uniforms, n)
        graph = self._graph = network.topology.graph(n, seed)
        self._gossip = None if graph is None else Gossip(graph, self._pairs, self._uniforms, self._disruption)
        self.free = [0.0] * n
        self._wrapped = [*range(n), *range(n)]
        self._nodes = np.arange(n)
        self._ordinary: Callable[[Any, int | None], Floats]
        self._ordinary = self._direct_delays if self._gossip is None else self._gossip.distances
        self._direct = Batches(lambda address, sender: (self._direct_delays(address, sender),), n)
        self._ordered = Batches(self._in_order, n)
        self._tame = network.bandwidth is None and not network.partitions and not self._disruption.wild(-np.inf)

    def broadcast(self, now: float, sender: int, address: Address, size: int) -> Flight:
        """Send to all others.

        Parameters
        ----------
        now
            When, in seconds; calls of one sender are in order of time.
        sender
            Who sends.
        address
            Which message; one sender has one message an address.
        size
            Bytes of each copy.
        """
        if self._gossip is not None:
            return self._flooded(self._gossip, now, sender, address, size)
        others = self._wrapped[sender + 1 : sender + self._n]
        if not (self._tame or self._plain(now)):
            return self._sent(now, sender, np.array(others, np.int64), address, size)
        if self._constant is not None:
            return Flight(others, [now + self._constant] * len(others), len(others))
        delays, order = self._ordered.row(address, sender)
        return Flight(order.tolist(), (delays + now).tolist(), len(others))

    def send(self, now: float, sender: int, receivers: Sequence[int], address: Address, size: int) -> Flight:
        """Send to some.

        Over a graph this is a flood too, of which only the receivers take note.

        Parameters
        ----------
        now, sender, address, size
            As for `broadcast`.
        receivers
            To whom; the sender itself and repetitions are left out.
        """
        if self._gossip is not None:
            flight = self._flooded(self._gossip, now, sender, address, size)
            wanted = set(receivers)
            kept = [(time, receiver) for receiver, time in zip(*flight[:2], strict=True) if receiver in wanted]
            return Flight([receiver for _, receiver in kept], [time for time, _ in kept], flight.transmissions)
        others = sorted({*receivers} - {sender}, key=lambda receiver: (receiver - sender) % self._n)
        if self._constant is not None and self._plain(now):
            return Flight(others, [now + self._constant] * len(others), len(others))
        return self._sent(now, sender, np.array(others, np.int64), address, size)

    def delays(self, address: Address, sender: int | None = None) -> Floats:
        """Ordinary delays, without bandwidth, partitions, and all that `Disruption` adds.

        Parameters
        ----------
        address
            Which messages.
        sender
            Whose; None for everybody's.

        Returns
        -------
        Floats
            Seconds, shape (n,) by receiver, or (n, n) by sender and receiver; over a graph, along the shortest path.
        """
        return self._ordinary(address if self._gossip is None else self._gossip.flood(address, 0.0), sender)

    def delays_to(self, address: Address, receiver: int) -> Floats:
        """Ordinary delays of direct messages to one node, without all that comes on top (see `delays`).

        Parameters
        ----------
        address, receiver
            Which messages.

        Returns
        -------
        Floats
            Seconds, shape (n,) by sender.
        """
        uniform = self._uniforms.column(drawn_for(address, DELAY), receiver)
        delays = self._pairs.seconds(uniform, self._nodes, np.array(receiver))
        delays[receiver] = 0
        return delays

    @property
    def constant(self) -> float | None:
        """The delay in seconds if it is always the same for all pairs, else None."""
        return self._constant

    def parts(self, now: float, gone: Collection[int]) -> list[list[int]]:
        """Parts of the network that will never hear from each other again.

        Parameters
        ----------
        now
            In seconds: what never heals and has started by then counts.
        gone
            Nodes that will never work again.

        Returns
        -------
        list of list of int
            All other nodes; those of a part can reach each other, directly or over others.
        """
        splits = [split for split in self._disruption.splits if split.end == np.inf and split.start <= now]
        sides = [tuple(int(split.side[node]) for split in splits) for node in range(self._n)]
        left = [node for node in range(self._n) if node not in gone]
        if self._graph is None:
            found: dict[tuple[int, ...], list[int]] = {}
            for node in left:
                found.setdefault(sides[node], []).append(node)
            return list(found.values())
        import networkx as nx

        graph = nx.Graph(self._graph.subgraph(left))
        graph.remove_edges_from([(one, other) for one, other in graph.edges if sides[one] != sides[other]])
        return [sorted(part) for part in nx.connected_components(graph)]

    def _plain(self, now: float) -> bool:
        """Whether a message that leaves now takes its ordinary delay."""
        disruption = self._disruption
        return self._network.bandwidth is None and not disruption.wild(now) and not disruption.active(now)

    def _direct_delays(self, address: Address, sender: int | None) -> Floats:
        address = drawn_for(address, DELAY)
        if sender is None:
            delays = self._pairs.seconds(self._uniforms.matrix(address), self._nodes[:, np.newaxis], self._nodes)
        else:
            delays = self._pairs.seconds(self._uniforms.row(address, sender), np.array(sender), self._nodes)
        delays[(self._nodes, self._nodes) if sender is None else sender] = 0
        return delays

    def _in_order(self, what: Address | Flood, sender: int | None) -> tuple[Floats, NDArray[np.int32]]:
        delays = self._ordinary(what, sender)
        delays[(self._nodes, self._nodes) if sender is None else sender] = -1  # sorts the sender to the front
        order = np.argsort(delays, axis=-1, kind="stable")[..., 1:]
        return np.take_along_axis(delays, order, axis=-1), order.astype(np.int32)

    def _sent(self, now: float, sender: int, receivers: Numbers, address: Address, size: int) -> Flight:
        """One copy to each, directly, whatever goes wrong."""
        disruption = self._disruption
        leave = np.full(len(receivers), float(now))
        if self._network.bandwidth is not None and len(receivers):
            each = size / self._network.bandwidth
            leave = max(now, self.free[sender]) + each * np.arange(1, len(receivers) + 1)
            self.free[sender] = float(leave[-1])
        release = disruption.released(leave, sender, receivers)
        if self._constant is None:
            (delays,) = self._direct.row(address, sender)
            times, repeats = release + delays[receivers], 0
        else:
            times, repeats = release + self._constant, 0
        if disruption.wild(now):
            times[disruption.lost(leave, address, sender, receivers)] = np.inf
            late = disruption.lateness(release, address, sender, receivers)
            again = np.flatnonzero(disruption.repeated(leave, address, sender, receivers) & np.isfinite(times))
            times += late
            repeats = len(again)
            if repeats:
                uniform = disruption.row(address, REPEAT_DELAY, sender, receivers[again])
                second = self._pairs.seconds(uniform, np.array(sender), receivers[again])
                times = np.concatenate([times, (release + late)[again] + second])
                receivers = np.concatenate([receivers, receivers[again]])
        return _flight(receivers, times, len(leave) + repeats)

    def _flooded(self, gossip: Gossip, now: float, sender: int, address: Address, size: int) -> Flight:
        disruption, network = self._disruption, self._network
        wild, silent = disruption.wild(now), frozenset(self.down - {sender})
        hop = 0.0 if network.bandwidth is None else size / network.bandwidth
        flood = gossip.flood(address, hop, network.loss if wild else 0.0)
        if not (wild or silent or disruption.active(now)):
            delays, order = self._ordered.row(flood, sender)
            everywhere = np.ones(self._n, bool)
            return Flight(order.tolist(), (delays + now).tolist(), gossip.transmissions(everywhere, silent))
        release, took = gossip.releases(now, sender, flood._replace(silent=silent))
        times = release + took
        if wild:
            times += disruption.lateness(release, address, sender, self._nodes)
        count = gossip.transmissions(np.isfinite(release), silent)
        others = np.delete(self._nodes, sender)
        return _flight(others, times[others], count)


def _flight(receivers: Numbers, times: Floats, transmissions: int) -> Flight:
    order = np.argsort(times, kind="stable")
    order = order[np.isfinite(times[order])]
    return Flight(receivers[order].tolist(), times[order].tolist(), transmissions)


def memory_bytes(n: int, network: Network) -> int:
    """Bytes that links keep at worst, and need while they make a batch.

    Parameters
    ----------
    n
        Number of nodes.
    network
        What the scenario says.
    """
    entries = n * n if n <= BATCH_NODES_MAX else n
    draws = DRAWS if network.loss or network.duplication or network.reordering or network.gst else 0
    links = 2 * network.topology.links(n)
    graph = links * 400 + 100 * n  # NetworkX keeps a dictionary a link
    return int(entries * (KEPT * (8 + 8 + 12 + 8 * draws) + 64) + graph + 64 * n)
