"""How many nodes accept a number, exactly, where noise is Gaussian.

Fix the number that is proposed, and the noise of a class: then its nodes reject it independently, each with a chance
that is known, and the number of those that do is a sum of binomials. What is left are averages over the proposed
number and over the noise of each class, one at a time: the leader's class has the law that its number leaves open.
Rejecting nodes are counted, and sums run over positive terms, so that tiny probabilities keep their digits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.inference.binomial import counted
from sim.inference.normal import interval
from sim.inference.quadrature import legendre

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sim.inference.numeric import NumberGroup

    Floats = NDArray[np.float64]

_SIGMA_MAX = 38.5  # beyond it the normal density is zero in double precision
_BULK = 9.0  # standard deviations that hold all but 1e-19
_TAILS = np.array([12.0, 16.0, 22.0, 30.0, _SIGMA_MAX])
_STEPS = np.array([0.0, 0.7, 1.6, 3.0, 5.5, 10.0, _SIGMA_MAX])
_EDGES_MAX = 60  # of panels, about
_CHUNK = 1 << 21  # doubles held at once


class Bound(NamedTuple):
    """Largest difference that is accepted: absolute, or a share of the proposed number if that is more."""

    absolute: float
    relative: float

    def around(self, proposed: Floats) -> Floats:
        """Largest difference to a proposed number."""
        near: Floats = np.maximum(self.absolute, self.relative * np.abs(proposed))
        return near


class Class(NamedTuple):
    """Nodes that share the noise of a class: of each group its number, class noise and own noise."""

    groups: tuple[tuple[int, float, float], ...]

    @property
    def rigid(self) -> bool:
        """Whether its nodes all answer alike."""
        return len({common for _, common, _ in self.groups}) == 1 and not any(own for *_, own in self.groups)

    @property
    def nodes(self) -> int:
        """Number of its nodes."""
        return sum(count for count, _, _ in self.groups)


def classes_of(groups: Sequence[NumberGroup]) -> dict[str, Class]:
    """Sort groups by class."""
    members: dict[str, list[tuple[int, float, float]]] = {}
    for group in groups:
        noise = (group.count, group.executor.class_noise, group.executor.node_noise)
        members.setdefault(group.hardware, []).append(noise)
    return {name: Class(tuple(several)) for name, several in members.items()}


def smooth(one: Class) -> bool:
    """Whether the law of a class can be averaged: all of its nodes have noise of their own, or all answer alike."""
    return one.rigid or all(own > 0 for *_, own in one.groups)


def rejecting(
    classes: dict[str, Class], bound: Bound, true_value: float, proposed: Floats, leader: tuple[str, int] | None = None
) -> Floats:
    """Law of the number of nodes that reject a number.

    Parameters
    ----------
    classes
        The honest nodes.
    bound
        What they accept.
    true_value
        Their mean.
    proposed
        Numbers, shape (K,).
    leader
        Class, and group within it, of the node that proposes; it is left out of the count. None: an outsider does.

    Returns
    -------
    Floats
        Shape (K, h + 1), or (K, h) with a leader.
    """
    law = np.ones((len(proposed), 1))
    for name, one in classes.items():
        mine = leader[1] if leader and leader[0] == name else None
        law = _convolved(law, _of_class(one, bound, true_value, proposed, mine))
    return law


def led(classes: dict[str, Class], bound: Bound, true_value: float, leader: tuple[str, int]) -> Floats:
    """Law of the number of nodes that reject what a node of a class, and group within it, proposes; shape (h,)."""
    one = classes[leader[0]]
    _, common, own = one.groups[leader[1]]
    spread = math.hypot(common, own)
    if not spread:
        alone: Floats = rejecting(classes, bound, true_value, np.array([true_value]), leader)[0]
        return alone
    nodes = sum(each.nodes for each in classes.values())
    points, weights = normal_nodes(_edges(classes, bound, true_value, spread)[None, :], nodes)
    law = rejecting(classes, bound, true_value, true_value + spread * points[0], leader)
    total: Floats = weights[0] @ law
    return total


def work(classes: dict[str, Class]) -> float:
    """Numbers that are worked out for what each group proposes, about."""
    outer = _EDGES_MAX * len(legendre()[0])
    nodes = sum(one.nodes for one in classes.values())
    groups = sum(len(one.groups) for one in classes.values())
    inner = 0.0
    for one in classes.values():
        averaged = any(common for _, common, _ in one.groups) and not one.rigid
        inner += (one.nodes + 1) * (outer if averaged else 1) * len(one.groups)
    return groups * outer * (inner + (nodes * nodes if len(classes) > 1 else 0))


def _edges(classes: dict[str, Class], bound: Bound, true_value: float, spread: float) -> Floats:
    """Places, in standard deviations of what is proposed, about which its acceptance changes, on each scale."""
    noise = [each for one in classes.values() for each in one.groups]
    scales = sorted({scale for _, common, own in noise for scale in (own, math.hypot(common, own)) if scale})
    marks = [(limit - true_value) / spread for limit in _limits(bound, true_value)]
    fine = [mark + side * scale / spread * _STEPS for mark in marks for side in (-1, 1) for scale in scales]
    kinks = []
    if bound.relative:  # where one bound takes over from the other
        kinks = [(side * bound.absolute / bound.relative - true_value) / spread for side in (-1, 1)]
    return np.concatenate([*fine, np.array([*marks, *kinks])])


def normal_nodes(edges: Floats, nodes: int) -> tuple[Floats, Floats]:
    """Quadrature nodes and weights over a standard normal variable, fine enough for binomials of that many nodes.

    Parameters
    ----------
    edges
        Places about which more panels are wanted, shape (K, E), any order.
    nodes
        Largest number of nodes that are counted.

    Returns
    -------
    points, weights : Floats
        Shape (K, P).
    """
    step = min(1.5, 5 / math.sqrt(max(nodes, 1)))
    bulk = np.linspace(-_BULK, _BULK, 2 * math.ceil(_BULK / step) + 1)
    base = np.concatenate([-_TAILS[::-1], bulk, _TAILS])
    rows = np.concatenate([np.broadcast_to(base, (len(edges), len(base))), edges], axis=1)
    rows = np.sort(np.clip(rows, -_SIGMA_MAX, _SIGMA_MAX), axis=1)
    points, weights = legendre()
    width = np.diff(rows, axis=1)[:, :, None]
    places = (rows[:, :-1, None] + width * points).reshape(len(rows), -1)
    density = np.exp(-places * places / 2) / math.sqrt(2 * math.pi)
    return places, (width * weights).reshape(len(rows), -1) * density


def _limits(bound: Bound, true_value: float) -> list[float]:
    """Proposals at the edge of what a node without noise accepts."""
    limits = [true_value - bound.absolute, true_value + bound.absolute]
    if bound.relative:
        limits += [true_value / (1 + side * bound.relative) for side in (-1, 1) if side * bound.relative != -1]
    return limits


def _of_class(one: Class, bound: Bound, true_value: float, proposed: Floats, leader: int | None) -> Floats:
    """Law of the number of rejecting nodes of a class, shape (K, nodes + 1)."""
    near = bound.around(proposed)
    low, high = proposed - near - true_value, proposed + near - true_value
    counts = [count - (index == leader) for index, (count, _, _) in enumerate(one.groups)]
    if one.rigid:
        law = np.zeros((len(proposed), sum(counts) + 1))
        outside, inside = _chances(low, high, one.groups[0][1]) if leader is None else (0.0, 1.0)
        law[:, 0] += inside
        law[:, -1] += outside
        return law
    if not any(common for _, common, _ in one.groups):
        return _given(one, counts, low, high, np.zeros(len(proposed)))
    mean, spread = np.zeros(len(proposed)), 1.0
    if leader is not None:
        _, common, own = one.groups[leader]
        variance = common * common + own * own
        mean, spread = common / variance * (proposed - true_value), own / math.sqrt(variance)
    edges = [
        ((limit / common - mean) / spread)[:, None] + side * own / (common * spread) * _STEPS
        for _, common, own in one.groups
        if common
        for limit in (low, high)
        for side in (-1, 1)
    ]
    law = np.empty((len(proposed), sum(counts) + 1))
    chunk = max(1, _CHUNK // (16 * (40 + sum(each.shape[1] for each in edges)) * (sum(counts) + 1)))
    for start in range(0, len(proposed), chunk):
        rows = slice(start, start + chunk)
        points, weights = normal_nodes(np.concatenate([each[rows] for each in edges], axis=1), sum(counts))
        noise = mean[rows, None] + spread * points
        shape = noise.shape
        each = _given(
            one, counts, np.broadcast_to(low[rows, None], shape), np.broadcast_to(high[rows, None], shape), noise
        )
        law[rows] = (weights[:, None, :] @ each)[:, 0, :]
    return law


def _given(one: Class, counts: list[int], low: Floats, high: Floats, noise: Floats) -> Floats:
    """Law of the number of rejecting nodes, given the noise of the class; one axis more than the noise."""
    law = np.ones((*noise.shape, 1))
    for count, (_, common, own) in zip(counts, one.groups, strict=True):
        outside, inside = _chances(low - common * noise, high - common * noise, own)
        law = _convolved(law, counted(count, outside, inside))
    return law


def _chances(low: Floats, high: Floats, spread: float) -> tuple[Floats, Floats]:
    """Probability that noise of that standard deviation falls outside, and inside, both precise where they are tiny."""
    from scipy.special import ndtr

    if not spread:
        inside = ((low <= 0) & (high >= 0)).astype(float)
        return 1 - inside, inside
    low, high = low / spread, high / spread
    return ndtr(low) + ndtr(-high), interval(low, high)


def _convolved(one: Floats, other: Floats) -> Floats:
    """Law of the sum of two numbers, along the last axis."""
    if one.shape[-1] == 1:
        return one * other
    total = np.zeros((*np.broadcast_shapes(one.shape[:-1], other.shape[:-1]), one.shape[-1] + other.shape[-1] - 1))
    for k in range(one.shape[-1]):
        total[..., k : k + other.shape[-1]] += one[..., k, None] * other
    return total
