"""Files that a scenario names: read when it is loaded, so that it counts by their content.

A scenario file is untrusted. What it names must be a regular file under its own folder, unless the user allows others.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.base.errors import Problem
from sim.network.graphml import read_edges

if TYPE_CHECKING:
    from sim.base.document import Home


def fill_files(tree: dict[str, Any], home: Home | None) -> list[Problem]:
    """Read what a scenario's files hold, into the tree.

    Parameters
    ----------
    tree
        The scenario as written; a graph's `edges` are put beside its `file`.
    home
        Where the scenario lies; None: nowhere, and nothing is read.

    Returns
    -------
    list of Problem
        Files that can't be read, or must not be.
    """
    network = tree.get("network")
    topology = network.get("topology") if isinstance(network, dict) else None
    if home is None or not isinstance(topology, dict) or topology.get("kind") != "graphml":
        return []
    name = topology.get("file")
    if not isinstance(name, str):
        return []
    try:
        edges = read_edges(Path(name), home.folder, anywhere=home.anywhere)
    except ValueError as error:
        return [Problem("network.topology.file", str(error), name)]
    topology["edges"] = [list(edge) for edge in edges]
    return []
