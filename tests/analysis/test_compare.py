"""Ways out side by side: what each gives, and what it costs."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import Scenario, ScenarioError, load_scenario
from sim.analysis.compare import Tradeoff, attacked, compare, pareto, times
from sim.catalog.catalog import builtin
from sim.cli import execute

FOLDER = Path(__file__).parents[2] / "scenarios" / "ways_out"
WAYS = sorted(FOLDER.glob("*.yaml"))
LAW = {"difficulty": "near_tie", "rate": 1e-4}
KEYS = [
    *("scenario", "way", "nodes", "block_failure", "block_failure_high", "attackers"),
    *("failure_under_attack", "failure_under_attack_high", "wrong_result_risk", "wrong_result_high"),
    *("answer_s", "finality_s", "machine_seconds", "cost_vs_one_server", "cost_usd", "proof_bytes", "pareto"),
]


@pytest.fixture(scope="module")
def rows() -> dict[str, Tradeoff]:
    found = compare([load_scenario(path) for path in WAYS], builtin())
    return {path.stem: row for path, row in zip(WAYS, found, strict=True)}


def chain(*groups: dict[str, Any], **keys: Any) -> Scenario:
    return Scenario.model_validate({"nodes": {f"g{index}": group for index, group in enumerate(groups)}} | keys)


def gpus(count: int, seconds: float = 2.0, **keys: Any) -> dict[str, Any]:
    executor = {"kind": "gpu", "nondeterminism": LAW, "seconds_per_request": seconds}
    return {"count": count, "executor": executor | keys}


def test_the_ways_are_there_and_do_what_their_comments_claim(rows: dict[str, Tradeoff]) -> None:
    once = 20 / 144.5  # seconds of one answer on an H100, as measured
    assert set(rows) == {
        *("gpu_as_is", "deterministic_kernels", "deterministic_across_classes", "proof", "optimistic", "spot_check"),
        *("tolerant_answers", "tolerant_margin"),
    }
    assert rows["gpu_as_is"].block_failure == pytest.approx(9.73391741342e-5)
    assert rows["tolerant_answers"].block_failure == pytest.approx((1 - 0.640625) * 9.73391741342e-5)
    assert rows["tolerant_margin"].block_failure == pytest.approx(1.0162e-17, rel=1e-4)
    assert {name for name, row in rows.items() if row.block_failure} == {
        *("gpu_as_is", "tolerant_answers", "tolerant_margin"),
    }
    assert all(row.attackers == 4 for row in rows.values())
    risks = {name: row.wrong_result_risk for name, row in rows.items() if row.wrong_result_risk}
    assert risks.pop("tolerant_margin") == pytest.approx(2.198e-4, rel=1e-3)
    assert risks == pytest.approx(
        {"optimistic": 4 / 13 * 0.5**9, "spot_check": 4 / 13 * (0.9 + 0.1 * 3 / 12)}, rel=1e-12
    )
    work = {name: row.cost_vs_one_server for name, row in rows.items()}
    assert work == pytest.approx(
        {
            "gpu_as_is": 13,
            "deterministic_kernels": 13 * 1.35,
            "deterministic_across_classes": (7 + 6 * 144.5 / 133.4) * 1.45,
            "proof": 1 + (3000 + 13) / once,
            "optimistic": 1.35 * (1 + 12 * 0.5),
            "spot_check": 1.35 * 1.1,
            "tolerant_answers": 13,
            "tolerant_margin": 13,
        },
        rel=1e-4,
    )
    for name, path in zip(rows, WAYS, strict=True):
        text, row = path.read_text(), rows[name]
        assert text.startswith("# Shows: ")
        claimed = f"{row.cost_vs_one_server:,.0f}" if row.cost_vs_one_server > 1e3 else f"{row.cost_vs_one_server:.3g}"
        assert f"{claimed} times the work of one server" in " ".join(text.replace("#", "").split()), name
        if row.block_failure:
            assert f"{row.block_failure:.2e}" in text
        if row.wrong_result_risk:
            assert f"{row.wrong_result_risk:.2e}" in text


def test_numbers_of_the_comments_that_need_another_setting() -> None:
    disputed = load_scenario(FOLDER / "optimistic.yaml", ["nodes.h100.executor.arithmetic=native"])
    (row,) = compare([disputed], builtin())
    assert f"{row.block_failure:.2e}" == "3.33e-04"
    assert "3.33e-04" in (FOLDER / "optimistic.yaml").read_text()
    mixed = (
        "{count: 6, executor: {kind: gpu, arithmetic: class_exact, nondeterminism: {difficulty: near_tie, rate: 1e-4}}}"
    )
    two = load_scenario(FOLDER / "deterministic_kernels.yaml", [f"nodes.a100={mixed}", "nodes.h100.count=7"])
    (row,) = compare([two], builtin())
    assert row.block_failure == pytest.approx(math.sqrt(2) * 1e-4, rel=1e-3)
    assert "1.41e-04" in (FOLDER / "deterministic_kernels.yaml").read_text()


def test_a_proof_takes_its_time_and_a_challenge_window_a_week(rows: dict[str, Tradeoff]) -> None:
    once, block, final = 20 / 144.5, 1.0, 1.35
    assert rows["gpu_as_is"].answer_s == pytest.approx(once + block, rel=1e-4)
    assert rows["gpu_as_is"].finality_s == pytest.approx(once + final, rel=1e-4)
    assert rows["proof"].answer_s == pytest.approx(once + 3000 + 1 + block)
    assert {name: row.proof_bytes for name, row in rows.items() if row.proof_bytes} == {"proof": 1e6}
    assert rows["optimistic"].answer_s == pytest.approx(1.35 * once + block, rel=1e-4)
    assert rows["optimistic"].finality_s == pytest.approx(1.35 * once + block + 604_800)
    assert rows["deterministic_across_classes"].answer_s == pytest.approx(20 / 133.4 * 1.45 + block, rel=1e-4)


def test_an_answer_waits_for_a_quorum_of_executions() -> None:
    """Nine of thirteen are enough; with the network's three message delays of 0.05 s."""
    quick = chain(gpus(9, 1.0), gpus(4, 50.0))
    assert times(quick, builtin()) == pytest.approx((1.15, 1.15))
    slow = chain(gpus(8, 1.0), gpus(5, 50.0))
    assert times(slow, builtin()) == pytest.approx((50.15, 50.15))
    batch = chain(gpus(9, 1.0) | {"devices": 2}, gpus(4, 50.0), workload={"requests_per_block": 5})
    assert times(batch, builtin())[0] == pytest.approx(3.15)
    far = chain(gpus(13, 1.0), network={"latency": 0.5})
    assert times(far, builtin())[0] == pytest.approx(2.5)


