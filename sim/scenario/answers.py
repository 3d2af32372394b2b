"""Checks of answers, and of the rules that compare them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim.base.model import Mistake
from sim.consensus.matching import Approximate, Exact, Margin, Median, number_in
from sim.consensus.tally import BOOSTED
from sim.consensus.verification import Replicate
from sim.inference.difficulty.empirical import Empirical
from sim.inference.difficulty.near_tie import NearTie
from sim.inference.executors import Gpu, Recorded
from sim.inference.numeric import Numeric

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sim.consensus.faults import Faults
    from sim.consensus.matching import Matching
    from sim.consensus.rules import Consensus
    from sim.scenario.schema import NodeGroup, Workload

_LAW = ("executor", "nondeterminism")


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
        yield from _margin_clashes(valid, consensus, faults)
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


def _margin_clashes(
    valid: Mapping[str, NodeGroup], consensus: Consensus | None, faults: Faults | None
) -> Iterator[Mistake]:
    """Yield why posted tokens cannot be checked by their margins."""
    if faults is not None and faults.behaviour in BOOSTED:
        message = "must be silent, random or collude where matching is margin: one answer is posted, and none beside it"
        yield Mistake(("faults", "behaviour"), message, faults.behaviour)
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


def replay_clashes(
    groups: Mapping[str, Any], valid: Mapping[str, NodeGroup], fields: Mapping[str, Any]
) -> Iterator[Mistake]:
    """Yield what does not go with recorded prompts that are replayed.

    Parameters
    ----------
    groups, valid, fields
        As in `number_clashes`.
    """
    laws = {
        name: group.executor.nondeterminism
        for name, group in valid.items()
        if isinstance(group.executor, Gpu) and isinstance(group.executor.nondeterminism, Empirical)
    }
    if not laws or len(valid) < len(groups):
        return
    first, law = next(iter(laws.items()))
    for name, group in valid.items():
        path, executor = ("nodes", name, "executor"), group.executor
        if name not in laws:
            yield Mistake((*path, "kind"), f"must replay a recording too, as group {first} does", executor.kind)
        elif laws[name] != law:
            yield Mistake((*path, *_LAW[1:], "recording"), f"must be the same as that of group {first}")
        elif isinstance(executor, Gpu) and (executor.residual is not None or executor.arithmetic == "class_exact"):
            yield Mistake((*path, "arithmetic"), "must be native where a recording is replayed", executor.arithmetic)
    for key, what in (("verification", "replicate"), ("recovery", "left out"), ("on_failure", "left out")):
        part = fields.get(key)
        if part is not None and not (key == "verification" and isinstance(part, Replicate)):
            yield Mistake((key,), f"must be {what} where a recording is replayed")
    consensus = fields.get("consensus")
    if consensus is not None and (consensus.appeal is not None or not isinstance(consensus.matching, Exact | None)):
        key = "appeal" if consensus.appeal is not None else "matching"
        yield Mistake(("consensus", key), "must be left out where a recording is replayed: votes are compared exactly")
    yield from _too_few_runs(valid, law, fields.get("faults"))


def _too_few_runs(valid: Mapping[str, NodeGroup], law: Empirical, faults: Faults | None) -> Iterator[Mistake]:
    """Yield that a recording has fewer runs of a prompt than there are nodes."""
    columns = {name: law.column(group.hardware) for name, group in valid.items()}
    together = {name for name, column in columns.items() if column is None}
    if together and len(together) < len(valid):
        known = ", ".join(law.columns)
        for name in together:
            message = f"must be a class of the recording ({known}), as that of other groups, or no group's may be one"
            yield Mistake(("nodes", name, "hardware"), message, valid[name].hardware)
        return
    needed: dict[int | None, int] = {}
    for name, group in valid.items():
        honest = group.count - (min(faults.of(name), group.count) if faults else 0)
        needed[columns[name]] = needed.get(columns[name], 0) + honest
        runs = law.runs_on(group.hardware)
        if needed[columns[name]] > runs:
            where = f" on {group.hardware}" if columns[name] is not None else ""
            message = (
                f"must be at most the {runs} runs of each prompt{where} that the recording has: record more replicas, "
                "or fit a law to it (sim calibrate) and use that"
            )
            yield Mistake(("nodes", name, "count"), message, group.count)


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
