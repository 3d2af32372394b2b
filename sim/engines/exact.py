"""The exact engine: probabilities from the law of agreement, without drawing anything.

What to use when: whenever it can answer. Relative precision is about 1e-10 for failures down to 1e-300, in
milliseconds. It answers shared noise 0 and 1; silent, random and colluding Byzantine nodes always, amplifying and
equivocating ones where b < 2q - n; up to 5,000 states of the chain for several decision points, and any number of
nodes for one. Recorded answers are tallied as they are.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from sim.consensus.faults import NEEDS_TIME
from sim.consensus.matching import Margin
from sim.consensus.tally import BOOSTED, Outcome
from sim.engines import appeal_exact, executor_exact, margin_exact, number_exact, replay
from sim.engines.chains import exact as chains
from sim.engines.result import Result, exact_result
from sim.inference import chain, tails
from sim.inference.chain import Moments
from sim.inference.quadrature import node_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sim.scenario.schema import Scenario

LATTICE_WORK_MAX = 5_000_000
"""Quadrature nodes times compositions up to which the lattice is faster than tails."""
ANSWER_WORK_MAX = 400_000_000
"""The same, beyond which the answer would take too long."""
RIGID_UNITS_MAX = 10
"""Groups with shared noise 1, each of which doubles the ways in which classes can deviate."""


def refusal(scenario: Scenario) -> str | None:
    """Why this engine cannot answer a scenario; None if it can.

    Parameters
    ----------
    scenario
        A validated scenario.

    Returns
    -------
    str or None
        A clause that completes "the exact engine cannot answer this: ...".
    """
    if scenario.faults.timed:
        return NEEDS_TIME
    way = _other_way(scenario)
    return way.obstacle(scenario) if way else next(_obstacles(scenario), None)


class _Way(NamedTuple):
    """A way to come to results that has laws of its own."""

    obstacle: Callable[[Scenario], str | None]
    run: Callable[[Scenario], Result]


def _other_way(scenario: Scenario) -> _Way | None:
    """The way of a scenario that is not one vote on what nodes computed."""
    ways = (
        (scenario.chained, _Way(chains.obstacle, chains.run_chain)),
        (not scenario.replicated, _Way(executor_exact.obstacle, executor_exact.run_with_executor)),
        (scenario.recorded, _Way(replay.obstacle, replay.run_recorded)),
        (scenario.numeric, _Way(number_exact.obstacle, number_exact.run_numbers)),
        (isinstance(scenario.consensus.matching, Margin), _Way(margin_exact.obstacle, margin_exact.run_margin)),
        (scenario.consensus.appeal is not None, _Way(appeal_exact.obstacle, appeal_exact.run_with_appeals)),
    )
    return next((way for applies, way in ways if applies), None)


def _obstacles(scenario: Scenario) -> Iterator[str]:
    election, population = scenario.election, scenario.population
    if election.behaviour in BOOSTED and not election.unbreakable:
        yield (
            f"{election.byzantine} Byzantine votes that {election.behaviour} can decide blocks "
            f"(they are not fewer than 2q - n = {2 * election.quorum - election.votes})"
        )
    need = election.need
    if population.power < need:
        return
    if any(0 < unit.shared_noise < 1 for unit in population.units):
        yield "noise is partly shared (shared_noise between 0 and 1)"
    if sum(unit.shared_noise == 1 for unit in population.units) > RIGID_UNITS_MAX:
        yield "too many groups share their class noise"
    if _points(scenario) > 1 and (number := chain.states(population, need)) > chain.STATES_MAX:
        yield f"with several decision points a block it would need {number} states (at most {chain.STATES_MAX})"
    if min(_lattice_work(scenario), _tail_work(scenario)) > ANSWER_WORK_MAX:
        yield "its groups are too large to count every mix of deviating nodes"


def run_exact(scenario: Scenario) -> Result:
    """Answer a scenario for which `refusal` is None.

    Parameters
    ----------
    scenario
        A validated scenario.

    Returns
    -------
    Result
        Exact probabilities; `blocks` and counts are None.
    """
    if way := _other_way(scenario):
        return way.run(scenario)
    election, population = scenario.election, scenario.population
    need = election.need
    if population.power < need:
        law = Moments(1.0, 0.0, 0.0, 0.0, 0.0)
    elif _lattice_work(scenario) > LATTICE_WORK_MAX and _tail_work(scenario) < math.inf:
        law = tails.by_tails(population, need)
    else:
        law = chain.after(population, need, _points(scenario))
    return {"certify": _certified, "propose": _proposed, "endorse": _endorsed}[scenario.consensus.result](scenario, law)


def _points(scenario: Scenario) -> int:
    """Decision points of what is voted on at once: a block, or a request of it."""
    return scenario.points_per_request if scenario.consensus.result == "endorse" else scenario.points


def _lattice_work(scenario: Scenario) -> float:
    """Quadrature nodes times compositions, and pairs of compositions where wrong answers compete."""
    population = scenario.population
    units, laws = population.units, population.laws
    compositions = math.prod(float(unit.count + 1) for unit in units)
    largest = max((unit.count for unit in units if not unit.shared_noise), default=1)
    nodes = node_count(laws, largest) if compositions <= ANSWER_WORK_MAX else math.inf
    rigid = sum(unit.shared_noise == 1 for unit in units)
    thinned = any(unit.kept < 1 for unit in units)
    if len(laws) == 1 and not rigid and not thinned and laws[0].deviator_law(1) is not None:
        nodes = 1
    work = nodes * compositions * 2.0**rigid
    if 0 < population.alternatives < math.inf:
        work += compositions * compositions / 8 * 2.0**rigid
    if population.equivalents:
        work += compositions * compositions / 2 * 3.0**rigid
    return work


def _tail_work(scenario: Scenario) -> float:
    if _points(scenario) > 1 or scenario.population.replayed is not None:
        return math.inf
    work = tails.work(scenario.population, scenario.election.need)
    return work if work <= tails.WORK_MAX else math.inf


def _certified(scenario: Scenario, law: Moments) -> Result:
    """Every node votes on what it computed."""
    election = scenario.election
    failure = Outcome.wrong_result if election.invented >= election.quorum else Outcome.no_quorum
    return exact_result(scenario, {Outcome.agreed: law.mass, failure: law.lost}, law.nodes_missing)


def _endorsed(scenario: Scenario, law: Moments) -> Result:
    """Every request is voted on by itself; a block has no quorum only if all of its requests have none."""
    requests = scenario.workload.requests_per_block
    if scenario.election.invented >= scenario.election.quorum:  # then no honest result can be certified
        return exact_result(scenario, {Outcome.agreed: 0.0, Outcome.wrong_result: 1.0}, 0.0, dropped_per_block=0.0)
    none = requests * (math.log1p(-law.mass) if law.mass < 0.5 else math.log(law.lost) if law.lost else -math.inf)
    return exact_result(
        scenario,
        {Outcome.agreed: -math.expm1(none), Outcome.no_quorum: math.exp(none)},
        requests * law.nodes_missing,
        dropped_per_block=requests * law.lost,
    )


def _proposed(scenario: Scenario, law: Moments) -> Result:
    """Nodes vote on whether they computed what the leader computed; the leader must be in the group that wins."""
    election, honest = scenario.election, scenario.population.power
    if election.behaviour == "collude" and election.byzantine >= election.quorum:
        hostile = election.byzantine / election.votes
        split = {
            Outcome.agreed: 0.0,
            Outcome.wrong_result: hostile,
            Outcome.no_quorum: honest / election.votes,
        }
        return exact_result(scenario, split, 0.0)
    helpers = election.byzantine if election.behaviour == "equivocate" else 0
    outside = election.byzantine - helpers
    failure = law.lost + (law.power_missing + outside * law.mass) / election.votes
    agreed = ((honest + helpers) * law.mass - law.power_missing) / election.votes
    diverged = ((honest + helpers) * law.nodes_missing - law.product_missing) / election.votes
    return exact_result(scenario, {Outcome.agreed: agreed, Outcome.no_quorum: failure}, diverged)
