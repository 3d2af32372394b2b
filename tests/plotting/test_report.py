"""The report: what stands in the page, without a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from reported import HOSTILE, SCENARIOS, hostile, swept

from sim import Stopping, load_scenario, run, sweep
from sim.plotting.report import Subject, page
from sim.plotting.report.block_chart import block_chart, telling
from sim.plotting.report.page import BYTES_MAX
from sim.sweeps.row import Row

PLOTLY = "window.Plotly = {newPlot() {}};"


class Reader(HTMLParser):
    """Reads a page as a browser would: elements, attributes, texts, and what scripts hold."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[str] = []
        self.table: list[list[str]] = []
        self.marked: dict[str, str] = {}
        self._open: list[str] = []
        self._id = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self._id = dict(attrs).get("id") or ""
        self._open.append(tag)
        if tag == "tr":
            self.table.append([])
        elif tag in {"td", "th"}:
            self.table[-1].append("")
        elif tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass
        self._id = ""

    def handle_data(self, data: str) -> None:
        last = self._open[-1] if self._open else ""
        if last == "script":
            self.scripts[-1] += data
        elif last in {"td", "th"}:
            self.table[-1][-1] += data.rstrip("\n")
        if self._id:
            self.marked[self._id] = self.marked.get(self._id, "") + data


def read(rows: list[Row], **more: Any) -> Reader:
    return Reader(page(Subject(rows, "0", [], **more), PLOTLY))


def test_the_numbers_of_all_points_stand_in_a_table(tmp_path: Path) -> None:
    rows = swept("hardware_mix", tmp_path)
    found = read(rows)
    head = next(line for line in found.table if "block failure" in line)
    lines = found.table[found.table.index(head) + 1 :][: len(rows)]
    for row, line in zip(rows, lines, strict=True):
        cells = dict(zip(head, line, strict=True))
        assert row.result is not None
        for name, value in row.coordinates.items():
            assert cells[name] == str(value)
        assert cells["block failure"] == f"{row.result.block_failure.probability:.5g}"
        for name, estimate in row.result.outcomes.items():
            assert cells[name] == f"{estimate.probability:.4g}"
        assert row.scenario.scenario_id.startswith(cells["id"])


def test_curves_hold_the_failure_of_every_point(tmp_path: Path) -> None:
    rows = swept("failure_curve", tmp_path)
    figures = {figure["name"]: figure for figure in json.loads(read(rows).scripts[0])}
    assert set(figures) == {"failure", "heat"}
    curves = [trace for trace in figures["failure"]["data"] if trace["name"].startswith("nodes")]
    drawn = {(trace["name"], x): y for trace in curves for x, y in zip(trace["x"], trace["y"], strict=True)}
    cells = [value for lane in figures["heat"]["data"][0]["z"] for value in lane]
    assert len(drawn) == len(rows) == len(cells)
    for row in rows:
        assert row.result is not None
        where = f"nodes {row.coordinates['nodes']}", row.coordinates["rate"]
        assert drawn[where] == row.result.block_failure.probability
    filters = [trace["meta"]["keys"] for trace in curves]
    assert filters == [[0], [1], [2], [3]]


def test_the_file_in_the_page_gives_the_same_points_again(tmp_path: Path) -> None:
    for name, more in (
        ("failure_curve", {}),
        ("fault_budget", {}),
        ("hardware_mix", {"flags": {"run.engine": ("", "montecarlo")}, "stopping": Stopping(max_failures=3)}),
    ):
        (tmp_path / name).mkdir()
        rows = swept(name, tmp_path / name, **more)
        file = tmp_path / name / "scenario.yaml"
        file.write_text(read(rows).marked["scenario"], encoding="utf-8")
        again = sweep(file, tmp_path / name / "again.db")
        for first, second in zip(rows, again, strict=True):
            assert first.scenario.scenario_id == second.scenario.scenario_id
            assert first.result is not None
            assert second.result is not None
            assert first.result.outcomes == second.result.outcomes


@pytest.mark.parametrize(
    "name", ["independent_replicas", "three_computers", "healed_partition", "spent_fault_budget", "measured/yours"]
)
def test_the_file_of_a_single_answer_gives_it_again(name: str, tmp_path: Path) -> None:
    scenario = load_scenario(SCENARIOS / f"{name}.yaml")
    result = run(scenario)
    file = tmp_path / "scenario.yaml"
    file.write_text(read([Row(0, {}, scenario, result)]).marked["scenario"], encoding="utf-8")
    again = load_scenario(file)
    assert again.scenario_id == scenario.scenario_id
    assert replace(run(again), engine_reason="") == replace(result, engine_reason="")


def test_where_files_are_needed_the_page_says_so(tmp_path: Path) -> None:
    graph = '<graphml><graph edgedefault="undirected">{}{}</graph></graphml>'
    nodes = "".join(f'<node id="{i}"/>' for i in range(7))
    edges = "".join(f'<edge source="{i}" target="{j}"/>' for i in range(7) for j in range(i))
    (tmp_path / "g.graphml").write_text(graph.format(nodes, edges))
    (tmp_path / "s.yaml").write_text((SCENARIOS / "healed_partition.yaml").read_text())
    overrides = ["network.topology={kind: graphml, file: g.graphml}", "run.blocks=2"]
    scenario = load_scenario(tmp_path / "s.yaml", overrides)
    html = page(Subject([Row(0, {}, scenario, run(scenario))], "0", []), PLOTLY)
    assert 'id="scenario"' not in html
    assert "and those that it names" in html


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    rows = swept("hardware_mix", tmp_path)
    html = page(Subject(hostile(rows), HOSTILE, [HOSTILE], notes=[HOSTILE]), PLOTLY)
    assert not [c for c in html if c != "\n" and not c.isprintable()]
    found, plain = Reader(html), read(rows)
    assert found.tags["script"] == plain.tags["script"] == 3
    assert not found.tags.keys() - plain.tags.keys() - {"p", "li", "ul", "pre"}
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]
    figures = json.loads(found.scripts[0])
    for text in _texts(figures):
        assert not re.search(r"<(?!/?b>|br>)", text), text
    assert "alert(1)" in "".join(_texts(figures))


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []


