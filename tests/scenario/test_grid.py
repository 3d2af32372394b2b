"""Grids: what is expanded, what is refused, and who is blamed."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import ScenarioError
from sim.base.document import parse_document
from sim.scenario.grid import Axis, Grid
from sim.scenario.load import load_grid

BASE = """
nodes:
  gpu: {count: 13, executor: {kind: gpu, nondeterminism: {rate: 1e-4}}}
"""
RATE = "nodes.gpu.executor.nondeterminism.rate"


def grid(sweep: str) -> Grid:
    return Grid(parse_document(f"{BASE}sweep:\n{sweep}", "f.yaml"))


def coordinates(sweep: str) -> list[dict[str, Any]]:
    return [point.coordinates for point in grid(sweep).points()]


def refused(sweep: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        list(grid(sweep).points())
    return str(caught.value).splitlines()


def test_axes_multiply_and_the_last_one_varies_fastest() -> None:
    found = coordinates(f"  n: {{path: nodes.gpu.count, values: [4, 13]}}\n  r: {{path: {RATE}, values: [0.1, 0.2]}}")
    assert found == [{"n": n, "r": r} for n, r in itertools.product([4, 13], [0.1, 0.2])]


def test_a_point_is_the_scenario_with_its_values_set() -> None:
    (point,) = grid(f"  r: {{paths: [{RATE}, run.seed], values: [0]}}").points()
    assert point.scenario.run.seed == 0
    assert not point.scenario.population.laws
    assert point.scenario.sweep is None


def test_zipped_axes_move_together_and_multiply_with_others() -> None:
    sweep = """  zip:
    a: {path: nodes.gpu.count, values: [4, 7]}
    b: {path: faults.byzantine, values: [1, 2]}
  q: {path: consensus.result, values: [certify, propose]}"""
    assert [(c["a"], c["b"], c["q"]) for c in coordinates(sweep)] == [
        (4, 1, "certify"),
        (4, 1, "propose"),
        (7, 2, "certify"),
        (7, 2, "propose"),
    ]


def test_a_list_has_explicit_points() -> None:
    sweep = "  list: [{nodes.gpu.count: 4}, {nodes.gpu.count: 9, consensus.quorum: 5}]"
    points = list(grid(sweep).points())
    assert [point.scenario.election.quorum for point in points] == [3, 5]
    assert points[1].coordinates == {"nodes.gpu.count": 9, "consensus.quorum": 5}


@pytest.mark.parametrize(
    ("axis", "values"),
    [
        ({"logspace": [1e-8, 1e-4], "points": 5}, [1e-8, 1e-7, 1e-6, 1e-5, 1e-4]),
        ({"linspace": [4, 40], "points": 4}, [4, 16, 28, 40]),
        ({"linspace": [0, 1], "points": 5}, [0, 0.25, 0.5, 0.75, 1]),
        ({"range": [1, 4]}, [1, 2, 3]),
        ({"range": [10, 0, -5]}, [10, 5]),
        ({"logspace": [1e-3, 1e-1], "points": 1}, [1e-3]),
        ({"values": ["1/3", None, 2]}, ["1/3", None, 2]),
    ],
)
def test_values_of_an_axis(axis: dict[str, Any], values: list[Any]) -> None:
    model = Axis.model_validate({"path": "x", **axis})
    assert list(model.settings()) == values
    assert len(model) == len(values)


@given(st.floats(1e-12, 1e12), st.floats(1e-12, 1e12), st.integers(2, 200))
def test_spaced_values_start_and_end_where_they_were_told(low: float, high: float, points: int) -> None:
    values = list(Axis.model_validate({"path": "x", "logspace": [low, high], "points": points}).settings())
    assert values[0] == pytest.approx(low, rel=1e-11)
    assert values[-1] == pytest.approx(high, rel=1e-11)
    steps = itertools.pairwise(values if low <= high else values[::-1])
    assert all(one <= other * (1 + 1e-11) for one, other in steps)  # they are rounded to twelve digits


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ("  r: {path: x}", "sweep.r: must have exactly one of values, logspace, linspace, range"),
        ("  r: {values: [1]}", "sweep.r: must have either path or paths"),
        ("  r: {path: x, values: []}", "sweep.r.values: must have at least 1 entries (got [])"),
        ("  r: {path: x, logspace: [1, 2]}", "sweep.r.points: is required with logspace and linspace"),
        ("  r: {path: x, logspace: [0, 2], points: 3}", "sweep.r.logspace.0: must be greater than 0 (got 0)"),
        ("  r: {path: x, range: [3, 1]}", "sweep.r.range: must have at least one value (got [3, 1])"),
        ("  r: {path: x, range: [1, 3, 0]}", "sweep.r.range: must have at least one value (got [1, 3, 0])"),
        ("  r: {path: x, vlaues: [1]}", "sweep.r.vlaues: unknown key, did you mean values?"),
        ("  list: [1]", "sweep.list: must be a list of mappings from path to value"),
        ("  zip: {}", "sweep.zip: must be a mapping from axis name to axis"),
        (
            "  zip: {a: {path: x, values: [1]}, b: {path: y, values: [1, 2]}}",
            "sweep.zip: must have axes of one length (has a 1, b 2)",
        ),
        (
            "  a: {path: x, range: [0, 2000]}\n  b: {path: y, range: [0, 2000]}",
            "sweep: must have at most 1,000,000 points (has 4,000,000)",
        ),
        (f"  r: {{path: {RATE}, values: [0.1, 0.7]}}", f"sweep.r: at r = 0.7: {RATE}: must be less than 0.5 (got 0.7)"),
        ("  r: {path: nodes.gpu.count.x, values: [1]}", "at r = 1: nodes.gpu.count.x: cannot be set"),
        ("  list: [{faults.byzantine: 14}]", "sweep.list: at faults.byzantine = 14: faults.byzantine: must be at most"),
    ],
)
def test_mistakes_name_the_axis_and_the_value(sweep: str, message: str) -> None:
    lines = refused(sweep)
    assert any(message in line for line in lines), lines
    assert all(line.startswith("f.yaml:") for line in lines), lines


def test_each_mistake_is_told_once_however_many_points_have_it() -> None:
    lines = refused(f"  n: {{path: nodes.gpu.count, values: [0, 4, 5, 6]}}\n  r: {{path: {RATE}, values: [0.1, 2]}}")
    assert len(lines) == 2


def test_a_mistake_of_the_scenario_itself_is_not_blamed_on_an_axis() -> None:
    text = f"{BASE}foo: 1\nsweep:\n  r: {{path: {RATE}, values: [0.1, 0.2]}}"
    with pytest.raises(ScenarioError) as caught:
        list(Grid(parse_document(text, "f.yaml")).points())
    (line,) = str(caught.value).splitlines()
    assert line.startswith("f.yaml:4:1: foo: unknown key")


def test_a_scenario_without_a_sweep_says_so(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(BASE)
    with pytest.raises(ScenarioError, match="sweep: must have at least one axis"):
        load_grid(tmp_path / "s.yaml")
