"""What a user should know before believing the numbers of a scenario."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from sim.consensus.tally import BOOSTED
from sim.consensus.verification import Optimistic, SpotCheck

if TYPE_CHECKING:
    from sim.scenario.schema import Scenario


def warnings_of(scenario: Scenario, engine: str) -> Iterator[str]:
    """Yield one plain sentence for each thing that changes what the numbers mean."""
    election, tolerated = scenario.election, scenario.faults_tolerated
    threshold = scenario.consensus.fault_threshold
    votes_only = engine not in ("events", "phases")
    if threshold > Fraction(1, 3):
        yield f"fault threshold {threshold} is above 1/3: safety then needs a synchronous network" + (
            ", which the vote level takes for granted" if votes_only else ""
        )
    if votes_only and scenario.network is not None:
        yield f"the {engine} engine knows votes, not messages: it takes for granted that every vote arrives in time"
    if election.byzantine > tolerated:
        yield f"{election.byzantine} Byzantine votes are more than the {tolerated} that the chain tolerates"
    if scenario.consensus.quorum is not None and election.votes - election.quorum < tolerated:
        yield (
            f"with a quorum of {election.quorum} of {election.votes} votes, "
            f"{election.votes - election.quorum + 1} silent ones already stop the chain"
        )
    appeal = scenario.consensus.appeal
    everyone = scenario.replicated and (appeal is None or appeal.committee is None)  # vote at once
    if everyone and election.byzantine and election.behaviour in BOOSTED and election.unbreakable:
        explanation = {
            "amplify": "amplifying the second answer is then no better than silence",
            "equivocate": "equivocation then never forks, it only helps the largest group to its quorum",
        }[election.behaviour]
        yield (
            f"{election.byzantine} Byzantine votes are fewer than 2q - n = {2 * election.quorum - election.votes}, "
            f"so no two results can both be certified: {explanation}"
        )
    if everyone and election.quorum == election.votes and election.votes > 1:
        yield "the quorum is everybody: one diverging or silent node is enough to fail a block"
    if not scenario.replicated and scenario.consensus.result == "propose":
        yield "with one executor nodes vote on its result, in one attempt: consensus.result makes no difference"
    if isinstance(scenario.verification, Optimistic | SpotCheck) and scenario.contested:
        yield (
            "honest executions can differ, so nobody can tell a difference from fraud: a challenged result is refused, "
            "and a Byzantine node that may look can have any result refused"
        )
