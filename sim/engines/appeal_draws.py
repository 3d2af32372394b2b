"""Draws blocks that are executed and voted on again where no result has a quorum (`consensus.appeal`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.consensus.tally import Outcome, certify
from sim.engines.attempts import attempts
from sim.engines.drawn import Ballots, Blocks, Quiet, machine_nodes
from sim.inference.repeats import RepeatSampler

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from sim.engines.attempts import Attempt
    from sim.inference.repeats import Environment
    from sim.scenario.schema import Scenario

    Integers = NDArray[np.int64]


class AppealDraws:
    """Draws how blocks end.

    Parameters
    ----------
    scenario
        A validated scenario with `consensus.appeal`.
    """

    hostile_chance = 0.0

    def __init__(self, scenario: Scenario) -> None:
        population = scenario.population
        self.attempts = attempts(scenario)
        self._honest, self._nodes = population.nodes, machine_nodes(population)
        self._byzantine = scenario.node_count - population.nodes
        self._counts = np.array([unit.count for unit in population.units], dtype=np.int64)
        self._power = np.array([unit.power for unit in population.units], dtype=np.int64)
        self.sampler = RepeatSampler(population, scenario.election.relevant, skips=self._ends_well(self.attempts[0]))
        self.block_rate = self.sampler.block_rate

    def _ends_well(self, attempt: Attempt) -> bool:
        """Whether an attempt is agreed for sure where nobody deviates: it is, with the most Byzantine votes."""
        hostile = attempt.byzantine_max
        seats = None if attempt.committee is None else attempt.committee - hostile
        honest = int(self._power @ self._counts) if seats is None else seats
        return bool(certify(attempt.election(hostile), np.array([[honest]])).outcome[0] == Outcome.agreed)

    @property
    def quiet(self) -> tuple[Quiet, Quiet]:
        """How a block ends in which nobody deviates, where such blocks are not drawn; nobody leads."""
        end = Quiet(int(Outcome.agreed), 1)
        return end, end

    def tally(self, stream: Generator, active: int) -> Blocks:
        """Draw active blocks, attempt by attempt until one certifies something; the second number is how many."""
        environment, deviating = self.sampler.start(stream, active)
        drawn = Blocks(
            np.full(active, Outcome.no_quorum), np.zeros(active, dtype=np.int64), np.full(active, len(self.attempts))
        )
        pending = np.arange(active)
        for number, attempt in enumerate(self.attempts):
            if number:
                deviating = self.sampler.again(stream, environment)
            outcome, diverged = self._attempt(stream, attempt, environment, deviating)
            ended = outcome != Outcome.no_quorum
            drawn.outcome[pending[ended]] = outcome[ended]
            drawn.diverged[pending[ended]] = diverged[ended]
            drawn.extra[pending[ended]] = number + 1
            pending, environment = pending[~ended], environment.where(~ended)
            if not len(pending):
                break
        return drawn

    def _attempt(
        self, stream: Generator, attempt: Attempt, environment: Environment, deviating: Integers
    ) -> tuple[Integers, Integers]:
        """Outcome and diverged nodes of an attempt at each block."""
        staying = self.sampler.counts - deviating
        if attempt.committee is None:
            groups = self.sampler.answers(stream, environment, staying, deviating)
            ballots = Ballots.of(groups, len(staying), self._power, self._nodes)
            verdict = certify(attempt.everyone, ballots.power)
            return verdict.outcome, ballots.diverged(verdict, self._honest)
        hostile, staying, deviating = self._drawn(stream, attempt.committee, staying, deviating)
        groups = self.sampler.answers(stream, environment, staying, deviating)
        single = np.ones_like(self._nodes)
        ballots = Ballots.of(groups, len(staying), single, single)
        outcome, diverged = np.zeros((2, len(staying)), dtype=np.int64)
        for number in np.unique(hostile):  # the tally counts one number of Byzantine votes at a time
            chosen = hostile == number
            verdict = certify(attempt.election(int(number)), ballots.power[chosen])
            outcome[chosen] = verdict.outcome
            honest = attempt.committee - int(number)
            diverged[chosen] = Ballots(ballots.power[chosen], ballots.nodes[chosen]).diverged(verdict, honest)
        return outcome, diverged

    def _drawn(
        self, stream: Generator, committee: int, staying: Integers, deviating: Integers
    ) -> tuple[Integers, Integers, Integers]:
        """Draw committees: their Byzantine nodes, shape (N,), and their honest ones that stay and deviate, (N, T)."""
        byzantine = np.full(len(staying), self._byzantine)
        columns = [byzantine, *(staying * self._nodes).T, *(deviating * self._nodes).T]
        beyond, left = sum(columns), np.full(len(staying), committee)
        seated = []
        for column in columns:
            beyond = beyond - column
            taken = stream.hypergeometric(column, beyond, left)
            left = left - taken
            seated.append(taken)
        hostile, *honest = seated
        both = np.array(honest, dtype=np.int64).reshape(2, len(self._nodes), len(staying)).transpose(0, 2, 1)
        return hostile, both[0], both[1]
