"""Advice: what is searched, what meets a target, and what is told of the rest."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from sim import Scenario, ScenarioError, load_scenario, run
from sim.analysis import advise as module
from sim.analysis.advise import Advice, advise, drawn_up, judgements, with_front
from sim.analysis.designs import Bounds, designs
from sim.cli import execute
from sim.engines.passing import passing

FOLDER = Path(__file__).parents[2] / "scenarios"
SPACE = FOLDER / "design_space.yaml"
ORACLE = FOLDER / "tolerant" / "price_oracle_median.yaml"
THIRD = Fraction(1, 3)


def small(**keys: Any) -> Bounds:
    plain: dict[str, Any] = {"nodes": (4, 7), "thresholds": (THIRD, Fraction(49, 100)), "attackers": 1}
    return Bounds(**(plain | keys))


def test_designs_are_every_mix_of_two_kinds_in_quarters_and_the_scenarios_own() -> None:
    found = list(designs(load_scenario(SPACE), Bounds(nodes=(8, 13), thresholds=(THIRD,), attackers=Fraction(1, 4))))
    mixes = [dict(one.mix) for one in found if one.nodes == 8]
    assert {"cpu": 8} in mixes
    assert {"cpu": 2, "native": 6} in mixes
    assert {"cpu": 3, "exact": 2, "native": 3} in mixes  # 4 : 4 : 5 of 8
    assert len(mixes) == len({tuple(mix.items()) for mix in mixes}) == 3 + 3 * 3 + 1
    assert {sum(mix.values()) for mix in mixes} == {8}
    for one in found:
        assert len(one.attacks) == len(one.mix)
        for silent, hostile in one.attacks:
            assert one.attackers == one.nodes // 4 == silent.election.byzantine
            assert (silent.faults.behaviour, hostile.faults.behaviour) == ("silent", "collude")
            assert silent.node_count == one.nodes
    assert {"cpu": 4, "exact": 4, "native": 5} in [dict(one.mix) for one in found if one.nodes == 13]
    seven = designs(load_scenario(SPACE), Bounds(nodes=(7,), thresholds=(THIRD,)))
    assert {"cpu": 2, "exact": 2, "native": 3} in [dict(one.mix) for one in seven]  # 2.15, 2.15 and 2.69


def test_of_thresholds_that_give_the_same_quorum_the_lowest_is_tried() -> None:
    one_kind = load_scenario(FOLDER / "ninety_nine_ninety_nine.yaml")
    tried = list(designs(one_kind, Bounds(nodes=(4, 13), attackers=1)))
    assert [(one.nodes, str(one.threshold)) for one in tried] == [
        *((4, "1/4"), (4, "1/3")),
        *((13, "1/4"), (13, "1/3"), (13, "2/5"), (13, "49/100")),
    ]


def test_numbers_are_matched_by_all_that_match_numbers() -> None:
    found = list(designs(load_scenario(ORACLE), small(values=(0.5, 2.0))))
    assert {(one.rule, one.value) for one in found} == {
        (rule, value) for rule in ("tolerance", "median", "approximate") for value in (0.5, 2.0)
    }
    assert all(attack.hostile.faults.shift == 0.4 for one in found for attack in one.attacks)
    refused = [one for one in found if not one.attacks]
    assert {(one.rule, str(one.threshold)) for one in refused} == {("approximate", "49/100")}  # n > 3 f
    assert all("approximate agreement of 7 nodes tolerates 3 faults" in one.why for one in refused)


@pytest.fixture(scope="module")
def space() -> list[Advice]:
    return advise(load_scenario(SPACE), 1e-6, small())


def test_the_cheapest_that_meets_the_target_is_first_and_nothing_else_is_as_cheap(space: list[Advice]) -> None:
    front = [row for row in space if row.front]
    assert front
    assert front[0].mix == {"exact": 4}
    assert front[0].unit == "usd"
    assert front[0].cost == pytest.approx(0.000729, rel=1e-3)
    good = [row for row in space if row.meets]
    assert min(row.cost or 0.0 for row in good) == front[0].cost
    costs = [row.cost or 0.0 for row in space]
    assert costs == sorted(costs)
    assert "4 nodes with\n#   exact kernels at a threshold of 1/3, for $0.000729" in SPACE.read_text()


def test_each_number_is_that_of_a_run(space: list[Advice]) -> None:
    checked = 0
    for row in space:
        if not row.exact or row.mix.keys() - {"cpu", "native"}:
            continue
        scenario = load_scenario(SPACE).model_dump(mode="json", exclude_none=True)
        scenario["nodes"] = {name: scenario["nodes"][name] | {"count": count} for name, count in row.mix.items()}
        scenario["consensus"] = {"fault_threshold": row.threshold}
        failures = []
        for name in row.mix:  # one attacker, in either group
            scenario["faults"] = {"byzantine": {name: row.attackers}, "behaviour": "silent"}
            failures.append(run(Scenario.model_validate(scenario)).block_failure.probability)
        assert max(failures) == row.failure
        assert row.meets == (row.failure <= 1e-6)
        checked += 1
    assert checked > 5


def test_every_design_says_why_it_does_not_meet_the_target(space: list[Advice]) -> None:
    assert {row.why for row in space if row.meets} == {""}
    assert all(row.why for row in space if not row.meets)
    few = advise(load_scenario(SPACE), 1e-6, small(nodes=(4,), attackers=2))
    assert {(row.meets, row.why) for row in few} == {(False, "more attackers than it tolerates")}


def test_a_bound_can_be_too_narrow_for_honest_nodes_or_too_wide_for_attackers() -> None:
    bounds = Bounds(nodes=(13,), thresholds=(THIRD,), values=(0.2, 3.0), attackers=4)
    rules = {(one.rule, one.value): one for one in advise(load_scenario(ORACLE), 1e-3, bounds)}
    assert rules["tolerance", 0.2].why == "blocks fail too often"
    assert rules["tolerance", 3.0].why == "wrong results are certified too often"
    assert (rules["tolerance", 3.0].failure_high or 0.0) < 1e-3


def test_attackers_are_nodes_and_sit_where_they_hurt_most() -> None:
    nodes = {
        "cpu": {"count": 6, "executor": {"kind": "cpu"}},
        "gpu": {"count": 7, "executor": {"kind": "gpu", "nondeterminism": {"difficulty": "near_tie", "rate": 0.01}}},
    }
    mixed = Scenario.model_validate({"nodes": nodes})
    bounds = Bounds(nodes=(13,), thresholds=(THIRD,), attackers=2)
    (judged,) = (one for one in advise(mixed, 1e-2, bounds) if one.mix == {"cpu": 6, "gpu": 7})
    assert judged.failure == pytest.approx(0.01034, rel=1e-3)  # both are CPUs; two GPUs would give 0.00535
    assert judged.meets is False
    heavy = mixed.model_dump(mode="json", exclude_none=True)
    heavy["nodes"]["gpu"]["power"] = 5
    all_of_them = advise(Scenario.model_validate(heavy), 1e-1, Bounds(nodes=(4,), thresholds=(THIRD,), attackers=4))
    assert {one.why for one in all_of_them} == {"more attackers than it tolerates"}


def test_designs_keep_how_results_are_agreed() -> None:
    path = FOLDER / "tolerant" / "endorse_drops_requests.yaml"
    (kept,) = advise(load_scenario(path), 1e-3, Bounds(nodes=(13,), thresholds=(THIRD,)))
    assert kept.meets
    led = load_scenario(FOLDER / "ninety_nine_ninety_nine.yaml", ["consensus.result=propose"])
    (row_of_led,) = advise(led, 1e-3, Bounds(nodes=(13,), thresholds=(THIRD,), attackers=1))
    alone = run(
        load_scenario(FOLDER / "ninety_nine_ninety_nine.yaml", ["consensus.result=propose", "faults.byzantine=1"])
    )
    wanted = (alone.block_failure.probability - 1 / 13) / (12 / 13)
    assert row_of_led.failure == pytest.approx(wanted, rel=1e-9)


def row(cost: float, failure: float, **keys: Any) -> Advice:
    plain: dict[str, Any] = {"nodes": 4, "threshold": "1/3", "mix": {"a": 4}, "attackers": 1, "rule": "exact"}
    plain |= {"parameter": "", "value": None, "cost": cost, "unit": "usd", "exact": True, "meets": True, "why": ""}
    plain |= dict.fromkeys(("failure", "failure_low", "failure_high"), failure)
    return Advice(**(plain | dict.fromkeys(("wrong", "wrong_low", "wrong_high"), 0.0) | keys))


def test_the_front_is_of_cost_and_the_larger_error_among_those_that_meet_the_target() -> None:
    rows = [
        row(1, 1e-7),
        row(1, 1e-8),
        row(2, 1e-9),
        row(3, 1e-8),
        row(0.5, 1e-3, meets=False),
        row(2, 0, wrong_high=1),
    ]
    assert [one.front for one in with_front(rows)] == [False, True, True, False, False, False]


def test_what_has_no_law_is_drawn_until_it_is_clear_and_not_at_all_once_a_cheaper_one_is_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scenario = load_scenario(ORACLE, ["faults.shift=3"])
    bounds = small(nodes=(7,), thresholds=(THIRD,), values=(1.34,))
    asked: list[int] = []
    plain = passing

    def noted(hostile: Scenario, silent: Scenario, blocks: int) -> Any:
        asked.append(blocks)
        return plain(hostile, silent, blocks)

    monkeypatch.setattr(module, "passing", noted)
    made = drawn_up(scenario, bounds)
    order = {"approximate": 0, "tolerance": 1, "median": 2}
    first = sorted(made, key=lambda item: order[item[0].rule])
    found = list(judgements(first, 1e-4, 100_000))
    assert asked[:2] == [10_000, 100_000]
    assert next((one.rule, one.exact, one.meets) for one in found) == ("approximate", False, True)
    assert (found[0].failure_high or 1.0) < 1e-4
    dearer = [(design, cost + place, unit) for place, (design, cost, unit) in enumerate(reversed(first)) if cost]
    later = list(judgements(dearer, 1e-4, 100_000))
    assert [(one.rule, one.meets) for one in later] == [("median", True), ("tolerance", True), ("approximate", None)]
    assert later[2].why.startswith("not looked at")
    assert later[2].failure is None
    unclear = next(iter(judgements(first[:1], 1e-6, 10_000)))
    assert (unclear.meets, unclear.why) == (None, "not clear from the blocks that were drawn")


def test_what_cannot_be_varied_is_told() -> None:
    with pytest.raises(ScenarioError, match="recorded answers are those of nodes that exist"):
        advise(load_scenario(FOLDER / "three_computers.yaml"), 1e-3, Bounds())
    with pytest.raises(ScenarioError, match="verification: must be replicate"):
        advise(load_scenario(FOLDER / "ways_out" / "proof.yaml"), 1e-3, Bounds())
    with pytest.raises(ScenarioError, match=r"faults.shift: is required"):
        advise(load_scenario(ORACLE, ["faults={}"]), 1e-3, small())
    with pytest.raises(ScenarioError, match="recovery: must be left out"):
        advise(load_scenario(SPACE, ["recovery={never: true}"]), 1e-3, small())
    with pytest.raises(ScenarioError, match="without crashes and delays"):
        advise(load_scenario(SPACE, ["faults={crashes: [{nodes: {cpu: 1}, at: 0}]}"]), 1e-3, small())
    with pytest.raises(ScenarioError, match="are too many to judge"):
        advise(load_scenario(SPACE), 1e-3, small(nodes=tuple(range(4, 504))))
    wrong = advise(load_scenario(ORACLE), 1e-3, small(values=(-1.0,)))
    assert {row.meets for row in wrong} == {False}
    assert all("consensus.matching.absolute must be at least 0" in row.why for row in wrong)


def test_the_command_tells_the_front_and_the_rest_and_ends_with_3_if_none_is_good(
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = ["--nodes", "4,7", "--thresholds", "1/3", "--attackers", "1"]
    assert execute(["advise", str(SPACE), "--target", "1e-6", *flags]) == 0
    told = capsys.readouterr().out
    assert "designs meet 1e-06, the cheapest first:" in told
    assert "$0.000729  4 exact" in told
    assert "exact: blocks fail too often; best: failure" in told
    nines = str(FOLDER / "ninety_nine_ninety_nine.yaml")
    assert execute(["advise", nines, "--target", "1e-6", *flags, "--format", "json"]) == 3
    rows = json.loads(capsys.readouterr().out)
    assert [(one["nodes"], one["meets"], one["unit"]) for one in rows] == [(4, False, "nodes"), (7, False, "nodes")]
    assert execute(["advise", nines, "--target", "1e-6", *flags]) == 3
    assert "0 of 2 designs meet 1e-06." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--target", "2"], "--target: must be a probability such as 1e-6 (got '2')"),
        (["--target", "1e-20"], "--target: must be at least 1e-15"),
        (["--target", "x"], "--target: must be a probability"),
        (["--nodes", "0"], "--nodes: must be whole numbers such as 4,7,13 (got '0')"),
        (["--nodes", "4,2000"], "--nodes: must be from 1 to 1,000 (got 2000)"),
        (["--nodes", "4,x"], "--nodes: must be whole numbers such as 4,7,13 (got 'x')"),
        (["--thresholds", "0.6"], "--thresholds: must be greater than 0 and less than 0.5 (got '0.6')"),
        (["--thresholds", ",".join(["1/3"] * 51)], "--thresholds: must be at most 50 thresholds (got 51)"),
        (["--attackers", "x"], "--attackers: must be a fraction"),
        (["--attackers", "100 %"], "--attackers: must be greater than 0 and less than 1"),
        (["--blocks", "0"], "--blocks: must be a whole number of blocks (got '0')"),
    ],
)
def test_wrong_flags_are_told(flags: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    target = [] if "--target" in flags else ["--target", "1e-6"]
    assert execute(["advise", str(SPACE), *target, *flags]) == 2
    assert told in capsys.readouterr().err


def test_ctrl_c_keeps_what_is_judged(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    plain = module._advice
    calls: list[int] = []

    def interrupted(*args: Any, **keys: Any) -> Advice:
        calls.append(1)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return plain(*args, **keys)

    monkeypatch.setattr(module, "_advice", interrupted)
    assert execute(["advise", str(SPACE), "--target", "1e-6", "--nodes", "4", "--format", "json"]) == 130
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)) == 3
    assert "interrupted" in captured.err
