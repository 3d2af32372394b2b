"""The price of a matching rule: what it accepts from attackers, against what it refuses of honest nodes.

Each rule that forgives honest differences also accepts some cheap or slanted answers. The two move against each other
with the parameter of the rule, and the curve of both is its price.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sim.analysis.compare import attacked
from sim.base.errors import Problem, ScenarioError
from sim.base.model import problems_of
from sim.consensus.matching import Equivalence, Margin, Semantic, Within, number_in
from sim.engines.passing import passing
from sim.inference.executors import Recorded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim.consensus.matching import Matching
    from sim.scenario.schema import Scenario

BLOCKS = 100_000
"""Blocks that are drawn for each point that has no exact law."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a rule lets pass at one value of its parameter.

    Parameters
    ----------
    scenario
        Name of the scenario.
    rule, parameter
        Kind of the matching rule, and which of its parameters moves.
    value
        Value of the parameter.
    attackers
        Nodes that collude.
    false_accept, false_accept_low, false_accept_high
        Probability that the attackers' answer, where no honest node gives it too, is certified once it is put to the
        vote, with its 95 % interval. Of a median: that it is theirs.
    false_reject, false_reject_low, false_reject_high
        Probability that honest nodes certify nothing, or several things, while attackers keep silent; with a leader,
        where that is an honest node.
    exact
        Whether both are computed, not simulated.
    """

    scenario: str
    rule: str
    parameter: str
    value: float
    attackers: int
    false_accept: float
    false_accept_low: float
    false_accept_high: float
    false_reject: float
    false_reject_low: float
    false_reject_high: float
    exact: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def prices(
    scenario: Scenario, parameter: str | None = None, values: Sequence[float] | None = None, blocks: int = BLOCKS
) -> list[Price]:
    """Work out the price of a scenario's matching rule.

    Parameters
    ----------
    scenario
        A validated scenario with a matching rule that has a parameter, and an answer that attackers give
        (`faults.shift`, `faults.noise` or `faults.answer`). Where it has no Byzantine nodes, as many as it tolerates.
    parameter
        The parameter that moves; left out, the one of its rule (of two bounds, the one that is given).
    values
        Its values; left out, those where it matters.
    blocks
        Blocks to draw for each value that has no exact law.

    Returns
    -------
    list of Price
        One for each value, rising.

    Raises
    ------
    ScenarioError
        The rule has no such parameter, a value is out of its range, or attackers give no answer.
    """
    parameter, values = moved(scenario, parameter, values)
    return [price_at(scenario, parameter, value, blocks) for value in values]


def moved(
    scenario: Scenario, parameter: str | None = None, values: Sequence[float] | None = None
) -> tuple[str, list[float]]:
    """Which parameter of a scenario's rule moves, and over which values (see `prices`)."""
    rule = _priced(scenario)
    parameter = parameter or _parameters(rule)[0]
    if parameter not in _parameters(rule):
        known = " or ".join(_parameters(rule))
        raise _refuse(f"consensus.matching.{parameter}", f"is no parameter that moves; {rule.kind} has {known}")
    return parameter, sorted(set(values or _where_it_matters(scenario, rule, parameter)))


def price_at(scenario: Scenario, parameter: str, value: float, blocks: int = BLOCKS) -> Price:
    """Price of a scenario's rule at one value of its parameter (see `prices`)."""
    hostile, silent = _variants(scenario, parameter, value)
    accept, reject = passing(hostile, silent, blocks)
    return Price(
        scenario=scenario.name,
        rule=_priced(scenario).kind,
        parameter=parameter,
        value=value,
        attackers=hostile.node_count - hostile.honest_nodes,
        false_accept=accept.probability,
        false_accept_low=accept.low,
        false_accept_high=accept.high,
        false_reject=reject.probability,
        false_reject_low=reject.low,
        false_reject_high=reject.high,
        exact=accept.count is None and reject.count is None,
    )


