"""A GraphML file gives its links, or one clear sentence; nothing it names or holds does harm."""

from __future__ import annotations

import os
import re
from pathlib import Path

import networkx as nx
import pytest

from sim.network import graphml
from sim.network.graphml import FILE_BYTES_MAX, read_edges

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
XMLNS = 'xmlns="http://graphml.graphdrawing.org/xmlns"'


def document(body: str, kind: str = "undirected") -> str:
    return f'{HEAD}<graphml {XMLNS}><graph edgedefault="{kind}">{body}</graph></graphml>'


def nodes(*names: str) -> str:
    return "".join(f'<node id="{name}"/>' for name in names)


def edge(source: str, target: str, more: str = "") -> str:
    return f'<edge source="{source}" target="{target}" {more}/>'


PATH = document(nodes("c", "a", "b") + edge("b", "a") + edge("c", "a"))


def read(folder: Path, text: str | bytes, name: str = "graph.graphml") -> tuple[tuple[int, int], ...]:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return read_edges(Path(name), folder)


def refused(folder: Path, text: str | bytes) -> str:
    with pytest.raises(ValueError, match=r"^must ") as caught:
        read(folder, text)
    assert type(caught.value) is ValueError
    assert caught.value.__cause__ is None
    assert len(str(caught.value)) < 120
    return str(caught.value)


def test_nodes_are_numbered_in_the_order_of_the_file(tmp_path: Path) -> None:
    assert read(tmp_path, PATH) == ((0, 1), (1, 2))


