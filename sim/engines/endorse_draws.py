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

_MACHINES_AT_ONCE = 2_000_000  # nodes of the requests that are drawn together


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
        busy = self.sampler.busy(stream, active)
        block = np.repeat(np.arange(active), busy)
        seen, diverged = np.zeros((active, len(Outcome)), dtype=np.int64), np.zeros(active, dtype=np.int64)
        size = max(1, _MACHINES_AT_ONCE // max(self._honest, 1))
        for start in range(0, len(block), size):
            piece = block[start : start + size]
            groups = self.sampler.draw_requests(stream, len(piece))
            ballots = Ballots.of(groups, len(piece), self.sampler.power, self._nodes)
            verdict = certify(self.election, ballots.power)
            np.add.at(seen, (piece, verdict.outcome), 1)
            np.add.at(diverged, piece, ballots.diverged(verdict, self._honest))
        seen[:, self._quiet] += self.requests - busy
        outcome = block_outcome(seen)
        return Blocks(outcome, np.where(outcome == Outcome.agreed, diverged, 0), seen[:, Outcome.no_quorum])
