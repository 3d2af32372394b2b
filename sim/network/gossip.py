"""Flooding over a graph: every node relays what it hears first, so that a message comes by the shortest path.

The delays and losses of an address belong to the hops: all origins of an address meet the same. A partition cuts the
hops between its sides, as of when the flood starts; nodes that it keeps from hearing are flooded anew when it heals.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.network.delays import PairDelays
from sim.network.disruption import DELAY, LOSS, Disruption, drawn_for
from sim.network.keyed import Address, Batches, Uniforms

if TYPE_CHECKING:
    import networkx as nx
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Flood(NamedTuple):
    """All that shortest paths depend on."""

    address: Address | None
    """None where nothing is drawn."""
    hop: float = 0.0
    """Seconds that a hop takes besides its delay."""
    loss: float = 0.0
    """Probability that a hop is lost."""
    cut: tuple[int, ...] = ()
    """Numbers of the partitions whose hops are cut."""
    silent: frozenset[int] = frozenset()
    """Nodes that relay nothing."""


class Gossip:
    """A graph of links with delays.

    Parameters
    ----------
    graph
        Nodes 0 to n - 1, connected.
    pairs
        Latencies.
    uniforms
        Where draws come from.
    disruption
        Partitions among them.
    """

    def __init__(self, graph: nx.Graph, pairs: PairDelays, uniforms: Uniforms, disruption: Disruption) -> None:
        self.n = len(graph)
        edges = np.array(list(graph.edges), np.int64).reshape(-1, 2)
        both = np.concatenate([edges, edges[:, ::-1]])
        self._from, self._to = both[np.lexsort((both[:, 1], both[:, 0]))].T.copy()
        self._degree = np.bincount(self._from, minlength=self.n)
        self._starts = np.concatenate([[0], np.cumsum(self._degree)])
        self._pairs, self._uniforms, self._disruption = pairs, uniforms, disruption
        self._distances = Batches(lambda flood, sender: (self.distances(flood, sender),), self.n)

    def hop_delays(self, address: Address | None) -> Floats:
        """Delay of every hop, without its time on the wire.

        Parameters
        ----------
        address
            Which messages; None where latency is constant.

        Returns
        -------
        Floats
            Seconds, shape (2 x links,), by hop sender, then hop receiver.
        """
        count = len(self._from)
        if address is None:
            return np.full(count, self._pairs.constant)
        uniform = self._uniforms.line(drawn_for(address, DELAY), count)
        return self._pairs.seconds(uniform, self._from, self._to)

    def flood(self, address: Address, hop: float, loss: float = 0.0) -> Flood:
        """Describe a flood that no partition cuts and every node relays.

        Parameters
        ----------
        address
            Which messages.
        hop
            Seconds that each hop takes besides its delay.
        loss
            Probability that a hop is lost.
        """
        return Flood(None if self._pairs.constant is not None and not loss else address, hop, loss)

    def distances(self, flood: Flood, sender: int | None) -> Floats:
        """Seconds that a flood takes to each node.

        Parameters
        ----------
        flood
            Which.
        sender
            Where it starts, one that is not silent; None for every node.

        Returns
        -------
        Floats
            Shape (n,), or (n, n) by sender and receiver; infinite where it does not come.
        """
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import dijkstra

        weight = self.hop_delays(None if self._pairs.constant is not None else flood.address) + flood.hop
        if flood.loss and flood.address is not None:
            uniform = self._uniforms.line(drawn_for(flood.address, LOSS), len(weight))
            weight[uniform < flood.loss] = math.inf
        for number in flood.cut:
            side = self._disruption.splits[number].side
            weight[side[self._from] != side[self._to]] = math.inf
        weight[np.isin(self._from, list(flood.silent))] = math.inf
        hops = csr_array((weight, self._to, self._starts), shape=(self.n, self.n))
        distances: Floats = dijkstra(hops, indices=sender)
        return distances

    def releases(self, now: float, sender: int, flood: Flood) -> tuple[Floats, Floats]:
        """Flood now, and again for those left out whenever a partition heals.

        Parameters
        ----------
        now, sender
            When and where it starts.
        flood
            Without cuts.

        Returns
        -------
        tuple of Floats
            When the flood that reaches each node starts, infinite where none does, and how long it takes to get there;
            shape (n,) each.
        """
        release, took = np.full(self.n, math.inf), np.zeros(self.n)
        gone: set[int] = set()
        while True:
            active = self._disruption.active(now)
            splits = self._disruption.splits
            gone.update(number for number in active if splits[number].lost)
            cut = tuple(sorted({*active, *gone}))
            (distances,) = self._distances.row(flood._replace(cut=cut), sender)
            new = np.isfinite(distances) & np.isinf(release)
            release[new], took[new] = now, distances[new]
            ends = [splits[number].end for number in active if not splits[number].lost]
            if not ends or np.isfinite(release).all():
                return release, took
            now = min(ends)

    def transmissions(self, reached: NDArray[np.bool_], silent: frozenset[int]) -> int:
        """Messages on the wire: whoever relays sends to all its peers but the one that it heard from.

        Parameters
        ----------
        reached
            Which nodes hear of it, the sender among them, shape (n,).
        silent
            Nodes that relay nothing, the sender not among them.
        """
        relays = reached.copy()
        relays[list(silent)] = False
        return int(self._degree[relays].sum() - relays.sum() + 1)