def test_times_are_what_message_by_message_measures() -> None:
    """PBFT with constant delays decides three messages after the executions, commit included."""
    from sim import run

    scenario = chain(gpus(7, 2.0, arithmetic="exact"), network={"latency": 0.1}, run={"blocks": 20})
    timing = run(scenario).timing
    assert timing is not None
    assert timing.latency_s is not None
    assert times(scenario, builtin())[0] == pytest.approx(timing.latency_s["p50"], rel=0.1)


def test_attackers_are_as_many_as_tolerated_in_power() -> None:
    assert attacked(chain(gpus(13))) == {"g0": 4}
    heavy = chain(gpus(10) | {"power": 3}, gpus(5))
    assert heavy.faults_tolerated == 11
    assert attacked(heavy) == {"g0": 3, "g1": 2}
    assert sum(attacked(chain(gpus(3))).values()) == 0


def test_a_fork_counts_as_a_wrong_result() -> None:
    risky = chain(gpus(7, arithmetic="class_exact"), consensus={"fault_threshold": "45 %"})
    (row,) = compare([risky], builtin())
    assert row.attackers == 3
    assert row.wrong_result_risk == 0  # every honest node answers alike, and 3 of 7 are no quorum
    split = chain(gpus(7), consensus={"fault_threshold": "45 %"}, run={"blocks": 200_000})
    (row,) = compare([split], builtin())
    assert row.wrong_result_risk > 0


