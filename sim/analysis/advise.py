"""Advice: the cheapest design of a chain that meets a failure target, and why others do not.

A design meets a target if its blocks fail at most that often while as many attackers as are budgeted keep silent (with
a leader, of the blocks that honest nodes lead), and if wrong results are certified at most that often once attackers
try: with exact matching by every attack; with a tolerant rule by putting their answer to the vote, which is a cheaper
model's where the scenario has `faults.noise`, and a slanted number where it has `faults.shift`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sim.analysis.compare import attacks, certified_wrong, pareto
from sim.analysis.designs import Bounds, Design, designs
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
_NOT_LOOKED_AT = "not looked at, having no exact law: a design that is no dearer meets the target"
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
        What an answer costs, and in what: `usd`, `machine-seconds`, or `nodes` where times are not known.
    failure, failure_low, failure_high
        Probability that blocks fail, with its 95 % interval.
    wrong, wrong_low, wrong_high
        Probability that a wrong result is certified, with its 95 % interval.
    exact
        Whether both are computed, not simulated.
    meets
        Whether both are below the target; None where the intervals leave it open, or it was not looked at.
    why
        Why it does not meet the target; empty where it does.
    front
        Whether it meets it, and no other that does is as cheap, and fails or errs as rarely.
    """

    nodes: int
    threshold: str
    mix: dict[str, int]
    attackers: int
    rule: str
    parameter: str
    value: float | None
    cost: float
    unit: str
    failure: float
    failure_low: float
    failure_high: float
    wrong: float
    wrong_low: float
    wrong_high: float
    exact: bool
    meets: bool | None
    why: str
    front: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


class Judged(NamedTuple):
    """How often blocks of a design fail, and how often a wrong result is certified."""

    failure: Estimate
    wrong: Estimate


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


def judgements(made: Iterable[tuple[Design, float, str]], target: float, blocks: int = BLOCKS) -> Iterator[Advice]:
    """Yield what becomes of designs, as soon as each is judged.

    Parameters
    ----------
    made
        From `drawn_up`: once one meets the target, no dearer one is simulated.
    target, blocks
        As in `advise`.
    """
    found = False
    for design, cost, unit in made:
        row = _advice(design, cost, unit, target, blocks, exact_only=found)
        found = found or row.meets is True
        yield row


def drawn_up(scenario: Scenario, bounds: Bounds) -> list[tuple[Design, float, str]]:
    """Designs within the bounds with the cost of an answer and its unit, the cheapest first."""
    if scenario.recorded or not scenario.replicated:
        what = "recorded answers are those of nodes that exist" if scenario.recorded else "one node executes"
        raise ScenarioError([Problem("nodes", f"cannot be varied: {what}")])
    missing = {"shift": scenario.numeric, "noise": isinstance(scenario.consensus.matching, Margin)}
    for key, needed in missing.items():
        if needed and bounds.attackers and getattr(scenario.faults, key) is None:
            raise ScenarioError([Problem(f"faults.{key}", "is required: what attackers answer who collude")])
    made = list(designs(scenario, bounds))
    if not made:
        raise ScenarioError([Problem("nodes", "has no design within these bounds")])
    unit = _unit([design.silent for design in made])
    return sorted(((one, _cost(one, unit), unit) for one in made), key=lambda item: (item[1], item[0].nodes))


def with_front(rows: Sequence[Advice]) -> list[Advice]:
    """Mark designs that meet the target and that no other one beats."""
    good = [row for row in rows if row.meets]
    best = pareto([(row.cost, max(row.failure_high, row.wrong_high)) for row in good])
    marked = {id(row): mark for row, mark in zip(good, best, strict=True)}
    return [replace(row, front=marked.get(id(row), False)) for row in rows]


def _unit(scenarios: Sequence[Scenario]) -> str:
    """The most telling unit in which all of them have a cost."""
    costs = [scenario.cost for scenario in scenarios]
    if any(cost is None for cost in costs):
        return "nodes"
    return "machine-seconds" if any(cost is not None and cost.cost_usd is None for cost in costs) else "usd"


def _cost(design: Design, unit: str) -> float:
    cost = design.silent.cost
    if unit == "nodes" or cost is None:
        return float(design.nodes)
    return float(cost.machine_seconds if unit == "machine-seconds" or cost.cost_usd is None else cost.cost_usd)


def _advice(design: Design, cost: float, unit: str, target: float, blocks: int, *, exact_only: bool) -> Advice:
    unknown = Judged(Estimate(1.0, 0.0, 1.0, None), Estimate(1.0, 0.0, 1.0, None))
    meets: bool | None = False
    if design.silent.election.byzantine > design.silent.faults_tolerated:
        judged, why = unknown, "more attackers than it tolerates"
    else:
        try:
            judged = _judge(design, target, blocks, exact_only=exact_only) or unknown
            meets, why = _verdict(judged, target) if judged is not unknown else (None, _NOT_LOOKED_AT)
        except EngineError as error:
            judged, why = unknown, str(error)
    failure, wrong = judged
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
        failure=failure.probability,
        failure_low=failure.low,
        failure_high=failure.high,
        wrong=wrong.probability,
        wrong_low=wrong.low,
        wrong_high=wrong.high,
        exact=judged is not unknown and failure.count is None and wrong.count is None,
        meets=meets,
        why=why,
    )


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
    if exact_only and not _has_law(design):
        return None
    number = min(_FIRST_BLOCKS, blocks)
    while True:
        judged = _judged(design, number)
        exact = all(estimate.count is None for estimate in judged)
        if exact or number >= blocks or _verdict(judged, target)[0] is not None:
            return judged
        number = min(number * _STEP, blocks)


def _tolerant(design: Design) -> bool:
    """Whether what passes depends on the attackers' answer."""
    return design.silent.numeric or isinstance(design.silent.consensus.matching, Margin)


def _attacked(design: Design) -> Iterator[Scenario]:
    """Yield the design under every attack, silence first."""
    silent = design.silent
    return attacks(silent, {name: silent.faults.of(name) for name in silent.nodes})


def _has_law(design: Design) -> bool:
    if _tolerant(design):
        return has_law(design.hostile, design.silent)
    return all(choose(one, "auto")[0] == "exact" for one in _attacked(design))


def _judged(design: Design, blocks: int) -> Judged:
    if _tolerant(design):
        accept, reject = passing(design.hostile, design.silent, blocks)
        return Judged(reject, accept)
    results = [run(one, blocks=blocks) for one in _attacked(design)]
    worst = max((certified_wrong(result) for result in results), key=lambda estimate: estimate.high)
    return Judged(results[0].block_failure, worst)
