"""Schedules in files: what is needed to run one again, and what it is about in words.

All that a schedule chooses follows from the seed and its number; so a file holds these, and which of the steps are
kept.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sim.analysis.explorer.story import story
from sim.analysis.explorer.walk import Kind
from sim.analysis.saved import read_bytes
from sim.base.errors import Problem, ScenarioError
from sim.base.model import problems_of
from sim.base.version import __version__

if TYPE_CHECKING:
    from os import PathLike

    from sim.analysis.explorer.explore import Counterexample, Search
    from sim.scenario.schema import Scenario

STEPS_MAX = 1_000_000


class Saved(BaseModel):
    """A schedule, as its file has it.

    Parameters
    ----------
    schedule
        What the file is, and of which version of its format.
    scenario_id, version
        Of which scenario, found by which version of this program.
    seed, number, kind
        Which schedule of which search.
    kept
        Which of its steps.
    told
        These in words; not read.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    schedule: Literal[1]
    version: str
    scenario_id: str
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    number: Annotated[int, Field(ge=0, lt=10**12)]
    kind: Kind
    kept: Annotated[list[Annotated[int, Field(ge=0, lt=STEPS_MAX)]], Field(max_length=STEPS_MAX)]
    told: list[str]


def save_schedule(path: str | PathLike[str], scenario: Scenario, search: Search, found: Counterexample) -> None:
    """Write a schedule; missing folders are made.

    Raises
    ------
    ScenarioError
        The file cannot be written.
    """
    saved = Saved(
        schedule=1,
        version=__version__,
        scenario_id=scenario.scenario_id,
        seed=search.seed,
        number=found.schedule,
        kind=search.kind,
        kept=list(found.kept),
        told=list(story(search.chain, found.circumstances, found.steps)),
    )
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(saved.model_dump(), indent=1) + "\n", encoding="utf-8", newline="\n")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ScenarioError([Problem("", f"cannot be written: {reason}", where=str(path))]) from None


def read_schedule(path: str | PathLike[str], scenario: Scenario) -> Saved:
    """Read a schedule of a scenario.

    Raises
    ------
    ScenarioError
        The file cannot be read, holds something else, or a schedule of another scenario.
    """
    try:
        saved = Saved.model_validate_json(read_bytes(path))
    except ValidationError as error:
        first = problems_of(error)[0]
        message = f"is not what sim check --save wrote: {first.message}"
        raise ScenarioError([Problem(first.path, message, where=str(path))]) from None
    if saved.scenario_id != scenario.scenario_id:
        raise ScenarioError([Problem("", "is a schedule of another scenario", where=str(path))])
    return saved