def test_none_seen_is_not_none() -> None:
    """Equivocation at 45 % is simulated: in few blocks nothing is seen, and the bound says how little that means."""
    few = chain(gpus(13), consensus={"fault_threshold": "45 %"}, run={"blocks": 1_000})
    exact = chain(gpus(13, arithmetic="exact", slowdown=1.0))
    rows = compare([few, exact], builtin())
    assert rows[0].wrong_result_risk == 0
    assert rows[0].wrong_result_high == pytest.approx(3.7e-3, rel=0.01)
    assert [row.pareto for row in rows] == [False, True]


def test_the_worst_attack_on_one_executor_is_to_be_it() -> None:
    (row,) = compare([chain(gpus(13), verification={"kind": "proof"})], builtin())
    assert (row.block_failure, row.wrong_result_risk) == (0, 0)
    assert row.failure_under_attack == pytest.approx(4 / 13)
    (row,) = compare([chain(gpus(13), verification={"kind": "optimistic"})], builtin())
    assert row.failure_under_attack == pytest.approx(1)  # any of them can have any result refused


def test_recorded_answers_are_attacked_too() -> None:
    outputs = ["a"] * 3 + ["b"] * 4  # the last three attack, and lift the one honest b over the three a
    executor = {"kind": "recorded", "outputs": outputs, "seconds_per_request": 1.0}
    (row,) = compare([chain({"count": 7, "executor": executor}, consensus={"fault_threshold": "45 %"})], builtin())
    assert row.wrong_result_risk == 1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), max_size=8))
def test_the_pareto_front_is_what_brute_force_says(points: list[tuple[int, int, int]]) -> None:
    front = pareto(points)
    for point, best in zip(points, front, strict=True):
        beaten = any(
            other[0] <= point[0] and other[1] <= point[1] and other[2] <= point[2] and sum(other) < sum(point)
            for other in points
        )
        assert best == (not beaten)


def test_what_cannot_be_timed_is_refused() -> None:
    with pytest.raises(ScenarioError, match="must say how long a request takes"):
        compare([chain({"count": 4, "executor": {"kind": "cpu"}})], builtin())


def test_the_command_prints_a_list_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(path) for path in WAYS]
    picture = tmp_path / "t.svg"
    assert execute(["compare", *files, "--format", "json", "--plot", str(picture)]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert [list(row) for row in found] == [KEYS] * 8
    assert picture.read_text().startswith("<?xml")
    assert "drew" in err
    assert execute(["compare", str(FOLDER)]) == 0
    shown = capsys.readouterr().out
    assert "tolerant, margin *" in shown
    assert "h100: $3.51 an hour (RunPod (deploybase.ai, March 2026))" in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            [str(FOLDER / "proof.yaml"), "--set", "faults={byzantine: 2, behaviour: withhold}"],
            f"{FOLDER / 'proof.yaml'}:3:1: run.engine: no engine can answer this",
        ),
        ([], "sim compare: needs at least one scenario"),
        ([str(FOLDER.parents[1] / "docs")], "sim compare: needs at least one scenario"),
        (["nowhere.yaml"], "nowhere.yaml: cannot be read"),
        ([str(FOLDER / "proof.yaml"), "--plot", "x.gif"], "plot: must end in .png, .svg or .pdf (got 'x.gif')"),
        (
            [str(FOLDER / "proof.yaml"), "--set", "workload.model=gpt9"],
            "--set workload.model=gpt9: workload.model: is not",
        ),
        ([str(FOLDER.parent / "one_plus_one.yaml")], f"{FOLDER.parent / 'one_plus_one.yaml'}:5:1: nodes: must say how"),
    ],
)
def test_wrong_input_is_told_in_one_line(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["compare", *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith(told)
    assert err.count("\n") == 1


def test_an_own_price_makes_the_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("hardware:\n  h100: {price_per_hour: {value: 36, source: my contract, known: read}}\n")
    assert execute(["compare", str(FOLDER / "gpu_as_is.yaml"), "--catalog", str(own), "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["cost_usd"] == pytest.approx(row["machine_seconds"] / 100)


def test_comparing_all_ways_starts_no_heavy_import_that_it_does_not_need() -> None:
    code = "import sys; from sim.cli import execute; execute(['compare', *sys.argv[1:]]); print(*sys.modules)"
    arguments = [sys.executable, "-c", code, *map(str, WAYS)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert not {"matplotlib", "scipy.stats", "pandas"} & set(done.stdout.splitlines()[-1].split())
