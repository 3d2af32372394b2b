"""Blocks that are executed and voted on again, node by node: enumerated for a few nodes, drawn for any number.

Every attempt meets the hardness and the class noise of the first one, and a class that deviates as one repeats its
wrong answer; noise of one's own is fresh, and so are the wrong answers that single nodes choose.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import chain, combinations
from typing import TYPE_CHECKING

import numpy as np

from .brute_force import Answer, Outcomes, _hardness, _settle, chance, ewens, set_partitions
from .per_node import Nodes, settle, threshold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from .model import Case, Group

    Floats = NDArray[np.float64]
    Member = tuple[int, Group, bool]


REFERENCE = -1  # the answer of who does not deviate; others are known by who opened their table


def members(case: Case) -> list[Member]:
    """Number, group and whether it is honest, of every node."""
    honest = [(g, True) for g in case.groups for _ in range(g.honest)]
    liars = [(g, False) for g in case.groups for _ in range(g.byzantine)]
    return [(number, *node) for number, node in enumerate([*honest, *liars])]


def committee_case(case: Case, seated: Sequence[Member], quorum: int) -> Case:
    """The election among some of the nodes."""
    groups = []
    for group in case.groups:
        mine = [honest for _, g, honest in seated if g is group]
        groups.append(replace(group, count=len(mine), byzantine=mine.count(False)))
    return replace(case, groups=tuple(groups), quorum=quorum)


# --- enumerated -----------------------------------------------------------------------------------


def enumerate_appeals(case: Case, attempts: Sequence[tuple[int, int]]) -> tuple[Outcomes, float]:
    """Return outcome probabilities and the mean number of attempts; one group deviates, with noise 0 or 1 shared.

    `attempts` has the size and the quorum of every committee.
    """
    u, v, weights = _hardness(case)
    able = next((g for g in case.groups if g.rate > 0), None)
    p, stays = chance(able, u, v) if able else (np.zeros_like(u), np.ones_like(u))
    if able and able.shared_noise == 1:  # it deviates as one, every time, or never
        weights = np.array([float(weights @ stays), float(weights @ p)])
        p, stays = np.array([0.0, 1.0]), np.array([1.0, 0.0])
    reach, total, tried = weights.copy(), np.zeros(5), 0.0
    for size, quorum in attempts:
        tried += float(reach.sum())
        ends = _ends(case, size, quorum, (p, stays))
        total += ends @ reach
        reach = reach * ends[1]
    total[1] = float(reach.sum())
    return Outcomes(*total.tolist()), tried


def _ends(case: Case, size: int, quorum: int, chances: tuple[Floats, Floats]) -> Floats:
    """Return the probability of each outcome, and the mean of diverged nodes, given the hardness; shape (5, K)."""
    everyone = members(case)
    ends = np.zeros((5, len(chances[0])))
    for seated in combinations(everyone, size):
        mine = committee_case(case, seated, quorum)
        for law, answers in _answers(case, [(n, g) for n, g, honest in seated if honest], chances):
            ends += np.outer(_settle(mine, answers), law) / math.comb(len(everyone), size)
    return ends


def _answers(
    case: Case, honest: list[tuple[int, Group]], chances: tuple[Floats, Floats]
) -> Iterator[tuple[Floats, list[Answer]]]:
    """Yield every way to answer, with its probability given the hardness."""
    power = {n: g.power for n, g in honest}
    free = [n for n, g in honest if g.rate > 0]
    as_one = any(g.shared_noise == 1 for _, g in honest if g.rate > 0)
    for out in chain.from_iterable(combinations(free, k) for k in range(len(free) + 1)):
        law = chances[0] ** len(out) * chances[1] ** (len(free) - len(out))
        customers = [frozenset(out)] if as_one and out else [frozenset([n]) for n in out]
        rest = [n for n in power if n not in out]
        for tables in set_partitions(customers):
            groups = [rest, *(frozenset().union(*table) for table in tables)]
            seated = ewens([len(table) for table in tables], case.alternatives)
            yield law * seated, [Answer(sum(power[n] for n in group), len(group)) for group in groups if group]


# --- drawn ----------------------------------------------------------------------------------------


def simulate_appeals(case: Case, attempts: Sequence[tuple[int, int]], blocks: int, seed: int) -> Counter[str]:
    """Count outcomes, diverged nodes and attempts of blocks, one node after the other."""
    rng = np.random.default_rng(seed)
    everyone = members(case)
    counts: Counter[str] = Counter()
    for _ in range(blocks):
        answer = _environment(case, everyone, rng)
        for size, quorum in attempts:
            counts["attempts"] += 1
            seated = [everyone[i] for i in sorted(rng.choice(len(everyone), size, replace=False))]
            honest, liars = ([g for _, g, good in seated if good is wanted] for wanted in (True, False))
            given = answer([(n, g) for n, g, good in seated if good])
            heads = [given.index(one) for one in given]
            mine = committee_case(case, seated, quorum)
            outcome, diverged = settle(mine, Nodes(honest, liars), heads, 0, rng.random(len(heads)).tolist())
            if outcome != "no_quorum":
                break
        counts[outcome] += 1
        counts["diverged"] += diverged
    return counts


def _environment(
    case: Case, everyone: list[Member], rng: np.random.Generator
) -> Callable[[list[tuple[int, Group]]], list[int]]:
    """Draw what lasts, and return how nodes answer an attempt: a number for every answer."""
    hardness = rng.random(1)
    z = {g: float(threshold(g, hardness)[0]) for g in case.groups}
    classes = sorted({g.hardware_class for _, g, _ in everyone})
    noise = {name: float(rng.standard_normal()) for name in classes}
    rigid = {g.hardware_class for g in case.groups if g.shared_noise == 1 and noise[g.hardware_class] > z[g]}
    tables = {name: -2 - index for index, name in enumerate(classes)}
    seats: dict[str, int] = {}
    for name in classes:
        if name in rigid:
            seats[name] = _table(case.alternatives, list(seats.values()), tables[name], rng)

    def answers(honest: list[tuple[int, Group]]) -> list[int]:
        own = {n: math.sqrt(1 - g.shared_noise) * float(rng.standard_normal()) for n, g in honest}
        out = {n: math.sqrt(g.shared_noise) * noise[g.hardware_class] + own[n] > z[g] for n, g in honest}
        spoken = {g.hardware_class for n, g in honest if g.shared_noise == 1 and out[n]}
        taken = [seats[name] for name in sorted(spoken)]
        given = []
        for n, g in honest:
            if not out[n]:
                given.append(REFERENCE)
            elif g.shared_noise == 1:
                given.append(seats[g.hardware_class])
            else:
                taken.append(_table(case.alternatives, taken, n, rng))
                given.append(taken[-1])
        return given

    return answers


def _table(alpha: float, taken: list[int], fresh: int, rng: np.random.Generator) -> int:
    """Return the table of a newcomer: a fresh one, or that of somebody who came before."""
    if not taken or math.isinf(alpha) or rng.random() < alpha / (alpha + len(taken)):
        return fresh
    return taken[int(rng.integers(len(taken)))]


def quorums(sizes: Sequence[int], threshold: float) -> list[tuple[int, int]]:
    """Return sizes and quorums of committees: strictly more than (1 - t) m votes."""
    return [(m, m - math.ceil(round(threshold * m, 9)) + 1) for m in sizes]
