"""Chains over time, exactly: a Markov chain on the number of nodes that are away.

One group of nodes with noise of their own, of which s = h - a are active when a are away. The one-block law started at
s nodes gives the size G of the group that is certified: then s - G nodes diverge, and each of those that were away is
back with probability 1/R (geometric recovery). In a slot that fails nobody diverges.

What it tells is that of a chain that has run for long, or until it halts, whatever `run.blocks`; only availability, and
what is told by number of blocks, start with everybody there.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.consensus.appeal import ROUNDS_MAX, Appeal
from sim.consensus.recovery import IN_SECONDS
from sim.consensus.tally import BOOSTED, Outcome
from sim.engines import appeal_exact
from sim.engines.over_time import LENGTHS, Away, ChainMeasures
from sim.engines.result import exact_result
from sim.inference.agreement import Lattice, agreement
from sim.inference.binomial import binomial_law
from sim.inference.chain import repeated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sim.engines.result import Result
    from sim.scenario.schema import Scenario

    Floats = NDArray[np.float64]

NODES_MAX = 100
"""Honest nodes up to which the one-block law is worked out for every number of active ones."""


def obstacle(scenario: Scenario) -> str | None:
    """Why there is no exact answer; None if there is one."""
    return IN_SECONDS if scenario.recovery and scenario.recovery.timed else next(_obstacles(scenario), None)


def _obstacles(scenario: Scenario) -> Iterator[str]:
    units = scenario.population.units
    if scenario.after_failure == "retry":
        if scenario.recovery is not None:
            yield "retries and recovery together are simulated"
        if scenario.retries > ROUNDS_MAX:
            yield f"it counts at most {ROUNDS_MAX} retries"
        elif scenario.points > 1:
            yield "a retry meets the same hardness, which is known for one decision point a block"
        elif (why := appeal_exact.obstacle(_with_appeals(scenario))) is not None:
            yield why
        return
    yield from _memory(scenario)
    one = len(units) == 1 and units[0].power == units[0].nodes == 1 and not units[0].shared_noise
    if not one or units[0].count > NODES_MAX:
        yield f"it knows one group of at most {NODES_MAX} like nodes with noise of their own"
    if scenario.consensus.result != "certify" or scenario.consensus.appeal or not scenario.replicated:
        yield "it knows nodes that all vote on what they computed (result certify, no appeal)"
    if scenario.consensus.matching is not None or scenario.recorded or scenario.numeric:
        yield "it knows answers that are compared as they are"
    election = scenario.election
    if election.byzantine and (election.behaviour in BOOSTED or election.byzantine >= election.quorum):
        yield "Byzantine nodes take part in the decision"


def _memory(scenario: Scenario) -> Iterator[str]:
    """Yield why the number of nodes away is no Markov chain with an end or a steady state."""
    recovery = scenario.recovery
    if recovery is not None and recovery.law != "geometric" and not recovery.never:
        yield "recovery has a memory (it is neither geometric nor never)"
    if recovery is not None and recovery.never and scenario.after_failure == "skip":
        yield "nodes that never come back leave a chain that skips failures in no steady state"


def _with_appeals(scenario: Scenario) -> Scenario:
    """The scenario in which retries of independent blocks are appeals to all nodes, which they equal."""
    consensus = scenario.consensus.model_copy(update={"appeal": Appeal(rounds=scenario.retries)})
    run = scenario.run.model_copy(update={"chains": None})
    return scenario.model_copy(update={"consensus": consensus, "on_failure": None, "max_retries": None, "run": run})


class OneBlock(NamedTuple):
    """Law of a block, by number of active nodes.

    Parameters
    ----------
    agreed
        Probability that s active nodes certify a result of G of them, shape (h + 1, h + 1).
    lost
        Probability that they certify none, shape (h + 1,).
    """

    agreed: Floats
    lost: Floats


def one_block(scenario: Scenario) -> OneBlock:
    """Law of a block for every number of active nodes."""
    population, need = scenario.population, scenario.election.quorum
    unit = population.units[0]
    agreed, lost = np.zeros((unit.count + 1, unit.count + 1)), np.ones(unit.count + 1)
    for active in range(need, unit.count + 1):
        some = replace(population, units=(replace(unit, count=active),))
        alive = Lattice(some, need).power >= need
        mass, lost[active] = repeated(alive, agreement(some, need), scenario.points)
        agreed[active, np.flatnonzero(alive)] = mass
    return OneBlock(agreed, lost)


def transitions(law: OneBlock, back: float) -> tuple[Floats, Floats]:
    """Probabilities to go from a nodes away to others: after a block that is agreed, and after one that fails.

    Parameters
    ----------
    law
        Of a block.
    back
        Chance that a node that is away is back after a slot.
    """
    honest = len(law.lost) - 1
    agreed, failed = np.zeros((honest + 1, honest + 1)), np.zeros((honest + 1, honest + 1))
    for away in range(honest + 1):
        returning = binomial_law(away, np.array([back]))[0] if back < 1 else np.eye(away + 1)[away]
        still = returning[::-1]  # by how many of them stay away
        failed[away, : away + 1] = law.lost[honest - away] * still
        for certified in np.flatnonzero(law.agreed[honest - away]):
            diverging = honest - away - certified
            agreed[away, diverging : diverging + away + 1] += law.agreed[honest - away, certified] * still
    return agreed, failed


def run_chain(scenario: Scenario) -> Result:
    """Answer a chained scenario for which `obstacle` is None."""
    if scenario.after_failure == "retry":
        return _with_retries(scenario)
    law, recovery = one_block(scenario), scenario.recovery
    if recovery is None:  # nobody is ever away
        agreed, failed = np.array([[law.agreed[-1].sum()]]), law.lost[-1:, None]
    else:
        agreed, failed = transitions(law, 0.0 if recovery.never else 1 / (recovery.mean_blocks or 1.0))
    visits, to_failure = _until_failure(agreed, failed.sum(axis=1))
    skips = scenario.after_failure == "skip"
    visits = _steady(agreed + failed) if skips else visits
    failure = float(visits @ law.lost[::-1][: len(visits)])
    numbers = np.arange(len(visits))
    active = len(law.lost) - 1 - numbers
    certified = np.arange(len(law.lost))
    diverged = float(visits @ (law.agreed[active] * (active[:, None] - certified)).sum(axis=1))
    mean = float(visits @ numbers)
    result = exact_result(scenario, {Outcome.no_quorum: failure}, diverged)
    untouched = float(law.agreed[-1, -1])
    lengths = [length for length in LENGTHS if length <= scenario.run.blocks]
    over_time = ChainMeasures(
        chains=None,
        nodes_away=Away(mean, mean, mean, tuple(visits.tolist())),
        availability=1 - failure if skips else _committed(agreed, scenario.run.blocks) / scenario.run.blocks,
        retries_per_block=0.0,
        blocks_to_failure=to_failure,
        blocks_to_halt=None if skips else to_failure,
        longest_stall=None,
        halts={},
        still_running=() if skips else tuple((n, _running(agreed, n)) for n in lengths),
        looked_deterministic=tuple((n, untouched**n) for n in lengths),
    )
    return replace(result, over_time=over_time)


def _with_retries(scenario: Scenario) -> Result:
    """Independent blocks, each tried again: appeals to all nodes, the last of which a chain does not outlive."""
    result = appeal_exact.run_with_appeals(_with_appeals(scenario))
    failure, attempts = result.block_failure.probability, result.attempts_per_block
    halt = 1 / failure if failure else None
    lengths = [length for length in LENGTHS if length <= scenario.run.blocks]
    over_time = ChainMeasures(
        chains=None,
        nodes_away=Away(0.0, 0.0, 0.0, (1.0,)),
        availability=None,
        retries_per_block=attempts.mean - 1 if attempts else 0.0,
        blocks_to_failure=halt,
        blocks_to_halt=halt,
        longest_stall=None,
        halts={},
        still_running=tuple((n, math.exp(n * math.log1p(-min(failure, 1 - 1e-16)))) for n in lengths),
        looked_deterministic=(),
    )
    return replace(result, scenario_id=scenario.scenario_id, attempts_per_block=None, over_time=over_time)


def _until_failure(agreed: Floats, leak: Floats) -> tuple[Floats, float | None]:
    """Share of the slots before the first failure with each number away, and their mean number; None: it never comes.

    A chain that starts anew after each failure has a steady state, which elimination finds without subtractions.
    """
    size = len(agreed)
    renewed = np.zeros((size + 1, size + 1))
    renewed[:size, :size], renewed[:size, size], renewed[size, 0] = agreed, leak, 1.0
    law = _steady(renewed)
    before = law[:size].sum()
    return law[:size] / before, float(before / law[size]) if law[size] > 0 else None


def _committed(agreed: Floats, slots: int) -> float:
    """Mean number of blocks that are committed in so many slots, by doubling."""
    power, total = np.eye(len(agreed)), np.zeros_like(agreed)  # A^k, and A + ... + A^k
    for bit in f"{slots:b}":
        total, power = total + power @ total, power @ power
        if bit == "1":
            power = power @ agreed
            total = total + power
    return float(total[0].sum())


def _steady(chain: Floats) -> Floats:
    """Stationary law of a Markov chain that comes back to state 0, by elimination without subtractions (GTH)."""
    p = chain.copy()
    size = len(p)
    for n in range(size - 1, 0, -1):
        out = p[n, :n].sum()
        if out > 0:
            p[:n, n] /= out
            p[:n, :n] += np.outer(p[:n, n], p[n, :n])
        else:
            p[:n, n] = 0.0
    law = np.zeros(size)
    law[0] = 1.0
    for n in range(1, size):
        law[n] = law[:n] @ p[:n, n]
    steady: Floats = law / law.sum()
    return steady


def _running(agreed: Floats, slots: int) -> float:
    """Chance that no slot has failed after so many."""
    return float(np.linalg.matrix_power(agreed, slots)[0].sum())
