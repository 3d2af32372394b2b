"""The references agree with one another, and with the numbers that the design quotes."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from mpmath import expm1, mp, mpf, ncdf, pi, quad, sqrt
from scipy import special

from . import closed_form, model
from .brute_force import Outcomes, ewens, near_tie_scale, outcomes, set_partitions
from .model import Case, Group
from .per_node import OUTCOMES, simulate

INF = math.inf
BLOCKS = 20_000
BEHAVIOURS: tuple[model.Behaviour, ...] = ("silent", "random", "collude", "amplify", "equivocate")
LAWS: tuple[tuple[model.Difficulty, float | None], ...] = (
    ("independent", None),
    ("near_tie", None),
    ("beta", 1e-3),
    ("beta", 0.43),
    ("beta", 0.9),
)
MIXED = (
    Group("a", 2, power=2, rate=0.2),
    Group("b", 2, byzantine=1, rate=0.3, difficulty="beta", correlation=0.4),
    Group("c", 2, byzantine=1, rate=0.25, difficulty="independent"),
)
SHARED = (
    Group("a", 2, hardware="x", rate=0.3, shared_noise=1.0),
    Group("b", 2, byzantine=1, hardware="x", rate=0.4, difficulty="independent", shared_noise=1.0),
    Group("c", 1, power=2, rate=0.3),
    Group("d", 1, byzantine=1),
)


def third_quorum(n: int) -> int:
    """Return q for the fault threshold 1/3."""
    return n - (math.ceil(Fraction(n, 3)) - 1)


def single(law: tuple[model.Difficulty, float | None], rate: float, n: int) -> Group:
    return Group("g", n, rate=rate, difficulty=law[0], correlation=law[1])


def with_points(case: Case, per: model.Per, points: int) -> Case:
    if per == "request":
        return replace(case, requests=points)
    return replace(case, tokens=points, per="token")


# --- the design's numbers -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "law", "rate", "alternatives", "points", "expected"),
    [
        (3, ("near_tie", None), 1e-4, 0.0, 1, 2.12132034356e-4),
        (13, ("near_tie", None), 1e-4, 0.0, 1, 9.73391741342e-5),
        (13, ("independent", None), 1e-4, INF, 1, 1.28614225735e-17),
        (13, ("beta", 0.43), 1e-4, 1.0, 1, 9.51250830057e-5),
        (13, ("near_tie", None), 1e-6, 0.0, 1024, 9.98124212519e-4),
    ],
)
def test_closed_form_quoted(
    n: int,
    law: tuple[str, float | None],
    rate: float,
    alternatives: float,
    points: int,
    expected: float,
) -> None:
    value = closed_form.no_quorum(n, third_quorum(n), law[0], rate, law[1], alternatives, points)
    assert float(value) == pytest.approx(expected, rel=1e-11)


def test_closed_form_at_scale_thirty() -> None:
    scale = mpf(30)
    rate = float(ncdf(-scale) - expm1(-(scale**2) / 2) / sqrt(2 * pi) / scale)
    assert float(closed_form.near_tie_scale(rate)) == pytest.approx(30, rel=1e-13)
    value = closed_form.no_quorum(13, 9, "near_tie", rate, None, 0.0, 40)
    assert float(value) == pytest.approx(0.57968818145, rel=1e-10)


def test_propose_quoted() -> None:
    """At n = 13 and rate 1e-4: independent 1.0e-4, near_tie 1.50e-4."""
    for law, alternatives, expected in (("independent", INF, 1.0e-4), ("near_tie", 0.0, 1.50e-4)):
        sizes = closed_form.group_sizes(13, law, 1e-4, None, alternatives, 1)
        failure = 1 - sum(sizes[j] * j for j in range(9, 14)) / 13
        assert float(failure) == pytest.approx(expected, rel=5e-3)


# --- the closed form by itself ------------------------------------------------------------------


def test_near_tie_moments_by_another_quadrature() -> None:
    with mp.workdps(40):
        scale = closed_form.near_tie_scale(1e-4)
        for a, b in ((40, 0), (3, 20), (1, 1)):
            direct = quad(lambda x, a=a, b=b: ncdf(-x) ** a * ncdf(x) ** b, [k / mpf(2) for k in range(33)])
            moment = closed_form.moment(a, b, "near_tie", 1e-4, None)
            assert abs(moment * scale / direct - 1) < mpf(10) ** -30


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("alternatives", [0.0, 1.0, INF])
def test_group_sizes_and_no_quorum_fill_the_whole(
    law: tuple[model.Difficulty, float | None], alternatives: float
) -> None:
    sizes = closed_form.group_sizes(40, law[0], 1e-3, law[1], alternatives, 1024)
    lost = closed_form.no_quorum(40, 27, law[0], 1e-3, law[1], alternatives, 1024)
    assert abs(sum(sizes[j] for j in range(27, 41)) + lost - 1) < mpf(10) ** -14
    assert all(value > -(mpf(10) ** -40) for value in sizes.values())


# --- brute force against the closed form --------------------------------------------------------


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("alternatives", [0.0, 0.3, INF])
def test_brute_force_agrees_with_closed_form(law: tuple[model.Difficulty, float | None], alternatives: float) -> None:
    for rate in (1e-8, 1e-6, 1e-3, 0.1, 0.3, 0.45):
        for n, q in ((3, 3), (5, 4), (6, 4)):
            case = Case((single(law, rate, n),), q, alternatives=alternatives)
            expected = closed_form.no_quorum(n, q, law[0], rate, law[1], alternatives, 1)
            exact = outcomes(case)
            assert exact.no_quorum == pytest.approx(float(expected), rel=1e-11, abs=0)
            assert math.fsum(exact[:4]) == pytest.approx(1, abs=1e-13)


@pytest.mark.parametrize("per", ["request", "token"])
@pytest.mark.parametrize("points", [2, 3])
def test_brute_force_over_several_points(per: model.Per, points: int) -> None:
    case = Case((single(("near_tie", None), 1e-4, 6),), 4, "propose", alternatives=0.7)
    case = with_points(case, per, points)
    sizes = closed_form.group_sizes(6, "near_tie", 1e-4, None, 0.7, points)
    exact = outcomes(case)
    agreed = sum(sizes[j] * j / 6 for j in (4, 5, 6))
    assert 1 - exact.agreed == pytest.approx(float(1 - agreed), rel=1e-11)
    certified = outcomes(replace(case, result="certify"))
    diverged = sum(sizes[j] * (6 - j) for j in (4, 5))
    assert certified.diverged == pytest.approx(float(diverged), rel=1e-11)


def test_one_class_of_two_groups_against_a_direct_integral() -> None:
    """Two nodes of one noise differ with probability E|p_1(u) - p_2(u)|, whose kink is met."""
    pair = (
        Group("a", 1, hardware="x", rate=0.1, shared_noise=1.0),
        Group("b", 1, hardware="x", rate=0.2, difficulty="independent", shared_noise=1.0),
    )
    with mp.workdps(30):
        scale = closed_form.near_tie_scale(0.1)
        kink = mpf(float(-special.ndtri(0.2))) / scale
        steps = [mpf(0), kink, *(kink + (1 - kink) * i / 20 for i in range(1, 21))]
        expected = quad(lambda u: abs(ncdf(-scale * u) - mpf(0.2)), steps)
    assert outcomes(Case(pair, 2)).no_quorum == pytest.approx(float(expected), rel=1e-12)


def test_beta_quantiles_keep_the_moments() -> None:
    """Strong and weak correlation, and shapes where SciPy's inverse gives NaN (b in 1..1.05)."""
    for rate, rho in ((0.3, 0.4), (1e-6, 0.999), (1e-6, 0.4999), (0.2, 1e-4), (0.45, 0.99)):
        pair = Case((single(("beta", rho), rate, 2),), 2)
        expected = 2 * rate * (1 - rate) * (1 - rho)
        assert outcomes(pair).no_quorum == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("alternatives", [0.0, 0.3, 2.0, INF])
