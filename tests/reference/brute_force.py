"""Exact outcome probabilities of a few nodes, by enumerating everything.

Who deviates, how the deviators split among wrong answers, how the splits of several decision points
refine one another, who leads: all cases are listed and their probabilities added. Nothing is
subtracted but the p's of two groups of one class, so small probabilities keep their relative
precision. The one integral, over the hardness u, uses Gauss-Legendre panels that halve towards both
ends and towards p = 1/2, which suits any difficulty whatever its scale: 1e-11 relative for rates
1e-8 to 0.45, as `test_reference` shows against the closed form (3e-10 at a correlation of 0.999).

A partition is a frozenset of frozensets of node numbers; only honest nodes are numbered.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import combinations, pairwise, permutations, product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from .model import Case, Group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Floats = NDArray[np.float64]
Block = frozenset[int]
Partition = frozenset[Block]
Law = dict[Partition, float]

MOST_NODES = 6
_SMALLEST_U = 80  # halvings towards u = 0, where rare deviations live
_SMALLEST_V = 50  # halvings towards u = 1
_PER_PANEL = 24


class Outcomes(NamedTuple):
    """Probabilities of a block's outcomes; `diverged` is the expected number of honest nodes."""

    agreed: float = 0.0
    no_quorum: float = 0.0
    wrong_result: float = 0.0
    forked: float = 0.0
    diverged: float = 0.0


class Answer(NamedTuple):
    """One result: its honest voters, in power and in nodes (0, 0 for a fabricated one)."""

    power: int
    nodes: int


FABRICATED = Answer(0, 0)


class Chance(NamedTuple):
    """A group's probabilities to deviate and not to, at every quadrature node."""

    deviates: Floats
    stays: Floats


Chances = dict[Group, Chance]


def outcomes(case: Case) -> Outcomes:
    """Return the exact outcome probabilities of one block (at most six honest nodes)."""
    honest = _honest(case)
    if len(honest) > MOST_NODES:
        msg = f"{len(honest)} honest nodes are too many to enumerate"
        raise ValueError(msg)
    for remembered in (request_law, step_law, _deviators, _chances, _hardness):
        remembered.cache_clear()  # megabytes a case
    total = np.zeros(len(Outcomes._fields))
    for partition, probability in block_law(case).items():
        answers = [Answer(sum(honest[i].power for i in b), len(b)) for b in partition]
        total += probability * np.array(_settle(case, answers))
    return Outcomes(*total.tolist())


# --- what the honest nodes answer ---------------------------------------------------------------


def block_law(case: Case) -> Law:
    """Return the law of the partition of the honest nodes by their answers to the whole block."""
    everyone = frozenset(range(len(_honest(case))))
    law: Law = {_whole(everyone): 1.0}
    for _ in range(case.requests):
        law = _combine(law, request_law(case, everyone, case.steps), _meet)
    return law


@cache
def request_law(case: Case, members: Block, steps: int) -> Law:
    """Return the law of the partition of `members`, alike so far, after `steps` decision points.

    Nodes that part at the first step go on with hardness and noise of their own.
    """
    if steps == 0 or not members:
        return {_whole(members): 1.0}
    law: Law = {}
    for first, probability in step_law(case, members).items():
        futures: Law = {frozenset(): probability}
        for block in first:
            futures = _combine(futures, request_law(case, block, steps - 1), frozenset.union)
        for partition, weight in futures.items():
            law[partition] = law.get(partition, 0.0) + weight
    return law


@cache
def step_law(case: Case, members: Block) -> Law:
    """Return the law of the partition of `members` by their choices at one decision point."""
    law: Law = {}
    for customers, probability in _deviators(case, members).items():
        deviating = frozenset().union(*customers)
        for tables in set_partitions(customers):
            seated = probability * ewens([len(table) for table in tables], case.alternatives)
            for good in _marks(len(tables), case.equivalent):
                stay, wrong = members - deviating, set()
                weight = seated
                for table, mark in zip(tables, good, strict=True):
                    nodes = frozenset().union(*table)
                    weight *= case.equivalent if mark else 1 - case.equivalent
                    if mark:
                        stay |= nodes
                    else:
                        wrong.add(nodes)
                partition = _whole(stay) | wrong
                law[partition] = law.get(partition, 0.0) + weight
    return law


