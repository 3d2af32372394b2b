"""Draws blocks in which every request is voted on by itself (`endorse`); of an active block only the active ones."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from sim.consensus.endorse import block_outcome
from sim.consensus.tally import Outcome, certify
from sim.engines.drawn import Ballots, Blocks, Quiet, machine_nodes
from sim.engines.vote_draws import agreed_groups
from sim.inference.sampler import PartitionSampler

if TYPE_CHECKING:
    from numpy.random import Generator

    from sim.scenario.schema import Scenario


class EndorseDraws:
    """Draws how blocks end.

    Parameters
    ----------
    scenario
        A validated scenario with `consensus.result: endorse`.
    """

    hostile_chance = 0.0

    def __init__(self, scenario: Scenario) -> None:
        self.election, population = scenario.election, scenario.population
        self.requests = scenario.workload.requests_per_block
        self.sampler = PartitionSampler(population, self.election.relevant, self.requests, scenario.points_per_request)
        self.block_rate = self.sampler.block_rate
        self._honest, self._nodes = population.nodes, machine_nodes(population)
        self._quiet = int(certify(self.election, agreed_groups(self.election, self.sampler)).outcome[0])

    @cached_property
    def quiet(self) -> tuple[Quiet, Quiet]:
        """How a block ends in which nobody deviates; nobody leads."""
        seen = np.zeros((1, len(Outcome)), dtype=np.int64)
        seen[0, self._quiet] = self.requests
        end = Quiet(int(block_outcome(seen)[0]), int(seen[0, Outcome.no_quorum]))
        return end, end

    def tally(self, stream: Generator, active: int) -> Blocks:
        """Draw active blocks and tally the votes on each of their requests."""
        groups, busy = self.sampler.draw_requests(stream, active)
        ballots = Ballots.of(groups, int(busy.sum()), self.sampler.power, self._nodes)
        verdict = certify(self.election, ballots.power)
        block = np.repeat(np.arange(active), busy)
        seen = np.zeros((active, len(Outcome)), dtype=np.int64)
        np.add.at(seen, (block, verdict.outcome), 1)
        seen[:, self._quiet] += self.requests - busy
        outcome = block_outcome(seen)
        diverged = np.zeros(active, dtype=np.int64)
        np.add.at(diverged, block, ballots.diverged(verdict, self._honest))
        return Blocks(outcome, np.where(outcome == Outcome.agreed, diverged, 0), seen[:, Outcome.no_quorum])
