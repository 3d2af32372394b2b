"""Classes are loaded by name; another package's are loaded for their name only, and work like built-in ones."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sim import Scenario, run
from sim.base.model import problems_of
from sim.base.registry import Registry
from sim.cli import execute
from sim.inference.difficulty import DIFFICULTIES
from sim.inference.difficulty.near_tie import NearTie

MODULE = "splitquorum_steps_plugin"
PLUGIN = """
from typing import Annotated, Literal
import numpy as np
from pydantic import Field
from sim.inference.difficulty.base import Difficulty

class Step(Difficulty):
    difficulty: Literal["step"] = "step"
    share: Annotated[float, Field(gt=0, le=1)]

    def deviation_probability(self, hardness):
        return np.where(np.asarray(hardness) < self.share, self.rate / self.share, 0.0)

    def edges(self, resolution):
        return np.array([self.share])
"""
ENTRY_POINTS = f"[sim.difficulty]\nstep = {MODULE}:Step\nnear_tie = {MODULE}:Step\n"


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a package that adds a difficulty `step`, and tries to replace `near_tie`."""
    info = tmp_path / "splitquorum_steps-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: splitquorum-steps\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")
    (tmp_path / f"{MODULE}.py").write_text(PLUGIN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop(MODULE, None)
    DIFFICULTIES._loaded.pop("step", None)


def scenario(**law: Any) -> Scenario:
    executor = {"kind": "gpu", "nondeterminism": law}
    return Scenario.model_validate({"nodes": {"a": {"count": 7, "executor": executor}}})


@pytest.mark.usefixtures("plugin")
def test_a_plug_in_is_loaded_for_its_name_only() -> None:
    run(scenario(difficulty="near_tie", rate=0.1))
    assert MODULE not in sys.modules
    scenario(difficulty="step", rate=0.1, share=0.5)
    assert MODULE in sys.modules


@pytest.mark.usefixtures("plugin")
def test_a_plug_in_cannot_replace_what_is_built_in() -> None:
    group = scenario(difficulty="near_tie", rate=0.1).nodes["a"]
    assert isinstance(group.executor.nondeterminism, NearTie)  # type: ignore[union-attr]
    assert DIFFICULTIES.names() == ["independent", "near_tie", "beta", "zero_inflated", "empirical", "step"]


@pytest.mark.usefixtures("plugin")
def test_a_plug_in_works_in_a_scenario_with_both_engines() -> None:
    """A step of width s: a share s of the blocks is hard, and in these each node deviates with rate / s."""
    steps = scenario(difficulty="step", rate=0.1, share=0.25)
    expected = 0.25 * sum(_binomial(7, deviating, 0.4) for deviating in (3, 4))  # quorum 5; alternatives 0: two answers
    exact = run(steps, engine="exact").block_failure
    assert exact.probability == pytest.approx(expected, rel=1e-12)
    counted = run(steps, engine="montecarlo", blocks=40_000).block_failure
    assert counted.low < expected < counted.high


@pytest.mark.usefixtures("plugin")
def test_all_the_fields_of_a_plug_in_are_part_of_the_id() -> None:
    ids = {scenario(difficulty="step", rate=0.1, share=share).scenario_id for share in (0.25, 0.5)}
    assert len(ids) == 2


@pytest.mark.usefixtures("plugin")
def test_mistakes_in_a_plug_in_are_told_like_any_other() -> None:
    with pytest.raises(ValidationError) as caught:
        scenario(difficulty="step", rate=2.0, shaer=1)
    at = "nodes.a.executor.nondeterminism"
    assert sorted(map(str, problems_of(caught.value))) == [
        f"{at}.rate: must be less than 1 (got 2.0)",
        f"{at}.shaer: unknown key, did you mean share?",
        f"{at}.share: is required",
    ]


@pytest.mark.usefixtures("plugin")
def test_a_plug_in_is_among_the_names_suggested() -> None:
    with pytest.raises(
        ValidationError,
        match="must be one of independent, near_tie, beta, zero_inflated, empirical, step; did you mean step",
    ):
        scenario(difficulty="stpe", rate=0.1)


def test_a_name_that_is_nowhere_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        DIFFICULTIES.load("step")


def test_without_a_group_no_package_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> object:
        pytest.fail("looked for entry points")

    monkeypatch.setattr("sim.base.registry.entry_points", refuse)
    registry = Registry("kind", {"path": "pathlib:Path"})
    assert registry.names() == ["path"]
    assert registry.load("path") is Path
    with pytest.raises(KeyError):
        registry.load("other")
    assert DIFFICULTIES.load("near_tie") is NearTie


@pytest.mark.parametrize("value", [None, 3, "near_tie", [1], Path()])
def test_what_is_no_mapping_is_refused(value: object) -> None:
    with pytest.raises(Exception, match="must be a mapping"):
        DIFFICULTIES.validate(value)


def test_an_instance_passes_as_it_is() -> None:
    law = NearTie(rate=0.1, alternatives=0)
    assert DIFFICULTIES.validate(law) is law


def _binomial(number: int, special: int, share: float) -> float:
    from math import comb

    return comb(number, special) * share**special * (1 - share) ** (number - special)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "import nothing_of_that_name",
            "cannot be loaded: ModuleNotFoundError: No module named 'nothing_of_that_name'",
        ),
        ("1 / 0", "cannot be loaded: ZeroDivisionError: division by zero"),
        ("Mine = 3", "is no class that derives from sim.consensus.protocols.machine:Machine"),
        ("class Mine: pass", "is no class that derives from sim.consensus.protocols.machine:Machine"),
        (
            "from sim.consensus.protocols.replica import Replica as Mine",
            "lacks _begin, _expired, _on_executed, _rearm, ballots, proposals, support, timeouts, transitions",
        ),
    ],
)
def test_a_protocol_that_cannot_be_used_is_refused_in_one_line(
    code: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    info = tmp_path / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[sim.protocols]\nmine = mine_of_a_test:Mine\n", encoding="utf-8")
    (tmp_path / "mine_of_a_test.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    scenario = str(Path(__file__).parents[2] / "scenarios" / "safety_check.yaml")
    for command in ("check", "run"):
        sys.modules.pop("mine_of_a_test", None)
        assert execute([command, scenario, "--set", "consensus.protocol=mine"]) == 2
        expected = f"protocol mine of an installed package (mine_of_a_test:Mine) {said}\n"
        assert capsys.readouterr().err == expected
    sys.modules.pop("mine_of_a_test", None)
