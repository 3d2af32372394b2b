"""Exact answers where nodes check posted tokens by their margins (see `sim.inference.forcing`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from sim.consensus.matching import Margin
from sim.consensus.tally import Outcome
from sim.engines.result import exact_result
from sim.inference.chain import STATES_MAX
from sim.inference.difficulty.near_tie import NearTie
from sim.inference.executors import Gpu
from sim.inference.forcing import TOLD_MAX, Check, accepting, told_apart

if TYPE_CHECKING:
    from sim.engines.result import Result
    from sim.scenario.schema import Scenario


def obstacle(scenario: Scenario) -> str | None:
    """Why there is no exact answer; None if there is one."""
    if scenario.honest_nodes > (TOLD_MAX if _posts_cheaper(scenario) else STATES_MAX):
        return f"{scenario.honest_nodes:,} honest nodes are too many to count those that accept an answer"
    return None


def run_margin(scenario: Scenario) -> Result:
    """Answer a scenario whose matching is margin, and for which `obstacle` is None."""
    election, honest = scenario.election, scenario.honest_nodes
    hostile = election.byzantine / election.votes
    outcomes = dict.fromkeys(Outcome, 0.0)
    missing = 0.0
    if honest:
        law = accepting(check(scenario, honest - 1, election.quorum - 1))
        outcomes[Outcome.no_quorum] += (1 - hostile) * law.lost
        outcomes[Outcome.agreed] += (1 - hostile) * float(law.mass.sum())
        missing += (1 - hostile) * float(law.mass @ np.arange(len(law.mass))[::-1])
    if _posts_cheaper(scenario):
        law = told_apart(cheaper(scenario))
        known = law.mass[:, 1:].sum(axis=1)
        outcomes[Outcome.no_quorum] += hostile * law.lost
        outcomes[Outcome.wrong_result] += hostile * float(law.mass[:, 0].sum())
        outcomes[Outcome.agreed] += hostile * float(known.sum())
        missing += hostile * float(known @ np.arange(len(known))[::-1])
    else:
        captured = election.behaviour == "collude" and election.byzantine >= election.quorum
        outcomes[Outcome.wrong_result if captured else Outcome.no_quorum] += hostile
    return exact_result(scenario, outcomes, missing)


def _posts_cheaper(scenario: Scenario) -> bool:
    """Whether Byzantine nodes post what a cheaper model answers."""
    return scenario.faults.noise is not None and scenario.election.byzantine > 0


def check(scenario: Scenario, checkers: int, needed: int, noise: float = 1.0) -> Check:
    """Check by some honest nodes of what a node posts whose noise is so many times theirs."""
    rule = cast("Margin", scenario.consensus.matching)
    return Check(law_of(scenario), rule.gap, checkers, needed, scenario.points, noise)


def cheaper(scenario: Scenario) -> Check:
    """Check of what a Byzantine leader posts, all of which vote for it."""
    election, noise = scenario.election, scenario.faults.noise
    return check(scenario, scenario.honest_nodes, election.quorum - election.byzantine, noise or 0.0)


def law_of(scenario: Scenario) -> NearTie:
    """The margins, which are the same in all groups."""
    group = next(iter(scenario.nodes.values()))
    return cast("NearTie", cast("Gpu", group.executor).law)
