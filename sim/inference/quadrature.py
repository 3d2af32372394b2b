"""Averages over the hardness u of a decision point, by Gauss-Legendre panels."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from sim.inference.difficulty.base import Difficulty

    Floats = NDArray[np.float64]

_ORDER = 16
_SPLIT = 64  # parts of a panel that is searched for two crossings


def panel_edges(laws: Iterable[Difficulty], resolution: float) -> Floats:
    """Edges of panels of [0, 1] on which every law is smooth.

    Parameters
    ----------
    laws
        The difficulty models that meet the same hardness.
    resolution
        See `Difficulty.edges`.

    Returns
    -------
    Floats
        Rising from 0 to 1.
    """
    return np.unique(np.concatenate([[0.0, 1.0], *(law.edges(resolution) for law in laws)]))


def hardness_nodes(
    laws: Sequence[Difficulty], nodes: int, compared: Iterable[tuple[Difficulty, Difficulty]] = ()
) -> tuple[Floats, Floats]:
    """Quadrature nodes and weights over u, fine enough for binomials of that many nodes.

    Parameters
    ----------
    laws
        The difficulty models that meet the same hardness.
    nodes
        Largest number of machines whose deviations are counted; panels shrink as 1/sqrt(nodes).
    compared
        Pairs of laws of which the larger or the smaller is averaged: panels also end where they cross.

    Returns
    -------
    hardness, weights : Floats
        Shape (K,) each; the weights are positive and sum to 1.
    """
    edges = panel_edges(laws, 1 / math.sqrt(max(nodes, 1)))
    crossings = [_crossings(one, other, edges) for one, other in compared]
    edges = np.unique(np.concatenate([edges, *crossings]))
    ends = np.array([0.0, 1.0])
    if all(np.ptp(law.deviation_probability(ends)) == 0 for law in laws):  # p falls with u, so it is constant
        return np.array([0.5]), np.array([1.0])
    return panels(edges)


def panels(edges: Floats) -> tuple[Floats, Floats]:
    """Points and weights on panels with the given edges, rising; shape (K,) each."""
    points, weights = legendre()
    width = np.diff(edges)[:, None]
    return (edges[:-1, None] + width * points).ravel(), (width * weights).ravel()


def node_count(laws: Iterable[Difficulty], nodes: int) -> int:
    """Number of quadrature nodes that `hardness_nodes` uses, without crossings."""
    return _ORDER * (len(panel_edges(laws, 1 / math.sqrt(max(nodes, 1)))) - 1)


def _crossings(one: Difficulty, other: Difficulty, edges: Floats) -> Floats:
    """Points at which the deviation probabilities of two laws cross, by bisection within the panels."""

    def above(hardness: Floats) -> Floats:
        sign: Floats = np.sign(one.deviation_probability(hardness) - other.deviation_probability(hardness))
        return sign

    edges = _refined(one, other, edges)
    signs = above(edges)
    crossed = signs[:-1] * signs[1:] < 0
    low, high, sign = edges[:-1][crossed], edges[1:][crossed], signs[:-1][crossed]
    for _ in range(60):
        middle = (low + high) / 2
        left = above(middle) == sign
        low, high = np.where(left, middle, low), np.where(left, high, middle)
    inside: Floats = high[(high > 0) & (high < 1)]
    return inside


def _refined(one: Difficulty, other: Difficulty, edges: Floats) -> Floats:
    """Split the panels in which two laws may cross twice: both fall, and run through ranges that overlap."""
    p, q = one.deviation_probability(edges), other.deviation_probability(edges)
    lower, upper = np.minimum(p, q), np.maximum(p, q)
    same_side = np.sign(p - q)[:-1] * np.sign(p - q)[1:] > 0
    close = np.flatnonzero(same_side & (upper[1:] < lower[:-1]))
    steps = np.arange(1, _SPLIT) / _SPLIT
    inner = edges[close, None] + (edges[close + 1] - edges[close])[:, None] * steps
    refined: Floats = np.unique(np.concatenate([edges, inner.ravel()]))
    return refined


@lru_cache(maxsize=1)
def legendre() -> tuple[Floats, Floats]:
    """Gauss-Legendre points and weights on [0, 1]."""
    points, weights = np.polynomial.legendre.leggauss(_ORDER)
    return (points + 1) / 2, weights / 2
