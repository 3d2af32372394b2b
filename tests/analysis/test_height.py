"""One height is read from a trace of any length, and nothing of it is believed unchecked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from timed import chain, of

from sim import ScenarioError, run
from sim.analysis.height import COPIES_MAX, read_height

LATENCY = {"latency": {"kind": "lognormal", "median": 0.05, "sigma": 0.4}}


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    path = tmp_path_factory.mktemp("trace") / "t.jsonl"
    faults = {"crashes": [{"nodes": {"a": [3]}, "at": 0.3, "until": 5.0}]}
    scenario = chain(4, law={"rate": 0.3}, consensus={"result": "propose"}, network=LATENCY, faults=faults)
    run(scenario, trace=path)
    return path.read_text().splitlines()


def written(folder: Path, lines: list[str]) -> Path:
    path = folder / "t.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("height", [1, 2, 3, 10])
def test_a_height_has_all_that_the_trace_tells_of_it(lines: list[str], height: int, tmp_path: Path) -> None:
    found = read_height(written(tmp_path, lines), height)
    plain = [json.loads(line) for line in lines]
    sends = of(plain, "send", height=height)
    assert [(flight.time, flight.sender, flight.kind) for flight in found.flights] == [
        (line["t"], line["node"], line["type"]) for line in sends
    ]
    assert [list(flight.copies) for flight in found.flights] == [
        list(zip(line["to"], line["at"], strict=True)) for line in sends
    ]
    for what in ("phase", "timeout", "executed", "decide"):
        wanted = [(line["t"], line["node"]) for line in of(plain, what, height=height)]
        assert [(moment.time, moment.node) for moment in found.moments if moment.what == what] == wanted
    (begun,), (over,) = of(plain, "height", height=height), of(plain, "over", height=height)
    assert (found.started, list(found.results)) == (begun["t"], begun["results"])
    assert found.ending is not None
    assert (found.ending.time, found.ending.outcome, found.ending.cause) == (
        over["t"],
        over["outcome"],
        over.get("cause", ""),
    )
    between = (
        lines.index(json.dumps(begun, separators=(",", ":"))),
        lines.index(json.dumps(over, separators=(",", ":"))),
    )
    others = [line for line in plain[between[0] : between[1]] if line["event"] == "send" and line["height"] != height]
    assert found.others == sum(len(line["to"]) for line in others)


def test_nodes_are_down_from_before_or_go_down_meanwhile(lines: list[str], tmp_path: Path) -> None:
    path = written(tmp_path, lines)
    heights = [read_height(path, height) for height in range(1, 11)]
    for found in heights:
        assert found.down == ({3} if 0.3 < found.started < 5.0 else set())
    (crashing,) = [found for found in heights if any(change.what == "crash" for change in found.changes)][-1:]
    assert crashing.started <= 0.3
    assert crashing.changes[0][:2] == (0.3, 3)


def test_a_height_that_is_missing_is_told_with_those_that_are_there(lines: list[str], tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"has no height 11: it has 1 to 10$"):
        read_height(written(tmp_path, lines), 11)
    few = [line for line in lines if '"height":5,' not in line and '"height":6,' not in line]
    with pytest.raises(ScenarioError, match=r"has no height 5: it has 1 to 4, 7 to 10$"):
        read_height(written(tmp_path, few), 5)
    with pytest.raises(ScenarioError, match=r"it has none$"):
        read_height(written(tmp_path, lines[:1]), 1)


def test_a_chain_that_stalls_says_so(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    run(chain(4, faults={"byzantine": 2}, run={"blocks": 50}), trace=path)
    with pytest.raises(ScenarioError, match="it has 1; from height 1 on all 50 fail"):
        read_height(path, 3)


def changed(lines: list[str], event: str, fields: dict[str, Any]) -> tuple[list[str], int]:
    """The lines, with one of height 2 changed, and its number; what is given as ... is taken away."""
    number = next(index for index, line in enumerate(lines) if f'"event":"{event}"' in line and '"height":2,' in line)
    plain = json.loads(lines[number]) | fields
    text = json.dumps({key: value for key, value in plain.items() if value is not ...})
    return [*lines[:number], text, *lines[number + 1 :]], number + 1


@pytest.mark.parametrize(
    ("event", "fields", "told"),
    [
        ("send", {"node": 4}, "node must be a whole number from 0 to 3 (got 4)"),
        ("send", {"node": ...}, "the line lacks 'node'"),
        ("send", {"node": True}, "node must be a whole number"),
        ("send", {"to": [0, 1]}, "to has 2 receivers, and at 3 times"),
        ("send", {"to": 3}, "a list of at most"),
        ("send", {"at": [1, 2, "x"]}, "a time must be a number of seconds"),
        ("send", {"t": -1}, "a time must be a number of seconds up to 1e+12 (got -1)"),
        ("send", {"t": float("nan")}, "a time must be a number of seconds"),
        ("send", {"type": "a\x1b[2J"}, "type must be a text of at most 40 characters that can be shown"),
        ("send", {"type": "a" * 41}, "type must be a text of at most 40 characters"),
        ("send", {"round": 1e99}, "round must be a whole number"),
        ("send", {"value": [1]}, "a value has proposer, round, variant and result"),
        ("send", {"event": "sned"}, "event 'sned' is unknown"),
        ("send", {"height": ...}, "the line lacks 'height'"),
        ("send", {"height": "2"}, "height must be a whole number"),
        ("phase", {"phase": 5}, "phase must be a text"),
        ("executed", {"results": [0] * 7}, "a list of at most 6 is expected"),
        ("height", {"results": [0]}, "results must have 4 numbers (has 1)"),
        ("height", {"leaders": [0, 9]}, "node must be a whole number from 0 to 3 (got 9)"),
        ("over", {"outcome": ""}, "outcome must be a text"),
    ],
)
def test_a_wrong_line_is_told_with_its_number(
    lines: list[str], event: str, fields: dict[str, Any], told: str, tmp_path: Path
) -> None:
    bad, number = changed(lines, event, fields)
    with pytest.raises(ScenarioError) as failure:
        read_height(written(tmp_path, bad), 2)
    (line,) = str(failure.value).splitlines()
    assert f"t.jsonl:{number}: is no trace of messages, as sim run --engine events --trace writes it: " in line
    assert told in line


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is no trace, as sim run --trace writes it: it does not begin as one"),
        ("{}", "it does not begin as one"),
        ("[1]", "the line is no JSON object"),
        ("nodes: {}", "the line is not JSON"),
        ("\x00\xff", "the line is not JSON"),
        ("[" * 100_000, "the line is"),
        ('{"trace":1,"engine":"montecarlo"}', "is no trace of messages, but of chains over time"),
        ('{"trace":1,"engine":"events","scenario":[],"name":"x"}', "its scenario is no mapping"),
        ('{"trace":1,"engine":"events"}', "the line lacks 'scenario'"),
    ],
)
def test_a_file_that_is_no_trace_is_told(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ScenarioError) as failure:
        read_height(path, 1)
    (line,) = str(failure.value).splitlines()
    assert told in line


def test_the_scenario_of_a_trace_is_checked_as_a_file_is(lines: list[str], tmp_path: Path) -> None:
    head = json.loads(lines[0])
    head["scenario"]["nodes"]["a"]["count"] = 0
    with pytest.raises(
        ScenarioError, match=r"t\.jsonl:1: nodes\.a\.count: in its scenario, must be at least 1 \(got 0"
    ):
        read_height(written(tmp_path, [json.dumps(head), *lines[1:]]), 1)
    head["scenario"]["nodes"]["a"]["count"] = 5
    head["version"] = "0.0.9"
    with pytest.raises(ScenarioError, match=r"was written by version 0\.0\.9") as failure:
        read_height(written(tmp_path, [json.dumps(head), *lines[1:]]), 1)
    assert "its scenario has another id than it says" in str(failure.value)


def test_lines_and_messages_are_bounded(lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert COPIES_MAX > 10_000
    path = written(tmp_path, lines)
    monkeypatch.setattr("sim.analysis.height.COPIES_MAX", 10)
    with pytest.raises(ScenarioError, match="height 2 has more messages than a picture can show"):
        read_height(path, 2)
    monkeypatch.setattr("sim.analysis.height.COPIES_MAX", 10_000)
    monkeypatch.setattr("sim.analysis.height.EVENTS_MAX", 8)
    with pytest.raises(ScenarioError, match="more happens than a picture can show"):
        read_height(path, 2)
    monkeypatch.setattr("sim.engines.tracereader.LINE_BYTES_MAX", 2_000)
    with pytest.raises(ScenarioError, match="the line is longer than 2,000 bytes"):
        read_height(written(tmp_path, [*lines[:3], " " * 3_000]), 2)
    with pytest.raises(ScenarioError, match="is not a regular file"):
        read_height(tmp_path, 2)
    with pytest.raises(ScenarioError, match="cannot be read: no such file"):
        read_height(tmp_path / "none", 2)
