"""The Chinese-restaurant process against enumeration of all partitions."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference.brute_force import ewens, set_partitions
from scipy.stats import chisquare

from sim.inference.alternatives import log_table_probability, seat, table_complement


@pytest.mark.parametrize("alpha", [0.01, 0.5, 1.0, 2.0, 50.0])
@pytest.mark.parametrize("customers", [1, 2, 5, 6])
def test_expected_tables_equal_enumeration(customers: int, alpha: float) -> None:
    expected = [0.0] * (customers + 1)
    for tables in set_partitions([frozenset([customer]) for customer in range(customers)]):
        probability = ewens([len(table) for table in tables], alpha)
        for table in tables:
            expected[len(table)] += probability
    logs = log_table_probability(customers, alpha)
    for size in range(1, customers + 1):
        assert math.comb(customers, size) * math.exp(logs[size]) == pytest.approx(expected[size], rel=1e-12)


@given(st.integers(1, 2000), st.floats(1e-12, 1e6))
def test_the_chance_of_one_table_and_its_complement_add_up(customers: int, alpha: float) -> None:
    together = math.exp(log_table_probability(customers, alpha)[customers])
    assert together + table_complement(customers, alpha) == pytest.approx(1, rel=1e-9)


def test_the_complement_is_precise_where_it_is_tiny() -> None:
    harmonic = sum(1 / i for i in range(1, 10))
    assert table_complement(10, 1e-200) == pytest.approx(1e-200 * harmonic, rel=1e-12)


@pytest.mark.parametrize("alpha", [0.5, 2.0])
def test_seating_follows_the_law_of_partitions(alpha: float) -> None:
    rounds, customers = 40_000, 4
    restaurant = np.repeat(np.arange(rounds), customers)
    table = seat(np.random.default_rng(5), restaurant, alpha).reshape(rounds, customers)
    seen = Counter(tuple(np.unique(row, return_inverse=True)[1]) for row in table)
    law = {}
    for tables in set_partitions([frozenset([customer]) for customer in range(customers)]):
        firsts = sorted(min(min(customer) for customer in table) for table in tables)
        of = {next(iter(customer)): table for table in tables for customer in table}
        label = tuple(firsts.index(min(min(other) for other in of[customer])) for customer in range(customers))
        law[label] = ewens([len(table) for table in tables], alpha)
    assert sum(seen.values()) == rounds
    observed = [seen[label] for label in law]
    assert chisquare(observed, [rounds * law[label] for label in law]).pvalue > 1e-4


def test_limits_of_the_concentration() -> None:
    restaurant = np.array([0, 0, 0, 2, 2])
    rng = np.random.default_rng(1)
    assert seat(rng, restaurant, 0.0).tolist() == [0, 0, 0, 3, 3]
    assert seat(rng, restaurant, math.inf).tolist() == [0, 1, 2, 3, 4]
