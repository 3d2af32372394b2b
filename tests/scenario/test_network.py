"""What a scenario says about the network, timed faults and files: checked with its place, and part of the identity."""

from __future__ import annotations

import shutil
from pathlib import Path

import networkx as nx
import pytest

from sim import Scenario, ScenarioError, load_scenario
from sim.cli import execute
from sim.scenario.load import load_grid

BASE = """\
nodes:
  a: {count: 4, region: eu, executor: {kind: cpu}}
  b: {count: 3, region: us, executor: {kind: cpu}}
network:
  latency: {kind: regions, between: {eu: {eu: 0.01, us: 0.08}, us: {us: {kind: uniform, low: 0.01, high: 0.02}}}}
  partitions: [{start: 1, end: 2, apart: [{a: 2}, {b: [0]}]}]
faults:
  crashes: [{nodes: {b: [1]}, at: 3, until: 4}]
"""


def wrong(tmp_path: Path, old: str, new: str) -> str:
    """What is said when a part of the scenario is replaced."""
    assert old in BASE
    path = tmp_path / "s.yaml"
    path.write_text(BASE.replace(old, new))
    with pytest.raises(ScenarioError) as error:
        load_scenario(path)
    return str(error.value).replace(f"{tmp_path}/", "")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("{b: [1]}", "{c: [1]}", "s.yaml:8:22: faults.crashes.0.nodes.c: is no group; known: a, b"),
        ("{b: [1]}", "{b: [3]}", "s.yaml:8:26: faults.crashes.0.nodes.b.0: must be below the 3 nodes"),
        ("until: 4", "until: 3", "s.yaml:8:45: faults.crashes.0.until: must be later than at (3) (got 3)"),
        ("{a: 2}", "{a: 5}", "s.yaml:6:47: network.partitions.0.apart.0.a: must be at most the 4 nodes"),
        ("{b: [0]}", "{a: [0]}", "network.partitions.0.apart.1.a: must name no node of another side"),
        ("end: 2", "end: 1", "network.partitions.0.end: must be after start"),
        ("region: us, ", "", "nodes.b.region: is required where the network's latency depends on regions"),
        ("region: us", "region: uk", "nodes.b.region: has no latency; known: eu, us (got 'uk')"),
        ("us: 0.08", "", "network.latency.between.eu: must have a law from eu to us"),
        ("high: 0.02", "high: 0.001", "network.latency.between.us.us"),
        ("0.01, us", "-1, us", "network.latency.between.eu.eu"),
        ("faults:\n", "faults:\n  delay: 1\n", "faults.delay: goes with behaviour delay (it is silent)"),
        ("faults:\n", "faults:\n  behaviour: delay\n", "faults.delay: is required where behaviour is delay"),
        ("network:\n", "network:\n  los: 0.1\n", "network.los: unknown key, did you mean loss?"),
        ("network:\n", "network:\n  loss: 1\n", "network.loss: must be less than 1 (got 1)"),
        ("network:\n", "network:\n  topology: {kind: star}\n", "network.topology.kind: must be one of complete,"),
        ("{count: 4,", "{count: 4, devices: 0,", "nodes.a.devices: must be at least 1 (got 0)"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, old: str, new: str, line: str) -> None:
    said = wrong(tmp_path, old, new)
    assert line in said
    assert len(said.splitlines()) == 1, said


def test_a_graph_that_cannot_be_drawn_is_the_users_to_mend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s.yaml"
    topology = "network: {topology: {kind: erdos_renyi, edge_probability: 0.01}}\n"
    path.write_text("nodes: {a: {count: 30, executor: {kind: cpu}}}\n" + topology)
    assert execute(["run", str(path)]) == 2
    assert "s.yaml:2:11: network.topology: gave no connected graph in 100 draws" in capsys.readouterr().err


