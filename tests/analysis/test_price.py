"""The price of a matching rule: both errors against closed forms, and what is told where there is none."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from sim import Scenario, ScenarioError, load_scenario, prices, run
from sim.analysis.price import Price, price_at
from sim.cli import execute
from sim.plotting.price import price_curve

PHI = stats.norm.cdf
TOLERANT = Path(__file__).parents[2] / "scenarios" / "tolerant"


def numeric(rule: dict[str, Any], count: int = 4, noise: str = "gaussian", **keys: Any) -> Scenario:
    executor = {"kind": "numeric", "node_noise": 1.0, "noise": noise}
    faults = {"behaviour": "collude", "shift": 1.0} | keys.pop("faults", {})
    consensus = {"matching": rule, "result": keys.pop("result", "propose")} | keys.pop("consensus", {})
    nodes = {"g": {"count": count, "executor": executor}}
    return Scenario.model_validate({"nodes": nodes, "consensus": consensus, "faults": faults} | keys)


def test_both_errors_have_closed_forms_where_four_nodes_need_three() -> None:
    """One attacker of four: two of three honest nodes must accept its number, and all three an honest one."""
    rows = prices(numeric({"kind": "tolerance"}), values=[2.0, 0.5, 8.0])
    assert [row.value for row in rows] == [0.5, 2.0, 8.0]
    for row in rows:
        inside = PHI(row.value - 1) - PHI(-row.value - 1)
        assert row.exact
        assert row.attackers == 1
        assert row.false_accept == pytest.approx(3 * inside**2 - 2 * inside**3, rel=1e-12)
        x = np.linspace(-10, 10, 20_001)
        both = (PHI(x + row.value) - PHI(x - row.value)) ** 2
        assert row.false_reject == pytest.approx(1 - np.trapezoid(both * stats.norm.pdf(x), x), abs=1e-9)


@pytest.mark.parametrize("kind", ["tolerance", "median"])
def test_simulated_prices_are_the_exact_ones(kind: str) -> None:
    """Whatever keeps a rule from having an exact law: here a voting power that changes nothing but the engine."""
    result = "propose" if kind == "tolerance" else "certify"
    exact = numeric({"kind": kind}, 13, result=result)
    plain = exact.model_dump(mode="json", exclude_none=True)
    plain["nodes"]["g"]["power"] = 2
    plain["consensus"]["quorum"] = 18  # of 26, as 9 of 13
    for value in (0.8, 1.5, 3.0):
        law = price_at(exact, "absolute", value)
        drawn = price_at(Scenario.model_validate(plain), "absolute", value, 40_000)
        assert law.exact
        assert not drawn.exact
        for key in ("false_accept", "false_reject"):
            low, high = getattr(drawn, f"{key}_low"), getattr(drawn, f"{key}_high")
            slack = high - low
            assert low - slack <= getattr(law, key) <= high + slack, (value, key)


@pytest.mark.parametrize("kind", ["tolerance", "median", "approximate"])
@pytest.mark.parametrize("noise", ["laplace", "uniform"])
@pytest.mark.parametrize("result", ["certify", "propose"])
def test_a_wider_bound_refuses_less_on_the_same_draws(kind: str, noise: str, result: str) -> None:
    rows = prices(numeric({"kind": kind}, 7, noise, result=result), values=[0.5, 1.0, 2.0, 4.0], blocks=4_000)
    assert [row.exact for row in rows] == [False] * 4
    if kind != "approximate":
        assert (np.diff([row.false_accept for row in rows]) >= 0).all()
    if result == "propose" or kind == "median":
        assert (np.diff([row.false_reject for row in rows]) <= 0).all()
    assert rows[0].false_reject > rows[-1].false_reject or rows[0].false_reject == 0


def test_a_median_takes_a_slant_only_where_honest_numbers_reach() -> None:
    rule = {"kind": "median", "absolute": 3.0}
    passed = [prices(numeric(rule, 13, result="certify", faults={"shift": shift}))[20] for shift in (0.5, 2.0, 8.0)]
    chances = [row.false_accept for row in passed]
    assert chances[0] > 0.3 > chances[1] > 1e-6 > chances[2] > 0
    tolerance = prices(numeric({"kind": "tolerance"}, 13, faults={"shift": 2.0}), values=[3.0])[0]
    assert tolerance.false_accept > 0.9 > chances[1]


def test_margins_accept_a_cheaper_model_only_with_a_gap() -> None:
    rows = prices(load_scenario(TOLERANT / "logit_margin.yaml"), values=[0, 2, 4])
    assert rows[0].false_accept == 0
    assert rows[0].false_reject == pytest.approx(0.0909094, rel=1e-6)
    assert rows[1].false_accept < rows[2].false_accept
    assert rows[1].false_reject > rows[2].false_reject


def test_where_nodes_are_too_many_to_tell_apart_cheaper_answers_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    one = load_scenario(TOLERANT / "logit_margin.yaml")
    law = price_at(one, "gap", 4.0)
    monkeypatch.setattr("sim.engines.margin_exact.TOLD_MAX", 5)
    drawn = price_at(one, "gap", 4.0, 20_000)
    assert law.exact
    assert not drawn.exact
    slack = drawn.false_accept_high - drawn.false_accept_low
    assert drawn.false_accept == pytest.approx(law.false_accept, abs=slack)
    assert drawn.false_reject == law.false_reject


def test_no_threshold_lets_honest_sentences_pass_and_not_the_attacker() -> None:
    rows = prices(load_scenario(TOLERANT / "three_computers_attacked.yaml"))
    assert {(row.false_accept, row.false_reject) for row in rows} == {(1.0, 0.0), (1.0, 1.0), (0.0, 1.0)}


@pytest.mark.parametrize("result", ["certify", "propose"])
@pytest.mark.parametrize("kind", ["tolerance", "median", "approximate"])
def test_recorded_numbers_have_a_price_too(kind: str, result: str) -> None:
    nodes = {"n": {"count": 4, "executor": {"kind": "recorded", "outputs": ["10", "10.1", "10.2", "0"]}}}
    faults = {"byzantine": 1, "behaviour": "collude", "answer": "10.15"}
    consensus = {"matching": {"kind": kind}, "result": result}
    one = Scenario.model_validate({"nodes": nodes, "consensus": consensus, "faults": faults})
    narrow, wide = prices(one, values=[0.001, 0.2])
    assert narrow.false_reject == 1
    assert wide.false_reject == 0
    lower = kind == "median" and result == "certify"  # the lower of 10.1 and 10.15, if they leave out no report
    assert wide.false_accept == (0 if lower else 1)


def test_an_answer_that_honest_nodes_give_too_is_no_false_accept() -> None:
    nodes = {"n": {"count": 4, "executor": {"kind": "recorded", "outputs": ["10", "10.1", "10.2", "0"]}}}
    faults = {"byzantine": 1, "behaviour": "collude", "answer": "10.1"}
    consensus = {"matching": {"kind": "tolerance"}}
    one = Scenario.model_validate({"nodes": nodes, "consensus": consensus, "faults": faults})
    assert prices(one, values=[0.2])[0].false_accept == 0


def test_defaults_lie_where_it_matters_whatever_the_scale() -> None:
    outputs = ["1000000", "1000500", "1000900", "0"]
    nodes = {"n": {"count": 4, "executor": {"kind": "recorded", "outputs": outputs}}}
    faults = {"byzantine": 1, "behaviour": "collude", "answer": "1002000"}
    one = Scenario.model_validate({"nodes": nodes, "consensus": {"matching": {"kind": "tolerance"}}, "faults": faults})
    found = prices(one)
    assert (found[0].false_reject, found[-1].false_reject) == (1, 0)
    assert (found[0].false_accept, found[-1].false_accept) == (0, 1)
    tiny = numeric({"kind": "tolerance", "relative": 1.0}, workload={"true_value": 1e-9})
    assert prices(tiny)[-1].value <= 1e6
    still = numeric({"kind": "tolerance"}, faults={"shift": 0.0})
    plain = still.model_dump(mode="json", exclude_none=True)
    plain["nodes"]["g"]["executor"]["node_noise"] = 0.0
    for result in ("propose", "certify"):
        plain["consensus"]["result"] = result
        same = prices(Scenario.model_validate(plain), values=[0.5, 0.5], blocks=100)
        assert [row.false_accept for row in same] == [0]  # honest nodes give it too


def test_a_single_text_and_a_hundred_have_prices() -> None:
    texts = [f"t{k}" for k in range(100)]
    cosines = [[1.0 if i == j else round(1 - abs(i - j) / 100, 4) for j in range(100)] for i in range(100)]
    nodes = {"n": {"count": 4, "executor": {"kind": "recorded", "outputs": ["t0", "t1", "t2", "?"]}}}
    faults = {"byzantine": 1, "behaviour": "collude", "answer": "t3"}
    rule = {"kind": "semantic", "threshold": 0.5, "texts": texts, "cosines": cosines}
    many = Scenario.model_validate({"nodes": nodes, "consensus": {"matching": rule}, "faults": faults})
    assert 100 < len(prices(many)) < 200
    rule = {"kind": "semantic", "threshold": 0.5, "texts": ["t0"], "cosines": [[1.0]]}
    alone = Scenario.model_validate({"nodes": nodes, "consensus": {"matching": rule}, "faults": faults})
    assert [row.value for row in prices(alone)] == [0.5]


def test_rounding_has_digits() -> None:
    rows = prices(numeric({"kind": "equivalence", "transform": "round", "digits": 0}), blocks=2_000)
    assert [row.value for row in rows] == [-1.0, 0.0, 1.0, 2.0, 3.0]
    assert rows[0].false_reject < rows[-1].false_reject == 1


def test_the_bound_that_is_given_moves_and_the_scale_is_that_of_the_noise() -> None:
    given = prices(numeric({"kind": "tolerance", "relative": 0.1}, workload={"true_value": 50}))
    assert {row.parameter for row in given} == {"relative"}
    assert given[0].value == pytest.approx(0.25 / 50)
    assert given[-1].value == pytest.approx(16 / 50)


@pytest.mark.parametrize(
    ("scenario", "told"),
    [
        (numeric({"kind": "exact"}), "consensus.matching: has no price: exact has no parameter"),
        (
            numeric({"kind": "tolerance"}, faults={"crashes": [{"nodes": {"g": 1}, "at": 1}]}),
            "faults: must be without crashes and delays for a price",
        ),
        (numeric({"kind": "tolerance"}, faults={"shift": None}), "faults.shift: is required for a price"),
    ],
)
def test_what_has_no_price_is_told(scenario: Scenario, told: str) -> None:
    with pytest.raises(ScenarioError, match=told):
        prices(scenario)


def test_what_cannot_move_is_told() -> None:
    one = numeric({"kind": "tolerance"})
    with pytest.raises(ScenarioError, match=r"consensus.matching.gap: is no parameter that moves; tolerance has abs"):
        prices(one, "gap")
    with pytest.raises(ScenarioError, match="must be at least 0"):
        prices(one, values=[-1.0])
    digits = numeric({"kind": "equivalence", "transform": "round", "digits": 0})
    with pytest.raises(ScenarioError, match="must be a whole number"):
        prices(digits, values=[0.5])
    assert math.isfinite(prices(one)[0].false_accept)


def test_the_oracle_does_what_its_comment_claims() -> None:
    path = TOLERANT / "price_oracle_median.yaml"
    outcomes = run(load_scenario(path)).outcomes
    assert outcomes["no_quorum"].probability == pytest.approx(0.2407, abs=5e-5)
    assert outcomes["wrong_result"].probability == 0
    row = prices(load_scenario(path), values=[1.0])[0]
    assert (row.false_reject, row.false_accept) == pytest.approx((1.996e-5, 1.602e-2), rel=1e-3)
    flags = ["consensus.matching.kind=tolerance", "consensus.result=propose"]
    assert prices(load_scenario(path, flags), values=[1.0])[0].false_accept > 0.999
    for written in ("24.1 % of the blocks", "2.00e-05 of the blocks", "1.60e-02"):
        assert written in " ".join(path.read_text().replace("#", "").split())


def test_the_margin_does_what_its_comment_claims() -> None:
    path = TOLERANT / "logit_margin.yaml"
    assert run(load_scenario(path)).outcomes["wrong_result"].probability == pytest.approx(1.1727e-2, rel=1e-3)
    none, row = prices(load_scenario(path), values=[0.0, 4.0])
    assert (row.false_accept, row.false_reject) == pytest.approx((3.811e-2, 4.300e-4), rel=1e-3)
    assert none.false_reject == pytest.approx(9.09e-2, rel=1e-3)
    for written in ("1.17e-02", "3.81e-02", "4.30e-04", "9.09e-02"):
        assert written in path.read_text()


def test_the_command_prints_draws_and_keeps_what_it_has_on_ctrl_c(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, picture = str(TOLERANT / "logit_margin.yaml"), tmp_path / "price.svg"
    assert execute(["compare", "--price", path, "--values", "0,4", "--plot", str(picture)]) == 0
    captured = capsys.readouterr()
    assert "gap  false accept         false reject" in captured.out
    assert "4    0.03811       exact  0.00043       exact" in captured.out
    assert "The larger of the two is least at gap 4: 0.0381." in captured.out
    assert picture.read_text().startswith("<?xml")
    assert execute(["compare", "--price", path, "--values", "0,4", "--format", "json"]) == 0
    saved = tmp_path / "price.json"
    saved.write_text(capsys.readouterr().out)
    assert [entry["value"] for entry in json.loads(saved.read_text())] == [0, 4]
    assert execute(["plot", str(saved), "--kind", "price", "-o", str(tmp_path / "again.svg")]) == 0
    assert execute(["plot", path, "--kind", "price", "-o", str(tmp_path / "whole.png")]) == 0
    capsys.readouterr()
    calls: list[float] = []

    def interrupted(scenario: Scenario, parameter: str, value: float, blocks: int) -> Price:
        if calls:
            raise KeyboardInterrupt
        calls.append(value)
        return price_at(scenario, parameter, value, blocks)

    monkeypatch.setattr("sim.analysis.price.price_at", interrupted)
    assert execute(["compare", "--price", path, "--values", "2,4", "--format", "json"]) == 130
    captured = capsys.readouterr()
    assert [entry["value"] for entry in json.loads(captured.out)] == [2]
    assert "interrupted; these values are finished" in captured.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["compare", "--price"], "sim compare --price: needs one scenario"),
        (["compare", "--price", str(TOLERANT)], "sim compare --price: needs one scenario"),
        (["compare", "--price", str(TOLERANT / "endorse_drops_requests.yaml")], "consensus.matching: has no price"),
        (["compare", "x.yaml", "--values", "1"], "--values: goes with --price"),
        (["compare", "--price", str(TOLERANT / "logit_margin.yaml"), "--values", "1,,2"], "--values: must be numbers"),
        (["compare", "--price", str(TOLERANT / "logit_margin.yaml"), "--values", "inf"], "--values: must be from"),
        (["compare", "--price", str(TOLERANT / "logit_margin.yaml"), "--values", "-1"], "must be at least 0"),
        (["compare", "--price", str(TOLERANT / "logit_margin.yaml"), "--blocks", "0"], "--blocks: must be a whole"),
        (["compare", "--price", str(TOLERANT / "logit_margin.yaml"), "--parameter", "x"], "x: is no parameter"),
        (["compare", "--price", str(TOLERANT / "logit_margin.yaml"), "--set", "faults={}"], "faults.noise: is req"),
        (["plot", "--kind", "price", "-o", "x.png"], "sim plot: needs one scenario"),
    ],
)
def test_wrong_commands_are_told(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(arguments) == 2
    assert told in capsys.readouterr().err


def point(value: float, accept: float, reject: float, **keys: Any) -> Price:
    errors = {"false_accept": accept, "false_accept_low": accept, "false_accept_high": accept}
    errors |= {"false_reject": reject, "false_reject_low": reject, "false_reject_high": reject}
    return Price(**({"scenario": "s", "rule": "r", "parameter": "p", "value": value} | errors | keys))  # type: ignore[arg-type]


def test_the_picture_has_both_curves_and_leaves_out_what_is_zero() -> None:
    keys = {"attackers": 1, "exact": True}
    axes = price_curve([point(1, 0, 0.5, **keys), point(10, 0.1, 0.01, **keys), point(100, 0.5, 0, **keys)])
    accept, reject = axes.get_lines()
    assert np.asarray(accept.get_xdata()).tolist() == [10, 100]
    assert np.asarray(reject.get_ydata()).tolist() == [0.5, 0.01]
    assert (axes.get_xscale(), axes.get_yscale(), axes.get_xlabel()) == ("log", "log", "r: p")
    simulated = price_curve([point(1, 0, 0.5, attackers=1, exact=False), point(2, 0.2, 0.1, attackers=1, exact=False)])
    assert len(simulated.collections) == 2
    price_curve([point(1, 0.1, 0.5, **keys | {"rule": "$\\frac{a$", "parameter": "\u5206 $x"})]).figure.canvas.draw()
    for rows, told in (
        ([], "has 1 to"),
        ([point(1, 0, 0.5, **keys), point(1, 0, 0.5, **keys | {"rule": "x"})], "one parameter"),
        ([point(1, -1, 0.5, **keys)], "out of range"),
    ):
        with pytest.raises(ScenarioError, match=told):
            price_curve(rows)
