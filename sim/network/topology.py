"""Who is linked to whom: all with all, or a graph over which messages are flooded.

What to use when: `complete` for a few hundred validators; `random_regular` for gossip overlays with a fixed number of
peers; `small_world`, `erdos_renyi` and `ring` to compare; `graphml` for a graph of one's own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PlainSerializer, PlainValidator, Strict

from sim.base.errors import Problem, ScenarioError
from sim.base.model import FrozenModel, Mistake, dumped
from sim.base.registry import Registry

if TYPE_CHECKING:
    import networkx as nx

EDGES_MAX = 1_000_000
ATTEMPTS = 100

TOPOLOGIES = Registry(
    key="kind",
    builtin={
        "complete": "sim.network.topology:Complete",
        "random_regular": "sim.network.topology:RandomRegular",
        "small_world": "sim.network.topology:SmallWorld",
        "erdos_renyi": "sim.network.topology:ErdosRenyi",
        "ring": "sim.network.topology:Ring",
        "graphml": "sim.network.topology:GraphFile",
    },
)


class Topology(FrozenModel, ABC):
    """Which pairs of nodes are linked."""

    kind: str
    """Name of the topology."""

    def mistakes(self, n: int) -> Iterator[Mistake]:  # noqa: ARG002 -- others need it
        """Yield why this topology can't link n nodes; paths are below the topology."""
        yield from ()

    @abstractmethod
    def links(self, n: int) -> float:
        """Number of pairs linked by the graph, or its mean; 0 where there is no graph."""

    def graph(self, n: int, seed: int) -> nx.Graph | None:
        """Link the nodes.

        Parameters
        ----------
        n
            Number of nodes, for which there are no `mistakes`.
        seed
            Seed of the graph, at least 0.

        Returns
        -------
        networkx.Graph or None
            Connected, simple, nodes 0 to n - 1; None where all are linked with all.

        Raises
        ------
        ScenarioError
            No connected graph was found.
        ValueError
            There are mistakes, or the file has not been read.
        """
        import networkx as nx

        for mistake in self.mistakes(n):
            raise ValueError(f"{'.'.join(map(str, mistake.path))} {mistake.message}")
        for attempt in range(ATTEMPTS):
            graph = self.drawn(n, ATTEMPTS * seed + attempt)
            if graph is None or nx.is_connected(graph):
                return graph
        message = f"gave no connected graph in {ATTEMPTS} draws: the nodes need more links"
        raise ScenarioError([Problem("network.topology", message)])

    @abstractmethod
    def drawn(self, n: int, seed: int) -> nx.Graph | None:
        """One draw, connected or not (see `graph`)."""


def _edges(expected: float, key: str, value: float) -> Iterator[Mistake]:
    if expected > EDGES_MAX:
        yield Mistake((key,), f"must give at most {EDGES_MAX} edges (gives {expected:.0f})", value)


class Complete(Topology):
    """All with all; messages take the direct way."""

    kind: Literal["complete"] = "complete"

    def links(self, n: int) -> float:  # noqa: ARG002 -- others need it
        """Number of links (see `Topology`)."""
        return 0

    def drawn(self, n: int, seed: int) -> None:
        """No graph is needed (see `Topology`)."""


class RandomRegular(Topology):
    """Every node has the same number of peers, otherwise at random."""

    kind: Literal["random_regular"] = "random_regular"
    degree: Annotated[int, Field(ge=2, le=10_000)]
    """Peers of each node."""

    def mistakes(self, n: int) -> Iterator[Mistake]:
        """Too few nodes, or an odd number of ends (see `Topology`)."""
        if self.degree >= n:
            yield Mistake(("degree",), f"must be below the number of nodes ({n})", self.degree)
        elif n * self.degree % 2:
            yield Mistake(("degree",), f"must be even where the number of nodes ({n}) is odd", self.degree)
        yield from _edges(self.links(n), "degree", self.degree)

    def links(self, n: int) -> float:
        """Number of links (see `Topology`)."""
        return n * self.degree / 2

    def drawn(self, n: int, seed: int) -> nx.Graph:
        """Steger and Wormald's pairing (see `Topology`)."""
        import networkx as nx

        return nx.random_regular_graph(self.degree, n, seed)


