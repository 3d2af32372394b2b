"""Checks of posted tokens by their margins: against exact matching, closed forms, and a plain simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from drawn import within
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from sim import EngineError, NearTie, Scenario, run
from sim.engines.margin_exact import cheaper
from sim.engines.montecarlo import MonteCarlo
from sim.inference.forcing import Check, accepting, told_apart

PHI = stats.norm.cdf


def scenario(gap: float | None, rate: float = 0.02, count: int = 13, tokens: int = 7, **faults: Any) -> Scenario:
    law = {"difficulty": "near_tie", "rate": rate, "per": "token"}
    rule = None if gap is None else {"kind": "margin", "gap": gap}
    return Scenario.model_validate(
        {
            "nodes": {"g": {"count": count, "executor": {"kind": "gpu", "nondeterminism": law}}},
            "consensus": {"result": "propose", "matching": rule},
            "workload": {"tokens": tokens},
            "faults": faults,
        }
    )


@settings(max_examples=40)
@given(
    st.floats(1e-5, 0.4),
    st.integers(1, 14),
    st.integers(1, 60),
    st.sampled_from(["silent", "random", "collude"]),
    st.integers(0, 14),
)
def test_a_gap_of_zero_is_exact_matching(rate: float, count: int, tokens: int, behaviour: str, b: int) -> None:
    faults = {"behaviour": behaviour, "byzantine": min(b, count)}
    forced, free = (run(scenario(gap, rate, count, tokens, **faults)) for gap in (0.0, None))
    for name, estimate in free.outcomes.items():
        assert forced.outcomes[name].probability == pytest.approx(estimate.probability, rel=1e-9, abs=1e-300)
    assert forced.diverged_per_block.mean == pytest.approx(free.diverged_per_block.mean, rel=1e-9, abs=1e-15)


def test_one_point_is_an_integral_over_the_margin() -> None:
    """All 3 checkers must accept what a node posts whose noise is 5 times theirs."""
    law, gap, noise = NearTie(rate=0.05), 1.5, 5.0

    def passes(u: float) -> float:
        d = law.margin_max * u
        first, second = PHI(d / noise), PHI(-d / noise)
        return float(first * PHI(d + gap) ** 3 + second * PHI(gap - d) ** 3)

    wanted = integrate.quad(passes, 0, 1, epsabs=1e-12, limit=200)[0]
    assert accepting(Check(law, gap, 3, 3, 1, noise)).mass.sum() == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(("gap", "noise"), [(0.0, 1.0), (1.0, 1.0), (2.0, 10.0), (0.5, 0.0)])
def test_several_points_are_those_of_a_plain_simulation(gap: float, noise: float) -> None:
    law, checkers, points, blocks = NearTie(rate=0.03), 5, 12, 60_000
    stream = np.random.default_rng(11)
    accepted, same = (np.ones((blocks, checkers), dtype=bool) for _ in range(2))
    for _ in range(points):
        margin = law.margin_max * stream.random((blocks, 1))
        chosen = noise * stream.standard_normal((blocks, 1)) > margin
        score_1, score_2 = margin, stream.standard_normal((blocks, checkers))  # of the two tokens, as a checker sees it
        best, posted = np.maximum(score_1, score_2), np.where(chosen, score_2, score_1)
        accepted &= best - posted <= gap
        same &= best == posted
    check = Check(law, gap, checkers, 3, points, noise)
    exact, apart = accepting(check), told_apart(check)
    for counts, law_of_all in (
        (np.bincount(accepted.sum(axis=1), minlength=checkers + 1), exact.mass),
        (np.histogram2d(accepted.sum(axis=1), same.sum(axis=1), bins=np.arange(-0.5, checkers + 1))[0], apart.mass),
    ):
        slack = 5 * np.sqrt(law_of_all / blocks) + 1e-4
        assert (np.abs(counts / blocks - law_of_all) < slack)[3:].all()
        assert (law_of_all[:3] == 0).all()
    for one in (exact, apart):
        assert one.mass.sum() + one.lost == pytest.approx(1, abs=1e-12)
    assert apart.mass.sum(axis=1) == pytest.approx(exact.mass, rel=1e-10)
    assert apart.lost == pytest.approx(exact.lost, rel=1e-10)


@pytest.mark.parametrize("gap", [0.5, 2.0])
@pytest.mark.parametrize("behaviour", ["silent", "random", "collude"])
def test_the_exact_engine_is_that_of_draws(gap: float, behaviour: str) -> None:
    one = scenario(gap, 0.03, byzantine=3, behaviour=behaviour)
    exact, drawn = run(one, engine="exact"), run(one, engine="montecarlo", blocks=40_000)
    for name, estimate in exact.outcomes.items():
        assert within(drawn, name, estimate.probability), name
    slack = 2 * (drawn.diverged_per_block.high - drawn.diverged_per_block.low) + 1e-3
    assert exact.diverged_per_block.mean == pytest.approx(drawn.diverged_per_block.mean, abs=slack)


def test_a_cheaper_model_is_wrong_where_it_passes_and_no_honest_node_answers_so() -> None:
    one = scenario(1.5, 0.01, tokens=30, byzantine=4, behaviour="collude", noise=12.0)
    exact, drawn = run(one), run(one, blocks=60_000, engine="montecarlo")
    assert exact.engine == "exact"
    for name, estimate in exact.outcomes.items():
        assert within(drawn, name, estimate.probability), name
    slack = drawn.diverged_per_block.high - drawn.diverged_per_block.low
    assert exact.diverged_per_block.mean == pytest.approx(drawn.diverged_per_block.mean, abs=2 * slack)
    passed = float(accepting(cheaper(one)).mass.sum())
    assert 0 < exact.outcomes["wrong_result"].probability < 4 / 13 * passed
    same = scenario(0.0, 0.01, tokens=30, byzantine=4, behaviour="collude", noise=12.0)
    assert run(same).outcomes["wrong_result"].probability == 0  # it passed as the answer of five honest nodes
    large = scenario(1.5, count=40, byzantine=4, behaviour="collude", noise=12.0)
    assert run(large, blocks=100).engine == "montecarlo"
    with pytest.raises(EngineError, match="36 honest nodes are too many to count"):
        run(large, engine="exact")


@pytest.mark.parametrize("noise", [1.0, 30.0])
def test_a_wider_gap_accepts_more(noise: float) -> None:
    law = NearTie(rate=1e-3)
    passed = [accepting(Check(law, gap, 9, 7, 64, noise)).mass.sum() for gap in np.linspace(0, 12, 13)]
    assert (np.diff(passed) > -1e-12).all()
    assert passed[-1] > passed[0]
    refused = [accepting(Check(law, gap, 9, 7, 64)).lost for gap in np.linspace(0, 12, 13)]
    assert (np.diff(refused) < 0).all()
    assert 0 < refused[-1] < 1e-25


def test_a_cheaper_answer_is_beyond_help_when_all_have_to_be_byzantine() -> None:
    assert run(scenario(1.0, count=3, byzantine=3, behaviour="collude")).outcomes["wrong_result"].probability == 1
    for behaviour in ("silent", "random"):
        gone = scenario(1.0, count=3, byzantine=3, behaviour=behaviour)
        assert run(gone).outcomes["no_quorum"].probability == 1
        assert run(gone, engine="montecarlo", blocks=100).outcomes["no_quorum"].probability == 1
    assert (
        accepting(Check(NearTie(rate=0.1), 1.0, 3, 4, 5)).lost
        == told_apart(Check(NearTie(rate=0.1), 1.0, 3, 4, 5)).lost
        == 1
    )


def test_a_run_is_a_prefix_of_a_longer_one() -> None:
    engine = MonteCarlo(scenario(1.0, 0.05, byzantine=4, behaviour="collude", noise=4.0))
    cell = engine.cell_blocks
    long, short = engine.count(0, cell), engine.count(0, cell - 3)
    assert cell > 8
    assert all(0 <= a - b <= 3 for a, b in zip(long.outcomes, short.outcomes, strict=True))


def test_points_are_drawn_piece_by_piece_and_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    one = scenario(1.0, 0.05, byzantine=4, behaviour="collude", noise=4.0)
    whole = run(one, engine="montecarlo", blocks=3_000)
    monkeypatch.setattr("sim.engines.margin_draws._CHUNK", 100)
    pieces = run(one, engine="montecarlo", blocks=3_000)
    for name, estimate in whole.outcomes.items():
        assert estimate.low <= pieces.outcomes[name].high
        assert pieces.outcomes[name].low <= estimate.high
    large = scenario(4.0, 0.3, count=60, tokens=100_000, byzantine=19, behaviour="collude", noise=30.0)
    plain = large.model_dump(mode="json", exclude_none=True)
    plain["workload"]["requests_per_block"] = 1_000
    with pytest.raises(EngineError, match="too many close tokens"):
        run(Scenario.model_validate(plain))
