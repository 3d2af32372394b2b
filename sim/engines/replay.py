"""Recorded answers, which are the same in every block: tallied as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.consensus import tolerant
from sim.consensus.matching import Approximate, Exact, Median, Within, number_in
from sim.consensus.numbers import Numbers, weighted_median
from sim.consensus.tally import NOBODY, Outcome, certify, propose
from sim.consensus.tolerant import Ballot
from sim.engines.number_draws import WORK_MAX, settled, work
from sim.engines.result import exact_result
from sim.inference.executors import Recorded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sim.engines.result import Result
    from sim.scenario.schema import Scenario

    Integers = NDArray[np.int64]

ANSWERS_MAX = 500
"""Different recorded answers that a matching rule compares pair by pair."""


def obstacle(scenario: Scenario) -> str | None:
    """Why recorded answers cannot be tallied; None if they can."""
    if isinstance(scenario.consensus.matching, Median | Approximate):
        return None if work(scenario) <= WORK_MAX else f"its {scenario.node_count:,} numbers are too many to compare"
    if _pairwise(scenario) and (number := len(_answers(scenario)[0])) > ANSWERS_MAX:
        return f"its {number:,} different answers are too many to compare pair by pair (at most {ANSWERS_MAX})"
    return None


def run_recorded(scenario: Scenario) -> Result:
    """Answer a scenario with recorded answers for which `obstacle` is None."""
    power, nodes = _answers(scenario)
    if isinstance(scenario.consensus.matching, Median | Approximate):
        return _replayed_numbers(scenario)
    if _pairwise(scenario):
        return _replayed_pairwise(scenario, power, nodes)
    election = scenario.election
    texts = sorted(power, key=lambda text: -power[text])
    groups = np.array([[power[text] for text in texts]], dtype=np.int64).reshape(1, -1)
    if scenario.consensus.result == "certify":
        weights, verdict = np.ones(1), certify(election, groups)
    else:
        ends = np.concatenate([groups[0].cumsum(), [election.votes]])
        leaders = ends - 1  # one of each honest group, and a Byzantine one
        weights = np.diff(ends, prepend=0) / election.votes
        if not election.byzantine:
            leaders, weights = leaders[:-1], weights[:-1]
        verdict = propose(election, np.repeat(groups, len(leaders), axis=0), leaders)
    outcomes = {outcome: float(weights[verdict.outcome == outcome].sum()) for outcome in Outcome}
    size = np.array([*(nodes[text] for text in texts), 0])
    missing = np.where(verdict.certified == NOBODY, 0, sum(nodes.values()) - size[verdict.certified])
    return exact_result(scenario, outcomes, float(weights @ missing))


def _honest(scenario: Scenario) -> Iterator[tuple[str, int]]:
    """Yield text and power of each honest node; the Byzantine ones are the last of their group."""
    for name, group in sorted(scenario.nodes.items()):
        if isinstance(group.executor, Recorded):
            for text in group.executor.outputs[: group.count - scenario.faults.of(name)]:
                yield text, group.power


def _answers(scenario: Scenario) -> tuple[dict[str, int], dict[str, int]]:
    """Voting power, and number, of the honest nodes that gave each recorded answer."""
    power: dict[str, int] = {}
    nodes: dict[str, int] = {}
    for text, each in _honest(scenario):
        power[text] = power.get(text, 0) + each
        nodes[text] = nodes.get(text, 0) + 1
    return power, nodes


def _pairwise(scenario: Scenario) -> bool:
    """Whether recorded answers have to be compared pair by pair."""
    return scenario.consensus.tolerant or scenario.faults.answer is not None


def _ballot(scenario: Scenario) -> Ballot:
    """Recorded answers, in the order of the nodes, and who accepts which."""
    power, _ = _answers(scenario)
    matching = scenario.consensus.matching or Exact()
    texts, answer = list(power), scenario.faults.answer
    return Ballot(
        np.array([power[text] for text in texts], dtype=np.int64),
        matching.table(texts),
        np.array([answer is not None and matching.accepts(answer, text) for text in texts], dtype=np.bool_),
        texts.index(answer) if answer in power else None,
        harmless=answer is not None and _harmless(scenario, power, answer),
        mutual=np.array([answer is not None and matching.mutual(answer, text) for text in texts], dtype=np.bool_),
    )


def _replayed_pairwise(scenario: Scenario, power: dict[str, int], nodes: dict[str, int]) -> Result:
    """Tally recorded answers of which different ones may match."""
    election, ballot, texts = scenario.election, _ballot(scenario), list(power)
    if scenario.consensus.result == "certify":
        ends = [(1.0, tolerant.certify(election, ballot))]
    else:
        ends = [(power[text] / election.votes, tolerant.propose(election, ballot, i)) for i, text in enumerate(texts)]
        ends.append((election.byzantine / election.votes, tolerant.propose(election, ballot, None)))
    outcomes = dict.fromkeys(Outcome, 0.0)
    missing, sizes = 0.0, np.array([nodes[text] for text in texts])
    for weight, end in ends:
        outcomes[end.outcome] += weight
        missing += weight * float(sizes @ ~end.matched) if end.outcome == Outcome.agreed else 0.0
    return exact_result(scenario, outcomes, missing)


def passing(attacked: Scenario, silent: Scenario) -> tuple[float, float]:
    """Whether an answer that only colluding nodes give is certified, and how often those of honest nodes are not.

    Parameters
    ----------
    attacked, silent
        The same recorded answers, where Byzantine nodes collude on an answer, and where they are silent.
    """
    if isinstance(attacked.consensus.matching, Median | Approximate):
        with_them, alone = _numbers(attacked), _numbers(silent)
        last = np.array([attacked.election.votes - 1])
        accepted = settled(attacked, with_them, last if attacked.consensus.result == "propose" else None).accepted[0]
        first = np.array([0]) if silent.consensus.result == "propose" else None
        return float(accepted), float(settled(silent, alone, first).outcome[0] != Outcome.agreed)
    ballot, election = _ballot(attacked), attacked.election
    votes = election.byzantine + int(ballot.power @ ballot.forged) if election.byzantine else 0
    if attacked.consensus.result == "certify":
        refused = float(tolerant.certify(silent.election, ballot).outcome != Outcome.agreed)
    else:
        won = [tolerant.propose(silent.election, ballot, i).outcome == Outcome.agreed for i in range(len(ballot.power))]
        refused = 1 - float(ballot.power @ np.array(won, dtype=np.int64)) / max(int(ballot.power.sum()), 1)
    return float(votes >= election.quorum and ballot.same is None), refused


def _harmless(scenario: Scenario, power: dict[str, int], answer: str) -> bool:
    """Whether a number that attackers made up is within the bound around the honest median."""
    rule, value = scenario.consensus.matching, number_in(answer)
    known = [(number, power[text]) for text in power if (number := number_in(text)) is not None]
    if not isinstance(rule, Within) or value is None or not known:
        return False
    numbers, weights = zip(*known, strict=True)
    middle = weighted_median(np.array([numbers]), np.array([weights]))
    return bool(rule.alike(np.array([value]), middle)[0])


def _numbers(scenario: Scenario) -> Numbers:
    """Recorded answers as numbers."""
    told = [(number_in(text) or 0.0, power) for text, power in _honest(scenario)]
    values, power = np.array([[value for value, _ in told]]), np.array([each for _, each in told], dtype=np.int64)
    forged = number_in(scenario.faults.answer) if scenario.faults.answer is not None else None
    return Numbers(values, power, scenario.consensus.matching or Exact(), np.inf if forged is None else forged)


def _replayed_numbers(scenario: Scenario) -> Result:
    """Bring recorded numbers together, and tally them: once a block, or with each kind of leader."""
    election, answers = scenario.election, _numbers(scenario)
    leaders: list[tuple[float, Integers | None]] = [(1.0, None)]
    if scenario.consensus.result == "propose" and isinstance(answers.rule, Median):
        hostile = election.byzantine / election.votes
        leaders = [(1 - hostile, np.array([0])), (hostile, np.array([election.votes - 1]))]
    outcomes, missing = dict.fromkeys(Outcome, 0.0), 0.0
    for weight, leader in leaders:
        ended = settled(scenario, answers, leader) if weight else None
        if ended is None:
            continue
        outcomes[Outcome(int(ended.outcome[0]))] += weight
        missing += weight * float((~ended.matched[0]).sum()) if ended.outcome[0] == Outcome.agreed else 0.0
    return exact_result(scenario, outcomes, missing)
