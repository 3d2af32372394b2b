"""Exact answers where one executor computes and the others check.

Honest nodes vote for a result that passes its check, all alike, so a block ends in one of a few ways: the result of an
honest executor stands, or is refused; a forged one stands, or is refused. Each has a closed form.

- Proof, attestation: with j Byzantine provers among k drawn (hypergeometric), a forgery passes with probability
  1 - (1 - s)^j and comes first; else an honest proof is in time with probability 1 - (1 - p)^(k - j).
- Challenge, spot check: with a Byzantine executor, the forgery stands if nobody honest looks. With an honest one, the
  result is refused if an honest node that looks got another answer, or, since then nobody can tell who is right, if a
  Byzantine one says so. That l + 1 nodes all answer alike at M decision points has probability (1 - d)^M, with d as in
  `sim.inference.alike`.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from sim.consensus.tally import Outcome, certify
from sim.consensus.verification import Optimistic, Proof, SpotCheck, Tee
from sim.engines.panel import hypergeometric, lookers
from sim.engines.result import exact_result
from sim.inference.alike import Alike
from sim.inference.binomial import log_choose
from sim.scenario.cost import deviations, proving_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sim.engines.result import Result
    from sim.scenario.schema import Scenario

    Floats = NDArray[np.float64]

SETS_MAX = 30_000
"""Compositions of the nodes that look, each of which takes some ten microseconds."""
_NEGLIGIBLE = 1e-20


def obstacle(scenario: Scenario) -> str | None:
    """Why there is no exact answer; None if there is one."""
    if not isinstance(scenario.verification, Optimistic | SpotCheck):
        return None
    population = scenario.population
    if not population.can_differ:
        return None
    if any(0 < unit.shared_noise < 1 for unit in population.units):
        return "noise is partly shared (shared_noise between 0 and 1)"
    if population.equivalents:
        return "wrong answers compete (alternatives between 0 and .inf), and a share of them is equivalent"
    if math.prod(unit.count * unit.nodes + 1 for unit in population.units) > SETS_MAX:
        return "there are too many sets of nodes that may look"
    return None


class Ends:
    """How blocks end, once it is known whose result is posted and whether it stands.

    Parameters
    ----------
    scenario
        With one executor.
    """

    def __init__(self, scenario: Scenario) -> None:
        election, honest = scenario.election, scenario.population.power
        self.hostile = election.byzantine / election.votes
        """Chance that a Byzantine node executes."""
        self.posts = election.behaviour != "silent"
        """Whether it then posts a wrong result; a silent one posts none."""
        self.stands, self.refused = (
            Outcome(int(certify(election, np.array([[power]])).outcome[0])) for power in (honest, 0)
        )


def run_with_executor(scenario: Scenario) -> Result:
    """Answer a scenario with one executor for which `obstacle` is None."""
    ends, verification = Ends(scenario), scenario.verification
    if isinstance(verification, Proof | Tee):
        refused, forged = _attested(scenario, verification, ends)
    else:
        assert isinstance(verification, Optimistic | SpotCheck)  # noqa: S101 -- replicated ones do not come here
        refused, forged = _rechecked(scenario, verification, ends)
    outcomes = dict.fromkeys(Outcome, 0.0)
    for outcome, probability in (
        (ends.stands, 1 - refused - forged),
        (ends.refused, refused),
        (Outcome.wrong_result, forged),
    ):
        outcomes[outcome] += max(probability, 0.0)
    return exact_result(scenario, outcomes, 0.0)


def delivery(scenario: Scenario, verification: Proof | Tee) -> float:
    """Probability that an honest executor delivers what the results of a block need, in time."""
    late = verification.failure
    if isinstance(verification, Tee) or verification.timeout_s is None:
        return 1 - late
    from scipy.special import ndtr

    median = proving_time(scenario)
    assert median  # noqa: S101 -- a timeout needs it, and the scenario was checked
    if not verification.varies:
        return (1 - late) * (median <= verification.timeout_s)
    return float((1 - late) * ndtr(deviations(verification, median)))


def hostile_provers(scenario: Scenario, verification: Proof | Tee, ends: Ends) -> Floats:
    """Law of the number of Byzantine nodes among those who prove: one leads by power, several are drawn by node."""
    provers = verification.provers
    if provers == 1:
        return np.array([1 - ends.hostile, ends.hostile])
    honest = scenario.population.nodes
    return hypergeometric(honest, scenario.node_count - honest, provers)


def _attested(scenario: Scenario, verification: Proof | Tee, ends: Ends) -> tuple[float, float]:
    """Probabilities that there is no valid proof, and that a forged one stands."""
    provers, passes = verification.provers, verification.forgery
    law = hostile_provers(scenario, verification, ends)
    number = np.arange(len(law))
    forged = np.zeros(len(law))
    if ends.posts:
        forged = -np.expm1(number * math.log1p(-passes)) if passes < 1 else (number > 0).astype(float)
    missing = (1 - delivery(scenario, verification)) ** (provers - number)
    return float(law @ ((1 - forged) * missing)), float(law @ forged)


def _rechecked(scenario: Scenario, verification: Optimistic | SpotCheck, ends: Ends) -> tuple[float, float]:
    """Probabilities that a result is refused, and that a forged one stands."""
    population, nodes = scenario.population, scenario.node_count
    honest, byzantine = population.nodes, nodes - population.nodes
    panel = verification.panel(nodes - 1)
    forged, refused = 0.0, ends.hostile
    if byzantine and ends.posts:
        unseen = lookers(panel, honest, byzantine - 1)
        forged = ends.hostile * sum(float(law[0]) for law in unseen)
        refused = ends.hostile * sum(float(law[1:].sum()) for law in unseen)
    if honest:
        alone, watched = lookers(panel, honest - 1, byzantine)
        contested = float(watched.sum()) if scenario.contested and ends.posts else 0.0
        quiet = alone if contested else alone + watched
        refused += (1 - ends.hostile) * contested + _differ(scenario, quiet)
    return refused, forged


def _differ(scenario: Scenario, sizes: Floats) -> float:
    """Probability that the executor is honest and one of those who look gets another answer."""
    population = scenario.population
    if not population.can_differ:
        return 0.0
    alike = Alike(population)
    room = [unit.count * unit.nodes for unit in population.units]
    single = [unit.law is None or unit.shared_noise == 1 for unit in population.units]
    differ: dict[tuple[int, ...], float] = {}
    total = 0.0
    for number in np.flatnonzero(sizes[1:] > _NEGLIGIBLE * sizes.max()) + 1:
        for executor, unit in enumerate(population.units):
            leads = unit.count * unit.power / scenario.election.votes
            others = [count - (index == executor) for index, count in enumerate(room)]
            for chosen in _compositions(others, int(number)):
                present = [count + (index == executor) for index, count in enumerate(chosen)]
                machines = tuple(min(count, 1) if one else count for count, one in zip(present, single, strict=True))
                if machines not in differ:
                    differ[machines] = alike.differ(machines, scenario.points)
                total += float(sizes[number]) * leads * _chance(others, chosen) * differ[machines]
    return total


def _compositions(room: list[int], number: int) -> Iterator[tuple[int, ...]]:
    """Yield every way to take a number of nodes from units that have so many."""
    for first in itertools.product(*(range(min(count, number) + 1) for count in room[:-1])):
        last = number - sum(first)
        if 0 <= last <= room[-1]:
            yield (*first, last)


def _chance(room: list[int], chosen: tuple[int, ...]) -> float:
    """Probability of a composition when nodes are drawn without replacement."""
    logs = sum(log_choose(count)[taken] for count, taken in zip(room, chosen, strict=True))
    return math.exp(logs - log_choose(sum(room))[sum(chosen)])
