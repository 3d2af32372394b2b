"""Exact answers where a block without a quorum is executed and voted on again (`consensus.appeal`).

Given the hardness u, and what a class with shared noise does, attempts are independent. So with N_k(u) the probability
that attempt k certifies nothing and A_k(u) that it agrees, no attempt certifies anything with probability
E[N_0(u) N_1(u) ...], and attempt k ends the block well with E[N_0(u) ... N_{k-1}(u) A_k(u)]; all are sums of positive
terms. A committee's members follow the multivariate hypergeometric law; given them, N_k(u) and A_k(u) average over the
binomial number of deviating machines.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.consensus.tally import BOOSTED, Outcome
from sim.engines.attempts import attempts
from sim.engines.panel import hypergeometric
from sim.engines.result import exact_result
from sim.inference.alternatives import expected_tables, table_complement
from sim.inference.binomial import binomial_law
from sim.inference.quadrature import hardness_nodes, node_count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sim.consensus.tally import Election
    from sim.engines.attempts import Attempt
    from sim.engines.result import Result
    from sim.inference.population import Population, Unit
    from sim.scenario.schema import Scenario

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

WORK_MAX = 300_000_000
"""Sums over numbers of deviating machines that are answered, over hardness and over who votes."""
TABLE_MAX = 20_000_000
"""Doubles held at once in a table over numbers of deviating machines."""
_OVERHEAD = 20_000  # of an attempt's voters, in the units of the work
_ROUNDING = 1e-13


class _Deviators(NamedTuple):
    """Machines that may deviate.

    Parameters
    ----------
    number, power, nodes
        How many, and voting power and nodes of each.
    unit
        How they deviate; None: never.
    """

    number: int
    power: int
    nodes: int
    unit: Unit | None

    @property
    def rigid(self) -> bool:
        """Whether they deviate as one."""
        return self.unit is not None and self.unit.shared_noise == 1


class _Seats(NamedTuple):
    """Who votes in an attempt, with which probability.

    Parameters
    ----------
    weight
        Probability.
    able
        Machines that may deviate.
    power, nodes
        Of the honest nodes that never do.
    election
        With the Byzantine votes.
    """

    weight: float
    able: int
    power: int
    nodes: int
    election: Election


def obstacle(scenario: Scenario) -> str | None:
    """Why such a scenario cannot be answered exactly; None if it can."""
    able = [unit for unit in scenario.population.units if unit.law]
    if any(0 < unit.shared_noise < 1 for unit in able):
        return "noise is partly shared (shared_noise between 0 and 1)"
    if len(able) > 1:
        return "with appeals it knows one kind of nodes that deviate"
    for attempt in attempts(scenario):
        most = attempt.election(attempt.byzantine_max)
        if most.behaviour in BOOSTED and not most.unbreakable:
            return (
                f"{most.byzantine} Byzantine votes of {most.votes} that {most.behaviour} can decide an attempt "
                f"(they are not fewer than 2q - n = {2 * most.quorum - most.votes})"
            )
    steps = _Steps(scenario)
    size = steps.able_max + 1
    if max(steps.quadrature, size if steps.several else 1) * size > TABLE_MAX or steps.work > WORK_MAX:
        return "its nodes are too many to count every mix of those that deviate, attempt by attempt"
    return None


def run_with_appeals(scenario: Scenario) -> Result:
    """Answer a scenario with appeals for which `obstacle` is None."""
    steps = _Steps(scenario)
    reached, chances = steps.environments
    vectors = {attempt: steps.ends(attempt) for attempt in dict.fromkeys(steps.attempts)}
    ends = {attempt: np.zeros((len(reached), 4)) for attempt in vectors}
    for able in sorted({able for found in vectors.values() for able in found}):
        law = _law(steps.deviators, able, chances)
        for attempt, found in vectors.items():
            if able in found:
                ends[attempt] += law @ found[able].T
    totals, tried = np.zeros(4), 0.0
    for attempt in steps.attempts:
        tried += float(reached.sum())
        totals += reached @ ends[attempt]
        reached = reached * ends[attempt][:, 0]
    outcomes = {Outcome.agreed: totals[1], Outcome.no_quorum: reached.sum(), Outcome.wrong_result: totals[2]}
    plain = {outcome: float(probability) for outcome, probability in outcomes.items()}
    return exact_result(scenario, plain, float(totals[3]), attempts_per_block=tried)


class _Steps:
    """What the attempts of a scenario have in common."""

    def __init__(self, scenario: Scenario) -> None:
        self.population = scenario.population
        self.byzantine = scenario.node_count - self.population.nodes
        self.attempts = attempts(scenario)
        self.drawn = self.attempts[0].committee is not None
        self.deviators = _deviators(self.population, drawn=self.drawn)
        fixed = [unit for unit in self.population.units if unit.law is None]
        self.fixed_power, self.fixed_nodes = sum(unit.power for unit in fixed), sum(unit.nodes for unit in fixed)

    @property
    def able_max(self) -> int:
        """The most machines that may deviate in an attempt."""
        number = self.deviators.number
        return min(number, max(attempt.committee or number for attempt in self.attempts))

    @property
    def several(self) -> bool:
        """Whether deviating machines may give several wrong answers, of which some are the same."""
        return 0 < self._alpha < math.inf

    @property
    def resolved(self) -> int:
        """Machines that a quadrature must resolve, for a product over all attempts."""
        return self.able_max * len(self.attempts)

    @property
    def quadrature(self) -> int:
        """Number of environments."""
        return 2 if self.deviators.rigid else node_count(self.population.laws, self.resolved)

    @property
    def work(self) -> float:
        """Size of the task."""
        size = self.able_max + 1.0
        each = _OVERHEAD + size ** (1 + self.several)  # who votes
        if not self.drawn:
            return self.quadrature * size + each
        total = 0.0
        for committee in {attempt.committee or 0 for attempt in self.attempts}:
            hostile = min(self.byzantine, committee) - max(0, committee - self.population.nodes)
            fixed = min(self.fixed_nodes, self.able_max, committee)
            total += (hostile + fixed + 1) * self.quadrature * size + (hostile + 1) * (fixed + 1) * each
        return total

    @cached_property
    def environments(self) -> tuple[Floats, Floats]:
        """Weights, and deviation probabilities, of all that attempts meet alike."""
        unit = self.deviators.unit
        if unit is None or unit.law is None:
            return np.ones(1), np.zeros(1)
        if self.deviators.rigid:
            return np.array([1 - unit.law.rate, unit.law.rate]), np.array([0.0, 1.0])
        hardness, weights = hardness_nodes(self.population.laws, self.resolved)
        return weights, unit.law.deviation_probability(hardness)

    def ends(self, attempt: Attempt) -> dict[int, Floats]:
        """How an attempt ends, averaged over who votes in it, by the number x of machines that may deviate.

        Returns
        -------
        dict
            x to an array of shape (4, x + 1): with so many that deviate, the probability that those x are drawn and
            nothing is certified, the honest majority's result is, or another one; and the mean of diverged nodes.
        """
        found: dict[int, Floats] = {}
        for seats in self._seats(attempt):
            ends = seats.weight * self._given(seats)
            found[seats.able] = found[seats.able] + ends if seats.able in found else ends
        return found

    def _seats(self, attempt: Attempt) -> Iterator[_Seats]:
        number = self.deviators.number
        if attempt.committee is None:
            yield _Seats(1.0, number, self.fixed_power, self.fixed_nodes, attempt.everyone)
            return
        for hostile, weight in enumerate(hypergeometric(self.population.nodes, self.byzantine, attempt.committee)):
            honest = attempt.committee - hostile
            shares = hypergeometric(self.fixed_nodes, number, honest) if weight else ()
            for able, share in enumerate(shares):
                if share:
                    fixed = honest - able
                    yield _Seats(float(weight * share), able, fixed, fixed, attempt.election(hostile))

    def _given(self, seats: _Seats) -> Floats:
        """How an attempt ends (see `ends`), given who votes in it."""
        able, election, (_, power, nodes, _) = seats.able, seats.election, self.deviators
        ends = np.zeros((4, able + 1))
        if election.invented >= election.quorum:  # then no honest result can be certified
            ends[2] = 1.0
            return ends
        out = np.arange(able + 1)
        stays = seats.power + (able - out) * power >= election.need
        ends[1, stays], ends[3, stays] = 1.0, out[stays] * nodes
        least = max(-(-election.need // power), 1)  # machines that win with a wrong answer
        outside = seats.nodes + nodes * (able - out)
        if not self.several:  # all wrong answers are the same, or all differ
            wins = ~stays & (out >= least) & ((self._alpha == 0) | (out == 1))
            ends[0], ends[1, wins], ends[3, wins] = ~stays & ~wins, 1.0, outside[wins]
            return ends
        strong = self._tables[out[~stays], least : able + 1]
        ends[1, ~stays], ends[3, ~stays] = strong.sum(axis=1), strong @ outside[least:]
        ends[0, ~stays] = self._none(out[~stays], strong, least)
        return ends

    def _none(self, out: Integers, strong: Floats, least: int) -> Floats:
        """Probability that no wrong answer wins, given how many machines deviate and the expected tables that win."""
        everybody = out[:, None] == np.arange(least, least + strong.shape[1])
        complement = np.where(out >= least, self._complements[out], 1.0)
        none: Floats = complement - np.where(everybody, 0.0, strong).sum(axis=1)
        none[none < _ROUNDING * complement] = 0.0  # all other tables win: what is left is rounding
        return none

    @cached_property
    def _tables(self) -> Floats:
        """Expected tables of each size, for each number of deviating machines; a class is one customer."""
        size = self.able_max + 1
        tables: Floats = np.zeros((size, size))
        for number in range(1, size):
            tables[number, : number + 1] = expected_tables(number, self._alpha)
        return tables

    @cached_property
    def _complements(self) -> Floats:
        """Probability that deviating machines, so many, do not all give one answer."""
        return np.array([table_complement(number, self._alpha) for number in range(self.able_max + 1)])

    @property
    def _alpha(self) -> float:
        return 0.0 if self.deviators.rigid else self.population.alternatives


def _deviators(population: Population, *, drawn: bool) -> _Deviators:
    """Machines that may deviate; where they are drawn one by one, every node counts by itself."""
    unit = next((unit for unit in population.units if unit.law), None)
    if unit is None:
        return _Deviators(0, 1, 1, None)
    if drawn:
        return _Deviators(unit.count * unit.nodes, 1, 1, unit)
    return _Deviators(unit.count, unit.power, unit.nodes, unit)


def _law(deviators: _Deviators, able: int, chances: Floats) -> Floats:
    """Probability of each number of deviating machines in each environment, shape (K, able + 1)."""
    if not deviators.rigid:
        return binomial_law(able, chances)
    law = np.zeros((2, able + 1))
    law[0, 0] = law[1, -1] = 1.0
    return law