def _marks(tables: int, equivalent: float) -> Iterator[tuple[bool, ...]]:
    """Yield which tables are as good as the reference output, in every way that can be."""
    return product([False, True] if equivalent else [False], repeat=tables)


def set_partitions(items: Sequence[Block]) -> Iterator[list[list[Block]]]:
    """Yield every way to split `items` into tables."""
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for tables in set_partitions(rest):
        yield [[first], *tables]
        for i, table in enumerate(tables):
            yield [*tables[:i], [first, *table], *tables[i + 1 :]]


def ewens(sizes: Sequence[int], alternatives: float) -> float:
    """Return the probability that a Chinese restaurant seats its customers in these tables."""
    if alternatives == 0:
        return float(len(sizes) <= 1)
    if math.isinf(alternatives):
        return float(all(size == 1 for size in sizes))
    seats = math.prod(alternatives + i for i in range(sum(sizes)))
    tables = math.prod(alternatives * math.factorial(size - 1) for size in sizes)
    return tables / seats


def _whole(members: Block) -> Partition:
    return frozenset([members]) if members else frozenset()


def _meet(first: Partition, second: Partition) -> Partition:
    """Nodes stay together when both partitions keep them together."""
    return frozenset(a & b for a in first for b in second if a & b)


def _combine(first: Law, second: Law, join: Callable[[Partition, Partition], Partition]) -> Law:
    """Return the law of `join` of two independent partitions."""
    law: Law = {}
    for (a, p), (b, q) in product(first.items(), second.items()):
        both = join(a, b)
        law[both] = law.get(both, 0.0) + p * q
    return law


# --- who deviates -------------------------------------------------------------------------------


@cache
def _honest(case: Case) -> tuple[Group, ...]:
    """Return the group of each honest node."""
    return tuple(g for g in case.groups for _ in range(g.honest))


@cache
def _deviators(case: Case, members: Block) -> dict[tuple[Block, ...], float]:
    """Return the probability of every set of restaurant customers at one decision point.

    A customer is a deviating node with noise of its own, or the deviating part of a class that
    shares its noise.
    """
    chances = _chances(case)
    honest = _honest(case)
    weight = _hardness(case)[2]
    units: list[list[tuple[Block, Floats]]] = []
    classes: dict[str, set[int]] = {}
    for i in sorted(members):
        group = honest[i]
        if group.rate == 0:
            continue
        if group.shared_noise == 1:
            classes.setdefault(group.hardware_class, set()).add(i)
        elif group.shared_noise == 0:
            p, stays = chances[group]
            units.append([(frozenset(), stays), (frozenset([i]), p)])
        else:
            msg = f"shared_noise {group.shared_noise} can't be enumerated"
            raise ValueError(msg)
    units += [_class_options(nodes, honest, chances) for nodes in classes.values()]
    law: dict[tuple[Block, ...], float] = {}
    for combination in product(*units):
        chance = weight
        for _, factor in combination:
            chance = chance * factor
        law[tuple(nodes for nodes, _ in combination if nodes)] = float(chance.sum())
    return law


def _class_options(nodes: set[int], honest: tuple[Group, ...], chances: Chances) -> list[tuple[Block, Floats]]:
    """Return what a class with one noise W ~ U(0,1) can do: group g deviates when W < p_g(u)."""
    groups = list(dict.fromkeys(honest[i] for i in sorted(nodes)))
    options = []
    for size in range(len(groups) + 1):
        for chosen in combinations(groups, size):
            above = [chances[g].deviates for g in chosen]
            below = [chances[g] for g in groups if g not in chosen]
            if above and below:  # W falls between the two sets' thresholds
                gap = np.min(above, axis=0) - np.max([c.deviates for c in below], axis=0)
                chance = np.maximum(0.0, gap)
            else:  # all deviate, or none
                chance = np.min(above or [c.stays for c in below], axis=0)
            options.append((frozenset(i for i in nodes if honest[i] in chosen), chance))
    return options


@cache
def _chances(case: Case) -> Chances:
    u, v, _ = _hardness(case)
    return {g: chance(g, u, v) for g in case.groups if g.rate > 0}


