"""Difficulty models: the mean over prompts is the rate, and p never rises with u."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from reference.closed_form import moment, near_tie_scale

from sim import Beta, Independent, NearTie
from sim.inference.agreement import Lattice, deviator_law
from sim.inference.difficulty.base import Difficulty
from sim.inference.difficulty.zero_inflated import ZeroInflated
from sim.inference.executors import Gpu
from sim.inference.population import HonestGroup, Population
from sim.inference.quadrature import hardness_nodes

LAWS: list[Difficulty] = [
    NearTie(rate=1e-9),
    NearTie(rate=1e-4),
    NearTie(rate=0.03),
    NearTie(rate=0.4375),
    NearTie(rate=0.499),
    Independent(rate=0.99),
    Beta(rate=1e-4, correlation=0.43),
    Beta(rate=0.3, correlation=0.4),
    Beta(rate=0.3, correlation=0.9),
    Beta(rate=0.9, correlation=0.01),
    Beta(rate=1e-6, correlation=0.999),
    Beta(rate=0.01, correlation=1e-6),
    ZeroInflated(rate=0.01, correlation=0.3),
    ZeroInflated(rate=0.3, correlation=0.01),
]


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_the_mean_over_prompts_is_the_rate(law: Difficulty) -> None:
    hardness, weights = hardness_nodes([law], 13)
    assert weights.sum() == pytest.approx(1, rel=1e-13)
    assert float(weights @ law.deviation_probability(hardness)) == pytest.approx(law.rate, rel=1e-11)


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_harder_prompts_deviate_more(law: Difficulty) -> None:
    hardness = np.concatenate([[0.0], np.logspace(-300, -1, 500), np.linspace(0.1, 1, 500)])
    p = law.deviation_probability(hardness)
    assert np.all(np.diff(p) <= 1e-14)
    assert np.all((p >= 0) & (p < 1))


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_the_law_of_deviators_matches_exact_moments(law: Difficulty) -> None:
    population = Population.of([HonestGroup(9, 1, "x", Gpu(nondeterminism=law))])
    lattice = Lattice(population, 6)
    mine = deviator_law(lattice, *hardness_nodes([law], 9))
    correlation = getattr(law, "correlation", None)
    for number in range(10):
        exact = math.comb(9, number) * float(moment(number, 9 - number, law.difficulty, law.rate, correlation))
        assert mine[number] == pytest.approx(exact, rel=1e-10, abs=1e-300), number


def test_quadrature_and_closed_form_of_beta_agree() -> None:
    law = Beta(rate=0.02, correlation=0.2)
    hardness, weights = hardness_nodes([law], 20)
    p = law.deviation_probability(hardness)
    closed = law.deviator_law(20)
    for number in range(21):
        averaged = math.comb(20, number) * float(weights @ (p**number * (1 - p) ** (20 - number)))
        assert averaged == pytest.approx(closed[number], rel=1e-10)


@given(st.floats(1e-12, 0.4999))
@settings(max_examples=50, deadline=None)
def test_the_largest_margin_solves_its_equation(rate: float) -> None:
    assert NearTie(rate=rate).margin_max == pytest.approx(float(near_tie_scale(rate)), rel=1e-9)


def test_two_near_tie_machines_disagree_at_root_two_times_the_rate() -> None:
    law = NearTie(rate=1e-4)
    hardness, weights = hardness_nodes([law], 2)
    p = law.deviation_probability(hardness)
    assert float(weights @ (2 * p * (1 - p))) == pytest.approx(math.sqrt(2) * 1e-4, rel=1e-9)


def test_given_one_deviation_from_a_noisy_reference_a_third_machine_deviates_half_of_the_time() -> None:
    law = NearTie(rate=1e-4)
    hardness, weights = hardness_nodes([law], 3)
    p = law.deviation_probability(hardness)
    pair, both = weights @ (2 * p * (1 - p)), weights @ (p * (1 - p))
    assert float(both / pair) == pytest.approx(0.5)
    assert float(weights @ (p * p) / (weights @ p)) == pytest.approx(0.293, abs=5e-4)


@pytest.mark.parametrize("law", [NearTie, Independent, Beta, ZeroInflated])
def test_a_rate_of_zero_never_deviates(law: type[Difficulty]) -> None:
    parts: dict[str, Any] = {"correlation": 0.3} if law in {Beta, ZeroInflated} else {}
    model = law.model_validate({"rate": 0, **parts})
    assert not model.deviation_probability(np.linspace(0, 1, 11)).any()


@pytest.mark.parametrize(
    ("law", "shared", "expected"),
    [
        (NearTie, 0.0, 0.0),
        (NearTie, 0.5, 0.0),
        (Independent, 0.0, math.inf),
        (Independent, 0.5, 0.0),
        (Independent, 1.0, 0.0),
        (Beta, 0.0, 1.0),
        (Beta, 0.5, 0.0),
        (Beta, 1.0, 1.0),
    ],
)
def test_default_alternatives(law: type[Difficulty], shared: float, expected: float) -> None:
    parts: dict[str, Any] = {"correlation": 0.3} if law in {Beta, ZeroInflated} else {}
    assert law.model_validate({"rate": 0.1, "shared_noise": shared, **parts}).alternatives == expected


@pytest.mark.parametrize("rate", [0.5, -1e-4, math.nan, math.inf])
def test_a_near_tie_rate_outside_zero_to_one_half_is_refused(rate: float) -> None:
    with pytest.raises(ValidationError, match="rate"):
        NearTie(rate=rate)
