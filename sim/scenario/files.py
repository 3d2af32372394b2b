"""Files that a scenario names: read when it is loaded, so that it counts by their content.

A scenario file is untrusted. What it names must be a regular file under its own folder, unless the user allows others.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.base.errors import Problem, ScenarioError
from sim.base.files import located
from sim.network.graphml import read_edges

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sim.base.document import Home


def fill_files(tree: dict[str, Any], home: Home | None) -> list[Problem]:
    """Read what a scenario's files hold, into the tree.

    Parameters
    ----------
    tree
        The scenario as written; a graph's `edges` are put beside its `file`, and what a recording holds beside its
        name.
    home
        Where the scenario lies; None: nowhere, and nothing is read.

    Returns
    -------
    list of Problem
        Files that can't be read, or must not be.
    """
    if home is None:
        return []
    return [*_fill_graph(tree, home), *_fill_recordings(tree, home)]


def _fill_graph(tree: dict[str, Any], home: Home) -> Iterator[Problem]:
    network = tree.get("network")
    topology = network.get("topology") if isinstance(network, dict) else None
    if not isinstance(topology, dict) or topology.get("kind") != "graphml":
        return
    name = topology.get("file")
    if not isinstance(name, str):
        return
    try:
        edges = read_edges(Path(name), home.folder, anywhere=home.anywhere)
    except ValueError as error:
        yield Problem("network.topology.file", str(error), name)
        return
    topology["edges"] = [list(edge) for edge in edges]


def _fill_recordings(tree: dict[str, Any], home: Home) -> Iterator[Problem]:
    """Read the recordings of groups; an executor that replays one is a GPU whose difficulty is what it says."""
    nodes = tree.get("nodes")
    for group, entry in nodes.items() if isinstance(nodes, dict) else ():
        executor = entry.get("executor") if isinstance(entry, dict) else None
        if not isinstance(executor, dict):
            continue
        if executor.get("kind") == "recorded" and "recording" in executor and "outputs" not in executor:
            law = {"difficulty": "empirical", "recording": executor["recording"]}
            path, others = f"nodes.{group}.executor.recording", dict(executor)
            del others["recording"]
            entry["executor"] = others | {"kind": "gpu", "nondeterminism": law}
        else:
            law = executor.get("nondeterminism")  # type: ignore[assignment]
            path = f"nodes.{group}.executor.nondeterminism.recording"
            if not isinstance(law, dict) or law.get("difficulty") != "empirical":
                continue
        if isinstance(law.get("recording"), str):
            yield from _fill_recording(law, path, home)


def _fill_recording(law: dict[str, Any], path: str, home: Home) -> Iterator[Problem]:
    from sim.inference.calibration.partitions import RUNS_MAX
    from sim.inference.calibration.tables import read_tables

    name = law["recording"]
    law |= {"columns": [""], "tables": [[1, [[RUNS_MAX]]]]}  # if it cannot be read, nothing else is told of it
    try:
        law |= read_tables(located(Path(name), home.folder, anywhere=home.anywhere))
    except ValueError as error:
        yield Problem(path, str(error), name)
    except OSError:
        yield Problem(path, "must be a file that can be read", name)
    except ScenarioError as error:
        for problem in error.problems:
            yield Problem(path, f"cannot be used: {problem}")
