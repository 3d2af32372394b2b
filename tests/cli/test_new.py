"""`sim new` writes a scenario that runs, in which every part is there, and overwrites nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sim import Scenario, load_scenario
from sim.base.document import parse_document
from sim.cli import execute
from sim.cli.new import MARK, TEMPLATE
from sim.scenario.load import validated

OFFERED = [line for line in TEMPLATE.splitlines() if line.startswith(MARK)]
NOT_SHOWN = {"verification", "platform", "max_retries"}
"""Keys of a scenario that a newcomer does not need."""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_it_runs_and_sweeps_and_says_what_is_next(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["new", "a folder/chain.yaml"]) == 0
    assert capsys.readouterr().out == "wrote 'a folder/chain.yaml'\nnext: sim run 'a folder/chain.yaml'\n"
    assert execute(["run", "a folder/chain.yaml"]) == 0
    assert "one block in 10,273" in capsys.readouterr().out
    assert execute(["sweep", "a folder/chain.yaml"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 15
    assert "#   sim run 'a folder/chain.yaml'" in Path("a folder/chain.yaml").read_text(encoding="utf-8")


def test_what_exists_is_left_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.yaml").write_text("mine", encoding="utf-8")
    Path("dangling.yaml").symlink_to("nowhere.yaml")
    for name in ("mine.yaml", "dangling.yaml"):
        assert execute(["new", name]) == 2
        assert capsys.readouterr().err == f"{name}: exists already, and is left as it is: choose another name\n"
    assert Path("mine.yaml").read_text(encoding="utf-8") == "mine"
    assert not Path("nowhere.yaml").exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("chain", "must end in .yaml"),
        ("mine.yaml/chain.yaml", "cannot be written: "),
        ("a\0b.yaml", "cannot be written: "),
        ("x" * 300 + ".yaml", "cannot be written: file name too long"),
    ],
)
def test_a_place_that_cannot_be_written_is_one_line(name: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.yaml").write_text("mine", encoding="utf-8")
    assert execute(["new", name]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert line.isprintable()


def test_every_key_of_a_scenario_is_there_or_offered() -> None:
    shown = set(re.findall(rf"^(?:{MARK})?(\w+):", TEMPLATE, re.MULTILINE))
    assert shown == set(Scenario.model_fields) - NOT_SHOWN


@pytest.mark.parametrize("line", OFFERED)
def test_every_part_that_is_offered_is_valid_in_its_place(line: str) -> None:
    taken = TEMPLATE.replace(line, line.removeprefix(MARK))
    scenario = validated(parse_document(taken, "x.yaml"))
    assert scenario.scenario_id != validated(parse_document(TEMPLATE, "x.yaml")).scenario_id


def test_all_parts_together_are_valid() -> None:
    text = re.sub(rf"^{MARK}", "", TEMPLATE, flags=re.MULTILINE)
    assert validated(parse_document(text, "x.yaml")).network is not None


def test_a_name_cannot_end_the_comment() -> None:
    assert execute(["new", "a\nnodes: x.yaml"]) == 0
    assert load_scenario("a\nnodes: x.yaml").node_count == 13


def test_every_choice_named_in_a_comment_exists() -> None:
    from typing import get_args

    from sim.consensus.faults import Behaviour
    from sim.consensus.protocols import PROTOCOLS

    behaviours = re.search(r"behaviour: (\w+) +# (.*)", TEMPLATE)
    protocols = re.search(r"protocol: (\w+) +# (.*); it matters", TEMPLATE)
    assert behaviours is not None
    assert protocols is not None
    assert {behaviours[1], *behaviours[2].split(", ")} == set(get_args(Behaviour))
    assert {protocols[1], *protocols[2].split(", ")} == set(PROTOCOLS.builtin)