# --- the hardness -------------------------------------------------------------------------------


@cache
def _hardness(case: Case) -> tuple[Floats, Floats, Floats]:
    """Return nodes u, their complements 1 - u and weights of the integral over the hardness."""
    low = [0.0, *(2.0**-k for k in range(_SMALLEST_U, 0, -1))]
    high = [1 - 2.0**-k for k in range(2, _SMALLEST_V)]
    edges = sorted({*low, *high, *_steps(case.groups), *_crossings(case.groups, [*low, *high])})
    x, w = np.polynomial.legendre.leggauss(_PER_PANEL)
    u, v, weights = [], [], []
    for a, b in pairwise([*edges, 1.0]):
        u.append(a + (b - a) * (1 + x) / 2)
        v.append((1 - b) + (b - a) * (1 - x) / 2)
        weights.append((b - a) * w / 2)
    return np.concatenate(u), np.concatenate(v), np.concatenate(weights)


def _steps(groups: tuple[Group, ...]) -> list[float]:
    """Return points that close in on p_g(u) = 1/2, where strongly correlated nodes turn sharply."""
    points = []
    for g in groups:
        if g.difficulty == "beta" and g.rate > 0:
            middle = float(special.betaincc(*_beta_shape(g), 0.5))
            near = (middle * (1 + sign * 2.0**-k) for sign in (-1, 1) for k in range(25))
            points += [u for u in near if 2.0**-_SMALLEST_U < u < 1]
    return points


def _crossings(groups: tuple[Group, ...], edges: list[float]) -> list[float]:
    """Return where two groups of one class become equally likely to deviate: a kink in u."""
    kinks = []
    able = [g for g in groups if g.rate > 0 and g.shared_noise == 1]
    for g, h in combinations(able, 2):
        if g.hardware_class != h.hardware_class:
            continue

        def gap(u: float, g: Group = g, h: Group = h) -> float:
            at = np.array([u])
            return float((chance(g, at, 1 - at).deviates - chance(h, at, 1 - at).deviates)[0])

        kinks += [
            optimize.brentq(gap, a, b, xtol=1e-300, rtol=1e-14) for a, b in pairwise(edges[1:]) if gap(a) * gap(b) < 0
        ]
    return kinks


def chance(group: Group, u: Floats, v: Floats) -> Chance:
    """Return p_g(u) and 1 - p_g(u), each of shape (len(u),), given u and its complement v."""
    if group.difficulty == "independent":
        return Chance(np.full_like(u, group.rate), np.full_like(u, 1 - group.rate))
    if group.difficulty == "near_tie":
        margin = near_tie_scale(group.rate) * u
        return Chance(special.ndtr(-margin), special.ndtr(margin))
    a, b = _beta_shape(group)
    return Chance(_beta_quantile(a, b, v, u), _beta_quantile(b, a, u, v))


def _beta_shape(group: Group) -> tuple[float, float]:
    rho = group.correlation
    if rho is None:
        msg = f"group {group.name}: beta needs a correlation"
        raise ValueError(msg)
    return group.rate * (1 - rho) / rho, (1 - group.rate) * (1 - rho) / rho


def _beta_quantile(a: float, b: float, below: Floats, above: Floats) -> Floats:
    """Return the quantile of Beta(a, b) with probability `below` below it, `above` above it."""
    small = below < above
    left = special.betaincinv(a, b, np.where(small, below, 0.5))
    right = special.betainccinv(a, b, np.where(small, 0.5, above))
    left = np.where(np.isnan(left), _leading(a, b, below), left)
    right = np.where(np.isnan(right), 1 - _leading(b, a, above), right)
    return np.asarray(np.where(small, left, right))


def _leading(a: float, b: float, below: Floats) -> Floats:
    """Return the leading term of the quantile as `below` goes to 0.

    SciPy's inverse gives NaN for probabilities below 6e-17 when a is in (1, 1.05) and b < 1; there
    the next term is 1e-15 of this one.
    """
    log_power = np.log(below) + math.log(a) + special.betaln(a, b)
    return np.asarray(np.exp(np.clip(log_power / a, -700, 0)))


