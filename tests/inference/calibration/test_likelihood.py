"""The likelihood is a law of labelled partitions: it sums to one, and agrees with counting node by node."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from mpmath import mp, mpf, quad

from sim.inference import chain
from sim.inference.calibration.laws import LAWS
from sim.inference.calibration.likelihood import Powers, Terms
from sim.inference.calibration.partitions import Partitions
from sim.inference.calibration.predicted import expected_groups, quorum_rates
from sim.inference.executors import Gpu
from sim.inference.population import HonestGroup, Population

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES = {
    "independent": {"rate": 0.1, "alternatives": 0.7},
    "beta": {"rate": 0.1, "correlation": 0.3, "alternatives": 0.7},
    "zero_inflated": {"rate": 0.1, "correlation": 0.3, "alternatives": 0.7},
    "near_tie": {"rate": 0.1, "alternatives": 0.7},
}


def partitions(runs: int) -> Iterator[tuple[int, ...]]:
    """Every partition of labelled runs, by the size of its groups, as restricted growth strings."""
    for labels in product(range(runs), repeat=runs):
        if all(label <= max(labels[:index], default=-1) + 1 for index, label in enumerate(labels)):
            yield tuple(sorted(Counter(labels).values(), reverse=True))


def log_likelihoods(name: str, kinds: list[tuple[int, ...]]) -> list[float]:
    law = LAWS[name]
    terms = Terms(Partitions.of(enumerate(kinds)))
    free = law.free(**CASES[name])[None, :]
    return list(map(float, terms.log_likelihoods(law.log_moments(free, terms.powers), free[:, -1])[0]))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("runs", [2, 5])
def test_it_sums_to_one_over_all_labelled_partitions(name: str, runs: int) -> None:
    number = Counter(partitions(runs))
    kinds = list(number)
    total = sum(number[kind] * math.exp(log) for kind, log in zip(kinds, log_likelihoods(name, kinds), strict=True))
    assert total == pytest.approx(1, rel=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_sum_over_which_group_is_the_reference(name: str) -> None:
    values, kind = CASES[name], (3, 1, 1)
    alpha = values["alternatives"]
    rising = math.prod
    expected = 0.0
    for reference in [None, 0, 1, 2]:
        wrong = [size for index, size in enumerate(kind) if index != reference]
        deviate = sum(wrong)
        seats = math.prod(alpha * math.factorial(size - 1) for size in wrong) / rising(
            alpha + i for i in range(deviate)
        )
        expected += float(moment(name, deviate, 5 - deviate)) * seats
    assert log_likelihoods(name, [kind])[0] == pytest.approx(math.log(expected), abs=1e-8)


def moment(name: str, deviate: int, stay: int) -> mpf:
    """E[p^D (1-p)^S] in high precision."""
    values = CASES[name]
    rate, rho = mpf(values["rate"]), mpf(values.get("correlation", 0))
    with mp.workdps(30):
        if name == "independent":
            return rate**deviate * (1 - rate) ** stay
        if name == "beta":
            a, b = rate * (1 - rho) / rho, (1 - rate) * (1 - rho) / rho
            return mp.beta(a + deviate, b + stay) / mp.beta(a, b)
        if name == "zero_inflated":
            p = rate + rho * (1 - rate)
            return rate / p * p**deviate * (1 - p) ** stay + (1 - rate / p) * (deviate == 0)
        scale = mp.findroot(lambda m: quad(lambda u: mp.ncdf(-m * u), [0, 1]) - rate, 4)
        return quad(lambda u: mp.ncdf(-scale * u) ** deviate * mp.ncdf(scale * u) ** stay, [0, 0.5, 1])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("deviate", [0, 1, 7, 10])
def test_moments_agree_with_high_precision(name: str, deviate: int) -> None:
    law = LAWS[name]
    free = law.free(**CASES[name])[None, :]
    mine = law.log_moments(free, Powers(np.array([deviate]), np.array([10])))[0, 0]
    assert mine == pytest.approx(float(mp.log(moment(name, deviate, 10 - deviate))), abs=2e-8)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("quorum", [7, 9, 13])
def test_predicted_quorums_are_those_of_the_simulator(name: str, quorum: int) -> None:
    law, values = LAWS[name], CASES[name]
    mine = quorum_rates(expected_groups(law, {key: np.array([value]) for key, value in values.items()}, 13), quorum)
    executor = Gpu(nondeterminism=law.difficulty(values))
    simulated = chain.after(Population.of([HonestGroup(13, 1, "x", executor)]), quorum, 1).mass
    assert mine[0] == pytest.approx(simulated, rel=1e-7)


def test_predicted_groups_hold_all_runs() -> None:
    for name, values in CASES.items():
        groups = expected_groups(LAWS[name], {key: np.array([value]) for key, value in values.items()}, 12)[0]
        assert groups @ np.arange(13) == pytest.approx(12, rel=1e-8), name
