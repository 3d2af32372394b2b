"""Exact answers where nodes check posted tokens by their margins (see `sim.inference.forcing`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from sim.consensus.matching import Margin
from sim.consensus.tally import BOOSTED, Outcome
from sim.engines.result import exact_result
from sim.inference.chain import STATES_MAX
from sim.inference.difficulty.near_tie import NearTie
from sim.inference.executors import Gpu
from sim.inference.forcing import Accepting, accepting

if TYPE_CHECKING:
    from sim.engines.result import Result
    from sim.scenario.schema import Scenario


def obstacle(scenario: Scenario) -> str | None:
    """Why there is no exact answer; None if there is one."""
    if scenario.faults.noise is not None and scenario.election.byzantine:
        return "it cannot tell whether a cheaper answer that passes is one that an honest node gives too"
    if scenario.honest_nodes > STATES_MAX:
        return f"it works out checks of at most {STATES_MAX} nodes"
    return None


def run_margin(scenario: Scenario) -> Result:
    """Answer a scenario whose matching is margin, and for which `obstacle` is None."""
    election, honest = scenario.election, scenario.honest_nodes
    hostile = election.byzantine / election.votes
    outcomes = dict.fromkeys(Outcome, 0.0)
    missing = 0.0
    for share, law in _led(scenario, hostile):
        outcomes[Outcome.no_quorum] += share * law.lost
        outcomes[Outcome.agreed] += share * float(law.mass.sum())
        missing += share * float(law.mass @ np.arange(len(law.mass))[::-1])
    if election.behaviour != "equivocate" or not honest:
        captured = election.behaviour in {"collude", *BOOSTED} and election.byzantine >= election.quorum
        outcomes[Outcome.wrong_result if captured else Outcome.no_quorum] += hostile
    return exact_result(scenario, outcomes, missing)


def _led(scenario: Scenario, hostile: float) -> list[tuple[float, Accepting]]:
    """Share of blocks, and who accepts them, with each kind of leader that posts what an honest node would."""
    election, honest = scenario.election, scenario.honest_nodes
    helps = election.byzantine if election.behaviour == "equivocate" else 0
    rows = [(1 - hostile, checked(scenario, honest - 1, election.quorum - 1 - helps))] if honest else []
    if helps and honest:
        rows.append((hostile, checked(scenario, honest, election.quorum - helps)))
    return rows


def checked(scenario: Scenario, checkers: int, needed: int, noise: float = 1.0) -> Accepting:
    """How many of some honest nodes accept what a node posts whose noise is so many times theirs."""
    rule = cast("Margin", scenario.consensus.matching)
    return accepting(law_of(scenario), rule.gap, checkers, needed, scenario.points, noise)


def law_of(scenario: Scenario) -> NearTie:
    """The margins, which are the same in all groups."""
    group = next(iter(scenario.nodes.values()))
    return cast("NearTie", cast("Gpu", group.executor).law)