@cache
def near_tie_scale(rate: float) -> float:
    """Return U with E[Phi(-U u)] = rate, by root finding on the closed form of the mean."""
    peak = 1 / math.sqrt(2 * math.pi)

    def excess(log_scale: float) -> float:
        scale = math.exp(log_scale)
        mean = special.ndtr(-scale) - peak * math.expm1(-(scale**2) / 2) / scale
        return float(mean) / rate - 1

    return math.exp(optimize.brentq(excess, -30.0, math.log(1 / rate), xtol=1e-15, rtol=1e-15))


# --- how a block is agreed ----------------------------------------------------------------------

Ballots = list[tuple[Answer, int]]  # what is voted on, with its votes in power


def _settle(case: Case, answers: list[Answer]) -> Outcomes:
    """Return the outcome probabilities given the honest answers."""
    if case.result == "certify":
        return _mean_over_ties(case, answers, _certify_ballots)
    total = np.zeros(len(Outcomes._fields))
    for answer in answers:
        votes = answer.power + _support(case, answer, answers)
        total += answer.power * np.array(_verdict(case, answers, [(answer, votes)]))
    if case.byzantine_power:
        by_liar = _mean_over_ties(case, answers, _liar_ballots)
        total += case.byzantine_power * np.array(by_liar)
    return Outcomes(*(total / case.power).tolist())


def _mean_over_ties(case: Case, answers: list[Answer], ballots: Callable[[Case, list[Answer]], Ballots]) -> Outcomes:
    """Average over all orders of the answers by power: nothing breaks a tie for the top two."""
    padded = [*answers, FABRICATED, FABRICATED]
    ranks = sorted((a.power for a in padded), reverse=True)[:2]
    total = np.zeros(len(Outcomes._fields))
    orders = 0
    for i, j in permutations(range(len(padded)), 2):
        if [padded[i].power, padded[j].power] == ranks:
            rest = [a for k, a in enumerate(padded) if k not in {i, j}]
            ordered = [padded[i], padded[j], *rest]
            total += np.array(_verdict(case, answers, ballots(case, ordered)))
            orders += 1
    return Outcomes(*(total / orders).tolist())


def _certify_ballots(case: Case, ordered: list[Answer]) -> Ballots:
    """Every node votes on what it computed, or says it did."""
    b = case.byzantine_power
    votes = [a.power for a in ordered]
    fabricated: Ballots = []
    match case.behaviour:
        case "random":
            fabricated = [(FABRICATED, g.power) for g in case.groups for _ in range(g.byzantine)]
        case "collude":
            fabricated = [(FABRICATED, b)]
        case "amplify":
            votes[1] += b
        case "equivocate":
            votes[0] += b
            votes[1] += b
        case "silent":
            pass
    return [*zip(ordered, votes, strict=True), *fabricated]


def _liar_ballots(case: Case, ordered: list[Answer]) -> Ballots:
    """Return the votes when a Byzantine node leads."""
    b = case.byzantine_power
    match case.behaviour:
        case "collude":
            return [(FABRICATED, b)]
        case "amplify":
            return [(ordered[1], ordered[1].power + b)]
        case "equivocate":
            return _certify_ballots(case, ordered)
        case _:
            return []


def _support(case: Case, answer: Answer, answers: list[Answer]) -> int:
    """Return the Byzantine votes for what an honest leader proposes; ties favour the leader."""
    larger = sum(a.power > answer.power for a in answers)
    rivals = sum(a.power >= answer.power for a in answers) - 1
    second = larger <= 1 and rivals >= 1
    helps = {"amplify": second, "equivocate": larger <= 1}
    return case.byzantine_power if helps.get(case.behaviour, False) else 0


def _verdict(case: Case, answers: list[Answer], ballots: Ballots) -> Outcomes:
    """Return the one outcome that the votes give."""
    certified = [answer for answer, votes in ballots if votes >= case.quorum]
    if not certified:
        return Outcomes(no_quorum=1.0)
    if len(certified) > 1:
        return Outcomes(forked=1.0)
    winner = certified[0]
    if winner.nodes == 0 or winner.power < max(a.power for a in answers):
        return Outcomes(wrong_result=1.0)
    diverged = sum(a.nodes for a in answers) - winner.nodes
    return Outcomes(agreed=1.0, diverged=float(diverged))
