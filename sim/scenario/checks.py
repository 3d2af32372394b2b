"""Checks that span the parts of a scenario, run on whatever validated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sim.base.members import member_mistakes
from sim.base.model import Mistake
from sim.base.text import did_you_mean, has_control_characters
from sim.consensus.matching import Exact
from sim.consensus.verification import Proof, Replicate
from sim.inference.executors import Gpu, Recorded
from sim.inference.numeric import Numeric
from sim.network.latency import Regions
from sim.scenario.cost import SECONDS_MIN

if TYPE_CHECKING:
    from sim.consensus.faults import Faults
    from sim.consensus.matching import Matching
    from sim.consensus.rules import Consensus
    from sim.network.schema import Network
    from sim.scenario.schema import NodeGroup

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
