"""Draws blocks in which nodes vote once on the whole block (`certify`, `propose`)."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from sim.consensus.tally import certify, propose
from sim.engines.drawn import Ballots, Blocks, Quiet, machine_nodes
from sim.inference.sampler import PartitionSampler

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from sim.consensus.tally import Election
    from sim.scenario.schema import Scenario


class VoteDraws:
    """Draws how blocks end.

    Parameters
    ----------
    scenario
        A validated scenario that is replicated.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.election, population = scenario.election, scenario.population
        requests, tokens = scenario.workload.requests_per_block, scenario.points_per_request
        self.sampler = PartitionSampler(population, self.election.relevant, requests, tokens)
        self.block_rate = self.sampler.block_rate
        self._leads = scenario.consensus.result == "propose"
        self.hostile_chance = self.election.byzantine / self.election.votes if self._leads else 0.0
        self._honest, self._nodes = population.nodes, machine_nodes(population)

    @cached_property
    def quiet(self) -> tuple[Quiet, Quiet]:
        """How a block ends in which nobody deviates, under an honest and under a Byzantine leader."""
        groups = agreed_groups(self.election, self.sampler)
        if not self._leads:
            end = Quiet(int(certify(self.election, groups).outcome[0]))
            return end, end
        first, last = (propose(self.election, groups, np.array([leader])) for leader in (0, self.election.votes - 1))
        return Quiet(int(first.outcome[0])), Quiet(int(last.outcome[0]))

    def tally(self, stream: Generator, active: int) -> Blocks:
        """Draw active blocks and tally their votes."""
        ballots = Ballots.of(self.sampler.draw(stream, active), active, self.sampler.power, self._nodes)
        if self._leads:
            verdict = propose(self.election, ballots.power, stream.integers(0, self.election.votes, size=active))
        else:
            verdict = certify(self.election, ballots.power)
        diverged = ballots.diverged(verdict, self._honest)
        return Blocks(verdict.outcome, diverged, np.zeros_like(diverged))


def agreed_groups(election: Election, sampler: PartitionSampler) -> NDArray[np.int64]:
    """Groups where nobody deviates, shape (1, 1)."""
    power = sampler.population.power
    return np.array([[power if power >= election.relevant else 0]])
