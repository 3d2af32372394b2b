"""What the README says is what the program does."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from shown import blocks, check_console

from sim import load_scenario, run
from sim.base.document import parse_document
from sim.cli import execute
from sim.scenario.load import validated

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go to a folder with the scenarios, and with files as a reader would have them."""
    monkeypatch.chdir(folder)
    Path("scenarios").symlink_to(ROOT / "scenarios")
    for name in ("runs", "smollm2_bf16"):
        Path(f"{name}.jsonl.gz").symlink_to(ROOT / "scenarios" / "measured" / "smollm2_bf16.jsonl.gz")
    Path("counts.csv").write_text("task,class_sizes\nnavigate,7;2;1\nnavigate,10\nother,5;5\n")


@pytest.mark.parametrize("block", blocks(README, "console"))
def test_commands_print_what_the_readme_shows(
    block: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands of a block are run one after the other; what they write is written elsewhere."""
    elsewhere(tmp_path, monkeypatch)
    check_console(block, lambda: capsys.readouterr().out)


LINES = [line for language in ("sh", "bash") for block in blocks(README, language) for line in block.splitlines()]


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("sim ") and "smollm2_prompts" not in line])
def test_a_command_that_is_shown_runs(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere(tmp_path, monkeypatch)
    program, *arguments = shlex.split(line, comments=True)
    if "sync.jsonl" in arguments[1:2]:
        made = ["run", "scenarios/over_time/state_sync_network.yaml", "--blocks", "50", "--trace", "sync.jsonl"]
        assert execute(made) == 0
    assert (program, execute(arguments)) == ("sim", 0)


@pytest.mark.parametrize("block", blocks(README, "python"))
def test_the_python_that_is_shown_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere(tmp_path, monkeypatch)
    exec(compile(block, "README.md", "exec"), {})  # noqa: S102 -- our own README
    assert Path("map.svg").is_file()


def test_the_main_job_runs_the_two_examples() -> None:
    line = next(line for line in README.splitlines() if line.endswith("ninety_nine_ninety_nine.yaml"))
    commands = [part.split() for part in line.split(" && ")[2:]]
    assert [command[1] for command in commands] == ["sweep", "run", "run"]
    for program, _, scenario, *_ in commands:
        assert program == ".venv/bin/sim"
        assert (ROOT / scenario).is_file()


def test_the_yaml_shown_is_a_valid_scenario() -> None:
    whole, parts, named = blocks(README, "yaml")
    assert validated(parse_document(whole, "README.md")).node_count == 13
    nodes = "nodes: {gpu: {count: 13, executor: {kind: cpu}}}\nrun: {blocks: 20}\n"
    timed = validated(parse_document(nodes + parts, "README.md"))
    assert timed.network is not None
    assert run(timed).engine == "events"
    proved = validated(parse_document(named, "README.md"))
    assert (proved.node_count, run(proved).block_failure.probability) == (13, 0)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("independent_replicas", "1.29e-17"),
        ("ninety_nine_ninety_nine", "9.73e-05"),
        ("leader_proposes", "1.50e-04"),
        ("mixed_hardware", "1.41e-04"),
    ],
)
def test_the_table_is_what_the_scenarios_give(name: str, written: str) -> None:
    failure = run(load_scenario(ROOT / "scenarios" / f"{name}.yaml")).block_failure.probability
    assert f"{failure:.2e}" == written
    assert f"| {written} |" in README


def test_every_scenario_is_listed() -> None:
    for path in (ROOT / "scenarios").glob("*.yaml"):
        assert f"`{path.stem}`" in README
