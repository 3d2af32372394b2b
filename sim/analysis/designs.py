"""Designs of a chain, drawn up around a scenario: nodes, threshold, hardware mix, matching rule and its parameter."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from sim.base.model import problems_of
from sim.consensus.matching import Approximate, Margin, Within

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sim.scenario.schema import Scenario

NODES = (4, 7, 10, 13, 19, 25, 31, 40)
THRESHOLDS = (Fraction(1, 4), Fraction(1, 3), Fraction(2, 5), Fraction(49, 100))
_SHARES = (Fraction(0), Fraction(1, 4), Fraction(1, 2), Fraction(3, 4), Fraction(1))
_WIDTHS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is searched.

    Parameters
    ----------
    nodes
        Numbers of nodes.
    thresholds
        Fault thresholds.
    values
        Values of a rule's parameter; None: multiples of the noise, 1 to 10.
    attackers
        Byzantine nodes, of whatever power: a number, or a share of all nodes, rounded down.
    """

    nodes: tuple[int, ...] = NODES
    thresholds: tuple[Fraction, ...] = THRESHOLDS
    values: tuple[float, ...] | None = None
    attackers: int | Fraction = 0

    def budget(self, nodes: int) -> int:
        """Attackers among that many nodes."""
        wanted = self.attackers if isinstance(self.attackers, int) else math.floor(self.attackers * nodes)
        return min(wanted, nodes)


class Attack(NamedTuple):
    """A design with attackers in their places: silent, and colluding on the answer that the scenario gives them."""

    silent: Scenario
    hostile: Scenario


