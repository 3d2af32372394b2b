"""Message charts: what they show is what the trace says, and what they leave out they say."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from timed import chain, of

from sim import Scenario, ScenarioError, run, save
from sim.analysis.height import Height, read_height
from sim.consensus.attackers import Answers
from sim.engines.events.ledger import Block
from sim.engines.events.trace import Trace
from sim.plotting.chart import ARROWS_MAX, HEADS_MAX, chart
from sim.plotting.chart_words import MESSAGES, ended, merged, named

LATENCY = {"latency": {"kind": "lognormal", "median": 0.05, "sigma": 0.4}}
HOSTILE = ("</script><script>", "$x$", "_hidden", "a & b", "-->", "%s {0}", "$\\frac{$")


def drawn(tmp_path: Path, n: int = 4, height: int = 1, **parts: Any) -> tuple[Height, Axes, list[dict[str, Any]]]:
    path = tmp_path / "t.jsonl"
    defaults: dict[str, Any] = {"network": LATENCY, "run": {"blocks": height + 3}}
    run(chain(n, **(defaults | parts)), trace=path)
    found = read_height(path, height)
    return found, chart(found), [json.loads(line) for line in path.read_text().splitlines()]


def texts(axes: Axes) -> list[str]:
    """Everything that is written on it."""
    legend = axes.get_legend()
    key = [text.get_text() for text in legend.get_texts()] if legend else []
    return [text.get_text() for text in axes.texts] + key + [axes.get_title(loc="left")]


def arrows(axes: Axes) -> int:
    lines = sum(len(one.get_segments()) for one in axes.collections if isinstance(one, LineCollection))
    return lines + sum(getattr(text, "arrow_patch", None) is not None for text in axes.texts)


def markers(axes: Axes, symbol: str) -> list[Any]:
    return [line for line in axes.lines if line.get_marker() == symbol]


@pytest.mark.parametrize("protocol", ["pbft", "tendermint"])
@pytest.mark.parametrize("n", [4, 13])
def test_every_message_is_an_arrow_and_every_type_has_its_line(protocol: str, n: int, tmp_path: Path) -> None:
    found, axes, lines = drawn(tmp_path, n, consensus={"protocol": protocol})
    copies: dict[str, int] = {}
    for line in of(lines, "send", height=1):
        copies[line["type"]] = copies.get(line["type"], 0) + len(line["to"])
    assert arrows(axes) == sum(copies.values())
    said = texts(axes)
    for kind, number in copies.items():
        assert f"{kind}  {number}" in said
    assert "Height 1: agreed" in said
    assert "over: agreed" in said
    assert said.count("certified A") == n
    assert f"round 0: leader {found.leaders[0]}" in said
    assert any("arrow heads are left out" in text.lower() for text in said) == (sum(copies.values()) > HEADS_MAX)


def test_where_there_are_too_many_messages_it_is_said_how_many_are_drawn(tmp_path: Path) -> None:
    found, axes, _ = drawn(tmp_path, 31)
    total = sum(len(flight.copies) for flight in found.flights)
    assert arrows(axes) <= ARROWS_MAX < total
    (told,) = [text for text in texts(axes) if "arrows are drawn" in text]
    assert f"{arrows(axes):,} of {total:,} arrows are drawn" in told.replace("\n", " ")
    assert f"pre-prepare  {30}" in texts(axes)


def test_a_node_with_another_answer_is_seen(tmp_path: Path) -> None:
    parts: dict[str, Any] = {"law": {"rate": 0.3}, "consensus": {"result": "propose"}}
    height = next(line["height"] for line in of(drawn(tmp_path, 4, 10, **parts)[2], "over", outcome="no_quorum"))
    found = read_height(tmp_path / "t.jsonl", height)
    axes = chart(found)
    said = texts(axes)
    assert f"Height {height}: no quorum (divergence)" in said
    assert [said.count(letter) for letter in "AB"] == [found.results.count(0), found.results.count(1)]
    assert {"has answered A", "has answered B"} <= set(said)
    assert said.count("left") == 4
    assert "view timer  4" in said
    assert any(text.startswith("nothing for 3.") for text in said), "the wait for the timer is cut short"


def test_a_view_change_shows_its_timers_rounds_and_messages(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    run(chain(4, network=LATENCY, faults={"byzantine": 1}, run={"blocks": 20}), trace=path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    height = of(lines, "send", type="view-change")[0]["height"]
    found = read_height(path, height)
    axes = chart(found)
    said = texts(axes)
    assert {f"round 0: leader {found.leaders[0]}", f"round 1: leader {found.leaders[1]}"} <= set(said)
    assert found.leaders[0] == 3
    assert {"view-change  9", "new-view  3", "view timer  3", "node 3, Byzantine"} <= set(said)
    assert len(markers(axes, "x")) == 3


def test_an_equivocating_leader_sends_two_kinds_of_arrows(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    run(chain(7, network=LATENCY, faults={"byzantine": 2, "behaviour": "equivocate"}, run={"blocks": 20}), trace=path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    height = next(line["height"] for line in of(lines, "height") if line["leaders"][0] in {5, 6})
    found = read_height(path, height)
    said = texts(chart(found))
    leader = found.leaders[0]
    assert {f"about block of {leader}, a", f"about block of {leader}, b"} <= set(said)


def test_filled_symbols_are_phases_that_votes_led_to(tmp_path: Path) -> None:
    """A polka leads to precommit; a timer, to the same phase, does not fill it."""
    faults = {"byzantine": 1, "behaviour": "equivocate"}
    _, axes, lines = drawn(tmp_path, 4, 5, consensus={"protocol": "tendermint"}, faults=faults)
    expired = {(line["t"], line["node"]) for line in of(lines, "timeout", height=5)}
    entered = of(lines, "phase", height=5, phase="precommit")
    assert expired & {(line["t"], line["node"]) for line in entered}
    filled = [line for line in markers(axes, "D") if line.get_markerfacecolor() != "white"]
    assert len(markers(axes, "D")) == len(entered)
    assert len(filled) == sum((line["t"], line["node"]) not in expired for line in entered)


def test_a_node_that_is_down_has_no_line_meanwhile(tmp_path: Path) -> None:
    crashes = {"crashes": [{"nodes": {"a": [2]}, "at": 0.1, "until": 30.0}]}
    _, axes, _ = drawn(tmp_path, 4, faults=crashes)
    assert "  down" in texts(axes)
    lifelines = [np.array(line.get_xydata()) for line in axes.lines if line.get_linewidth() == 0.7]
    (mine,) = [points for points in lifelines if list(points[:, 1]) == [-2, -2]]
    assert mine[1, 0] == pytest.approx(0.1)


def test_messages_that_are_held_up_are_said_and_not_drawn(tmp_path: Path) -> None:
    split = {"latency": 0.1, "partitions": [{"start": 0.0, "end": 500.0, "apart": [{"a": [3]}]}]}
    found, axes, _ = drawn(tmp_path, 4, network=split, faults={"byzantine": 1})
    late = sum(at > 400 for flight in found.flights for _, at in flight.copies)
    assert late
    assert any(f"{late} messages that arrive after the end" in text.replace("\n", " ") for text in texts(axes))
    assert arrows(axes) == sum(len(flight.copies) for flight in found.flights) - late


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_drawn_as_they_are_and_escaped(name: str, tmp_path: Path) -> None:
    path, picture = tmp_path / "t.jsonl", tmp_path / "c.svg"
    scenario = chain(4, network=LATENCY)
    run(scenario.model_copy(update={"name": name}), trace=path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        for key in ("type", "phase", "timer"):
            if line.get(key) in {"prepare", "prepared"}:
                line[key] = name
        if line.get("event") == "over":
            line["outcome"] = name
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    axes = chart(read_height(path, 1))
    assert f"{name}  9" in texts(axes)
    assert name in texts(axes), "the phase, in the key"
    assert axes.get_title(loc="left") == f"Height 1: {name.replace('_', ' ')}"
    save(axes, picture)
    save(axes, picture.with_suffix(".png"))
    save(axes, picture.with_suffix(".pdf"))
    assert not [one for one in ET.parse(picture).iter() if one.tag.endswith("script")]  # noqa: S314 -- our own file
    assert "<script" not in picture.read_text()


def test_names_of_groups_are_drawn_as_they_are_and_escaped(tmp_path: Path) -> None:
    path, picture = tmp_path / "t.jsonl", tmp_path / "c.svg"
    name = "<b>&\"'$x$"
    document = chain(4, network=LATENCY).model_dump(exclude_none=True)
    document["nodes"] |= {name: document["nodes"]["a"]}
    run(Scenario.model_validate(document), trace=path)
    axes = chart(read_height(path, 1))
    assert sum(text.startswith(f"{name} ") for text in texts(axes)) == 4
    save(axes, picture)
    ET.parse(picture)  # noqa: S314 -- our own file
    assert "<b>" not in picture.read_text()


def test_a_protocol_that_nobody_knows_is_drawn_from_its_trace(tmp_path: Path) -> None:
    """Its messages, phases and timers have names of their own, and blocks name their parents."""
    path, kinds = tmp_path / "t.jsonl", [f"echo {index}" for index in range(len(MESSAGES) + 2)]
    scenario = chain(4, network=LATENCY, consensus={"protocol": "hotstuff"})
    stream = io.StringIO()
    trace = Trace(stream, scenario)
    trace.block(0.0, Block(1, (2, 0, 1, 3), Answers((0, 0, 1, -1), (2, 1), (2, 1)), 0.0))
    lines = [
        {"t": 0.1 * index, "event": "send", "node": index % 4, "height": 1, "round": index, "type": kind}
        | {"value": [index % 4, index, 0, None, [0, 0]], "to": [(index + 1) % 4], "at": [0.1 * index + 0.08]}
        for index, kind in enumerate(kinds)
    ]
    lines.append({"t": 0.15, "event": "phase", "node": 1, "height": 1, "round": 0, "phase": "dozing"})
    lines.append({"t": 0.25, "event": "phase", "node": 1, "height": 1, "round": 0, "phase": "dreaming"})
    lines.append({"t": 0.35, "event": "timeout", "node": 1, "height": 1, "round": 0, "timer": "alarm"})
    path.write_text(stream.getvalue() + "".join(json.dumps(line) + "\n" for line in lines))
    axes = chart(read_height(path, 1))
    said = texts(axes)
    assert {f"{kind}  1" for kind in kinds} <= set(said)
    assert {"alarm timer  1", "dreaming", "Height 1: the trace ends before it does"} <= set(said)
    assert arrows(axes) == len(kinds)
    labels = {text.get_text(): text.get_color() for text in axes.texts}
    assert len({labels[f"{kind}  1"] for kind in kinds}) == len(MESSAGES)
    assert any(f"ypes of messages share {len(MESSAGES)} colours" in text.replace("\n", " ") for text in said)


def test_a_node_whose_answer_lost_is_away(tmp_path: Path) -> None:
    parts: dict[str, Any] = {"law": {"rate": 0.15}, "recovery": {"blocks": 3}, "run": {"blocks": 50}}
    found, _, lines = drawn(tmp_path, 7, 1, **parts)
    (halt,) = of(lines, "halt")
    found = read_height(tmp_path / "t.jsonl", halt["height"])
    assert found.ending is not None
    assert set(found.down.values()) == {"diverge"}
    said = texts(chart(found))
    assert said.count("  away") == len(found.down)
    assert "away: an answer of its own lost" in said
    assert f"Height {halt['height']}: no quorum ({found.ending.cause}); the chain halts ({halt['cause']})" in said


def test_a_state_that_is_fetched_after_the_end_does_not_stretch_the_picture(tmp_path: Path) -> None:
    recovery = {"seconds": 1.0, "state_bytes": 1_000_000}
    _, _, lines = drawn(tmp_path, 7, 1, law={"rate": 0.15}, recovery=recovery)
    height = of(lines, "send", type="state")[0]["height"]
    found = read_height(tmp_path / "t.jsonl", height)
    axes = chart(found)
    assert found.ending is not None
    after = sum(at > found.started + axes.get_xlim()[1] for flight in found.flights for _, at in flight.copies)
    assert after > 40
    assert any(f"{after} messages that arrive after the end" in text.replace("\n", " ") for text in texts(axes))
    assert axes.get_xlim()[1] < 2 * (found.ending.time - found.started)


def test_where_most_messages_are_held_up_beyond_the_end_the_picture_ends_before_they_arrive(tmp_path: Path) -> None:
    split = {"latency": 0.1, "partitions": [{"start": 0.0, "end": 90.0, "apart": [{"a": 3}]}]}
    found, axes, _ = drawn(tmp_path, 7, 1, network=split, consensus={"result": "propose"})
    assert found.ending is not None
    assert sum(at > 80 for flight in found.flights for _, at in flight.copies) > len(found.flights)
    assert axes.get_xlim()[1] < 2 * (found.ending.time - found.started)


def test_many_rounds_are_named_in_two_rows_or_said_to_be_without_names(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    run(chain(4, network=LATENCY, run={"blocks": 1}), trace=path)
    with path.open("a") as file:
        for index in range(9):
            phase = {"t": 0.001 * index, "event": "phase", "node": 1, "height": 1, "round": index, "phase": "prepared"}
            file.write(json.dumps(phase) + "\n")
    said = texts(chart(read_height(path, 1)))
    assert [text for text in said if text.startswith("round ")] == ["round 0: leader 3", "round 1: leader 0"]
    assert any("7 rounds are not named" in text.replace("\n", " ") for text in said)


def test_what_is_too_much_for_a_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    run(chain(65, run={"blocks": 1}), trace=path)
    with pytest.raises(ScenarioError, match="a chart has at most 64 nodes"):
        chart(read_height(path, 1))
    run(chain(4, run={"blocks": 1}), trace=path)
    line = path.read_text().splitlines()[-2]
    assert '"height":1' in line
    timer = {"t": 0.2, "event": "timeout", "node": 1, "height": 1, "round": 0}
    with path.open("a") as file:
        file.writelines(json.dumps(timer | {"timer": f"t{index}"}) + "\n" for index in range(30))
    with pytest.raises(ScenarioError, match="at most 24 types of messages and timers"):
        chart(read_height(path, 1))


def test_the_same_trace_gives_the_same_picture_on_axes_of_ones_own(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    found, axes, _ = drawn(tmp_path)
    pictures = [tmp_path / f"{number}.svg" for number in range(2)]
    for picture in pictures:
        save(chart(found), picture)
    assert pictures[0].read_bytes() == pictures[1].read_bytes()
    mine = Figure().subplots()
    assert chart(found, mine) is mine
    assert arrows(mine) == arrows(axes)


def test_words() -> None:
    assert named(1, ()) == "answer B"
    assert named(-3, ()) == "a forged answer"
    assert named((2, 0, 0, 1), [(2, 0, 0, 1)]) == "answer B"
    assert named((2, 0, 0, None), [(2, 0, 0, None), (2, 0, 1, None)]) == "block of 2, a"
    assert named((2, 3, 0, None), []) == "block of 2, round 3"
    assert merged([(3, 4), (0, 1), (0.5, 2)]) == [(0, 2), (3, 4)]
    assert ended([], {})[0] == ""
