"""Draws blocks whose answers are numbers."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from sim.consensus import aggregate, numbers
from sim.consensus.matching import Approximate, Exact, Median
from sim.consensus.numbers import Ended, Numbers
from sim.inference.numeric import NumberSampler

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from sim.scenario.schema import Scenario

    Integers = NDArray[np.int64]
    Floats = NDArray[np.float64]

WORK_MAX = 4_000_000
"""Comparisons of a block beyond which it would take too long, and too much memory."""


class NumberDraws:
    """Draws how blocks of a scenario with numeric answers end.

    Parameters
    ----------
    scenario
        A validated scenario whose answers are numbers.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.rule = scenario.consensus.matching or Exact()
        self.true_value = scenario.workload.true_value or 0.0
        self.sampler = NumberSampler(scenario.number_groups, self.true_value)

    @property
    def work(self) -> int:
        """Comparisons of a block."""
        return work(self.scenario)

    @cached_property
    def forged(self) -> float:
        """What colluding nodes answer."""
        shift = self.scenario.faults.shift
        return np.inf if shift is None else self.true_value + shift

    def draw(self, stream: Generator, blocks: int) -> tuple[Integers, Integers]:
        """Outcome of each block, and its honest nodes that do not accept what is agreed; shape (blocks,) each."""
        votes = self.scenario.election.votes
        values = self.sampler.draw(stream, blocks)
        leads = self.scenario.consensus.result == "propose"
        ended = self._settled(values, stream.integers(0, votes, size=blocks) if leads else None)
        missing = ended.matched.shape[1] - ended.matched.sum(axis=1)
        return ended.outcome, np.where(ended.matched.any(axis=1), missing, 0)

    def led(self, stream: Generator, blocks: int, *, hostile: bool) -> Ended:
        """How blocks end whose leader, where there is one, is a Byzantine node, or an honest one."""
        values, honest = self.sampler.draw(stream, blocks), int(self.sampler.power.sum())
        leader = stream.integers(0, max(honest, 1), size=blocks)
        if hostile:
            leader = np.full(blocks, self.scenario.election.votes - 1)
        return self._settled(values, leader if self.scenario.consensus.result == "propose" else None)

    def _settled(self, values: Floats, leader: Integers | None) -> Ended:
        return settled(self.scenario, Numbers(values, self.sampler.power, self.rule, self.forged), leader)


def work(scenario: Scenario) -> int:
    """Comparisons of a block."""
    honest = scenario.honest_nodes
    rule = scenario.consensus.matching
    if isinstance(rule, Approximate):
        return (rule.rounds + 1) * honest * scenario.node_count
    alone = isinstance(rule, Median) or (scenario.consensus.result == "propose" and not scenario.election.boost)
    return honest if alone else honest * honest


def settled(scenario: Scenario, answers: Numbers, leader: Integers | None) -> Ended:
    """End blocks by the rule of a scenario.

    Parameters
    ----------
    scenario
        Says who votes, and how.
    answers
        What honest nodes computed.
    leader
        Who leads each block; None where nobody does.
    """
    election, rule = scenario.election, answers.rule
    if isinstance(rule, Median):
        return aggregate.median(election, answers, leader)
    if isinstance(rule, Approximate):
        return aggregate.approximate(election, answers, scenario.faults_tolerated, rule.rounds)
    if leader is None:
        return numbers.certify(election, answers)
    return numbers.propose(election, answers, leader)
