"""One executor and its checks, by listing everything: who executes, who is drawn, who looks, who answers what.

Nodes are numbered, the honest ones first, as in `brute_force`; at most six.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

from .brute_force import block_law

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .model import Case

Subset = tuple[frozenset[int], float]


def rechecked(case: Case, chance: float, drawn: int, looks: float) -> dict[str, float]:
    """Probabilities that a posted result stands, is refused, or is forged and stands.

    With probability `chance` a panel of `drawn` nodes beside the executor is drawn; honest ones look with probability
    `looks`; Byzantine ones, unless silent, dispute an honest result wherever honest executions can differ.
    """
    powers = [g.power for g in case.groups for _ in range(g.honest)]
    honest = len(powers)
    powers += [g.power for g in case.groups for _ in range(g.byzantine)]
    nodes, total = len(powers), sum(powers)
    posts = case.behaviour != "silent"
    answers = block_law(case)
    everyone = replace(case, groups=tuple(replace(group, byzantine=0) for group in case.groups))
    differ = any(len(partition) > 1 and law > 0 for partition, law in block_law(everyone).items())
    ends = {"stands": 0.0, "refused": 0.0, "forged": 0.0}
    for executor in range(nodes):
        others = [node for node in range(nodes) if node != executor]
        for panel, weight in _panels(others, chance, drawn):
            for look, looking in _subsets([node for node in panel if node < honest], looks):
                probability = powers[executor] / total * weight * looking
                if executor >= honest:
                    ends["forged" if posts and not look else "refused"] += probability
                elif posts and differ and any(node >= honest for node in panel):
                    ends["refused"] += probability
                else:
                    for partition, law in answers.items():
                        mine = next(group for group in partition if executor in group)
                        ends["stands" if look <= mine else "refused"] += probability * law
    return ends


def proved(case: Case, provers: int, delivers: float, forgery: float) -> dict[str, float]:
    """The same where nodes race to prove: forged proofs come first, honest ones with probability `delivers`.

    A single prover is drawn by power; several are drawn by node.
    """
    powers = [g.power for g in case.groups for _ in range(g.honest)]
    honest = len(powers)
    powers += [g.power for g in case.groups for _ in range(g.byzantine)]
    posts = case.behaviour != "silent"
    teams = list(combinations(range(len(powers)), provers))
    ends = {"stands": 0.0, "refused": 0.0, "forged": 0.0}
    for team in teams:
        weight = powers[team[0]] / sum(powers) if provers == 1 else 1 / len(teams)
        for forging, forges in _subsets([node for node in team if node >= honest], forgery if posts else 0.0):
            for proving, proves in _subsets([node for node in team if node < honest], delivers):
                ends["forged" if forging else "stands" if proving else "refused"] += weight * forges * proves
    return ends


def _panels(others: list[int], chance: float, drawn: int) -> Iterator[tuple[tuple[int, ...], float]]:
    every = list(combinations(others, drawn))
    yield from ((panel, chance / len(every)) for panel in every)
    yield (), 1 - chance


def _subsets(members: list[int], each: float) -> Iterator[Subset]:
    """Every subset of members that are in it independently, with its probability."""
    for size in range(len(members) + 1):
        for chosen in combinations(members, size):
            yield frozenset(chosen), each**size * (1 - each) ** (len(members) - size)