@dataclass(frozen=True, slots=True)
class Design:
    """A chain that could be built.

    Parameters
    ----------
    nodes, threshold
        Number of nodes, and fault threshold.
    mix
        Nodes of each group.
    attackers
        Byzantine nodes.
    rule, parameter, value
        Kind of the matching rule, its parameter and value; empty and None where it has none.
    attacks
        It, with attackers in each group first, and then in the largest others; none where it cannot be built.
    why
        Why it cannot be built; empty if it can.
    """

    nodes: int
    threshold: Fraction
    mix: Mapping[str, int]
    attackers: int
    rule: str
    parameter: str
    value: float | None
    attacks: tuple[Attack, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Rule:
    """A way to match answers: what it writes under `consensus`."""

    kind: str
    parameter: str
    value: float | None
    keys: dict[str, Any]


def designs(scenario: Scenario, bounds: Bounds) -> Iterator[Design]:
    """Yield the designs within bounds; of thresholds that give the same quorum, the lowest.

    Parameters
    ----------
    scenario
        Has the groups that nodes can be of, the work, and what attackers answer. Designs are judged by votes, whatever
        its network, and its `consensus.quorum` gives way to thresholds.
    bounds
        What is searched.
    """
    plain = scenario.model_dump(mode="json", exclude_none=True)
    committees = scenario.consensus.appeal is not None and scenario.consensus.appeal.committee is not None
    for rule, nodes in itertools.product(_rules(scenario, bounds), sorted(set(bounds.nodes))):
        for mix in _mixes(scenario, nodes):
            quorums = set[int]()
            for threshold in sorted(set(bounds.thresholds)):
                design = _made(scenario, plain, rule, threshold, mix, bounds.budget(nodes))
                quorum = design.attacks[0].silent.election.quorum if design.attacks else 0
                if quorum not in quorums or committees:
                    quorums.add(quorum)
                    yield design


def number_of(scenario: Scenario, bounds: Bounds) -> int:
    """Number of designs within bounds, at most."""
    groups, rules = len(scenario.nodes), len(list(_rules(scenario, bounds)))
    mixes = groups + (len(_SHARES) - 2) * groups * (groups - 1) // 2 + 1
    return rules * mixes * len(set(bounds.nodes)) * len(set(bounds.thresholds))


def placements(mix: Mapping[str, int], attackers: int) -> list[dict[str, int]]:
    """Ways to place attackers: as many as fit in one group, and then in the largest others.

    Examples
    --------
    >>> placements({"a": 2, "b": 5}, 3)
    [{'a': 2, 'b': 1}, {'a': 0, 'b': 3}]
    """
    found = []
    for first in mix:
        left, placed = attackers, dict.fromkeys(mix, 0)
        for name in sorted(mix, key=lambda name: (name != first, -mix[name], name)):
            placed[name] = min(mix[name], left)
            left -= placed[name]
        if placed not in found:
            found.append(placed)
    return found


def _made(
    scenario: Scenario, plain: dict[str, Any], rule: _Rule, threshold: Fraction, mix: Mapping[str, int], attackers: int
) -> Design:
    """A design, with the scenarios of its attacks, or why its parts do not go together."""
    nodes = {name: plain["nodes"][name] | {"count": count} for name, count in mix.items()}
    consensus = {key: value for key, value in plain["consensus"].items() if key not in {"quorum", "matching", "result"}}
    consensus |= {"fault_threshold": str(threshold)} | rule.keys
    other = {key: value for key, value in plain.items() if key not in {"sweep", "platform", "faults", "network"}}
    other |= {"run": plain["run"] | {"engine": "auto"}, "nodes": nodes, "consensus": consensus}
    slanted = {key: plain["faults"][key] for key in ("shift", "noise") if key in plain["faults"]}
    if rule.kind != "margin":
        slanted.pop("noise", None)
    make, why = type(scenario).model_validate, ""
    attacks: tuple[Attack, ...] = ()
    try:
        attacks = tuple(
            Attack(
                make(other | {"faults": {"byzantine": placed, "behaviour": "silent"}}),
                make(other | {"faults": {"byzantine": placed, "behaviour": "collude"} | slanted}),
            )
            for placed in placements(mix, attackers)
        )
    except ValidationError as error:
        problem = problems_of(error)[0]
        why = f"{problem.path} {problem.message}"
    return Design(sum(mix.values()), threshold, mix, attackers, rule.kind, rule.parameter, rule.value, attacks, why)


def _mixes(scenario: Scenario, nodes: int) -> list[dict[str, int]]:
    """Ways to have that many nodes of the scenario's groups: one alone, pairs in quarters, and its own proportions."""
    names = sorted(scenario.nodes)
    found = [{name: nodes} for name in names]
    for (one, other), share in itertools.product(itertools.combinations(names, 2), _SHARES[1:-1]):
        first = round(share * nodes)
        found.append({one: first, other: nodes - first})
    own = _in_proportion({name: group.count for name, group in scenario.nodes.items()}, nodes)
    mixes = [{name: count for name, count in sorted(mix.items()) if count} for mix in [*found, own]]
    return list({tuple(mix.items()): mix for mix in mixes}.values())


def _in_proportion(counts: Mapping[str, int], nodes: int) -> dict[str, int]:
    """Share nodes out in proportion, the largest remainders first."""
    total = sum(counts.values())
    exact = {name: Fraction(count * nodes, total) for name, count in sorted(counts.items())}
    shares = {name: math.floor(share) for name, share in exact.items()}
    ranked = sorted(exact, key=lambda name: (shares[name] - exact[name], name))
    for name in ranked[: nodes - sum(shares.values())]:
        shares[name] += 1
    return shares


def _rules(scenario: Scenario, bounds: Bounds) -> Iterator[_Rule]:
    """Yield the rules that suit the scenario's answers."""
    rule = scenario.consensus.matching
    if scenario.numeric:
        scale = _noise(scenario)
        values = bounds.values or tuple(float(f"{scale * width:.3g}") for width in _WIDTHS)
        relative = isinstance(rule, Within) and bool(rule.relative) and not rule.absolute
        parameter = "relative" if relative and bounds.values else "absolute"
        for kind, result in (("tolerance", "propose"), ("median", "certify"), ("approximate", "certify")):
            for value in values:
                keys = {"kind": kind, parameter: value}
                if isinstance(rule, Approximate) and kind == rule.kind:
                    keys["rounds"] = rule.rounds
                yield _Rule(kind, parameter, value, {"matching": keys, "result": result})
        return
    written = (
        {} if rule is None or rule.assumed is None else {"matching": rule.model_dump(mode="json", exclude_none=True)}
    )
    result = "certify" if isinstance(rule, Margin) else scenario.consensus.result
    yield _Rule(rule.kind if written and rule else "exact", "", None, written | {"result": result})
    if isinstance(rule, Margin):
        for value in bounds.values or _WIDTHS:
            yield _Rule("margin", "gap", value, {"matching": {"kind": "margin", "gap": value}, "result": "propose"})


def _noise(scenario: Scenario) -> float:
    """Largest standard deviation of an answer."""
    noise = [math.hypot(group.executor.class_noise, group.executor.node_noise) for group in scenario.number_groups]
    return max(noise, default=0.0) or 1.0
