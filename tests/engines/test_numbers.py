"""Answers that are numbers: exact laws against closed forms, and against draws."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from drawn import within
from scipy import integrate, stats

from sim import EngineError, Scenario, run
from sim.engines.montecarlo import MonteCarlo
from sim.engines.number_exact import proposed
from sim.engines.passing import passing
from sim.inference.numeric import NumberGroup, NumberSampler, Numeric

PHI = stats.norm.cdf


def numeric(own: float, common: float = 0.0, count: int = 13, **keys: Any) -> dict[str, Any]:
    return {"count": count, "executor": {"kind": "numeric", "class_noise": common, "node_noise": own}} | keys


def scenario(rule: dict[str, Any], *groups: dict[str, Any], result: str = "propose", **keys: Any) -> Scenario:
    nodes = {f"g{index}": group for index, group in enumerate(groups)}
    consensus = {"result": result, "matching": rule} | keys.pop("consensus", {})
    return Scenario.model_validate({"nodes": nodes, "consensus": consensus} | keys)


def tolerance(absolute: float) -> dict[str, Any]:
    return {"kind": "tolerance", "absolute": absolute}


def attack(b: int, behaviour: str = "collude", **keys: Any) -> dict[str, Any]:
    return {"byzantine": b, "behaviour": behaviour} | keys


def test_two_nodes_agree_as_often_as_their_difference_is_within_the_bound() -> None:
    two = run(scenario(tolerance(1.0), numeric(0.8, count=2)))
    assert two.engine == "exact"
    assert two.block_failure.probability == pytest.approx(2 * PHI(-1 / (0.8 * math.sqrt(2))), rel=1e-12)
    other = scenario(tolerance(1.0), numeric(0.8, 0.5, count=1), numeric(0.3, 0.4, count=1))
    spread = math.sqrt(0.8**2 + 0.5**2 + 0.3**2 + 0.4**2)
    assert run(other).block_failure.probability == pytest.approx(2 * PHI(-1 / spread), rel=1e-12)


def test_a_class_without_noise_of_its_own_answers_as_one() -> None:
    rigid = scenario(tolerance(1.0), numeric(0.0, 0.6, count=7), numeric(0.0, 0.5, count=6))
    apart = 2 * PHI(-1 / math.hypot(0.6, 0.5))
    assert run(rigid).block_failure.probability == pytest.approx(apart, rel=1e-12)
    assert run(scenario(tolerance(0.0), numeric(0.0, 0.6))).block_failure.probability == 0
    far = scenario(tolerance(30.0), numeric(0.0, 0.6, count=7), numeric(0.0, 0.5, count=6))
    assert run(far).block_failure.probability == pytest.approx(2 * stats.norm.sf(30 / math.hypot(0.6, 0.5)), rel=1e-10)


def test_false_rejects_are_an_integral_over_the_leader_and_false_accepts_a_binomial() -> None:
    bound, own, shift = 2.0, 1.0, 1.7
    attacked = scenario(tolerance(bound), numeric(own), faults=attack(4, shift=shift))

    def refused(x: float) -> float:
        outside = PHI((x - bound) / own) + PHI(-(x + bound) / own)
        return float(stats.norm.pdf(x) * stats.binom.sf(0, 8, outside))  # all 8 others must accept

    plain = proposed(attacked)
    assert plain.refused == pytest.approx(integrate.quad(refused, -12, 12, epsabs=1e-13)[0], rel=1e-9)
    inside = PHI(bound - shift) - PHI(-bound - shift)
    assert plain.slanted == pytest.approx(stats.binom.sf(4, 9, inside), rel=1e-12)
    result = run(attacked)
    assert result.outcomes["wrong_result"].probability == 0  # what 5 of 9 accept is within the bound of their median
    agreed = 9 / 13 * (1 - plain.refused) + 4 / 13 * plain.slanted
    assert result.outcomes["agreed"].probability == pytest.approx(agreed, rel=1e-12)


def test_tiny_probabilities_keep_their_digits() -> None:
    wide = scenario(tolerance(30.0), numeric(1.0, count=2))
    assert run(wide).block_failure.probability == pytest.approx(2 * stats.norm.sf(30 / math.sqrt(2)), rel=1e-9)
    far = scenario(tolerance(1.0), numeric(1.0), faults=attack(4, shift=12.0))
    inside = stats.norm.sf(11) - stats.norm.sf(13)
    assert proposed(far).slanted == pytest.approx(math.comb(9, 5) * inside**5, rel=1e-6)


MEDIAN = {"kind": "median", "absolute": 1.0}
TWO = (numeric(0.5, 0.7, count=7), numeric(1.0, 0.3, count=6))
ONE_CLASS = tuple(group | {"hardware": "x"} for group in TWO)
AGAINST = [
    scenario(tolerance(2.0), numeric(1.0, 0.5)),
    scenario(tolerance(2.0), *TWO),
    scenario(tolerance(2.0), *ONE_CLASS, workload={"true_value": -3}),
    scenario(tolerance(1.5), numeric(0.0, 0.7, count=7), numeric(1.0, 0.3, count=6)),
    scenario(tolerance(1.0), numeric(0.0, 0.0, count=7), numeric(0.4, 0.3, count=6)),
    scenario(tolerance(2.0), numeric(1.0, 0.5), faults=attack(4, "silent")),
    scenario(tolerance(2.0), numeric(1.0, 0.5), faults=attack(4, "random")),
    scenario(tolerance(2.0), numeric(1.0, 0.5), faults=attack(4, shift=1.5)),
    scenario(tolerance(2.0), numeric(1.0, 0.5), faults=attack(4)),
    scenario(tolerance(0.5), numeric(0.0, 0.0, count=4), faults=attack(1, shift=0.0)),
    scenario(
        {"kind": "tolerance", "relative": 0.1},
        *ONE_CLASS,
        workload={"true_value": 20},
        faults=attack({"g0": 2, "g1": 1}, shift=1.5),  # type: ignore[arg-type]
    ),
    scenario(MEDIAN, numeric(1.0, 0.5)),
    scenario(MEDIAN, numeric(1.0, 0.5, count=12), result="certify", faults=attack(3, "silent")),
    scenario(MEDIAN, numeric(1.0, 0.5), faults=attack(4, "silent")),
    scenario(MEDIAN, numeric(1.0, 0.5), result="certify", faults=attack(3, "random")),
    scenario(MEDIAN, numeric(0.6, 0.5), result="certify", faults=attack(4, shift=0.8)),
    scenario(MEDIAN, numeric(0.6, 0.0), result="certify", faults=attack(4, shift=-0.8)),
    scenario(MEDIAN, numeric(0.6, 0.5), result="certify", faults=attack(4)),
    scenario(
        {"kind": "median", "absolute": 0.3},
        numeric(1.0, 0.2, count=9),
        result="certify",
        faults=attack(4, shift=0.9),
        consensus={"fault_threshold": "49 %"},
    ),
    scenario(
        {"kind": "median", "absolute": 0.3},
        numeric(1.0, 0.0, count=8),
        result="certify",
        faults=attack(3, shift=0.2),
        consensus={"fault_threshold": "49 %"},
    ),
]


@pytest.mark.parametrize("case", range(len(AGAINST)))
def test_exact_laws_are_those_of_draws(case: int) -> None:
    exact = run(AGAINST[case], engine="exact")
    drawn = run(AGAINST[case], engine="montecarlo", blocks=40_000)
    for name, estimate in exact.outcomes.items():
        assert within(drawn, name, estimate.probability), (name, estimate, drawn.outcomes[name])
    slack = 2 * (drawn.diverged_per_block.high - drawn.diverged_per_block.low)
    assert exact.diverged_per_block.mean == pytest.approx(drawn.diverged_per_block.mean, abs=slack + 1e-3)


def plainly(absolute: float, relative: float, own: float, count: int) -> float:
    """Refused, by quadrature that is split where one bound takes over from the other; true value 0."""

    def refused(x: float) -> float:
        near = max(absolute, relative * abs(x))
        outside = PHI(-(x + near) / own) + PHI((x - near) / own)
        f = math.ceil(count / 3) - 1
        return float(stats.norm.pdf(x / own) / own * stats.binom.sf(f, count - 1, outside))

    kink = absolute / relative
    ends = [0.0, *[kink * k for k in (0.5, 1.0, 1.5, 2.0, 4.0)], 14 * own]
    ends = sorted({min(end, 14 * own) for end in ends})
    parts = [integrate.quad(refused, a, b, epsabs=0, epsrel=1e-11, limit=200)[0] for a, b in itertools.pairwise(ends)]
    return float(2 * sum(parts))


@pytest.mark.parametrize(
    ("count", "own", "absolute", "relative"),
    [(7, 0.2334, 1.795, 1.929), (4, 0.752, 5.873, 1.877), (7, 0.904, 3.588, 1.932), (4, 1.0, 1.0, 0.9)],
)
def test_where_one_bound_takes_over_from_the_other_is_seen(
    count: int, own: float, absolute: float, relative: float
) -> None:
    both = scenario({"kind": "tolerance", "absolute": absolute, "relative": relative}, numeric(own, count=count))
    assert run(both).block_failure.probability == pytest.approx(plainly(absolute, relative, own, count), rel=1e-8)


@pytest.mark.parametrize(("common", "own"), [(0.02, 1e-8), (0.05, 1e-6), (3.0, 1e-3), (1e-6, 1e-7)])
def test_noise_of_very_different_scales_keeps_its_digits(common: float, own: float) -> None:
    two = scenario(tolerance(1.0), numeric(1.0, count=1), numeric(own, common, count=1))
    wanted = 2 * PHI(-1 / math.hypot(1, common, own))
    assert run(two).block_failure.probability == pytest.approx(wanted, rel=1e-10)


def test_narrow_bounds_keep_their_digits() -> None:
    """False accepts go with the fifth power of the bound, as five of nine must be within it."""
    for rule, wanted in ((tolerance(1e-15), 6.894e-84), ({"kind": "median", "absolute": 1e-15}, 3.458e-84)):
        result = "propose" if rule["kind"] == "tolerance" else "certify"
        passed = passing(one_of(rule, result, "collude"), one_of(rule, result, "silent"), 1)
        assert passed.false_accept.probability == pytest.approx(wanted, rel=1e-3)
        assert passed.false_reject.probability == pytest.approx(1, abs=1e-9)
    equal = run(scenario(tolerance(0.0), numeric(1.0)))
    assert equal.outcomes["agreed"].probability == 0
    for absolute in (1e-300, 1e-17, 1e-16, 1e-9):
        tiny = run(scenario({"kind": "median", "absolute": absolute}, numeric(0.2, 0.1), faults=attack(4, shift=0.4)))
        assert all(0 <= estimate.probability <= 1 for estimate in tiny.outcomes.values())


def one_of(rule: dict[str, Any], result: str, behaviour: str) -> Scenario:
    faults = attack(4, shift=3.0) if behaviour == "collude" else attack(4, behaviour)
    return scenario(rule, numeric(1.0), result=result, faults=faults)


def test_extremes_of_noise_and_slant_give_no_warning() -> None:
    far = scenario(MEDIAN, numeric(1e-100, 1e100), result="certify", faults=attack(4, shift=1e100))
    assert run(far).engine == "exact"
    digits = {"kind": "equivalence", "transform": "round", "digits": 300}
    wide = scenario(digits, numeric(1.0), result="certify", workload={"true_value": 1e10})
    assert run(wide, blocks=100).outcomes["no_quorum"].probability == 1
    with pytest.raises(ValueError, match="must be 0 or at least 1e-100"):
        scenario(tolerance(1.0), numeric(1e-310))


def test_too_much_work_is_left_to_draws() -> None:
    classes = [numeric(1.0, 0.5, count=10) for _ in range(20)]
    assert run(scenario(tolerance(4.0), *classes), blocks=200).engine == "montecarlo"
    assert run(scenario(tolerance(4.0), numeric(1.0, 0.5, count=60))).engine == "exact"


@pytest.mark.parametrize("kind", ["tolerance", "approximate", "median"])
def test_colluding_nodes_of_whom_there_are_none_do_nothing(kind: str) -> None:
    rule = {"kind": kind, "relative": 1}
    keys: dict[str, Any] = {"result": "certify", "workload": {"true_value": 100}}
    one = scenario(rule, numeric(0.1, count=4), faults=attack(0, shift=101), **keys)
    assert run(one, blocks=200, engine="montecarlo").outcomes["agreed"].probability == 1


def test_harm_by_a_median_is_seen_above_a_third() -> None:
    """Case 18: with a threshold of 49 % a slanted median passes, and the exact law knows how often."""
    assert run(AGAINST[18]).outcomes["wrong_result"].probability > 0.01


def test_what_has_no_exact_law_is_simulated_and_why_is_told() -> None:
    told = {
        "simulated": scenario({"kind": "approximate", "absolute": 1.0}, numeric(1.0)),
        "every number is put to the vote": scenario(tolerance(1.0), numeric(1.0), result="certify"),
        "can do harm": scenario(
            tolerance(1.0), numeric(1.0), faults=attack(6, shift=1.0), consensus={"fault_threshold": "49 %"}
        ),
        "voting powers": scenario(tolerance(1.0), numeric(1.0, power=2)),
        "choose among": scenario(tolerance(1.0), numeric(1.0), faults=attack(4, "amplify")),
        "others have none": scenario(
            tolerance(1.0), numeric(0.0, 1.0, count=2, hardware="x"), numeric(1.0, 1.0, count=2, hardware="x")
        ),
        "chooses among the reports": scenario(MEDIAN, numeric(1.0), faults=attack(4, shift=1.0)),
        "differ in their noise": scenario(MEDIAN, *TWO),
        "depends on the median": scenario({"kind": "median", "relative": 0.1}, numeric(1.0)),
    }
    for why, one in told.items():
        with pytest.raises(EngineError, match=why):
            run(one, engine="exact")
        assert run(one, blocks=100).engine == "montecarlo"
    with pytest.raises(EngineError, match="do not compare numbers"):
        run(scenario(tolerance(1.0), numeric(1.0)), engine="events")


def test_a_run_is_a_prefix_of_a_longer_one() -> None:
    one = scenario(tolerance(1.0), numeric(1.0, 0.3), result="certify", faults=attack(4, shift=1.0))
    engine = MonteCarlo(one)
    cell = engine.cell_blocks
    assert cell > 8
    long, short = engine.count(0, cell), engine.count(0, cell - 5)
    assert 0 <= long.total - short.total <= 13 * 5
    assert all(0 <= a - b <= 5 for a, b in zip(long.outcomes, short.outcomes, strict=True))
    assert run(one, blocks=3 * cell + 1, engine="montecarlo") == run(one, blocks=3 * cell + 1, engine="montecarlo")


@pytest.mark.parametrize("shape", ["gaussian", "laplace", "uniform"])
def test_noise_has_the_standard_deviations_and_the_law_that_it_says(shape: Any) -> None:
    executor = Numeric(class_noise=2.0, node_noise=0.5, noise=shape)
    groups = [NumberGroup(2, 1, "x", executor), NumberGroup(1, 1, "x", executor), NumberGroup(1, 1, "y", executor)]
    drawn = NumberSampler(groups, 7.0).draw(np.random.default_rng(5), 200_000)
    covariance = np.cov(drawn.T)
    assert drawn.mean(axis=0) == pytest.approx([7.0] * 4, abs=0.03)
    assert covariance.diagonal() == pytest.approx([4.25] * 4, rel=0.03)
    assert covariance[0, 1] == pytest.approx(4.0, rel=0.03)
    assert covariance[0, 2] == pytest.approx(4.0, rel=0.03)  # one class
    assert covariance[0, 3] == pytest.approx(0.0, abs=0.05)
    kurtosis = {"gaussian": 3.0, "laplace": 6.0, "uniform": 1.8}[shape]
    own = (drawn[:, 0] - drawn[:, 1]) / 0.5 / math.sqrt(2)  # the class drops out
    assert stats.kurtosis(own, fisher=False) == pytest.approx((kurtosis + 3) / 2, rel=0.05)


def test_weights_of_votes_count() -> None:
    """A node of power 3 alone has the quorum of 3 of 5."""
    heavy = [numeric(0.0, count=1, power=3), numeric(0.0, 1e9, count=2)]
    keys: dict[str, Any] = {"consensus": {"fault_threshold": "49 %"}, "result": "certify"}
    assert run(scenario(tolerance(1.0), *heavy, **keys), blocks=500).block_failure.probability == 0
    light = [numeric(0.0, count=1, power=2), numeric(0.0, 1e9, count=2, hardware="y"), numeric(0.0, 1e9, count=1)]
    assert run(scenario(tolerance(1.0), *light, **keys), blocks=500).block_failure.probability == 1
