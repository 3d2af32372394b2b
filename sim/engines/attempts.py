"""Who votes in each attempt at a block, where there are appeals."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sim.consensus.tally import Election

if TYPE_CHECKING:
    from sim.scenario.schema import Scenario


class Attempt(NamedTuple):
    """An attempt at a block: by all nodes, or by a committee that is drawn from them.

    Parameters
    ----------
    everyone
        The election among all nodes.
    committee
        Nodes drawn, each with one vote; None: all vote, by power.
    quorum
        Votes that certify a result.
    """

    everyone: Election
    committee: int | None
    quorum: int

    @property
    def byzantine_max(self) -> int:
        """The most Byzantine votes that may be cast."""
        return self.everyone.byzantine if self.committee is None else min(self.everyone.byzantine, self.committee)

    def election(self, byzantine: int) -> Election:
        """Who votes, with so many Byzantine votes; they differ from committee to committee only."""
        if self.committee is None:
            return self.everyone
        return Election(self.committee, self.quorum, byzantine, min(byzantine, 1), self.everyone.behaviour)


def attempts(scenario: Scenario) -> list[Attempt]:
    """Every attempt at a block of a scenario with `consensus.appeal`, the first one included."""
    appeal, consensus, election = scenario.consensus.appeal, scenario.consensus, scenario.election
    assert appeal is not None  # noqa: S101 -- the caller looked
    sizes = appeal.sizes(scenario.node_count)
    if appeal.committee is None:
        return [Attempt(election, None, election.quorum)] * len(sizes)
    return [Attempt(election, size, consensus.quorum_of(size)) for size in sizes]
