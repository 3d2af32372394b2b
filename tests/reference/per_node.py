"""Monte Carlo, node by node: slow, plain, and good for any number of nodes and decision points.

Answers are drawn for many blocks at once, one node after another; arrays have shape (blocks, h) for
the h honest nodes. Votes are cast ballot by ballot, block by block. Nodes that have answered alike
so far are known by the first of them, the *head*: `head[block, node]` is its number.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .brute_force import near_tie_scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .model import Case, Group

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

OUTCOMES = ("agreed", "no_quorum", "wrong_result", "forked")
_BATCH = 20_000  # blocks drawn at once


class Nodes(NamedTuple):
    """The group of every honest and of every Byzantine node."""

    honest: list[Group]
    liars: list[Group]


def simulate(case: Case, blocks: int, seed: int) -> dict[str, int]:
    """Count the outcomes of `blocks` blocks, and all their diverged nodes (key ``diverged``)."""
    _check(case)
    rng = np.random.default_rng(seed)
    nodes = Nodes(
        [g for g in case.groups for _ in range(g.honest)],
        [g for g in case.groups for _ in range(g.byzantine)],
    )
    powers = np.array([g.power for g in [*nodes.honest, *nodes.liars]])
    counts = Counter(dict.fromkeys((*OUTCOMES, "diverged"), 0))
    for start in range(0, blocks, _BATCH):
        size = min(_BATCH, blocks - start)
        heads = draw_answers(case, nodes.honest, size, rng).tolist()
        leaders = rng.choice(len(powers), size, p=powers / powers.sum()).tolist()
        ties = rng.random((size, len(nodes.honest))).tolist()
        for head, leader, tie in zip(heads, leaders, ties, strict=True):
            outcome, diverged = settle(case, nodes, head, leader, tie)
            counts[outcome] += 1
            counts["diverged"] += diverged
    return dict(counts)


def _check(case: Case) -> None:
    for g in case.groups:
        if 0 < g.shared_noise < 1 and case.alternatives != 0:
            msg = f"group {g.name}: shared_noise {g.shared_noise} needs alternatives 0"
            raise ValueError(msg)


# --- what the honest nodes answer ---------------------------------------------------------------


def draw_answers(case: Case, honest: Sequence[Group], blocks: int, rng: np.random.Generator) -> Ints:
    """Return the head of every node's answer to the whole block, of shape (blocks, h)."""
    answer = np.zeros((blocks, len(honest)), dtype=np.int64)
    for _ in range(case.requests):
        prefix = np.zeros_like(answer)
        for _ in range(case.steps):
            deviates = draw_deviations(honest, prefix, rng)
            choice = choose(case, honest, prefix, deviates, rng)
            prefix = heads(prefix, choice)
        answer = heads(answer, prefix)
    return answer


def draw_deviations(honest: Sequence[Group], prefix: Ints, rng: np.random.Generator) -> Bools:
    """Return who deviates at one decision point.

    Each possible prefix has a hardness, and a noise per class; a node meets those of its prefix.
    """
    hardness = rng.random(prefix.shape)
    classes = sorted({g.hardware_class for g in honest})
    class_noise = {c: rng.standard_normal(prefix.shape) for c in classes}
    own_noise = rng.standard_normal(prefix.shape)
    deviates = np.zeros(prefix.shape, dtype=bool)
    blocks = np.arange(len(prefix))
    for i, group in enumerate(honest):
        head = prefix[:, i]
        z = threshold(group, hardness[blocks, head])
        shared = math.sqrt(group.shared_noise) * class_noise[group.hardware_class][blocks, head]
        own = math.sqrt(1 - group.shared_noise) * own_noise[:, i]
        deviates[:, i] = shared + own > z
    return deviates


def threshold(group: Group, u: Floats) -> Floats:
    """Return z = -Phi^-1(p_g(u)): the noise above which a node of the group deviates."""
    if group.rate == 0:
        return np.full_like(u, np.inf)
    if group.difficulty == "near_tie":
        return near_tie_scale(group.rate) * u
    if group.difficulty == "independent":
        return np.full_like(u, -special.ndtri(group.rate))
    rho = float(group.correlation or math.nan)
    a, b = group.rate * (1 - rho) / rho, (1 - group.rate) * (1 - rho) / rho
    return np.asarray(-special.ndtri(special.betainccinv(a, b, u)))