def _priced(scenario: Scenario) -> Matching:
    """The rule of a scenario that has a price."""
    rule = scenario.consensus.matching
    if rule is None or not _parameters(rule):
        kind = rule.kind if rule else "exact"
        message = f"has no price: {kind} has no parameter that a chain chooses (tolerance, median, approximate, margin,"
        raise _refuse("consensus.matching", f"{message} semantic and equivalence by rounding have one)")
    faults = scenario.faults
    if faults.timed:
        raise _refuse("faults", "must be without crashes and delays for a price: it is about votes")
    key = "noise" if isinstance(rule, Margin) else "answer" if scenario.recorded else "shift"
    if getattr(faults, key) is None:
        what = {
            "noise": "how noisy their cheaper model is",
            "answer": "what they answer",
            "shift": "how far off they are",
        }
        raise _refuse(f"faults.{key}", f"is required for a price: the answer of attackers who collude, {what[key]}")
    return rule


def _refuse(path: str, message: str) -> ScenarioError:
    return ScenarioError([Problem(path, message)])


def _parameters(rule: Matching) -> tuple[str, ...]:
    """Parameters of a rule that trade one error for the other; the rule's own comes first."""
    if isinstance(rule, Within):
        return ("relative", "absolute") if rule.relative and not rule.absolute else ("absolute", "relative")
    if isinstance(rule, Margin):
        return ("gap",)
    if isinstance(rule, Semantic):
        return ("threshold",)
    return ("digits",) if isinstance(rule, Equivalence) and rule.transform == "round" else ()


def _where_it_matters(scenario: Scenario, rule: Matching, parameter: str) -> list[float]:
    """Values between which everything is refused, and everything accepted."""
    if isinstance(rule, Semantic):
        cosines = sorted({cosine for index, row in enumerate(rule.cosines) for cosine in row[:index]}) or [
            rule.threshold
        ]
        some = [cosines[index] for index in sorted({round(k * (len(cosines) - 1) / 99) for k in range(100)})]
        return [*some, *((one + other) / 2 for one, other in itertools.pairwise(some))]
    if isinstance(rule, Margin):
        return [0.5 * step for step in range(25)]
    spread = _spread(scenario)
    if parameter == "digits":
        first = min(max(math.floor(-math.log10(spread)) - 1, -300), 296)
        return [float(digits) for digits in range(first, first + 5)]
    if parameter == "relative":
        spread = min(spread / (abs(scenario.workload.true_value or 0.0) or spread), 1e4)
    return [float(f"{0.25 * spread * 2 ** (step / 4):.3g}") for step in range(25)]


def _spread(scenario: Scenario) -> float:
    """How far answers are apart, in their units: the largest noise, or the slant of attackers."""
    noise = [math.hypot(group.executor.class_noise, group.executor.node_noise) for group in scenario.number_groups]
    texts = [
        text
        for name, group in scenario.nodes.items()
        if isinstance(group.executor, Recorded)
        for text in [*group.executor.outputs[: group.count - scenario.faults.of(name)], scenario.faults.answer or ""]
    ]
    known = [number for text in texts if (number := number_in(text)) is not None]
    apart = (max(known) - min(known)) / 4 if known else 0.0
    return max(noise, default=0.0) or apart or abs(scenario.faults.shift or 0.0) or 1.0


def _variants(scenario: Scenario, parameter: str, value: float) -> tuple[Scenario, Scenario]:
    """The scenario with a value of the parameter, attacked, and with the attackers silent."""
    plain = scenario.model_dump(mode="json", exclude_none=True)
    whole = parameter == "digits" and float(value).is_integer()
    plain["consensus"]["matching"][parameter] = int(value) if whole else value
    faults = plain["faults"]
    numbers = {name: scenario.faults.of(name) for name in scenario.nodes}
    faults["byzantine"] = numbers if any(numbers.values()) else attacked(scenario)
    slanted = {key: faults.pop(key) for key in ("answer", "shift", "noise") if key in faults}
    made = type(scenario).model_validate
    try:
        return (
            made(plain | {"faults": faults | slanted | {"behaviour": "collude"}}),
            made(plain | {"faults": faults | {"behaviour": "silent"}}),
        )
    except ValidationError as error:
        raise ScenarioError(problems_of(error)) from None
