"""Advice: the cheapest design of a chain that meets a failure target, and why others do not.

A design meets a target if its blocks fail at most that often while as many attackers as are budgeted keep silent,
wherever they sit (with a leader, of the blocks that honest nodes lead), and if wrong results are certified at most that
often once attackers try: with exact matching by every attack; with a tolerant rule by putting their answer to the vote,
which is a cheaper model's where the scenario has `faults.noise`, and a slanted number where it has `faults.shift`.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sim.analysis.compare import attacks, certified_wrong, pareto
from sim.analysis.designs import Attack, Bounds, Design, designs, number_of
from sim.base.errors import EngineError, Problem, ScenarioError
from sim.consensus.matching import Margin
from sim.engines.passing import has_law, passing
from sim.engines.result import Estimate
from sim.engines.select import choose, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sim.scenario.schema import Scenario

TARGET_MIN = 1e-15
BLOCKS = 1_000_000
"""Blocks that are drawn at most where there is no exact law."""
DESIGNS_MAX = 5_000
GROUPS_MAX = 8
_NOT_LOOKED_AT = "not looked at, having no exact law: a cheaper design meets the target"
_FIRST_BLOCKS = 10_000
_STEP = 10


@dataclass(frozen=True, slots=True)
class Advice:
    """A design, and what becomes of it.

    Parameters
    ----------
    nodes, threshold, mix, attackers
        As in `Design`; the threshold as a fraction.
    rule, parameter, value
        Matching rule.
    cost, unit
        What an answer costs, and in what: `usd`, `machine-seconds`, or `nodes` where times are not known; None where it
        cannot be built.
    failure, failure_low, failure_high
        Probability that blocks fail, with its 95 % interval; None where it was not looked at.
    wrong, wrong_low, wrong_high
        Probability that a wrong result is certified, with its 95 % interval; None where it was not looked at.
    exact
        Whether both are computed, not simulated.
    meets
        Whether both are below the target; None where the intervals leave it open, or it was not looked at.
    why
        Why it does not meet the target; empty where it does.
    front
        Whether it meets it, and no other that was judged is as cheap, and fails or errs as rarely; the first of equals.
    """

    nodes: int
    threshold: str
    mix: dict[str, int]
    attackers: int
    rule: str
    parameter: str
    value: float | None
    cost: float | None
    unit: str
    failure: float | None
    failure_low: float | None
    failure_high: float | None
    wrong: float | None
    wrong_low: float | None
    wrong_high: float | None
    exact: bool
    meets: bool | None
    why: str
    front: bool = False

    @property
    def worst(self) -> float:
        """The larger of the two, by the upper ends of their intervals; 1 where it was not looked at."""
        highs = [high for high in (self.failure_high, self.wrong_high) if high is not None]
        return max(highs, default=1.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


class Judged(NamedTuple):
    """How often blocks of a design fail, and how often a wrong result is certified."""

    failure: Estimate
    wrong: Estimate

    @property
    def exact(self) -> bool:
        """Whether both are computed."""
        return self.failure.count is None and self.wrong.count is None

    @classmethod
    def worst_of(cls, several: Sequence[Judged]) -> Judged:
        """The worst of each, by the upper ends of their intervals."""
        return cls(*(max(column, key=lambda estimate: estimate.high) for column in zip(*several, strict=True)))


def advise(scenario: Scenario, target: float, bounds: Bounds, blocks: int = BLOCKS) -> list[Advice]:
    """Search for the cheapest design that meets a failure target.

    Parameters
    ----------
    scenario
        Has the groups that nodes can be of, the work, and what attackers answer.
    target
        Largest probability of a failing block, and of a wrong result.
    bounds
        What is searched, and the number of attackers.
    blocks
        Blocks to draw at most for a design that has no exact law.

    Returns
    -------
    list of Advice
        All designs, by cost; those that meet the target and that no other beats are marked.

    Raises
    ------
    ScenarioError
        Answers are recorded, one node executes, or there is no design within the bounds.
    """
    return with_front(list(judgements(drawn_up(scenario, bounds), target, blocks)))


def judgements(
    made: Iterable[tuple[Design, float | None, str]], target: float, blocks: int = BLOCKS
) -> Iterator[Advice]:
    """Yield what becomes of designs, as soon as each is judged.

    Parameters
    ----------
    made
        From `drawn_up`: once one meets the target, no dearer one is simulated.
    target, blocks
        As in `advise`.
    """
    found = math.inf
    for design, cost, unit in made:
        row = _advice(design, cost, unit, target, blocks, exact_only=cost is not None and cost > found)
        if row.meets and cost is not None:
            found = min(found, cost)
        yield row


def drawn_up(scenario: Scenario, bounds: Bounds) -> list[tuple[Design, float | None, str]]:
    """Designs within the bounds with the cost of an answer and its unit, the cheapest first."""
    _check(scenario, bounds)
    made = list(designs(scenario, bounds))
    unit = _unit([design.attacks[0].silent for design in made if design.attacks])
    priced = [(one, _cost(one, unit), unit) for one in made]
    return sorted(priced, key=lambda item: (math.inf if item[1] is None else item[1], item[0].nodes))


def _check(scenario: Scenario, bounds: Bounds) -> None:
    """Refuse scenarios whose designs cannot be judged, and searches that would never end."""
    for refused, path, why in (
        (scenario.recorded, "nodes", "cannot be varied: recorded answers are those of nodes that exist"),
        (not scenario.replicated, "verification", "must be replicate: designs differ in who votes on what"),
        (scenario.faults.timed, "faults", "must be without crashes and delays: designs are judged by votes"),
        (
            scenario.chained,
            "recovery",
            "must be left out, with on_failure and run.chains: blocks are judged alone",
        ),
        (len(scenario.nodes) > GROUPS_MAX, "nodes", f"must have at most {GROUPS_MAX} groups to mix"),
    ):
        if refused:
            raise ScenarioError([Problem(path, why)])
    missing = {"shift": scenario.numeric, "noise": isinstance(scenario.consensus.matching, Margin)}
    for key, needed in missing.items():
        if needed and bounds.attackers and getattr(scenario.faults, key) is None:
            raise ScenarioError([Problem(f"faults.{key}", "is required: what attackers answer who collude")])
    if (number := number_of(scenario, bounds)) > DESIGNS_MAX:
        message = f"are too many to judge, {number:,} designs (at most {DESIGNS_MAX:,}): name fewer nodes or thresholds"
        raise ScenarioError([Problem("nodes", message)])


def with_front(rows: Sequence[Advice]) -> list[Advice]:
    """Mark designs that meet the target and that no other one beats, the first of equals."""
    good = [row for row in rows if row.meets and row.cost is not None]
    points = [(row.cost or 0.0, row.worst) for row in good]
    best = pareto(points)
    marked = {id(row) for k, row in enumerate(good) if best[k] and points[k] not in points[:k]}
    return [replace(row, front=id(row) in marked) for row in rows]


def _unit(scenarios: Sequence[Scenario]) -> str:
    """The most telling unit in which all of them have a cost."""
    costs = [scenario.cost for scenario in scenarios]
    if any(cost is None for cost in costs):
        return "nodes"
    return "machine-seconds" if any(cost is not None and cost.cost_usd is None for cost in costs) else "usd"


def _cost(design: Design, unit: str) -> float | None:
    if not design.attacks:
        return None
    cost = design.attacks[0].silent.cost
    if unit == "nodes" or cost is None:
        return float(design.nodes)
    return float(cost.machine_seconds if unit == "machine-seconds" or cost.cost_usd is None else cost.cost_usd)


def _advice(design: Design, cost: float | None, unit: str, target: float, blocks: int, *, exact_only: bool) -> Advice:
    judged, meets, why = _settled(design, target, blocks, exact_only=exact_only)
    failure, wrong = (judged.failure, judged.wrong) if judged else (None, None)
    return Advice(
        nodes=design.nodes,
        threshold=str(design.threshold),
        mix=dict(design.mix),
        attackers=design.attackers,
        rule=design.rule,
        parameter=design.parameter,
        value=design.value,
        cost=cost,
        unit=unit,
        exact=judged is not None and judged.exact,
        meets=meets,
        why=why,
        failure=failure.probability if failure else None,
        failure_low=failure.low if failure else None,
        failure_high=failure.high if failure else None,
        wrong=wrong.probability if wrong else None,
        wrong_low=wrong.low if wrong else None,
        wrong_high=wrong.high if wrong else None,
    )


def _settled(design: Design, target: float, blocks: int, *, exact_only: bool) -> tuple[Judged | None, bool | None, str]:
    """Judge a design: what was found, whether it meets the target, and why not."""
    if not design.attacks:
        return None, False, f"it cannot be built: {design.why}"
    if any(attack.silent.election.byzantine > attack.silent.faults_tolerated for attack in design.attacks):
        return None, False, "more attackers than it tolerates"
    try:
        judged = _judge(design, target, blocks, exact_only=exact_only)
    except EngineError as error:
        return None, None, str(error)
    return (judged, *_verdict(judged, target)) if judged else (None, None, _NOT_LOOKED_AT)


def _verdict(judged: Judged, target: float) -> tuple[bool | None, str]:
    """Whether a design meets the target, and why not."""
    if judged.failure.low > target:
        return False, "blocks fail too often"
    if judged.wrong.low > target:
        return False, "wrong results are certified too often"
    if max(judged.failure.high, judged.wrong.high) > target:
        return None, "not clear from the blocks that were drawn"
    return True, ""


def _judge(design: Design, target: float, blocks: int, *, exact_only: bool) -> Judged | None:
    """Judge a design, with more and more blocks until it is clear; None where that needs any and none may be drawn."""
    if exact_only and not all(_has_law(attack) for attack in design.attacks):
        return None
    number = min(_FIRST_BLOCKS, blocks)
    while True:
        judged = Judged.worst_of([_judged(attack, number) for attack in design.attacks])
        if judged.exact or number >= blocks or _verdict(judged, target)[0] is not None:
            return judged
        number = min(number * _STEP, blocks)


def _tolerant(attack: Attack) -> bool:
    """Whether what passes depends on the attackers' answer."""
    return attack.silent.numeric or isinstance(attack.silent.consensus.matching, Margin)