def test_restaurant_probabilities_sum_to_one(alternatives: float) -> None:
    items = [frozenset([i]) for i in range(6)]
    seatings = list(set_partitions(items))
    assert len(seatings) == 203
    total = sum(ewens([len(table) for table in tables], alternatives) for tables in seatings)
    assert total == pytest.approx(1, abs=1e-14)


def test_near_tie_scales_agree() -> None:
    for rate in (1e-9, 1e-4, 0.1, 0.3, 0.49):
        exact = float(closed_form.near_tie_scale(rate))
        assert near_tie_scale(rate) == pytest.approx(exact, rel=1e-13 / (1 - 2 * rate))


# --- votes, by hand -----------------------------------------------------------------------------


def cpus(honest: int, byzantine: int, **kwargs: object) -> Outcomes:
    case = Case((Group("cpu", honest + byzantine, byzantine=byzantine),), 0)
    return outcomes(replace(case, **kwargs))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("behaviour", "certify", "propose"),
    [
        ("silent", Outcomes(agreed=1.0), Outcomes(agreed=0.5, no_quorum=0.5)),
        ("random", Outcomes(agreed=1.0), Outcomes(agreed=0.5, no_quorum=0.5)),
        ("collude", Outcomes(forked=1.0), Outcomes(agreed=0.5, wrong_result=0.5)),
        ("amplify", Outcomes(forked=1.0), Outcomes(agreed=0.5, wrong_result=0.5)),
        ("equivocate", Outcomes(forked=1.0), Outcomes(agreed=0.5, forked=0.5)),
    ],
)
def test_half_the_nodes_lie(behaviour: model.Behaviour, certify: Outcomes, propose: Outcomes) -> None:
    """Three honest nodes that agree against three liars, with a quorum of three."""
    assert cpus(3, 3, quorum=3, behaviour=behaviour) == pytest.approx(certify)
    assert cpus(3, 3, quorum=3, behaviour=behaviour, result="propose") == pytest.approx(propose)


