"""Averages over the hardness u of a decision point, by Gauss-Legendre panels."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from sim.inference.difficulty.base import Difficulty

    Floats = NDArray[np.float64]

_ORDER = 16


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


def hardness_nodes(laws: Iterable[Difficulty], nodes: int) -> tuple[Floats, Floats]:
    """Quadrature nodes and weights over u, fine enough for binomials of that many nodes.

    Parameters
    ----------
    laws
        The difficulty models that meet the same hardness.
    nodes
        Largest number of machines whose deviations are counted; panels shrink as 1/sqrt(nodes).

    Returns
    -------
    hardness, weights : Floats
        Shape (K,) each; the weights are positive and sum to 1.
    """
    edges = panel_edges(laws, 1 / math.sqrt(max(nodes, 1)))
    if len(edges) == 2:  # p does not depend on u
        return np.array([0.5]), np.array([1.0])
    points, weights = _legendre()
    width = np.diff(edges)[:, None]
    return (edges[:-1, None] + width * points).ravel(), (width * weights).ravel()


@lru_cache(maxsize=1)
def _legendre() -> tuple[Floats, Floats]:
    points, weights = np.polynomial.legendre.leggauss(_ORDER)
    return (points + 1) / 2, weights / 2
