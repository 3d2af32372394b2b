"""Draws of parameters that are known within intervals, so that a run or a sweep carries their uncertainty.

A parameter is drawn on the scale on which it has no ends, the logit of a rate or a correlation and the logarithm of a
concentration: from a normal law on each side of its value, whose 95 % interval is the one given. A parameter that is 0
is drawn from the positive half of one. Parameters of a name move together in all groups, and those of different names
are drawn independently.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sim.base.errors import Problem, ScenarioError
from sim.inference.executors import Gpu
from sim.statistics.streams import cell_stream, named_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sim.inference.difficulty.base import Difficulty
    from sim.scenario.schema import Scenario

DRAWS_MAX = 10_000
_NORMAL_95 = 1.959964
_NAMES = ("rate", "correlation", "alternatives")
_ENDS = {"rate": (1e-12, 1 - 1e-9), "correlation": (1e-6, 1 - 1e-6), "alternatives": (1e-4, 1e4)}


def parameter_draws(scenario: Scenario, number: int, fixed: Iterable[str] = ()) -> list[dict[str, float]]:
    """Draw the parameters of a scenario's groups.

    Parameters
    ----------
    scenario
        Some of its difficulty models have `intervals`.
    number
        How many draws.
    fixed
        Paths that are not drawn: an axis moves them.

    Returns
    -------
    list of dict
        Path of each parameter to its value; the same for the same seed.

    Raises
    ------
    ScenarioError
        No group says how uncertain its parameters are.
    """
    spans = [span for span in _spans(scenario) if span[0] not in set(fixed)]
    if not spans:
        message = "needs a group whose nondeterminism has intervals, as sim calibrate prints them"
        raise ScenarioError([Problem("", message, where="--parameter-draws")])
    stream = cell_stream(named_key("parameters", scenario.run.seed), 0)
    draws = []
    for _ in range(number):
        normal = dict(zip(_NAMES, stream.standard_normal(len(_NAMES)).tolist(), strict=True))
        draws.append({path: _drawn(name, law, normal[name]) for path, name, law in spans})
    return draws


def _spans(scenario: Scenario) -> Iterable[tuple[str, str, Difficulty]]:
    """Yield path, name and law of each parameter that is uncertain."""
    for group, entry in sorted(scenario.nodes.items()):
        law = entry.executor.nondeterminism if isinstance(entry.executor, Gpu) else None
        if law is None or law.intervals is None:
            continue
        for name in _NAMES:
            value = getattr(law, name, None)
            if getattr(law.intervals, name) is not None and value is not None and not math.isinf(value):
                yield f"nodes.{group}.executor.nondeterminism.{name}", name, law


def _drawn(name: str, law: Difficulty, normal: float) -> float:
    value = float(getattr(law, name))
    low, high = map(float, getattr(law.intervals, name))
    least, most = _ENDS[name]
    if name == "rate" and law.difficulty == "near_tie":
        most = 0.5 - 1e-9
    share = abs(normal) / _NORMAL_95
    if not value:
        return float(min(share * min(high, most), most))
    end = high if normal > 0 else low
    if name == "alternatives":
        here, there = (math.log(min(max(number, least), most)) for number in (value, end))
        return math.exp(min(max(here + share * (there - here), math.log(least)), math.log(most)))
    here, there = (_logit(min(max(number, least), most)) for number in (value, end))
    moved: Any = 1 / (1 + math.exp(-(here + share * (there - here))))
    return float(min(max(moved, least), most))


def _logit(chance: float) -> float:
    return math.log(chance / (1 - chance))
