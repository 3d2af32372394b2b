"""The example of one's own protocol: built as a package, found through its entry point, run and explored."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from chains import explored
from packages import EXAMPLES, installed, unpacked

from sim import load_scenario, run
from sim.analysis.explorer.explore import Search, explore
from sim.cli import execute

ROOT = Path(__file__).parents[1]
EXAMPLE = EXAMPLES / "one_vote"
README = (ROOT / "README.md").read_text()
SCENARIO = str(ROOT / "scenarios" / "safety_check.yaml")
MINE = ["--set", "consensus.protocol=one_vote"]
FORGETFUL = ["--set", "consensus.protocol=forgetful"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked("one_vote", tmp_path_factory.mktemp("one_vote"))


@pytest.fixture
def package(wheel: Path) -> Iterator[None]:
    with installed(wheel):
        yield


def test_the_example_has_under_a_hundred_lines() -> None:
    assert len((EXAMPLE / "one_vote.py").read_text().splitlines()) < 100


def test_it_is_not_there_before_it_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["check", SCENARIO, *MINE]) == 2
    assert "consensus.protocol: must be one of pbft, tendermint" in capsys.readouterr().err


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("result", ["certify", "propose"])
@pytest.mark.parametrize("n", [4, 7])
def test_no_schedule_breaks_it_and_all_that_can_happen_does(n: int, result: str) -> None:
    found = explore(Search(explored("one_vote", n, result)), 300)
    assert found.counterexample is None
    assert not found.missing


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("n", [4, 7])
def test_the_broken_variant_is_found(n: int) -> None:
    found = explore(Search(explored("forgetful", n), kind="targeted"), 500).counterexample
    assert found is not None
    assert found.violation.invariant == "agreement"


@pytest.mark.usefixtures("package")
def test_it_decides_every_block_in_simulated_time() -> None:
    answered = run(load_scenario(SCENARIO, ["consensus.protocol=one_vote", "run.blocks=20"]))
    assert answered.engine == "events"
    assert answered.outcomes["agreed"].count == 20


@pytest.mark.usefixtures("package")
def test_the_commands_know_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert execute(["protocols"]) == 0
    assert re.search(r"^one_vote +One vote a height", capsys.readouterr().out, re.MULTILINE)
    assert execute(["protocols", "one_vote", "-o", str(tmp_path / "phases.svg")]) == 0
    assert "has voted" in (tmp_path / "phases.svg").read_text()
    capsys.readouterr()
    printed = []
    for workers in ("1", "2"):  # which find the package, too
        assert execute(["check", SCENARIO, *FORGETFUL, "--schedules", "100", "--workers", workers]) == 3
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert "Schedule 43 breaks agreement at height 1" in printed[0]


@pytest.mark.usefixtures("package")
def test_the_readme_shows_what_is_found_and_what_the_package_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = re.search(r"^```text\n\$ sim (.*)\n\.\.\.\n((?:.*\n)*?)```", README, re.MULTILINE)
    assert shown is not None
    monkeypatch.chdir(ROOT)
    assert execute(shown[1].split()) == 3
    out = capsys.readouterr().out
    assert out[out.index("Schedule ") :] == shown[2]
    (point,) = re.findall(r"^```toml\n((?:.*\n)*?)```", README, re.MULTILINE)
    assert point in (EXAMPLE / "pyproject.toml").read_text()