def test_no_honest_node_at_all() -> None:
    assert cpus(0, 3, quorum=2, behaviour="collude") == Outcomes(wrong_result=1.0)
    assert cpus(0, 3, quorum=2, behaviour="equivocate") == Outcomes(forked=1.0)
    assert cpus(0, 3, quorum=2, behaviour="silent") == Outcomes(no_quorum=1.0)


def test_amplified_runner_up_is_wrong_and_amplified_tie_is_agreed() -> None:
    """Two honest nodes deviate, almost surely, and together."""
    deviants = Group("gpu", 2, rate=1 - 1e-15, difficulty="independent")
    liar = Group("liar", 1, byzantine=1)
    wrong = Case((Group("cpu", 3), deviants, replace(liar, count=2, byzantine=2)), 4)
    assert outcomes(replace(wrong, behaviour="amplify")).wrong_result == pytest.approx(1)
    tie = Case((Group("cpu", 2), deviants, liar), 3, behaviour="amplify")
    result = outcomes(tie)
    assert result.agreed == pytest.approx(1)
    assert result.diverged == pytest.approx(2)


# --- per node against brute force ---------------------------------------------------------------


def check(case: Case, seed: int, exact: Outcomes | None = None, blocks: int = BLOCKS) -> None:
    """Hold the counts within five standard deviations of the exact probabilities."""
    exact = outcomes(case) if exact is None else exact
    counts = simulate(case, blocks, seed)
    assert sum(counts[name] for name in OUTCOMES) == blocks
    for name in OUTCOMES:
        p = min(1.0, max(0.0, getattr(exact, name)))
        sigma = math.sqrt(blocks * p * (1 - p))
        assert abs(counts[name] - blocks * p) <= 5 * sigma + 1e-6, (name, p, counts, seed, case)
    nodes = sum(g.honest for g in case.groups)
    sigma = math.sqrt(blocks * exact.diverged * nodes)  # Var(D) <= E[D^2] <= h E[D]
    error = abs(counts["diverged"] - blocks * exact.diverged)
    assert error <= 5 * sigma + 1e-6, (exact.diverged, counts, seed, case)


