"""The scenario in words: who computes, who votes, who lies, and what a block carries."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sim.base.text import bounded, shown
from sim.inference.executors import Cpu, Gpu, Recorded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sim.base.model import FrozenModel
    from sim.inference.difficulty.base import Difficulty
    from sim.scenario.schema import NodeGroup, Scenario
    from sim.sweeps.row import Row

_ROWS_MAX, _CHARACTERS_MAX = 1_000, 600
_APART, _NUMBER = "; ", re.compile(r"[\d.,e+/-]+")
_DIFFICULTY = {
    "near_tie": "near ties: the same few prompts split every set of replicas",
    "independent": "independent of the prompt",
    "beta": "prompts differ in how hard they are",
}
_RESULT = {
    "certify": "every node votes on what it computed",
    "propose": "nodes vote on what a leader computed",
    "endorse": "nodes vote on every request by itself",
}


def scenario_words(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Tell a scenario; of what the points of a sweep do not share, the first and the last.

    Parameters
    ----------
    rows
        Its points, at least one.

    Returns
    -------
    list of tuple of str and str
        What is told of, and the text.
    """
    told = [dict(_told(row.scenario)) for row in rows[:_ROWS_MAX]]
    titles = dict.fromkeys(title for each in told for title in each)
    return [(title, _varying([each.get(title, "none") for each in told])) for title in titles]


def _varying(texts: Sequence[str]) -> str:
    """One text where all are the same; else what varies in it, part by part where the parts can be told apart."""
    parts = [text.split(_APART) for text in texts]
    if len({len(each) for each in parts}) > 1:
        return bounded(_first_and_last(texts), 2 * _CHARACTERS_MAX)
    return bounded(_APART.join(map(_varying_part, zip(*parts, strict=True))), 2 * _CHARACTERS_MAX)


def _varying_part(texts: Sequence[str]) -> str:
    """One text where only numbers differ, with the first and the last of them; else the first and the last text."""
    words = [text.split() for text in texts]
    if len({len(each) for each in words}) == 1:
        columns = [list(dict.fromkeys(column)) for column in zip(*words, strict=True)]
        if all(len(column) == 1 or all(map(_NUMBER.fullmatch, column)) for column in columns):
            return " ".join(column[0] if len(column) == 1 else f"{column[0]} ... {column[-1]}" for column in columns)
    return _first_and_last(texts)


def _first_and_last(texts: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(texts))
    return distinct[0] if len(distinct) == 1 else f"varies (first: {distinct[0]}; last: {distinct[-1]})"


def _told(scenario: Scenario) -> Iterator[tuple[str, str]]:
    for name, group in scenario.nodes.items():
        yield f"group {bounded(name)}", _group(group)
    election, consensus = scenario.election, scenario.consensus
    threshold = f"fault threshold {consensus.fault_threshold}; f = {scenario.faults_tolerated:,}"
    needed = f"a result needs {election.quorum:,} of {election.votes:,} votes; {threshold}"
    yield "consensus", f"{consensus.protocol}; {needed}; {consensus.result}: {_RESULT[consensus.result]}"
    liars = f"{_plural(election.byzantine, 'Byzantine vote')}, {scenario.faults.behaviour}"
    crashed = len(scenario.faults.crashes or ())
    crashes = f"{crashed:,} crash{'es' * (crashed > 1)}"
    yield "faults", ", ".join([liars] * bool(election.byzantine) + [crashes] * bool(crashed)) or "none"
    work = scenario.workload
    answer = _plural(work.tokens, "output token")
    yield "workload", f"{_plural(work.requests_per_block, 'request')} a block, of {answer}"
    parts: dict[str, FrozenModel | None] = {
        "matching": consensus.matching,
        "appeals": consensus.appeal,
        "verification": scenario.verification,
        "recovery": scenario.recovery,
        "network": scenario.network,
    }
    for title, part in parts.items():
        if part is not None:
            yield title, _settings(part)


def _plural(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _group(group: NodeGroup) -> str:
    power = f", voting power {group.power:,} each" if group.power != 1 else ""
    nodes = f"{_plural(group.count, 'node')} of hardware {group.hardware}{power}"
    executor = group.executor
    if isinstance(executor, Gpu):
        return f"{nodes}; GPUs that {_law(executor.law)}"
    if isinstance(executor, Cpu):
        return f"{nodes}; deterministic"
    if isinstance(executor, Recorded):
        return f"{nodes}; recorded answers"
    return f"{nodes}; {_settings(executor)}"


def _law(law: Difficulty) -> str:
    if not law.rate:
        return "never deviate"
    if law.difficulty == "empirical":
        return f"answer as recorded: one deviates with probability {law.rate:g} at each {law.per}"
    kind = _DIFFICULTY.get(law.difficulty, law.difficulty)
    wrong = {0.0: "all on one second-best answer", float("inf"): "each on an answer of its own"}
    alternatives = wrong.get(law.alternatives, f"on alternatives of concentration {law.alternatives:g}")
    shared = f"; nodes of one hardware share {law.shared_noise:g} of their noise" if law.shared_noise else ""
    return f"deviate with probability {law.rate:g} at each {law.per}, {alternatives} ({kind}){shared}"


def _settings(part: FrozenModel) -> str:
    plain = part.model_dump(mode="json", exclude_none=True)
    return ", ".join(f"{key} {_plain(value)}" for key, value in plain.items() if value not in ([], 0, 0.0))


def _plain(value: object) -> str:
    return value if isinstance(value, str) else shown(value)
