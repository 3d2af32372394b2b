"""Reading the links of a GraphML file that a scenario names, without trusting either."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from sim.base.files import located, open_regular
from sim.network.topology import EDGES_MAX

if TYPE_CHECKING:
    import networkx as nx

FILE_BYTES_MAX = 4 * 2**20
NODES_MAX = 100_000
DEPTH_MAX = 100


def read_edges(path: Path, folder: Path, *, anywhere: bool = False) -> tuple[tuple[int, int], ...]:
    """Read the links of a graph.

    Parameters
    ----------
    path
        The file as the scenario names it, relative to `folder`.
    folder
        Where the scenario is; the file must be in it or below.
    anywhere
        Whether the file may be elsewhere too.

    Returns
    -------
    tuple of (int, int)
        Pairs of node numbers, the lower first, ascending; nodes are numbered from 0 in the order of the file.

    Raises
    ------
    ValueError
        The file can't be read, or is not one simple, undirected, connected graph; the text says why in one clause.

    Notes
    -----
    A device or a pipe is never opened, a file never read beyond 4 MiB, and a document with a DOCTYPE is refused before
    anything in it is expanded.
    """
    text = _text(_read(located(path, folder, anywhere=anywhere)))
    declared = _declared_nodes(text)
    graph = _parsed(text)
    _check(graph, declared)
    number = {node: index for index, node in enumerate(graph)}
    return tuple(sorted((number[one], number[other]) for one, other in graph.edges()))


def _read(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError:
        raise ValueError("must be a file that can be read") from None
    if len(content) > FILE_BYTES_MAX:
        raise ValueError("must have at most 4 MiB")
    return content


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("must be text in UTF-8") from None


def _declared_nodes(text: str) -> int:
    """Walk the XML once, so that nothing is built of what is to be refused; count its nodes."""
    depth = nodes = 0

    def refuse(*_: Any) -> None:
        raise ValueError("must not have a DOCTYPE or entities")

    def start(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal depth, nodes
        depth += 1
        tag = name.rpartition(":")[2]
        nodes += tag == "node"
        if tag == "edge" and not {"source", "target"} <= attributes.keys():
            raise ValueError("must have a source and a target for every edge")
        if depth > DEPTH_MAX:
            raise ValueError(f"must not nest elements deeper than {DEPTH_MAX}")
        if nodes > NODES_MAX:
            raise ValueError(f"must have at most {NODES_MAX} nodes")

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(text, True)  # noqa: FBT003 -- positional in the library
    except expat.ExpatError as error:
        raise ValueError(f"must be well-formed XML (it is not in line {error.lineno})") from None
    return nodes


def _parsed(text: str) -> nx.Graph:
    import networkx as nx

    try:
        with warnings.catch_warnings(action="ignore"):  # about attributes and ports, which are not used
            return nx.parse_graphml(text)
    except (nx.NetworkXException, LookupError, ValueError, TypeError, AttributeError, SyntaxError):
        raise ValueError("must be GraphML: a graphml element with a graph of nodes and edges") from None


def _check(graph: nx.Graph, declared: int) -> None:
    import networkx as nx

    nodes, edges = graph.number_of_nodes(), graph.number_of_edges()
    wrong = {
        "must be undirected": graph.is_directed(),
        "must not link two nodes twice": graph.is_multigraph(),
        "must have at least one node": not nodes,
        "must have one node element a node, each with an id of its own, and one graph": nodes != declared,
        f"must have at most {EDGES_MAX} edges": edges > EDGES_MAX,
    }
    for message, holds in wrong.items():
        if holds:
            raise ValueError(message)
    if nx.number_of_selfloops(graph):
        raise ValueError("must not link a node with itself")
    if not nx.is_connected(graph):
        raise ValueError("must be connected: every node reaches every other")
