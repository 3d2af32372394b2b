"""Each law is the inverse CDF of the distribution it says, and is read from what a user would write."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sim.base.model import FrozenModel, problems_of
from sim.statistics.durations import (
    DURATIONS,
    Constant,
    Duration,
    DurationLaw,
    LogNormal,
    Normal,
    Pareto,
    Uniform,
)


class Holder(FrozenModel):
    delay: Duration


def told(value: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Holder.model_validate({"delay": value})
    return [str(problem) for problem in problems_of(caught.value)]


def distribution(law: DurationLaw) -> Any:
    from scipy import stats

    match law:
        case Uniform():
            return stats.uniform(law.low, law.high - law.low)
        case Normal():
            return stats.truncnorm(-law.mean / law.deviation, math.inf, law.mean, law.deviation)
        case LogNormal():
            return stats.lognorm(law.sigma, scale=law.median)
        case Pareto():
            return stats.pareto(law.shape, scale=law.minimum)
    raise AssertionError(law)


def tail(law: DurationLaw, seconds: Any) -> Any:
    if isinstance(law, Normal):  # truncnorm loses its digits far out, norm does not
        from scipy.stats import norm

        whole = norm(law.mean, law.deviation)
        return whole.sf(seconds) / whole.sf(0)
    return (
        distribution(law).sf(seconds)
        if not isinstance(law, Uniform)
        else 1 - (seconds - law.low) / (law.high - law.low)
    )


LAWS = [
    Uniform(low=0.1, high=3.0),
    Uniform(low=0, high=1e6),
    Normal(mean=1.0, deviation=0.1),
    Normal(mean=0.0, deviation=2.0),
    Normal(mean=0.3, deviation=0.5),
    Normal(mean=8.0, deviation=1.0),
    LogNormal(median=0.08, sigma=0.4),
    LogNormal(median=2.0, sigma=2.0),
    Pareto(minimum=0.05, shape=1.5),
    Pareto(minimum=1.0, shape=4.0),
]
UNIFORMS = np.concatenate([[2.0**-53, 1e-9, 1e-3], np.linspace(0.01, 0.99, 99), [0.999, 1 - 1e-9, 1 - 2.0**-53]])
ENDS = np.array([2.0**-53, 0.25, 0.5, 0.75, 1 - 2.0**-53])


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_a_law_is_the_inverse_of_its_cdf(law: DurationLaw) -> None:
    seconds = law.quantile(UNIFORMS)
    assert seconds[:-3] == pytest.approx(distribution(law).ppf(UNIFORMS[:-3]), rel=1e-8, abs=1e-12)
    assert tail(law, seconds[-3:]) == pytest.approx(1 - UNIFORMS[-3:], rel=1e-7)


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_the_mean_is_that_of_the_distribution(law: DurationLaw) -> None:
    assert law.expected == pytest.approx(distribution(law).mean(), rel=1e-9)
    assert law.constant is None


SECONDS = st.floats(0, 1e6)
ANY = st.one_of(
    st.builds(Constant, seconds=SECONDS),
    st.tuples(SECONDS, SECONDS).map(lambda pair: Uniform(low=min(pair), high=max(pair))),
    st.builds(Normal, mean=SECONDS, deviation=SECONDS),
    st.builds(LogNormal, median=SECONDS, sigma=st.floats(0, 10)),
    st.builds(Pareto, minimum=SECONDS, shape=st.floats(1, 1e6, exclude_min=True)),
)


@given(ANY)
def test_durations_are_finite_never_negative_and_rise_with_the_uniform(law: DurationLaw) -> None:
    seconds = law.quantile(ENDS)
    assert np.isfinite(seconds).all()
    assert (seconds >= 0).all()
    assert (np.diff(seconds) >= -1e-9 * seconds[:-1]).all()
    assert math.isfinite(law.expected)
    if law.constant is not None:
        assert (seconds == law.constant).all()
        assert law.expected == pytest.approx(law.constant)


@pytest.mark.parametrize(
    ("law", "constant"),
    [
        (Constant(seconds=3), 3),
        (Uniform(low=2, high=2), 2),
        (Normal(mean=2, deviation=0), 2),
        (LogNormal(median=2, sigma=0), 2),
        (LogNormal(median=0, sigma=1), 0),
        (Pareto(minimum=0, shape=2), 0),
    ],
)
def test_a_law_without_spread_is_constant(law: DurationLaw, constant: float) -> None:
    assert law.constant == constant


@pytest.mark.parametrize("law", [*LAWS, Constant(seconds=1)], ids=repr)
def test_any_shape_of_uniforms_gives_the_same_shape(law: DurationLaw) -> None:
    square = np.linspace(0.1, 0.9, 6).reshape(2, 3)
    assert law.quantile(square).shape == (2, 3)
    assert law.quantile(square)[1, 2] == pytest.approx(float(law.quantile(np.array(0.9))))


def test_a_number_means_a_constant_and_is_the_same_scenario() -> None:
    number, mapping = Holder.model_validate({"delay": 2}), Holder(delay=Constant(seconds=2))
    assert number == mapping == Holder.model_validate({"delay": {"kind": "constant", "seconds": 2.0}})
    assert number.model_dump_json() == '{"delay":{"kind":"constant","seconds":2.0}}'


@pytest.mark.parametrize("law", [*LAWS, Constant(seconds=1)], ids=repr)
def test_a_law_survives_being_written_and_read(law: DurationLaw) -> None:
    assert Holder.model_validate_json(Holder(delay=law).model_dump_json()).delay == law


WANTED = "delay: must be a number of seconds, or a mapping with kind: constant, uniform, normal, lognormal, pareto"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (True, f"{WANTED} (got true)"),
        ("3 s", f"{WANTED} (got '3 s')"),
        (None, f"{WANTED} (got null)"),
        ([1], f"{WANTED} (got [1])"),
        (-1, "delay: must be at least 0 (got -1)"),
        (2e6, "delay: must be at most 1e+06 (got 2000000.0)"),
        (math.inf, "delay: must be a finite number (got .inf)"),
        (math.nan, "delay: must be a finite number (got .nan)"),
        (10**400, "delay: must be a number (got an integer of 1329 bits)"),
        ({}, "delay.kind: is required: one of constant, uniform, normal, lognormal, pareto"),
        ({"kind": "uniform", "low": 2, "high": 1}, "delay.low: must be at most high (1) (got 2.0)"),
        ({"kind": "pareto", "minimum": 1, "shape": 1}, "delay.shape: must be greater than 1 (got 1)"),
        ({"kind": "normal", "mean": 1, "deviation": -1}, "delay.deviation: must be at least 0 (got -1)"),
    ],
)
def test_what_is_no_duration_is_told(value: Any, message: str) -> None:
    assert message in told(value)


def test_a_misspelt_kind_is_told_the_closest() -> None:
    (problem,) = told({"kind": "paretto"})
    assert "did you mean pareto?" in problem


def test_the_json_schema_names_the_number_and_every_law() -> None:
    choices = Holder.model_json_schema()["properties"]["delay"]["anyOf"]
    assert {"type": "number"} in choices
    assert len(choices) == 1 + len(DURATIONS.builtin)