def test_a_byte_order_mark_and_a_missing_namespace_are_fine(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbf" + PATH.encode()) == ((0, 1), (1, 2))
    assert read(tmp_path, PATH.replace(f" {XMLNS}", "")) == ((0, 1), (1, 2))


def test_what_networkx_writes_is_read_back(tmp_path: Path) -> None:
    graph = nx.random_regular_graph(4, 50, seed=1)
    graph = nx.relabel_nodes(graph, dict(zip(graph, range(50), strict=True)))
    nx.set_edge_attributes(graph, 0.5, "weight")
    nx.write_graphml(graph, tmp_path / "written.graphml")
    assert set(read_edges(Path("written.graphml"), tmp_path)) == {(min(edge), max(edge)) for edge in graph.edges}


def test_a_single_node_has_no_links(tmp_path: Path) -> None:
    assert read(tmp_path, document(nodes("x"))) == ()


def test_what_it_does_not_use_raises_no_warning(tmp_path: Path) -> None:
    body = nodes("a", "b") + '<edge source="a" target="b"><data key="none">1</data><port name="p"/></edge>'
    key = '<key id="w" for="edge" attr.name="w"/>'
    text = document(body).replace("<graph ", key + "<graph ", 1)
    text = text.replace('<data key="none">1</data>', '<data key="w">1</data>')
    assert read(tmp_path, text) == ((0, 1),)


LAUGHS = "".join(f'<!ENTITY l{i + 1} "{f"&l{i};" * 10}">' for i in range(9))
ATTACKS = {
    "billion laughs": f'{HEAD}<!DOCTYPE g [<!ENTITY l0 "ha">{LAUGHS}]><graphml {XMLNS}>&l9;</graphml>',
    "outside entity": f'{HEAD}<!DOCTYPE g [<!ENTITY x SYSTEM "file:///etc/passwd">]><graphml {XMLNS}>&x;</graphml>',
    "outside definition": PATH.replace("<graphml", '<!DOCTYPE graphml SYSTEM "http://localhost/x.dtd"><graphml', 1),
    "parameter entity": f'{HEAD}<!DOCTYPE g [<!ENTITY % x SYSTEM "file:///etc/passwd">%x;]><graphml {XMLNS}/>',
}


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_a_document_type_is_refused_before_the_parser_sees_it(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nx, "parse_graphml", lambda _: pytest.fail("parsed"))
    assert refused(tmp_path, text) == "must not have a DOCTYPE or entities"


WRONG = {
    "not well-formed": ("<graphml", "must be well-formed XML (it is not in line 1)"),
    "not XML": ("nodes: 3\nedges: []", "must be well-formed XML (it is not in line 1)"),
    "empty": ("", "must be well-formed XML (it is not in line 1)"),
    "null": (PATH.replace("graphdraw", "graph\0draw"), "must be well-formed XML (it is not in line 2)"),
    "undefined entity": (PATH.replace("<node", "&x;<node", 1), "must be well-formed XML (it is not in line 2)"),
    "UTF-16": (PATH.replace("UTF-8", "UTF-16").encode("utf-16"), "must be text in UTF-8"),
    "latin 1": (document(nodes("ä")).encode("latin-1"), "must be text in UTF-8"),
    "other XML": ("<html><body/></html>", "must be GraphML"),
    "no graph": (f"<graphml {XMLNS}/>", "must be GraphML"),
    "hyperedge": (document(nodes("a") + "<hyperedge/>"), "must be GraphML"),
    "bad attribute": (
        document('<node id="a"><data key="k">x</data></node>').replace(
            "<graph ", '<key id="k" for="node" attr.name="k" attr.type="int"/><graph ', 1
        ),
        "must be GraphML",
    ),
    "one edge directed": (document(nodes("a", "b") + edge("a", "b", 'directed="true"')), "must be GraphML"),
    "directed": (document(nodes("a", "b") + edge("a", "b"), "directed"), "must be undirected"),
    "twice": (document(nodes("a", "b") + edge("a", "b") * 2), "must not link two nodes twice"),
    "there and back": (document(nodes("a", "b") + edge("a", "b") + edge("b", "a")), "must not link two nodes twice"),
    "self-loop": (document(nodes("a", "b") + edge("a", "b") + edge("a", "a")), "must not link a node with itself"),
    "disconnected": (document(nodes("a", "b", "c") + edge("a", "b")), "must be connected"),
    "undeclared": (document(nodes("a", "b") + edge("a", "b") + edge("b", "d")), "must have one node element a node"),
    "declared twice": (document(nodes("a", "b", "a") + edge("a", "b")), "must have one node element a node"),
    "two graphs": (PATH.replace("</graph>", f"</graph><graph>{nodes('q')}</graph>"), "must have one node element"),
    "no target": (document(nodes("a", "None") + '<edge source="a"/>'), "must have a source and a target"),
    "no nodes": (document(""), "must have at least one node"),
    "deep": (document("<data>" * 50_000 + "</data>" * 50_000), "must not nest elements deeper than 100"),
    "big": (PATH + " " * FILE_BYTES_MAX, "must have at most 4 MiB"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_what_is_no_connected_simple_graph_is_told(tmp_path: Path, text: str | bytes, message: str) -> None:
    assert refused(tmp_path, text).startswith(message)


def test_the_numbers_of_nodes_and_edges_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphml, "EDGES_MAX", 1)
    assert "at most 1 edges" in refused(tmp_path, PATH)
    monkeypatch.setattr(graphml, "NODES_MAX", 2)
    assert "at most 2 nodes" in refused(tmp_path, PATH)


def scene(tmp_path: Path) -> Path:
    """Make a folder with a good file beside it and, in it, everything that must not be read."""
    (tmp_path / "secret.graphml").write_text(PATH)
    (tmp_path / "folder_of_others").mkdir()
    (tmp_path / "folder_of_others" / "g.graphml").write_text(PATH)
    home = tmp_path / "folder"
    (home / "inside").mkdir(parents=True)
    (home / "inside" / "good.graphml").write_text(PATH)
    (home / "out").symlink_to("../secret.graphml")
    (home / "outward").symlink_to(tmp_path)
    (home / "within").symlink_to("inside/good.graphml")
    (home / "loop").symlink_to("loop")
    (home / "dangling").symlink_to("nowhere")
    (home / "zero").symlink_to("/dev/zero")
    os.mkfifo(home / "pipe")
    return home


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../secret.graphml", "without .."),
        ("inside/../../secret.graphml", "without .."),
        ("inside/../inside/good.graphml", "without .."),
        ("/etc/passwd", "relative"),
        ("/dev/zero", "relative"),
        ("out", "must not lead out"),
        ("outward/secret.graphml", "must not lead out"),
        ("outward/folder_of_others/g.graphml", "must not lead out"),
        ("zero", "must not lead out"),
        ("loop", "exists"),
        ("dangling", "exists"),
        ("absent", "exists"),
        ("a\0b", "exists"),
        ("x" * 5000, "exists"),
        ("inside", "must be a regular file"),
        (".", "must be a regular file"),
        ("pipe", "must be a regular file"),
    ],
)
def test_only_a_regular_file_within_the_folder_is_read(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        read_edges(Path(name), scene(tmp_path))


def test_links_within_the_folder_may_be_followed(tmp_path: Path) -> None:
    assert len(read_edges(Path("within"), scene(tmp_path))) == 2
    assert len(read_edges(Path("folder/within"), tmp_path)) == 2


def test_anywhere_allows_other_places_but_no_devices_or_pipes(tmp_path: Path) -> None:
    home = scene(tmp_path)
    for name in ("out", "../secret.graphml", str(tmp_path / "secret.graphml")):
        assert len(read_edges(Path(name), home, anywhere=True)) == 2
    for name in ("zero", "/dev/zero", "pipe"):
        with pytest.raises(ValueError, match="must be a regular file"):
            read_edges(Path(name), home, anywhere=True)


def test_a_file_exchanged_for_another_after_the_check_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, real = scene(tmp_path), os.open
    for other in (home / "pipe", tmp_path / "secret.graphml"):
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", lambda _, flags, other=other: real(other, flags))
            with pytest.raises(ValueError, match=r"must be a regular file|replaced"):
                read_edges(Path("inside/good.graphml"), home)


def test_a_file_is_not_read_beyond_the_bound(tmp_path: Path) -> None:
    (tmp_path / "g").write_text(PATH + " " * FILE_BYTES_MAX)
    with pytest.raises(ValueError, match="4 MiB"):
        read_edges(Path("g"), tmp_path)
