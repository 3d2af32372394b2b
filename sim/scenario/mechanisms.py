"""Checks of mechanisms that tolerate differences, each of which needs votes of a certain kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim.base.model import Mistake
from sim.consensus.matching import Exact
from sim.consensus.verification import Replicate
from sim.inference.executors import Gpu, Recorded
from sim.inference.numeric import Numeric

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sim.consensus.rules import Consensus
    from sim.consensus.verification import AnyVerification
    from sim.scenario.schema import NodeGroup, Workload


def points_per_request(groups: Iterable[NodeGroup], workload: Workload) -> int:
    """Decision points within a request: its tokens where the rate is per token, else 1."""
    laws = (group.executor.law for group in groups if isinstance(group.executor, Gpu))
    return workload.tokens if {law.per for law in laws if law.rate} == {"token"} else 1


def mechanism_clashes(
    groups: Mapping[str, Any],
    valid: Mapping[str, NodeGroup],
    consensus: Consensus | None,
    verification: AnyVerification | None,
    workload: Workload | None,
) -> Iterator[Mistake]:
    """Yield what does not go with the way in which results are agreed.

    Parameters
    ----------
    groups
        The groups as written.
    valid
        Those that validated.
    consensus, workload
        None where they did not validate.
    verification
        None where it is absent or did not validate.
    """
    if consensus is None:
        return
    why = _no_votes_of_their_own(valid, verification, consensus)
    if consensus.result == "endorse" and why:
        yield Mistake(("consensus", "result"), f"must be certify or propose {why}", consensus.result)
    if consensus.appeal is None:
        return
    complete = len(valid) == len(groups)
    points = 1
    if workload and complete:
        points = workload.requests_per_block * points_per_request(valid.values(), workload)
    if consensus.result != "certify":
        why = f"where result is {consensus.result}: nodes vote again on what they computed themselves (certify)"
    elif points > 1 and not why:
        why = (
            f"where a block has several decision points (this has {points:,}): every attempt would have to meet the "
            "same hardness at each of them"
        )
    if why:
        yield Mistake(("consensus", "appeal"), f"must be left out {why}")
    committee = consensus.appeal.committee
    if committee is None:
        return
    nodes = sum(group.count for group in valid.values())
    if committee > nodes and complete:
        message = f"must be at most the {nodes} nodes of the chain"
        yield Mistake(("consensus", "appeal", "committee"), message, committee)
    yield from _committee_clashes(valid, consensus)


def _no_votes_of_their_own(
    valid: Mapping[str, NodeGroup], verification: AnyVerification | None, consensus: Consensus
) -> str:
    """Why nodes do not vote on each execution by what they computed themselves; empty where they do."""
    if verification is not None and not isinstance(verification, Replicate):
        return "where one node executes, and the others vote on its check"
    if any(isinstance(group.executor, Recorded) for group in valid.values()):
        return "where answers are recorded: a text is a node's answer to the whole block"
    if any(isinstance(group.executor, Numeric) for group in valid.values()):
        return "where answers are numbers"
    rule = consensus.matching
    if rule is None or isinstance(rule, Exact) or (consensus.result == "endorse" and rule.assumed is not None):
        return ""
    return f"where matching is {rule.kind}"


def _committee_clashes(valid: Mapping[str, NodeGroup], consensus: Consensus) -> Iterator[Mistake]:
    if consensus.quorum is not None:
        message = "must be left out where committees vote: a committee's quorum follows from its size"
        yield Mistake(("consensus", "quorum"), message, consensus.quorum)
    for name, group in valid.items():
        if group.power != 1:
            message = "must be 1 where committees vote: their members are drawn node by node"
            yield Mistake(("nodes", name, "power"), message, group.power)


def failure_clashes(fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield what does not go with what a failed block is followed by.

    Parameters
    ----------
    fields, data
        Parts of the scenario that validated, and as written.
    """
    consensus = fields.get("consensus")
    led = consensus is not None and consensus.result == "propose"
    chosen = fields.get("on_failure") or ("next_leader" if led and fields.get("recovery") else None)
    if data.get("max_retries") is not None and chosen not in {"retry", "next_leader"}:
        yield Mistake(("max_retries",), "goes with on_failure retry or next_leader", data["max_retries"])
    if consensus is None or chosen is None:
        return
    if chosen == "next_leader" and not led:
        yield Mistake(("on_failure",), "must not be next_leader where nobody leads (consensus.result propose)", chosen)
    if chosen == "retry" and led:
        yield Mistake(("on_failure",), "must not be retry where a leader proposes (next_leader)", chosen)
    if chosen == "next_leader" and consensus.max_rounds is not None:
        message = "must be left out with next_leader: 1 + max_retries says the same"
        yield Mistake(("consensus", "max_rounds"), message, consensus.max_rounds)