def test_timeouts_and_rounds_are_checked(tmp_path: Path) -> None:
    said = wrong(tmp_path, "faults:", "consensus: {max_rounds: 0, timeouts: {view: 0, veiw: 1}}\nfaults:")
    assert "consensus.max_rounds: must be at least 1 (got 0)" in said
    assert "consensus.timeouts.view: must be greater than 0 (got 0)" in said
    assert "consensus.timeouts.veiw: unknown key, did you mean view?" in said


def test_scenarios_without_a_network_keep_their_ids() -> None:
    plain = {"nodes": {"gpu": {"count": 13, "executor": {"kind": "gpu", "nondeterminism": {"rate": 1e-4}}}}}
    before = Scenario.model_validate(plain).scenario_id
    assert before == "15f35f1e0184ce8ed5f9a665609cbb809e4f7ed9fefe418288c5cc4233958b89"
    assert Scenario.model_validate(plain | {"network": {}}).scenario_id != before


def test_every_part_of_the_network_counts_for_the_identity() -> None:
    plain = {"nodes": {"a": {"count": 4, "executor": {"kind": "cpu"}}}}
    networks = [
        {},
        {"latency": 0.06},
        {"latency": {"kind": "uniform", "low": 0, "high": 0.1}},
        {"loss": 0.1},
        {"gst": {"time": 1, "extra": 1}},
        {"topology": {"kind": "ring"}},
        {"partitions": [{"start": 1, "apart": [{"a": 1}]}]},
        {"partitions": [{"start": 1, "end": 2, "apart": [{"a": 1}]}]},
    ]
    ids = {Scenario.model_validate(plain | {"network": network}).scenario_id for network in networks}
    assert len(ids) == len(networks)
    same = [
        Scenario.model_validate(plain | {"network": {"latency": law}})
        for law in (0, -0.0, {"kind": "constant", "seconds": 0})
    ]
    assert len({scenario.scenario_id for scenario in same}) == 1


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    path = tmp_path / "s.yaml"
    path.write_text(
        "nodes: {a: {count: 5, executor: {kind: cpu}}}\n"
        "network: {topology: {kind: graphml, file: ring.graphml}}\n"
        "sweep: {graph: {path: network.topology.file, values: [ring.graphml, star.graphml]}}\n"
    )
    nx.write_graphml(nx.cycle_graph(5), tmp_path / "ring.graphml")
    nx.write_graphml(nx.star_graph(4), tmp_path / "star.graphml")
    return path


def test_a_graph_counts_by_its_content(graph: Path, tmp_path: Path) -> None:
    first = load_scenario(graph).scenario_id
    shutil.copy(tmp_path / "ring.graphml", tmp_path / "same.graphml")
    assert load_scenario(graph, ["network.topology.file=same.graphml"]).scenario_id == first
    shutil.copy(tmp_path / "star.graphml", tmp_path / "ring.graphml")
    assert load_scenario(graph).scenario_id != first


def test_a_sweep_over_files_reads_each(graph: Path) -> None:
    ids = [point.scenario.scenario_id for point in load_grid(graph).points()]
    assert len(set(ids)) == 2
    with pytest.raises(ScenarioError, match=r"at graph = 'none': network\.topology\.file"):
        list(load_grid(graph, ["sweep.graph.values=[none]"]).points())


def test_a_file_outside_the_scenarios_folder_needs_leave(graph: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    moved = inner / "s.yaml"
    moved.write_text(graph.read_text().replace("file: ring", "file: ../ring"))
    with pytest.raises(ScenarioError, match=r"s.yaml:2:43: network.topology.file: must be a path relative"):
        load_scenario(moved)
    assert load_scenario(moved, files_anywhere=True).scenario_id == load_scenario(graph).scenario_id
    (inner / "link.graphml").symlink_to(tmp_path / "ring.graphml")
    with pytest.raises(ScenarioError, match=r"network\.topology\.file"):
        load_scenario(moved, ["network.topology.file=link.graphml"])
