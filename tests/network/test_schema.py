"""What a scenario says about the network is read as meant, or told at its place."""

from __future__ import annotations

import json
from typing import Any

import networkx as nx
import pytest
from pydantic import ValidationError

from sim.base.errors import ScenarioError
from sim.base.model import problems_of
from sim.network.latency import Regions
from sim.network.schema import Network
from sim.network.topology import Complete, GraphFile, Topology
from sim.statistics.durations import Constant, Uniform


def told(**keys: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Network.model_validate(keys)
    return [str(problem) for problem in problems_of(caught.value)]


def topology(**keys: Any) -> Topology:
    return Network.model_validate({"topology": keys}).topology


FULL: dict[str, Any] = {
    "latency": {"kind": "regions", "between": {"eu": {"eu": 0.01, "us": {"kind": "uniform", "low": 0, "high": 1}}}},
    "bandwidth": 1e6,
    "topology": {"kind": "random_regular", "degree": 4},
    "loss": 0.1,
    "duplication": 0.2,
    "reordering": {"probability": 0.1, "delay": 0.3},
    "partitions": [{"start": 1, "end": 2, "apart": [{"a": 2, "b": [0, 2]}, {"b": [1]}], "lost": True}],
    "gst": {"time": 3, "extra": {"kind": "lognormal", "median": 1, "sigma": 1}},
}
FULL["latency"]["between"]["us"] = {"us": 0.02}


def test_a_network_survives_being_written_and_read() -> None:
    network = Network.model_validate(FULL)
    assert Network.model_validate_json(network.model_dump_json()) == network
    assert Network.model_validate(json.loads(network.model_dump_json(exclude_none=True))) == network
    json.dumps(Network.model_json_schema())


def test_what_is_not_given_stays_out_of_the_identity() -> None:
    assert Network().model_dump(mode="json", exclude_none=True) == {
        "latency": {"kind": "constant", "seconds": 0.05},
        "block_bytes": 100_000,
        "vote_bytes": 200,
        "topology": {"kind": "complete"},
        "loss": 0.0,
        "duplication": 0.0,
        "partitions": [],
    }


def test_the_path_of_a_graph_stays_out_of_the_identity_and_its_links_are_part() -> None:
    graph = topology(kind="graphml", file="some/where.graphml", edges=[[0, 1], [1, 2]])
    assert isinstance(graph, GraphFile)
    assert graph.model_dump(mode="json") == {"kind": "graphml", "edges": [[0, 1], [1, 2]]}
    assert graph.file == "some/where.graphml"
    network = Network(topology=graph).model_dump(mode="json")
    assert network["topology"] == {"kind": "graphml", "edges": [[0, 1], [1, 2]]}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"latency": "x"}, "latency: must be a number of seconds, or a mapping with kind: constant, uniform, normal, "),
        ({"latency": {"kind": "region"}}, "did you mean regions?"),
        ({"latency": {"kind": "regions", "between": {"a": {"a": -1}}}}, "latency.between.a.a: must be at least 0"),
        ({"bandwidth": 0}, "bandwidth: must be greater than 0"),
        ({"loss": 1}, "loss: must be less than 1"),
        ({"duplication": -0.1}, "duplication: must be at least 0"),
        ({"reordering": {"probability": 0.1}}, "reordering.delay: is required"),
        (
            {"partitions": [{"start": 2, "end": 2, "apart": [{}]}]},
            "partitions.0.end: must be after start (2) (got 2.0)",
        ),
        ({"partitions": [{"start": 2, "apart": []}]}, "partitions.0.apart: must have at least 1 entries"),
        ({"partitions": [{"start": 0, "apart": [{"a": [1, 1]}]}]}, "partitions.0.apart.0.a.1: must not be named twice"),
        ({"gst": {"time": -1, "extra": 1}}, "gst.time: must be at least 0"),
        ({"topology": {"kind": "ringe"}}, "did you mean ring?"),
        ({"topology": {"kind": "small_world", "neighbours": 3, "rewiring": 0}}, "topology.neighbours: must be even"),
        ({"topology": {"kind": "erdos_renyi", "edge_probability": 0}}, "topology.edge_probability: must be greater"),
        ({"topology": {"kind": "graphml"}}, "topology.file: is required"),
        ({"topology": {"kind": "graphml", "edges": [[0, True]]}}, "topology.edges.0.1: must be a whole number"),
    ],
)
def test_mistakes_are_told_at_their_place(keys: dict[str, Any], message: str) -> None:
    assert any(message in problem for problem in told(**keys))


def test_a_missing_pair_of_regions_is_told_once() -> None:
    between = {"a": {"a": 1, "b": 1, "c": 1}, "b": {"b": 1}}
    assert told(latency={"kind": "regions", "between": between}) == [
        "latency.between.b: must have a law from b to c",
        "latency.between: must have a law from c to c",
    ]


def test_a_wrong_law_is_not_told_as_missing_too() -> None:
    between = {"a": {"a": 1, "b": "x"}, "b": {"b": 1}}
    assert len(told(latency={"kind": "regions", "between": between})) == 1