def test_the_page_loads_nothing_and_runs_only_its_own_scripts(tmp_path: Path) -> None:
    found = read(swept("hardware_mix", tmp_path))
    loaded = [value for _, name, value in found.attributes if name in {"src", "href"}]
    assert all(value.startswith("data:") for value in loaded)
    policy = next(value for tag, name, value in found.attributes if (tag, name) == ("meta", "content"))
    wanted = {f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in found.scripts[1:]}
    assert set(policy.split("script-src ")[1].split()) == wanted
    assert policy.startswith("default-src 'none'")


def test_a_large_sweep_stays_under_the_limit_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    first = next(row for row in swept("hardware_mix", tmp_path) if row.result and row.result.block_failure.probability)
    axes = [(x, y) for y in range(100) for x in range(300)]
    rows = [Row(i, {"x": 1.5 + x, "y": y}, first.scenario, first.result) for i, (x, y) in enumerate(axes)]
    script = "/" * 4_900_000
    html = page(Subject(rows, "0", []), script)
    assert len(html.encode()) < BYTES_MAX
    found = Reader(html)
    notes = re.findall(r"The first ([\d,]+) of 30,000 points", html)
    assert len(notes) == 1
    listed = sum(len(line) > 8 and line[-1] == first.scenario.scenario_id[:12] for line in found.table)
    assert f"{listed:,}" == notes[0]
    assert listed > 1_000
    assert "more points are not drawn" in html


def test_the_same_rows_give_the_same_page(tmp_path: Path) -> None:
    rows = swept("hardware_mix", tmp_path)
    assert page(Subject(rows, "0", []), PLOTLY) == page(Subject(rows, "0", []), PLOTLY)


def test_where_no_block_fails_there_is_a_table_and_no_curve(tmp_path: Path) -> None:
    rows = swept(
        "failure_curve",
        tmp_path,
        overrides=["nodes.gpu.executor={kind: cpu}", "sweep={n: {path: nodes.gpu.count, values: [4, 7]}}"],
    )
    found = read(rows)
    assert not found.scripts
    assert sum(line[-1] == rows[0].scenario.scenario_id[:12] for line in found.table) == 1


def test_simulated_points_without_failures_are_bounds(tmp_path: Path) -> None:
    rows = swept("hardware_mix", tmp_path, flags={"run.engine": ("", "montecarlo"), "run.blocks": ("", 100)})
    figure = next(each for each in json.loads(read(rows).scripts[0]) if each["name"] == "failure")
    bounds = next(trace for trace in figure["data"] if trace["mode"] == "markers")
    unseen = [row.result.block_failure for row in rows if row.result and not row.result.block_failure.count]
    assert unseen
    assert sorted(bounds["y"]) == sorted(failure.high for failure in unseen)
    connected = [y for trace in figure["data"] if trace is not bounds for y in trace["y"]]
    assert connected.count(None) == len(unseen)
    assert set(connected) - {None} == {
        row.result.block_failure.probability for row in rows if row.result and row.result.block_failure.count
    }


def test_a_timed_run_shows_latency_messages_and_a_block() -> None:
    scenario = load_scenario(SCENARIOS / "healed_partition.yaml")
    result = run(scenario)
    assert result.timing is not None
    picture = block_chart(Row(0, {}, scenario, result))
    assert picture.caption.startswith(f"Block {result.timing.failed_blocks[0].height} of 200: no_quorum, by partition")
    html = page(Subject([Row(0, {}, scenario, result)], "0", [], chart=picture), PLOTLY)
    encoded = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', html)
    assert encoded is not None
    assert b"<svg" in base64.b64decode(encoded[1])


def test_latency_and_messages_over_an_axis(tmp_path: Path) -> None:
    rows = swept(
        "healed_partition",
        tmp_path,
        overrides=["run.blocks=3", "sweep={n: {path: nodes.validator.count, values: [7, 10, 13]}}"],
    )
    figures = {figure["name"]: figure for figure in json.loads(read(rows).scripts[0])}
    latency, messages = figures["latency"]["data"], figures["messages"]["data"]
    assert [trace["name"] for trace in latency] == ["p50", "p95", "p99"]
    for index, row in enumerate(rows):
        assert row.result is not None
        assert row.result.timing is not None
        assert row.result.timing.latency_s is not None
        assert messages[0]["y"][index] == row.result.timing.messages_per_block
        for trace in latency:
            assert trace["y"][index] == row.result.timing.latency_s[trace["name"]]


def test_the_block_that_is_drawn_is_one_that_failed(tmp_path: Path) -> None:
    sweep_of_loss = "sweep={loss: {path: network.loss, values: [0, 0.3]}}"
    rows = swept("healed_partition", tmp_path, overrides=["run.blocks=3", sweep_of_loss])
    chosen = telling(rows)
    assert chosen is rows[1]
    assert "no_quorum" in block_chart(chosen).caption
    assert "(loss 0.3)" in block_chart(chosen).caption
    assert telling(rows[:1]) is rows[0]
    assert telling(swept("hardware_mix", tmp_path)) is None
