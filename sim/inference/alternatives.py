"""Which wrong answer: deviating nodes choose by a Chinese-restaurant process.

Customers (deviating nodes, or a whole hardware class that deviates as one) enter in any order; the i-th opens a new
table (a wrong answer nobody gave yet) with probability alpha / (alpha + i - 1), else joins one in proportion to its
size. alpha = 0: one common second-best answer; alpha = inf: all differ (Ewens 1972; Pitman 2006, chapter 3).

The process is exchangeable and consistent: the customers that one looks at form such a process of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.inference.binomial import log_choose

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]


def log_table_probability(customers: int, alpha: float) -> Floats:
    """Logarithm of the probability that a given set of customers is exactly one table.

    For c of K customers it is alpha Gamma(c) Gamma(alpha + K - c) / Gamma(alpha + K), here by products. Times the
    number of such sets, C(K, c), it is the expected number of tables of size c, the EC(K, c) of the design.

    Parameters
    ----------
    customers
        K, at least 1.
    alpha
        Concentration, 0 < alpha < inf.

    Returns
    -------
    Floats
        Shape (customers + 1,), indexed by c; entry 0 is -inf, since a table is not empty.
    """
    sizes = np.arange(1, customers)
    steps = np.log(sizes) - np.log(alpha + (customers - 1 - sizes))
    first = np.log(alpha) - np.log(alpha + (customers - 1))
    return np.concatenate([[-np.inf, first], first + np.cumsum(steps)])


def log_kept_probability(customers: int, kept: float, left: float) -> Floats:
    """Logarithm of the probability that, of customers who sit in one of two restaurants, given ones are in the first.

    For c of K customers it is Gamma(a+c) Gamma(b+K-c) Gamma(a+b) / (Gamma(a) Gamma(b) Gamma(a+b+K)), the moment
    E[V^c (1-V)^(K-c)] of V ~ Beta(a, b), here by products.

    Parameters
    ----------
    customers
        K.
    kept, left
        Concentrations a and b of the two restaurants, positive.

    Returns
    -------
    Floats
        Shape (customers + 1,), indexed by c.

    Examples
    --------
    >>> np.exp(log_kept_probability(2, 1.0, 1.0)).round(12)  # all, one given and the other not, none
    array([0.33333333, 0.16666667, 0.33333333])
    """
    steps = np.arange(customers)
    first, second, both = (
        np.concatenate([[0.0], np.cumsum(np.log(start + steps))]) for start in (kept, left, kept + left)
    )
    logs: Floats = first + second[::-1] - both[-1]
    return logs


def expected_tables(customers: int, alpha: float) -> Floats:
    """Expected number of tables of each size, the EC(K, c) of the design, for any concentration.

    Returns
    -------
    Floats
        Shape (customers + 1,), indexed by size.

    Examples
    --------
    >>> expected_tables(2, 1.0).round(12), expected_tables(3, 0.0), expected_tables(3, np.inf)
    (array([0. , 1. , 0.5]), array([0., 0., 0., 1.]), array([0., 3., 0., 0.]))
    """
    expected: Floats = np.zeros(customers + 1)
    if not customers:
        return expected
    if alpha == 0:
        expected[customers] = 1.0
    elif np.isinf(alpha):
        expected[1] = customers
    else:
        expected = np.exp(log_table_probability(customers, alpha) + log_choose(customers))
    return expected


def table_complement(customers: int, alpha: float) -> float:
    """Probability that the customers do not all sit at one table, precise where it is small.

    Examples
    --------
    >>> table_complement(2, 1.0), table_complement(1, 1.0)
    (0.5, 0.0)
    """
    return float(-np.expm1(-np.log1p(alpha / np.arange(1, customers)).sum()))


def seat(stream: Generator, restaurant: Integers, alpha: float, known: Integers | None = None) -> Integers:
    """Seat customers, many restaurants at once.

    A customer who joins a table does so by following one uniformly drawn earlier customer, which picks tables in
    proportion to their size; the tables are then the trees of that forest, found by jumping pointers.

    Parameters
    ----------
    stream
        Source of randomness.
    restaurant
        Restaurant of each customer, sorted, shape (N,).
    alpha
        Concentration, 0 <= alpha <= inf.
    known
        The table of each customer who has one already, -1 for the others; in every restaurant they come first.

    Returns
    -------
    Integers
        A number for each customer's table, shape (N,): the index of the customer who opened it.
    """
    everyone = np.arange(len(restaurant))
    if np.isinf(alpha):
        return everyone
    first = np.searchsorted(restaurant, restaurant)
    rank = everyone - first
    opens = stream.random(len(everyone)) * (alpha + rank) < alpha
    followed = first + np.minimum((stream.random(len(everyone)) * rank).astype(np.int64), np.maximum(rank - 1, 0))
    table: Integers = np.where(opens | (rank == 0), everyone, followed)
    if known is not None:
        table = np.where(known >= 0, known, table)
    while not np.array_equal(above := table[table], table):
        table = above
    return table