def _tried(attack: Attack) -> Iterator[Scenario]:
    """Yield a design under every attack, silence first."""
    silent = attack.silent
    return attacks(silent, {name: silent.faults.of(name) for name in silent.nodes})


def _has_law(attack: Attack) -> bool:
    if _tolerant(attack):
        return has_law(attack.hostile, attack.silent)
    return all(choose(one, "auto")[0] == "exact" for one in _tried(attack))


def _judged(attack: Attack, blocks: int) -> Judged:
    if _tolerant(attack):
        accept, reject = passing(attack.hostile, attack.silent, blocks)
        return Judged(reject, accept)
    results = [run(one, blocks=blocks) for one in _tried(attack)]
    wrong = max((certified_wrong(result) for result in results), key=lambda estimate: estimate.high)
    return Judged(_of_honest_leaders(results[0].block_failure, attack.silent), wrong)


def _of_honest_leaders(failure: Estimate, silent: Scenario) -> Estimate:
    """How often blocks fail that honest nodes lead; all blocks, where nobody leads."""
    if silent.consensus.result != "propose":
        return failure
    hostile = silent.election.byzantine / silent.election.votes
    mean, low, high = (
        max((part - hostile) / (1 - hostile), 0.0) for part in (failure.probability, failure.low, failure.high)
    )
    return Estimate(mean, low, high, failure.count)