@pytest.mark.parametrize("result", ["certify", "propose"])
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@pytest.mark.parametrize(("groups", "quorum"), [(MIXED, 5), (SHARED, 4)])
def test_per_node_agrees_with_brute_force(
    groups: tuple[Group, ...], quorum: int, behaviour: model.Behaviour, result: model.Result
) -> None:
    case = Case(groups, quorum, result, behaviour, alternatives=1.0)
    check(case, 1)
    check(replace(case, alternatives=0.0, tokens=2, per="token"), 2)
    check(replace(case, alternatives=INF, requests=2), 3)


@pytest.mark.parametrize(("requests", "tokens"), [(1, 3), (2, 2)])
def test_prefixes_that_part_meet_their_own_hardness(requests: int, tokens: int) -> None:
    """The runner-up's size depends on it, so an equivocating liar shows it."""
    gpus = Group("gpu", 5, rate=0.4, difficulty="beta", correlation=0.9)
    case = Case((gpus, Group("liar", 1, power=2, byzantine=1)), 4, behaviour="equivocate")
    case = replace(case, alternatives=1.0, requests=requests, tokens=tokens, per="token")
    together = replace(case, requests=requests * tokens, tokens=1, per="request")
    blocks = 60_000
    check(case, 4, blocks=blocks)
    check(together, 5, blocks=blocks)
    apart = outcomes(case).agreed - outcomes(together).agreed
    assert abs(apart) > 7 * math.sqrt(0.25 / blocks)  # so taking one for the other would fail


def test_liars_alone_can_certify() -> None:
    """A liar as strong as the quorum makes `random` certify its own fabrication."""
    case = Case((Group("a", 3, rate=0.3), Group("b", 1, power=5, byzantine=1)), 5)
    for behaviour in BEHAVIOURS:
        check(replace(case, behaviour=behaviour), 6)
        check(replace(case, behaviour=behaviour, result="propose"), 7)


@pytest.mark.parametrize("shared_noise", [0.3, 0.8])
@pytest.mark.parametrize("per", ["request", "token"])
def test_partly_shared_noise(shared_noise: float, per: model.Per) -> None:
    """Unanimity of three nodes: given u and the class noise C, nodes deviate independently."""
    group = Group("g", 3, rate=0.2, shared_noise=shared_noise)
    x, w = np.polynomial.legendre.leggauss(200)
    u, c = (1 + x) / 2, 8 * x
    density = 8 * w * np.exp(-(c**2) / 2) / math.sqrt(2 * math.pi)
    z = near_tie_scale(0.2) * u[:, None]
    p = special.ndtr((math.sqrt(shared_noise) * c - z) / math.sqrt(1 - shared_noise))
    unanimous = float((w / 2) @ (p**3 + (1 - p) ** 3) @ density)
    for points in (1, 3):
        agreed = unanimous**points
        case = with_points(Case((group,), 3), per, points)
        check(case, 8, Outcomes(agreed=agreed, no_quorum=1 - agreed))


def test_per_node_at_forty_nodes() -> None:
    sizes = closed_form.group_sizes(40, "beta", 0.02, 0.2, 1.0, 2)
    agreed = sum(sizes[j] for j in range(27, 41))
    diverged = sum(sizes[j] * (40 - j) for j in range(27, 41))
    exact = Outcomes(float(agreed), float(1 - agreed), diverged=float(diverged))
    group = Group("g", 40, rate=0.02, difficulty="beta", correlation=0.2)
    check(Case((group,), 27, alternatives=1.0, requests=2), 9, exact)
