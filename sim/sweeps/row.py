"""One point of a sweep, with its answer: what tables and pictures are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.engines.result import Result
    from sim.scenario.schema import Scenario


@dataclass(frozen=True, slots=True)
class Row:
    """One point of a sweep.

    Parameters
    ----------
    position
        Its place in the sweep, from 0.
    coordinates
        Axis name to value, in the order of the axes.
    scenario
        The whole scenario of this point; without its sweep.
    result
        The answer; None where there is none yet, or the point failed.
    error
        Why it failed; empty if it did not.
    """

    position: int
    coordinates: dict[str, Any]
    scenario: Scenario
    result: Result | None
    error: str = ""
