"""A scenario whose parameters are known within intervals: what that leaves open of its answer."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.base.document import Document
from sim.engines.select import run
from sim.scenario.schema import Scenario
from sim.scenario.uncertain import parameter_draws

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Spread:
    """Block failure over draws of the parameters.

    Parameters
    ----------
    failures
        Probability of block failure at each draw.
    """

    failures: tuple[float, ...]

    def quantile(self, share: float) -> float:
        """A quantile of block failure over the draws."""
        return float(np.quantile(self.failures, share))

    def to_dict(self) -> dict[str, Any]:
        """Plain values: the number of draws, and block failure with the interval that holds 95 % of them."""
        low, median, high = (self.quantile(share) for share in (0.025, 0.5, 0.975))
        failure = {"median": median, "low": low, "high": high, "mean": float(np.mean(self.failures))}
        return {"draws": len(self.failures), "block_failure": failure}


def spread(
    tree: Mapping[str, Any], scenario: Scenario, number: int, progress: Callable[[float], None] | None = None
) -> Spread:
    """Answer a scenario at draws of its parameters.

    Parameters
    ----------
    tree
        The scenario as written, with what files and the catalog fill in.
    scenario
        The same, validated; its seed decides the draws.
    number
        How many draws.
    progress
        Called with the share of the draws that are done.

    Raises
    ------
    ScenarioError
        No group says how uncertain its parameters are.
    EngineError
        No engine can answer.
    """
    failures = []
    for index, fields in enumerate(parameter_draws(scenario, number)):
        document = Document(copy.deepcopy(dict(tree)))
        for path, value in fields.items():
            document.set(path, value, "")
        drawn = Scenario.model_validate(document.tree)
        failures.append(run(drawn).block_failure.probability)
        if progress:
            progress((index + 1) / number)
    return Spread(tuple(failures))