def choose(case: Case, honest: Sequence[Group], prefix: Ints, deviates: Bools, rng: np.random.Generator) -> Ints:
    """Return each node's choice: 0 for the reference output and its equals, else 1 + the first node with it.

    Customers of one prefix enter its restaurant one by one: a newcomer takes a new wrong answer
    with probability alpha / (alpha + earlier customers), else that of a random earlier customer.
    """
    choice = np.zeros_like(prefix)
    customer = np.zeros_like(deviates)  # who speaks for a customer
    for i, group in enumerate(honest):
        seated = customer[:, :i] & (prefix[:, :i] == prefix[:, i : i + 1])
        earlier = seated.sum(axis=1)
        fresh = rng.random(len(prefix)) < _chance_of_new(case.alternatives, earlier)
        lot = np.where(seated, rng.random(seated.shape), -1.0)
        copied = _pick(choice[:, :i], lot)
        chosen = np.where(fresh, i + 1, copied)
        speaks = deviates[:, i].copy()
        if group.shared_noise == 1:  # the class's earlier deviator has spoken for this node
            for j in range(i):
                if honest[j].hardware_class == group.hardware_class:
                    spoken = seated[:, j]
                    chosen = np.where(spoken, choice[:, j], chosen)
                    speaks &= ~spoken
        choice[:, i] = np.where(deviates[:, i], chosen, 0)
        customer[:, i] = speaks
    if not case.equivalent:
        return choice
    good = (
        rng.random((len(prefix), len(honest) + 1)) < case.equivalent
    )  # each wrong answer, by the node it is named for
    return np.where(np.take_along_axis(good, choice, axis=1), 0, choice)


def _chance_of_new(alpha: float, earlier: Ints) -> Floats:
    if math.isinf(alpha):
        return np.ones(len(earlier))
    return np.where(earlier == 0, 1.0, alpha / np.maximum(alpha + earlier, 1e-300))


def _pick(choices: Ints, lot: Floats) -> Ints:
    """Return, per block, the choice with the largest lot."""
    if choices.shape[1] == 0:
        return np.zeros(len(choices), dtype=np.int64)
    winner = lot.argmax(axis=1)
    return np.asarray(choices[np.arange(len(choices)), winner])


def heads(first: Ints, second: Ints) -> Ints:
    """Return, for each node, the first node that is equal to it in both labels."""
    head = np.empty_like(first)
    for i in range(first.shape[1]):
        same = (first == first[:, i : i + 1]) & (second == second[:, i : i + 1])
        head[:, i] = same.argmax(axis=1)
    return head


# --- how one block is agreed --------------------------------------------------------------------


def settle(case: Case, nodes: Nodes, head: Sequence[int], leader: int, tie: Sequence[float]) -> tuple[str, int]:
    """Return one block's outcome and its number of diverged nodes.

    Answers are known by their heads; answers below 0 are fabricated. `leader` counts honest nodes
    first; `tie` orders answers of equal power.
    """
    honest, liars = nodes
    power: Counter[int] = Counter()
    for group, answer in zip(honest, head, strict=True):
        power[answer] += group.power
    ranking = sorted(power, key=lambda a: (-power[a], tie[a]))
    if case.result == "certify":
        votes = cast(case.behaviour, power, [*ranking, -1, -2][:2], liars)
    elif leader < len(honest):
        x = head[leader]
        votes = Counter({x: power[x]})
        if x in _helped(case.behaviour, power, ranking, x):
            votes[x] += sum(g.power for g in liars)
    else:
        votes = cast(case.behaviour, power, [*ranking, -1, -2][:2], liars)
        proposed = _liar_proposes(case.behaviour, [*ranking, -1, -2][:2])
        votes = Counter({a: v for a, v in votes.items() if a in proposed})
    certified = [a for a, v in votes.items() if v >= case.quorum]
    if not certified:
        return "no_quorum", 0
    if len(certified) > 1:
        return "forked", 0
    winner = certified[0]
    if winner < 0 or power[winner] < power[ranking[0]]:
        return "wrong_result", 0
    return "agreed", sum(answer != winner for answer in head)


def cast(behaviour: str, power: Counter[int], top: Sequence[int], liars: Sequence[Group]) -> Counter[int]:
    """Return the votes for every answer once each Byzantine node has cast its own."""
    votes = Counter(power)
    for i, liar in enumerate(liars):
        targets = {
            "silent": [],
            "random": [-10 - i],
            "collude": [-3],
            "amplify": [top[1]],
            "equivocate": list(top),
        }[behaviour]
        for target in targets:
            votes[target] += liar.power
    return votes


def _liar_proposes(behaviour: str, top: Sequence[int]) -> list[int]:
    """Return what a Byzantine leader puts to the vote: two results if it equivocates."""
    return {"collude": [-3], "amplify": [top[1]], "equivocate": list(top)}.get(behaviour, [])


def _helped(behaviour: str, power: Counter[int], ranking: Sequence[int], x: int) -> list[int]:
    """Return the answers that Byzantine nodes vote for when honest x is proposed; ties favour x."""
    ranking = sorted(ranking, key=lambda a: -power[a])
    if behaviour == "amplify":
        runner_up = power[ranking[1]] if len(ranking) > 1 else None
        return [x] if power[x] == runner_up else []
    if behaviour == "equivocate":
        cut = power[ranking[min(1, len(ranking) - 1)]]
        return [x] if power[x] >= cut else []
    return []
