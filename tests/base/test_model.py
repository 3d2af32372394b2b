"""Models tell every mistake at once, and plug-ins are loaded only for their names."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from pydantic import ValidationError

from sim import Gpu, Independent, NearTie, Scenario, run
from sim.base.model import problems_of
from sim.inference.difficulty import DIFFICULTIES
from sim.inference.difficulty.base import Difficulty

if TYPE_CHECKING:
    from sim.inference.difficulty.base import Floats


class Steady(Difficulty):
    """A difficulty of another package: a constant chance."""

    difficulty: Literal["steady"] = "steady"

    def deviation_probability(self, hardness: Floats) -> Floats:
        """The rate."""
        return np.full(np.shape(hardness), self.rate)

    def edges(self, resolution: float) -> Floats:
        """None."""
        return np.empty(int(resolution * 0))


def told(model: type[Any], data: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(data)
    return [str(problem) for problem in problems_of(caught.value)]


def test_a_clash_is_told_together_with_a_mistake_of_another_field() -> None:
    problems = told(NearTie, {"rate": 2, "shared_noise": 0.5, "alternatives": 1, "extra": 0})
    assert len(problems) == 3
    assert any(line.startswith("rate: must be less than 0.5") for line in problems)
    assert any(line.startswith("alternatives: must be 0 where shared_noise") for line in problems)
    assert any(line.startswith("extra: unknown key") for line in problems)


def test_good_groups_are_checked_against_one_another_though_another_is_bad() -> None:
    law = {"rate": 0.1}
    groups = {
        "a": {"count": 3, "executor": {"kind": "gpu", "nondeterminism": law}},
        "b": {"count": 3, "executor": {"kind": "gpu", "nondeterminism": {**law, "alternatives": 2}}},
        "bad": {"count": 0, "executor": {"kind": "cpu"}},
    }
    problems = told(Scenario, {"nodes": groups})
    assert problems[0].startswith("nodes.bad.count: must be at least 1")
    assert problems[1].startswith("nodes.b.executor.nondeterminism.alternatives: must be the same")


def test_models_are_frozen() -> None:
    with pytest.raises(ValidationError):
        NearTie(rate=0.1).rate = 0.2  # type: ignore[misc]


def test_a_plug_in_is_loaded_for_its_name_only(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def points(*, group: str) -> list[EntryPoint]:
        looked.append(group)
        return [EntryPoint("steady", f"{__name__}:Steady", group)]

    monkeypatch.setitem(sys.modules, __name__, sys.modules[Steady.__module__])
    monkeypatch.setattr("sim.base.registry.entry_points", points)
    assert isinstance(DIFFICULTIES.validate({"rate": 0.1}), NearTie)
    assert not looked
    executor = {"kind": "gpu", "nondeterminism": {"difficulty": "steady", "rate": 0.3, "alternatives": 0}}
    scenario = Scenario.model_validate({"nodes": {"g": {"count": 4, "executor": executor}}})
    assert looked == ["sim.difficulty"]
    alike = Scenario.model_validate(
        {"nodes": {"g": {"count": 4, "executor": Gpu(nondeterminism=Independent(rate=0.3, alternatives=0))}}}
    )
    assert run(scenario).block_failure == run(alike).block_failure
    assert Scenario.model_validate(scenario.model_dump(mode="json")).scenario_id == scenario.scenario_id
    DIFFICULTIES._loaded.pop("steady")
