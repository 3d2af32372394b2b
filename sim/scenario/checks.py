"""Checks that span the parts of a scenario, run on whatever validated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sim.base.members import member_mistakes
from sim.base.model import Mistake
from sim.base.text import did_you_mean, has_control_characters
from sim.consensus.matching import Approximate, Exact, Margin, Median, number_in
from sim.consensus.verification import Proof, Replicate
from sim.inference.difficulty.near_tie import NearTie
from sim.inference.executors import Gpu, Recorded
from sim.inference.numeric import Numeric
from sim.network.latency import Regions
from sim.scenario.cost import SECONDS_MIN

if TYPE_CHECKING:
    from sim.consensus.faults import Faults
    from sim.consensus.matching import Matching
    from sim.consensus.rules import Consensus
    from sim.network.schema import Network
    from sim.scenario.schema import NodeGroup, Workload

_LAW = ("executor", "nondeterminism")


def group_clashes(groups: Mapping[str, Any], valid: Mapping[str, NodeGroup]) -> Iterator[Mistake]:
    """Yield what is wrong with group names, and with groups that do not go together.

    Parameters
    ----------
    groups
        The groups as written.
    valid
        Those that validated.
    """
    for name in groups:
        if not name or len(name) > 100 or "." in name or has_control_characters(name):
            message = "a group's name must have 1 to 100 characters, no dot and no control characters"
            yield Mistake(("nodes", name), message, name)
    recorded = [name for name, group in valid.items() if isinstance(group.executor, Recorded)]
    if recorded and len(recorded) < len(valid):
        yield Mistake(("nodes", recorded[0], "executor", "kind"), "recorded does not mix with cpu or gpu groups")
    numeric = [name for name, group in valid.items() if isinstance(group.executor, Numeric)]
    if numeric and len(numeric) < len(valid) and not recorded:
        yield Mistake(("nodes", numeric[0], "executor", "kind"), "numeric does not mix with cpu or gpu groups")
    yield from _disagreements(valid)


def _disagreements(valid: Mapping[str, NodeGroup]) -> Iterator[Mistake]:
    first: dict[str, tuple[str, Any]] = {}
    classes: dict[str, tuple[str, float]] = {}
    for name, group in valid.items():
        if not (isinstance(group.executor, Gpu) and group.executor.law.rate > 0):
            continue
        law = group.executor.law
        for key in ("per", "alternatives"):
            other, value = first.setdefault(key, (name, getattr(law, key)))
            if value != getattr(law, key):
                message = f"must be the same in all groups that can deviate ({other} has {value})"
                yield Mistake(("nodes", name, *_LAW, key), message, getattr(law, key))
        other, shared = classes.setdefault(group.noise_class, (name, law.shared_noise))
        if shared != law.shared_noise:
            message = f"must be the same in all groups of hardware class {group.noise_class} ({other} has {shared:g})"
            yield Mistake(("nodes", name, *_LAW, "shared_noise"), message, law.shared_noise)


def vote_clashes(
    groups: Mapping[str, Any],
    valid: Mapping[str, NodeGroup],
    consensus: Consensus | None,
    faults: Faults | None,
    nodes_max: int,
) -> Iterator[Mistake]:
    """Yield what is wrong with the number of nodes, the quorum, and the Byzantine nodes.

    Parameters
    ----------
    groups, valid
        As in `group_clashes`.
    consensus, faults
        None where they did not validate.
    nodes_max
        Largest number of nodes.
    """
    count = sum(group.count for group in valid.values())
    if count > nodes_max:
        yield Mistake(("nodes",), f"must have at most {nodes_max} nodes in all groups together (has {count})")
    if consensus and consensus.quorum is not None and len(valid) == len(groups):
        votes = sum(group.count * group.power for group in valid.values())
        if not votes < 2 * consensus.quorum <= 2 * votes:
            message = f"must be more than half of the {votes} votes, and at most all of them"
            yield Mistake(("consensus", "quorum"), message, consensus.quorum)
    if faults is not None:
        yield from _byzantine_clashes(groups, valid, faults.byzantine)


def _byzantine_clashes(
    groups: Mapping[str, Any], valid: Mapping[str, NodeGroup], byzantine: int | dict[str, int]
) -> Iterator[Mistake]:
    path: tuple[str, ...] = ("faults", "byzantine")
    if not isinstance(byzantine, dict):
        if byzantine and len(groups) > 1:
            message = f"must be a mapping from group to number where there are several groups ({', '.join(groups)})"
            yield Mistake(path, message, byzantine)
            return
        byzantine = dict.fromkeys(groups, byzantine)
    else:
        for name in [name for name in byzantine if name not in groups]:
            yield Mistake((*path, name), f"is no group; {did_you_mean(name, groups)}")
        path = (*path, "{}")
    for name, number in byzantine.items():
        if name in valid and number > valid[name].count:
            message = f"must be at most the {valid[name].count} nodes of group {name}"
            yield Mistake(tuple(name if step == "{}" else step for step in path), message, number)


def answer_clashes(
    groups: Mapping[str, Any], valid: Mapping[str, NodeGroup], consensus: Consensus | None, faults: Faults | None
) -> Iterator[Mistake]:
    """Yield what needs answers that can be read where nodes have none, and a share where they can.

    Parameters
    ----------
    groups, valid, consensus, faults
        As in `vote_clashes`.
    """
    matching = consensus.matching if consensus else None
    if len(valid) < len(groups):
        return
    kinds = {group.executor.kind for group in valid.values()}
    if "recorded" in kinds:
        if matching is not None and matching.assumed is not None:
            message = "goes with answers that are drawn (cpu, gpu); recorded ones are read: give a transform"
            yield Mistake(*_share_of(matching, message))
        return
    if isinstance(matching, Margin):
        yield from _margin_clashes(valid, consensus)
    elif matching is not None and not isinstance(matching, Exact):
        yield from _unread(matching, numeric="numeric" in kinds)
    if faults is not None and faults.answer is not None:
        yield Mistake(("faults", "answer"), "needs recorded answers", faults.answer)


def _unread(matching: Matching, *, numeric: bool) -> Iterator[Mistake]:
    """Yield why a rule cannot compare answers that are drawn."""
    path = ("consensus", "matching", "kind")
    if numeric and not matching.compares_numbers:
        yield Mistake(path, "does not compare numbers", matching.kind)
    elif not numeric and isinstance(matching, Median | Approximate):
        yield Mistake(path, "needs answers that are numbers", matching.kind)
    elif not numeric and matching.assumed is None:
        message = "needs recorded answers; those that are drawn have no text (equivalence: give a share or a preset)"
        yield Mistake(path, message, matching.kind)


def _margin_clashes(valid: Mapping[str, NodeGroup], consensus: Consensus | None) -> Iterator[Mistake]:
    """Yield why posted tokens cannot be checked by their margins."""
    if consensus is not None and consensus.result != "propose":
        yield Mistake(("consensus", "result"), "must be propose where matching is margin", consensus.result)
    first: Any = None
    for name, group in valid.items():
        law = group.executor.law if isinstance(group.executor, Gpu) else None
        path = ("nodes", name)
        if not isinstance(law, NearTie) or not law.rate or law.shared_noise or law.alternatives:
            message = (
                "must be gpu with near ties, a rate, noise of its own and one wrong answer, where matching is margin"
            )
            yield Mistake((*path, "executor"), message)
        elif law != (first := first or law):
            yield Mistake((*path, *_LAW), "must be the same in all groups where matching is margin")
        if group.power > 1:
            yield Mistake((*path, "power"), "must be 1 where matching is margin", group.power)


def number_clashes(
    groups: Mapping[str, Any], valid: Mapping[str, NodeGroup], fields: Mapping[str, Any]
) -> Iterator[Mistake]:
    """Yield what does not go with answers that are numbers, or without them.

    Parameters
    ----------
    groups, valid
        As in `group_clashes`.
    fields
        Parts of the scenario that validated.
    """
    if len(valid) < len(groups):
        return
    consensus, workload, faults = (fields.get(key) for key in ("consensus", "workload", "faults"))
    if faults is not None and faults.noise is not None and not (consensus and isinstance(consensus.matching, Margin)):
        yield Mistake(("faults", "noise"), "needs consensus.matching of kind margin", faults.noise)
    if not any(isinstance(group.executor, Numeric) for group in valid.values()):
        if workload is not None and workload.true_value is not None:
            yield Mistake(("workload", "true_value"), "needs numeric executors", workload.true_value)
        if faults is not None and faults.shift is not None:
            yield Mistake(
                ("faults", "shift"), "needs numeric executors (recorded ones have faults.answer)", faults.shift
            )
    elif workload is not None and workload.requests_per_block > 1:
        message = "must be 1 where answers are numbers: a block carries one number"
        yield Mistake(("workload", "requests_per_block"), message, workload.requests_per_block)
    yield from _aggregate_clashes(valid, consensus)


def _aggregate_clashes(valid: Mapping[str, NodeGroup], consensus: Consensus | None) -> Iterator[Mistake]:
    """Yield why numbers cannot be brought together before the vote."""
    rule = consensus.matching if consensus else None
    if consensus is None or not isinstance(rule, Median | Approximate):
        return
    for name, group in valid.items():
        outputs = group.executor.outputs if isinstance(group.executor, Recorded) else ()
        for index, text in enumerate(outputs):
            if number_in(text) is None:
                message = f"must be a number where matching is {rule.kind}"
                yield Mistake(("nodes", name, "executor", "outputs", index), message, text)
    if not isinstance(rule, Approximate):
        return
    for name, group in valid.items():
        if group.power > 1:
            yield Mistake(("nodes", name, "power"), "must be 1 in approximate agreement", group.power)
    votes = sum(group.count * group.power for group in valid.values())
    faults = consensus.faults_tolerated(votes)
    if votes <= 3 * faults:
        message = (
            f"must be at most 1/3: approximate agreement of {votes} nodes tolerates {faults} faults only if n > 3f"
        )
        yield Mistake(("consensus", "fault_threshold"), message)


def share_clashes(
    groups: Mapping[str, Any], valid: Mapping[str, NodeGroup], consensus: Consensus | None, workload: Workload | None
) -> Iterator[Mistake]:
    """Yield that a share of equivalent answers is no share of tokens.

    Parameters
    ----------
    groups, valid, consensus
        As in `vote_clashes`.
    workload
        None where it did not validate.
    """
    matching = consensus.matching if consensus else None
    if len(valid) < len(groups) or workload is None or matching is None or matching.assumed is None:
        return
    laws = [group.executor.law for group in valid.values() if isinstance(group.executor, Gpu)]
    if workload.tokens > 1 and any(law.rate and law.per == "token" for law in laws):
        message = f"is of whole answers: needs rates per: request, or tokens: 1 (has per: token and {workload.tokens})"
        yield Mistake(*_share_of(matching, message))


def _share_of(matching: Matching, message: str) -> tuple[tuple[str, ...], str, Any]:
    """Tell what is wrong with the share of a matching rule, however it is given."""
    key = "preset" if getattr(matching, "preset", None) else "share"
    return ("consensus", "matching", key), message, getattr(matching, key, matching.assumed)


def verification_clashes(
    groups: Mapping[str, Any], valid: Mapping[str, NodeGroup], verification: Any, rule: Matching | None
) -> Iterator[Mistake]:
    """Yield what is wrong with how results are verified, given the nodes.

    Parameters
    ----------
    groups, valid
        As in `group_clashes`.
    verification
        None where it is absent or did not validate.
    rule
        How results are matched; None where that is absent or did not validate.
    """
    if len(valid) < len(groups) or verification is None or isinstance(verification, Replicate):
        return
    if any(isinstance(group.executor, Recorded | Numeric) for group in valid.values()):
        message = "must be replicate where answers are recorded, or numbers"
        yield Mistake(("verification", "kind"), message, verification.kind)
    elif rule is not None and not isinstance(rule, Exact) and rule.assumed is None:
        yield Mistake(("consensus", "matching", "kind"), "goes with verification replicate", rule.kind)
    nodes = sum(group.count for group in valid.values())
    for key, most in (("provers", nodes), ("watchers", nodes - 1), ("checkers", nodes - 1)):
        number = getattr(verification, key, None)
        if number is not None and number > most:
            yield Mistake(("verification", key), f"must be at most {most} on a chain of {nodes} nodes", number)
    first, *others = valid.items()
    for name, group in others:
        if (group.devices or 1) != (first[1].devices or 1):
            message = f"must be the same in all groups where one node executes ({first[0]} has {first[1].devices or 1})"
            yield Mistake(("nodes", name, "devices"), message, group.devices or 1)
    laws = [group.executor.seconds_per_request for group in valid.values()]
    timed = all(law is not None and law.expected >= SECONDS_MIN for law in laws)
    if isinstance(verification, Proof) and verification.timeout_s and not verification.prove_s and not timed:
        message = f"needs prove_s, or executor.seconds_per_request of at least {SECONDS_MIN:g} in every group"
        yield Mistake(("verification", "timeout_s"), message)


def network_clashes(
    groups: Mapping[str, Any], valid: Mapping[str, NodeGroup], network: Network | None, faults: Faults | None
) -> Iterator[Mistake]:
    """Yield what is wrong with nodes that crashes, partitions and regions name.

    Parameters
    ----------
    groups, valid
        As in `group_clashes`.
    network, faults
        None where they are absent or did not validate.
    """
    if len(valid) < len(groups):
        return
    counts = {name: group.count for name, group in valid.items()}
    for index, crash in enumerate(faults.crashes or () if faults else ()):
        for path, message, value in member_mistakes(crash.nodes, counts):
            yield Mistake(("faults", "crashes", index, "nodes", *path), message, value)
    if network is None:
        return
    for mistake in network.mistakes(counts):
        yield mistake._replace(path=("network", *mistake.path))
    if isinstance(network.latency, Regions):
        yield from _region_clashes(valid, network.latency)


def _region_clashes(valid: Mapping[str, NodeGroup], latency: Regions) -> Iterator[Mistake]:
    known = latency.names
    for name, group in valid.items():
        if group.region is None:
            yield Mistake(("nodes", name, "region"), "is required where the network's latency depends on regions")
        elif group.region not in known:
            yield Mistake(
                ("nodes", name, "region"), f"has no latency; {did_you_mean(group.region, known)}", group.region
            )
