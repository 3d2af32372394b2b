"""The law of the largest honest group, in closed form and in high precision.

Use this for one group of exchangeable honest nodes with noise of their own (``shared_noise`` 0).
Let A_k be the probability that k given nodes answer alike at one decision point. The expected
number of k-subsets that agree at all M points is C(h, k) A_k^M, and inclusion-exclusion turns
these into the law of the group sizes. The sums alternate, so doubles would be useless here; the
working precision leaves an absolute error below 1e-50 (``near_tie``) or 1e-350 (the others) for
n <= 40, hence 1e-12 relative for any probability above 1e-38.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import mpmath
from mpmath import mp, mpf

_DIGITS = {"near_tie": 90, "beta": 400, "zero_inflated": 400, "independent": 400}
_PANEL = mpf(1) / 2  # in units of the noise; 48 Gauss-Legendre nodes each reach 1e-80 at n = 40
_LEGENDRE_DEGREE = 5


def agreement(
    k: int,
    difficulty: str,
    rate: float,
    correlation: float | None,
    alternatives: float,
) -> Any:
    """Return A_k: k given nodes give the same choice at one decision point."""
    with mp.workdps(_DIGITS[difficulty]):
        same_wrong = mpf(1)
        for i in range(1, k):
            same_wrong *= 0 if math.isinf(alternatives) else i / (mpf(alternatives) + i)
        none = moment(0, k, difficulty, rate, correlation)
        return none + moment(k, 0, difficulty, rate, correlation) * same_wrong


def no_quorum(
    h: int,
    q: int,
    difficulty: str,
    rate: float,
    correlation: float | None,
    alternatives: float,
    points: int,
) -> Any:
    """Return the probability that no answer reaches q among h honest nodes (needs q > h/2)."""
    if 2 * q <= h:
        msg = f"two answers could reach {q} among {h} nodes"
        raise ValueError(msg)
    with mp.workdps(_DIGITS[difficulty]):
        reached = mpf(0)
        for k in range(q, h + 1):
            agree = agreement(k, difficulty, rate, correlation, alternatives) ** points
            reached += (-1) ** (k - q) * math.comb(k - 1, q - 1) * math.comb(h, k) * agree
        return 1 - reached


def group_sizes(
    h: int,
    difficulty: str,
    rate: float,
    correlation: float | None,
    alternatives: float,
    points: int,
) -> dict[int, Any]:
    """Return, for every size j > h/2, the probability that the largest group has size j."""
    with mp.workdps(_DIGITS[difficulty]):
        subsets = {
            k: math.comb(h, k) * agreement(k, difficulty, rate, correlation, alternatives) ** points
            for k in range(h // 2 + 1, h + 1)
        }
        return {
            j: mpmath.fsum((-1) ** (k - j) * math.comb(k, j) * subsets[k] for k in range(j, h + 1)) for j in subsets
        }


@cache
def moment(a: int, b: int, difficulty: str, rate: float, correlation: float | None) -> Any:
    """Return E[p^a (1-p)^b] over the hardness, for a group's deviation probability p."""
    with mp.workdps(_DIGITS[difficulty]):
        p = mpf(rate)
        if rate == 0:
            return mpf(a == 0)
        if difficulty == "independent":
            return p**a * (1 - p) ** b
        if difficulty in {"beta", "zero_inflated"}:
            if correlation is None:
                msg = f"{difficulty} needs a correlation"
                raise ValueError(msg)
            rho = mpf(correlation)
            if difficulty == "zero_inflated":
                able = p + rho * (1 - p)
                return p / able * able**a * (1 - able) ** b + (a == 0) * (1 - p / able)
            first, second = p * (1 - rho) / rho, (1 - p) * (1 - rho) / rho
            top = mpmath.rf(first, a) * mpmath.rf(second, b)
            return top / mpmath.rf(first + second, a + b)
        return _near_tie_moment(a, b, rate)


@cache
def near_tie_scale(rate: float) -> Any:
    """Return U with E[Phi(-U u)] = rate: the widest margin, in units of the noise."""
    with mp.workdps(_DIGITS["near_tie"] + 10):
        peak = 1 / mpmath.sqrt(2 * mpmath.pi)

        def excess(scale: Any) -> Any:
            area = scale * mpmath.ncdf(-scale) - peak * mpmath.expm1(-(scale**2) / 2)
            return area / scale - mpf(rate)

        low, high = peak * (1 - 2 * mpf(rate)), peak / mpf(rate) + 1
        return mpmath.findroot(excess, (low, high), solver="anderson", maxsteps=2000)


@cache
def _panel_rule(digits: int) -> list[tuple[Any, Any]]:
    """Gauss-Legendre nodes and weights on [-1, 1]."""
    rule = mpmath.calculus.quadrature.GaussLegendre(mp)
    return list(rule.calc_nodes(_LEGENDRE_DEGREE, int(digits * 3.4)))


@cache
def _near_tie_nodes(rate: float) -> list[tuple[Any, Any]]:
    """Return (p, weight) over the margins x = U u where p is not negligible."""
    digits = _DIGITS["near_tie"]
    scale = near_tie_scale(rate)
    end = min(scale, mpmath.sqrt(2 * mpmath.log(10) * digits))
    panels = int(mpmath.ceil(end / _PANEL))
    half = end / panels / 2
    return [
        (mpmath.ncdf(-half * (2 * i + 1 + x)), w * half / scale) for i in range(panels) for x, w in _panel_rule(digits)
    ]


def _near_tie_moment(a: int, b: int, rate: float) -> Any:
    """Integrate p^a (1-p)^b; beyond the last node p = 0, so a = 0 goes by its complement."""
    nodes = _near_tie_nodes(rate)
    if a == 0:
        return 1 - mpmath.fsum(w * (1 - (1 - p) ** b) for p, w in nodes)
    return mpmath.fsum(w * p**a * (1 - p) ** b for p, w in nodes)
