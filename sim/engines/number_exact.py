"""Exact answers where answers are numbers with Gaussian noise.

- A leader proposes its number, and nodes vote for it within a bound: the law of those who reject it is that of
  `sim.inference.acceptance`. A forged number with a quorum has more than half of the honest nodes within the bound of
  it, so that it lies within the bound of their median (b < 2q - n): slanted, but never a wrong result.
- The median of reports, of nodes that are all alike: given the median, the others lie independently below and above it
  (`sim.inference.order`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.consensus.matching import Exact, Median, Tolerance, Within
from sim.consensus.tally import BOOSTED, Outcome
from sim.engines.result import exact_result
from sim.inference import acceptance
from sim.inference.acceptance import Bound, Class
from sim.inference.order import Forged, MedianLaw, Vote, median_law

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sim.engines.result import Result
    from sim.scenario.schema import Scenario

    Floats = NDArray[np.float64]

WORK_MAX = 100_000_000
"""Numbers that are worked out at most: some seconds."""
NODES_MAX = 500
"""Nodes up to which the laws are worked out."""


class Proposed(NamedTuple):
    """What becomes of numbers that are proposed.

    Parameters
    ----------
    accepted, refused
        Probabilities that what an honest node proposes passes, and that it does not.
    rejecting
        Mean number of honest nodes that reject it, zero where it is refused.
    slanted
        Probability that the forged number passes, once it is put to the vote.
    slanted_rejecting
        Mean number of honest nodes that reject it, zero where it is refused.
    """

    accepted: float
    refused: float
    rejecting: float
    slanted: float
    slanted_rejecting: float


def obstacle(scenario: Scenario) -> str | None:
    """Why there is no exact answer; None if there is one."""
    return next(_obstacles(scenario), None)


def _obstacles(scenario: Scenario) -> Iterator[str]:
    rule, groups = scenario.consensus.matching, scenario.number_groups
    if not isinstance(rule, Tolerance | Median):
        yield f"numbers compared by {rule.kind if rule else Exact().kind} are simulated"
        return
    if any(group.executor.noise != "gaussian" for group in groups):
        yield "noise is not Gaussian"
    if any(group.power > 1 for group in scenario.nodes.values()):
        yield "voting powers differ from 1"
    if scenario.node_count > NODES_MAX:
        yield f"it works out numbers of at most {NODES_MAX} nodes"
    if scenario.honest_nodes < scenario.election.quorum:
        yield "honest nodes alone have no quorum"
    if scenario.election.behaviour in BOOSTED and scenario.election.byzantine:
        yield f"Byzantine nodes that {scenario.election.behaviour} choose among the numbers"
    yield from _of_median(scenario, rule) if isinstance(rule, Median) else _of_tolerance(scenario)


def _of_tolerance(scenario: Scenario) -> Iterator[str]:
    if scenario.consensus.result == "certify":
        yield "with result certify every number is put to the vote at once"
    if not scenario.election.unbreakable and scenario.election.behaviour == "collude":
        yield "Byzantine votes are not fewer than 2q - n, so that a forged number can do harm"
    classes = _classes(scenario)
    if not all(acceptance.smooth(one) for one in classes.values()):
        yield "some nodes of a class have noise of their own, and others have none"
    if acceptance.work(classes) > WORK_MAX:
        yield "its nodes and classes are too many to average over what each proposes"


def _of_median(scenario: Scenario, rule: Median) -> Iterator[str]:
    if len({(group.executor, group.hardware) for group in scenario.number_groups if group.count}) > 1:
        yield "nodes differ in their noise"
    if not all(group.executor.node_noise for group in scenario.number_groups if group.count):
        yield "nodes have no noise of their own"
    if rule.relative:
        yield "the bound depends on the median"
    attacked = scenario.election.byzantine and scenario.election.behaviour in {"collude", "random"}
    if scenario.consensus.result == "propose" and attacked:
        yield "a Byzantine leader chooses among the reports"


def _classes(scenario: Scenario) -> dict[str, Class]:
    return acceptance.classes_of([group for group in scenario.number_groups if group.count])


def run_numbers(scenario: Scenario) -> Result:
    """Answer a scenario with numeric answers for which `obstacle` is None."""
    if isinstance(scenario.consensus.matching, Median):
        return _by_median(scenario)
    led, votes = proposed(scenario), scenario.election.votes
    hostile = scenario.election.byzantine / votes
    honest = 1 - hostile
    outcomes = {
        Outcome.agreed: honest * led.accepted + hostile * led.slanted,
        Outcome.no_quorum: honest * led.refused + hostile * (1 - led.slanted),
    }
    return exact_result(scenario, outcomes, honest * led.rejecting + hostile * led.slanted_rejecting)


def proposed(scenario: Scenario) -> Proposed:
    """What becomes of numbers that leaders propose; `obstacle` is None, the rule a tolerance."""
    rule, election = scenario.consensus.matching, scenario.election
    assert isinstance(rule, Within)  # noqa: S101 -- others are an obstacle
    bound, classes = Bound(rule.absolute, rule.relative), _classes(scenario)
    true_value, shift = scenario.workload.true_value or 0.0, scenario.faults.shift
    honest = scenario.honest_nodes
    most = honest - election.quorum
    accepted = refused = rejecting = 0.0
    for name, one in classes.items():
        for index, (count, common, own) in enumerate(one.groups):
            law = acceptance.led(classes, bound, true_value, (name, index))
            helped = election.byzantine if election.behaviour == "collude" and not (common or own or shift) else 0
            allowed = most + (helped if shift is not None else 0)
            accepted += count / honest * float(law[: allowed + 1].sum())
            refused += count / honest * float(law[allowed + 1 :].sum())
            rejecting += count / honest * float(law[: allowed + 1] @ np.arange(len(law))[: allowed + 1])
    if election.behaviour != "collude" or shift is None:
        return Proposed(accepted, refused, rejecting, 0.0, 0.0)
    law = acceptance.rejecting(classes, bound, true_value, np.array([true_value + shift]))[0]
    allowed = most + election.byzantine
    slanted = float(law[: allowed + 1].sum())
    missing = float(law[: allowed + 1] @ np.arange(len(law))[: allowed + 1])
    return Proposed(accepted, refused, rejecting, slanted, missing)


def _by_median(scenario: Scenario) -> Result:
    """The median of all reports; a Byzantine leader that is silent takes none."""
    law, election = vote_on_median(scenario), scenario.election
    led = scenario.consensus.result == "propose"
    hostile = election.byzantine / election.votes if led else 0.0
    outcomes = {
        Outcome.agreed: (1 - hostile) * law.agreed,
        Outcome.no_quorum: (1 - hostile) * law.refused + hostile,
        Outcome.wrong_result: (1 - hostile) * law.wrong,
    }
    return exact_result(scenario, outcomes, (1 - hostile) * law.rejecting)


def vote_on_median(scenario: Scenario) -> MedianLaw:
    """Law of a vote on the median of all reports; `obstacle` is None, the rule a median."""
    rule, election = scenario.consensus.matching, scenario.election
    assert isinstance(rule, Median)  # noqa: S101 -- others are an obstacle
    executor = next(group.executor for group in scenario.number_groups if group.count)
    b, shift, honest, unit = election.byzantine, scenario.faults.shift, scenario.honest_nodes, executor.node_noise
    below, above, forged = 0, 0, 0
    if election.behaviour == "random":
        below, above = b // 2, b - b // 2
    elif election.behaviour == "collude":
        above, forged = (b, 0) if shift is None else (0, b)
    hostile = b if election.behaviour == "collude" else 0
    vote = Vote(honest, below, above, forged, hostile, election.quorum, rule.absolute / unit)
    at = Forged(shift / unit, executor.class_noise / unit) if shift is not None and forged else None
    return median_law(vote, at)
