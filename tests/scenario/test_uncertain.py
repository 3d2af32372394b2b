"""Parameter draws: their spread is that of the intervals, and they change nothing where they are not asked for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from sim.analysis.uncertainty import spread
from sim.base.errors import ScenarioError
from sim.cli import execute
from sim.scenario.load import load_grid, load_scenario, open_document, validated
from sim.scenario.uncertain import parameter_draws

LAW = "difficulty: beta, rate: 0.05, correlation: 0.3, alternatives: 0.2"
SPANS = "rate: [0.03, 0.1], correlation: [0.2, 0.5], alternatives: [0.1, 0.5]"
TEXT = "nodes:\n  gpu:\n    count: 7\n    executor: {{kind: gpu, nondeterminism: {{{law}}}}}\n"
UNCERTAIN = TEXT.format(law=f"{LAW}, intervals: {{{SPANS}}}")
PATH = "nodes.gpu.executor.nondeterminism"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(UNCERTAIN)
    Path("plain.yaml").write_text(TEXT.format(law=LAW))


def test_intervals_are_no_part_of_what_is_simulated() -> None:
    one, other = load_scenario("s.yaml"), load_scenario("plain.yaml")
    assert one.scenario_id == other.scenario_id
    assert one.population == other.population


def test_draws_have_the_intervals_that_were_given() -> None:
    draws = parameter_draws(load_scenario("s.yaml"), 4_000)
    for name, low, value, high in (
        ("rate", 0.03, 0.05, 0.1),
        ("correlation", 0.2, 0.3, 0.5),
        ("alternatives", 0.1, 0.2, 0.5),
    ):
        drawn = np.array([draw[f"{PATH}.{name}"] for draw in draws])
        for share, end in ((0.025, low), (0.5, value), (0.975, high)):
            assert np.quantile(drawn, share) == pytest.approx(end, rel=0.08), (name, share)


def test_the_seed_decides_the_draws() -> None:
    first, again = (parameter_draws(load_scenario("s.yaml"), 5) for _ in range(2))
    assert first == again
    assert parameter_draws(load_scenario("s.yaml", ["run.seed=2"]), 5) != first


def test_a_rate_of_zero_is_drawn_up_to_its_bound() -> None:
    law = "difficulty: near_tie, rate: 0, intervals: {rate: [0, 0.01], alternatives: [0, .inf]}"
    Path("s.yaml").write_text(TEXT.format(law=law))
    drawn = np.array([draw[f"{PATH}.rate"] for draw in parameter_draws(load_scenario("s.yaml"), 2_000)])
    assert drawn.min() >= 0
    assert 0.93 < (drawn < 0.01).mean() < 0.97


def test_a_run_carries_the_uncertainty_through() -> None:
    document, problems = open_document("s.yaml")
    scenario = validated(document, problems)
    found = spread(document.tree, scenario, 60)
    assert len(set(found.failures)) == 60
    assert found.quantile(0.025) < found.quantile(0.5) < found.quantile(0.975)
    narrow, problems = open_document("s.yaml", [f"{PATH}.intervals={{rate: [0.0499, 0.0501]}}"])
    less = spread(narrow.tree, validated(narrow, problems), 60)
    assert less.quantile(0.975) - less.quantile(0.025) < 0.05 * (found.quantile(0.975) - found.quantile(0.025))


def test_run_prints_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["run", "s.yaml", "--parameter-draws", "20", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)["parameter_draws"]
    assert told["draws"] == 20
    assert told["block_failure"]["low"] < told["block_failure"]["median"] < told["block_failure"]["high"]
    assert execute(["run", "s.yaml", "--parameter-draws", "20"]) == 0
    assert "over 20 parameter draws: block failure" in capsys.readouterr().out


def test_a_sweep_has_one_more_axis() -> None:
    Path("s.yaml").write_text(UNCERTAIN + "sweep:\n  n: {path: nodes.gpu.count, values: [4, 13]}\n")
    points = list(load_grid("s.yaml", draws=3).points())
    assert [point.coordinates for point in points] == [{"n": n, "draw": k} for n in (4, 13) for k in range(3)]
    assert len({point.scenario.scenario_id for point in points}) == 6


def test_an_axis_is_not_drawn() -> None:
    Path("s.yaml").write_text(UNCERTAIN + f"sweep:\n  r: {{path: {PATH}.rate, values: [0.01, 0.02]}}\n")
    for point in load_grid("s.yaml", draws=2).points():
        assert point.scenario.nodes["gpu"].executor.law.rate == point.coordinates["r"]  # type: ignore[union-attr]


def test_without_intervals_there_is_nothing_to_draw(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ScenarioError, match="needs a group whose nondeterminism has intervals"):
        parameter_draws(load_scenario("plain.yaml"), 5)
    for number in ("0", "x", "1e9"):
        assert execute(["run", "s.yaml", "--parameter-draws", number]) == 2
        assert re.match(r"--parameter-draws: must be .*from 1 to 10,000", capsys.readouterr().err), number


def test_a_sweep_of_the_command_line_has_the_axis_too(capsys: pytest.CaptureFixture[str]) -> None:
    Path("s.yaml").write_text(UNCERTAIN + "sweep:\n  n: {path: nodes.gpu.count, values: [4, 13]}\n")
    assert execute(["sweep", "s.yaml", "--store", "s.db", "--parameter-draws", "2", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 4