def test_one_direction_of_a_pair_serves_both_unless_both_are_given() -> None:
    between = {"a": {"a": 1, "b": 2}, "b": {"b": 3, "c": 5}, "c": {"c": 4, "a": 6, "b": 7}}
    laws = Regions.model_validate({"between": between})
    assert laws.names == ["a", "b", "c"]
    seconds = [[laws.law(one, other).constant for other in "abc"] for one in "abc"]
    assert seconds == [[1, 2, 6], [2, 3, 5], [6, 7, 4]]


COUNTS = {"a": 3, "b": 4}


@pytest.mark.parametrize(
    ("apart", "mistakes"),
    [
        ([{"a": 3}, {"b": [0, 3]}], []),
        ([{"a": 4}], [("partitions", 0, "apart", 0, "a")]),
        ([{"a": 1}, {"c": 1, "b": [4]}], [("partitions", 0, "apart", 1, "c"), ("partitions", 0, "apart", 1, "b", 0)]),
        ([{"a": 2}, {"b": 1}, {"a": [1]}], [("partitions", 0, "apart", 2, "a")]),
    ],
)
def test_sides_name_nodes_that_exist_and_none_twice(apart: Any, mistakes: list[Any]) -> None:
    network = Network.model_validate({"partitions": [{"start": 0, "apart": apart}]})
    assert [mistake.path for mistake in network.mistakes(COUNTS)] == mistakes


@pytest.mark.parametrize(
    ("keys", "n", "path"),
    [
        ({"kind": "random_regular", "degree": 4}, 4, ("degree",)),
        ({"kind": "random_regular", "degree": 3}, 7, ("degree",)),
        ({"kind": "small_world", "neighbours": 6, "rewiring": 0.1}, 6, ("neighbours",)),
        ({"kind": "erdos_renyi", "edge_probability": 0.9}, 2_000, ("edge_probability",)),
        ({"kind": "random_regular", "degree": 100}, 30_000, ("degree",)),
        ({"kind": "graphml", "edges": [[0, 1], [1, 2]]}, 4, ("edges",)),
        ({"kind": "graphml", "edges": [[0, 1], [1, 2]]}, 2, ("edges",)),
        ({"kind": "graphml", "edges": [[0, 1], [2, 3]]}, 4, ("edges",)),
        ({"kind": "graphml", "edges": [[0, 2]]}, 3, ("edges",)),
        ({"kind": "graphml", "edges": [[0, 1], [1, 0]]}, 2, ("edges",)),
        ({"kind": "graphml", "edges": [[0, 1], [1, 1]]}, 2, ("edges",)),
        ({"kind": "graphml", "edges": []}, 2, ("edges",)),
    ],
)
def test_a_topology_that_does_not_fit_is_told_and_gives_no_graph(keys: Any, n: int, path: Any) -> None:
    assert [mistake.path for mistake in topology(**keys).mistakes(n)] == [path]
    with pytest.raises(ValueError, match="must"):
        topology(**keys).graph(n, 1)


GRAPHS: list[tuple[dict[str, Any], int]] = [
    ({"kind": "random_regular", "degree": 2}, 40),
    ({"kind": "random_regular", "degree": 5}, 30),
    ({"kind": "small_world", "neighbours": 4, "rewiring": 0.5}, 31),
    ({"kind": "erdos_renyi", "edge_probability": 0.12}, 40),
    ({"kind": "ring"}, 9),
    ({"kind": "graphml", "edges": [[2, 1], [0, 2]]}, 3),
]


@pytest.mark.parametrize(("keys", "n"), GRAPHS)
@pytest.mark.parametrize("seed", range(4))
def test_graphs_are_connected_simple_numbered_and_the_same_for_a_seed(keys: Any, n: int, seed: int) -> None:
    graph: Any = topology(**keys).graph(n, seed)
    assert list(graph) == list(range(n))
    assert nx.is_connected(graph)
    assert not nx.number_of_selfloops(graph)
    assert nx.utils.graphs_equal(graph, topology(**keys).graph(n, seed))
    if keys["kind"] == "erdos_renyi":
        assert topology(**keys).links(n) == pytest.approx(graph.number_of_edges(), rel=0.5)
    else:
        assert topology(**keys).links(n) == graph.number_of_edges()
    if keys["kind"] not in {"ring", "graphml"}:
        assert not nx.utils.graphs_equal(graph, topology(**keys).graph(n, seed + 1))


@pytest.mark.parametrize(("n", "links"), [(1, 0), (2, 1), (3, 3)])
def test_the_smallest_rings_have_no_loops(n: int, links: int) -> None:
    graph: Any = topology(kind="ring").graph(n, 0)
    assert graph.number_of_edges() == links


def test_all_with_all_needs_no_graph() -> None:
    assert Complete().graph(5, 1) is None


def test_a_graph_that_can_not_be_connected_says_so() -> None:
    with pytest.raises(ScenarioError, match="no connected graph in 100 draws"):
        topology(kind="erdos_renyi", edge_probability=0.001).graph(50, 1)


def test_a_file_that_was_not_read_says_so() -> None:
    with pytest.raises(ValueError, match=r"g\.graphml has not been read"):
        topology(kind="graphml", file="g.graphml").graph(5, 1)


def test_defaults_are_a_constant_and_all_with_all() -> None:
    assert Network().latency == Constant(seconds=0.05)
    assert Network(latency=Uniform(low=1, high=2)).topology == Complete()
