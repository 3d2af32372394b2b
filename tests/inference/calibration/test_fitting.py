"""Parameters come back: from data drawn run by run, with intervals that cover, and the right law is chosen."""

from __future__ import annotations

import math

import numpy as np
import pytest
from runs import drawn

from sim.analysis.calibration import TELLS_APART
from sim.inference.calibration.fitting import fitted
from sim.inference.calibration.laws import LAWS
from sim.inference.calibration.partitions import Partitions

CASES: dict[str, dict[str, float]] = {
    "independent": {"rate": 0.05, "alternatives": 1.0},
    "beta": {"rate": 0.06, "correlation": 0.3, "alternatives": 0.5},
    "zero_inflated": {"rate": 0.05, "correlation": 0.25, "alternatives": 0.5},
    "near_tie": {"rate": 0.06, "alternatives": 0.3},
}


def covered(law: str, draws: int, prompts: int = 400) -> dict[str, int]:
    """How many of the intervals hold the truth, by parameter."""
    inside = dict.fromkeys(CASES[law], 0)
    for seed in range(draws):
        fit = fitted(drawn(seed, law, prompts=prompts, runs=10, **CASES[law]), law, np.random.default_rng(seed))
        for name, truth in CASES[law].items():
            inside[name] += fit.parameters[name].low <= truth <= fit.parameters[name].high
    return inside


def least(draws: int, coverage: float = 0.95) -> int:
    """Number of intervals that cover in all but one of 1,000 such tests, if they cover nominally."""
    chance, number = 0.0, -1
    while chance < 1e-3:
        number += 1
        chance += math.comb(draws, number) * coverage**number * (1 - coverage) ** (draws - number)
    return number


@pytest.mark.parametrize("law", CASES)
def test_intervals_cover(law: str) -> None:
    assert min(covered(law, 40).values()) >= least(40)


@pytest.mark.slow
@pytest.mark.parametrize("law", CASES)
def test_intervals_cover_in_many_draws(law: str) -> None:
    assert min(covered(law, 200).values()) >= least(200)


def chosen(law: str, draws: int, prompts: int) -> int:
    """How often the law is chosen, or no other is better by more than data can tell.

    One rate is a beta law without correlation: the larger law wins by chance in a tenth of the draws, by less than 2.
    """
    right, apart = 0, TELLS_APART if law == "independent" else 0.0
    for seed in range(draws):
        observed = drawn(1_000 + seed, law, prompts=prompts, runs=10, **CASES[law])
        aic = {name: fitted(observed, name).aic for name in LAWS}
        right += aic[law] <= min(aic.values()) + apart
    return right


@pytest.mark.parametrize("law", CASES)
def test_the_right_law_is_chosen_where_data_can_tell(law: str) -> None:
    assert chosen(law, 20, 3_000) >= 18


@pytest.mark.slow
@pytest.mark.parametrize("law", CASES)
def test_the_right_law_is_chosen_in_nine_of_ten(law: str) -> None:
    assert chosen(law, 100, 3_000) >= 90


def test_a_fit_is_a_maximum() -> None:
    observed = drawn(5, "beta", prompts=500, runs=10, **CASES["beta"])
    fit = fitted(observed, "beta")
    for name in fit.values:
        for factor in (0.9, 1.1):
            moved = fit.values | {name: fit.values[name] * factor}
            assert value(observed, moved) < fit.log_likelihood


def value(observed: Partitions, values: dict[str, float]) -> float:
    from sim.inference.calibration.likelihood import Terms

    law, terms = LAWS["beta"], Terms(observed)
    free = law.free(**values)[None, :]
    logs = terms.log_likelihoods(law.log_moments(free, terms.powers), free[:, -1])[0]
    return float(observed.counts @ logs)


@pytest.mark.parametrize("law", CASES)
def test_runs_that_all_agree_bound_the_rate_only(law: str) -> None:
    fit = fitted(Partitions.of((number, (10,)) for number in range(300)), law, np.random.default_rng(1))
    rate = fit.parameters["rate"]
    assert rate.value == rate.low == 0
    assert 0.005 < rate.high < 0.02  # about 3.7 / 300


def test_few_differing_prompts_leave_the_concentration_open() -> None:
    fit = fitted(
        Partitions.of([(0, (9, 1)), *((number, (10,)) for number in range(1, 300))]), "beta", np.random.default_rng(1)
    )
    assert fit.parameters["alternatives"].low == 0
    assert fit.parameters["alternatives"].high == math.inf


def test_the_same_seed_gives_the_same_intervals() -> None:
    observed = drawn(5, "beta", prompts=200, runs=10, **CASES["beta"])
    one, other = (fitted(observed, "beta", np.random.default_rng(7)) for _ in range(2))
    assert one.parameters == other.parameters


def test_prompts_of_many_points_are_drawn_as_one() -> None:
    """Points that all say the same are no more than their prompt: the interval is as wide as that of one a prompt."""
    one = drawn(5, "independent", prompts=150, runs=10, **CASES["independent"])
    points = [(int(prompt), one.sizes[kind]) for prompt, kind in zip(one.prompt, one.kind, strict=True)]
    many = Partitions.of(point for point in points for _ in range(20))
    first, second = (fitted(data, "independent", np.random.default_rng(3)).parameters["rate"] for data in (one, many))
    assert second.value == pytest.approx(first.value, rel=1e-3)
    assert (second.high - second.low) / (first.high - first.low) > 0.8
