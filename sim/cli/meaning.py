"""What the numbers of a run mean, in two sentences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sim.consensus.aggregate import convergence
from sim.consensus.matching import Approximate
from sim.engines.told import one_in
from sim.inference.executors import Gpu

if TYPE_CHECKING:
    from sim.engines.result import Estimate, Result
    from sim.scenario.schema import Scenario

_WHY = {
    "no_quorum": "no result reaches the quorum of {quorum:,} of {votes:,} votes",
    "wrong_result": "the certified result is not the one that most honest nodes computed",
    "forked": "two results are certified at once",
}


_WHY_DROPPED = "no result of any of its requests reaches the quorum of {quorum:,} of {votes:,} votes"
_WHY_APPEALED = "no result reaches the quorum of {quorum:,} of {votes:,} votes in any of {attempts} attempts"
_WHY_COMMITTEES = "no result reaches a quorum in any of {attempts} attempts, each by a committee"
_WHY_REFUSED = {
    "proof": "no valid proof comes in time",
    "tee": "no attestation comes",
    "optimistic": "the result is challenged, or none is posted",
    "spot_check": "a checker gets another answer, or no result is posted",
}
_WHY_FORGED = "a Byzantine executor's result stands"


def sentences(result: Result, scenario: Scenario) -> tuple[str, str]:
    """Tell what fails and why, and how that compares with a single node."""
    return _what_fails(result, scenario), _compared(result, scenario)


def _what_fails(result: Result, scenario: Scenario) -> str:
    failure, dropped = result.block_failure, _dropped(result)
    if failure.probability == 0:
        how = "" if failure.count is None else " that was simulated"
        return f"Every block{how} is agreed{dropped}."
    worst = max(_WHY, key=lambda name: result.outcomes[name].probability)
    why = f"{_why(result, scenario, worst)}{dropped}"
    if failure.probability == 1:
        return f"Every block fails: {why}."
    share = result.outcomes[worst].probability / failure.probability
    return f"A block fails {_often(failure)}: {'' if share > 0.999 else 'mostly, '}{why}."


def _why(result: Result, scenario: Scenario, outcome: str) -> str:
    """Why blocks fail with this outcome."""
    votes = scenario.population.power >= result.quorum  # that a result can get at all
    if scenario.verification is not None and not scenario.replicated and votes:
        return _WHY_REFUSED[scenario.verification.kind] if outcome == "no_quorum" else _WHY_FORGED
    appeal = scenario.consensus.appeal
    text = _WHY[outcome]
    if outcome == "no_quorum" and scenario.consensus.result == "endorse":
        text = _WHY_DROPPED
    elif outcome == "no_quorum" and appeal:
        text = _WHY_APPEALED if appeal.committee is None else _WHY_COMMITTEES
    attempts = appeal.rounds + 1 if appeal else 1
    return text.format(quorum=result.quorum, votes=scenario.election.votes, attempts=attempts)


def _dropped(result: Result) -> str:
    """Tell how many requests are dropped, where they are voted on one by one."""
    dropped = result.dropped_per_block
    if dropped is None:
        return ""
    return f"; {dropped.mean:.3g} requests a block are dropped"


def _often(failure: Estimate) -> str:
    number = one_in(failure)
    return f"in {number}" if "%" in number else f"about {number.replace('one block in', 'once in')}"


def _closer(scenario: Scenario) -> str:
    """How fast approximate agreement converges."""
    rule, faults = scenario.consensus.matching, scenario.faults_tolerated
    if not isinstance(rule, Approximate) or not rule.rounds:
        return ""
    if not faults:
        return " A round of averaging makes them equal, as no fault is tolerated."
    factor = convergence(scenario.node_count, faults)
    return f" Each of {rule.rounds} rounds of averaging brings them closer by a factor of at least {factor:g}."


def _compared(result: Result, scenario: Scenario) -> str:
    if scenario.recorded:
        return "The answers are recorded, and the same in every block."
    if scenario.numeric:
        return "Answers are numbers: a true value, noise of the hardware class, and noise of each node." + _closer(
            scenario
        )
    laws = {
        name: group.executor.law
        for name, group in scenario.nodes.items()
        if isinstance(group.executor, Gpu) and group.executor.law.rate
    }
    if not laws:
        return "No node can deviate: every executor is deterministic."
    name = max(laws, key=lambda key: laws[key].rate)
    node = -math.expm1(scenario.points * math.log1p(-laws[name].rate))
    failure = result.block_failure.probability
    kinds = {law.difficulty for law in laws.values()}
    lead = f"One node of group {name} deviates in a share of {node:.3g} of the blocks"
    if not failure:
        return f"{lead}, and no block fails for it."
    ratio = failure / node
    versus = (
        f"blocks fail {ratio:.3g} times as often" if ratio >= 0.01 else f"blocks fail {1 / ratio:.3g} times less often"
    )
    if kinds == {"independent"} and ratio < 0.01:
        return f"{lead}; {versus}, because nodes are taken as independent, which real GPUs are not (see near_tie)."
    return f"{lead}; {versus}."