class SmallWorld(Topology):
    """A ring of near neighbours, some of whose links lead anywhere (Watts and Strogatz 1998)."""

    kind: Literal["small_world"] = "small_world"
    neighbours: Annotated[int, Field(ge=2, le=10_000)]
    """Nearest neighbours that each node is linked with before rewiring; even."""
    rewiring: Annotated[float, Field(ge=0, le=1)]
    """Probability that a link is led to a random node instead."""

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """As many neighbours on either side."""
        yield from super().cross_checks(fields, data)
        if fields.get("neighbours", 0) % 2:
            yield Mistake(("neighbours",), "must be even", fields["neighbours"])

    def mistakes(self, n: int) -> Iterator[Mistake]:
        """Too few nodes (see `Topology`)."""
        if self.neighbours >= n:
            yield Mistake(("neighbours",), f"must be below the number of nodes ({n})", self.neighbours)
        yield from _edges(self.links(n), "neighbours", self.neighbours)

    def links(self, n: int) -> float:
        """Number of links (see `Topology`)."""
        return n * self.neighbours / 2

    def drawn(self, n: int, seed: int) -> nx.Graph:
        """Watts and Strogatz's rewiring (see `Topology`)."""
        import networkx as nx

        return nx.watts_strogatz_graph(n, self.neighbours, self.rewiring, seed)


class ErdosRenyi(Topology):
    """Every pair is linked with the same probability."""

    kind: Literal["erdos_renyi"] = "erdos_renyi"
    edge_probability: Annotated[float, Field(gt=0, le=1)]
    """Probability that two nodes are linked."""

    def mistakes(self, n: int) -> Iterator[Mistake]:
        """Too many edges (see `Topology`)."""
        yield from _edges(self.links(n), "edge_probability", self.edge_probability)

    def links(self, n: int) -> float:
        """Number of links (see `Topology`)."""
        return self.edge_probability * n * (n - 1) / 2

    def drawn(self, n: int, seed: int) -> nx.Graph:
        """Skip from edge to edge (see `Topology`)."""
        import networkx as nx

        return nx.fast_gnp_random_graph(n, self.edge_probability, seed)


class Ring(Topology):
    """Every node is linked with the next, and the last with the first."""

    kind: Literal["ring"] = "ring"

    def links(self, n: int) -> float:
        """Number of links (see `Topology`)."""
        return n

    def drawn(self, n: int, seed: int) -> nx.Graph:  # noqa: ARG002 -- nothing is drawn
        """A cycle (see `Topology`)."""
        import networkx as nx

        return nx.cycle_graph(n) if n > 2 else nx.path_graph(n)


_Node = Annotated[int, Strict(), Field(ge=0)]
_Edge = Annotated[tuple[_Node, _Node], Field(strict=False)]


class GraphFile(Topology):
    """A graph read from a GraphML file."""

    kind: Literal["graphml"] = "graphml"
    file: Annotated[str, Field(min_length=1, max_length=1_000)] | None = Field(default=None, exclude=True)
    """Path of the file, relative to the scenario; its nodes are numbered in the order of the file."""
    edges: Annotated[tuple[_Edge, ...], Field(strict=False, max_length=EDGES_MAX)] | None = None
    """Pairs of node numbers: what is in the file, filled in when the scenario is loaded."""

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """A file, or what was in it."""
        yield from super().cross_checks(fields, data)
        if data.get("file") is None and data.get("edges") is None:
            yield Mistake(("file",), "is required")

    def mistakes(self, n: int) -> Iterator[Mistake]:
        """Another number of nodes, or not one simple connected graph (see `Topology`)."""
        if self.edges is None:
            return
        import networkx as nx

        nodes = 1 + max((max(edge) for edge in self.edges), default=0)
        graph = nx.Graph(self.edges)
        if nodes != n:
            yield Mistake(("edges",), f"must link as many nodes as the scenario has ({n}; links {nodes})")
        elif nx.number_of_selfloops(graph) or graph.number_of_edges() < len(self.edges):
            yield Mistake(("edges",), "must link two different nodes, and no two twice")
        elif n > 1 and (len(graph) < n or not nx.is_connected(graph)):
            yield Mistake(("edges",), "must link every node with every other, directly or over others")

    def links(self, n: int) -> float:  # noqa: ARG002 -- others need it
        """Number of links (see `Topology`)."""
        return len(self.edges or ())

    def drawn(self, n: int, seed: int) -> nx.Graph:  # noqa: ARG002 -- nothing is drawn
        """What was in the file (see `Topology`)."""
        import networkx as nx

        if self.edges is None:
            raise ValueError(f"{self.file} has not been read")
        graph = nx.empty_graph(n)
        graph.add_edges_from(self.edges)
        return graph


Linked = Annotated[
    Topology,
    PlainValidator(
        TOPOLOGIES.validate,
        json_schema_input_type=Complete | RandomRegular | SmallWorld | ErdosRenyi | Ring | GraphFile,
    ),
    PlainSerializer(dumped),
]
"""A field that holds a topology, chosen by its `kind`."""
