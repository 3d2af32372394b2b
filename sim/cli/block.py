"""`sim run --block`: one block of a long run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sim.engines.events.single import SingleBlock
    from sim.scenario.schema import Scenario


def run_one(scenario: Scenario, block: str, form: Literal["table", "json"], trace: str | None) -> None:
    """Run one block and print how it ended.

    Parameters
    ----------
    scenario
        What is run.
    block
        Which block, as written.
    form
        Lines for people, or JSON.
    trace
        A file for what happens; None: nowhere.

    Raises
    ------
    EngineError
        Another engine than events answers.
    ScenarioError
        There is no such block, or the trace cannot be written (see `run_block`).
    """
    from sim.base.errors import EngineError
    from sim.cli.flags import number, whole
    from sim.cli.progress import Progress
    from sim.engines.events.single import run_block
    from sim.engines.select import choose

    height = number(block, "--block", whole, "a whole number from 1")
    name, reason = choose(scenario, scenario.run.engine, traced=True)
    if name != "events":
        raise EngineError(f"--block needs the events engine: --engine events (this is {name}: {reason})")
    with Progress(f"the blocks up to {height:,}") as progress:
        found = run_block(scenario, height, trace=trace, report=progress.update)
    _show(found, scenario, form)


def _show(found: SingleBlock, scenario: Scenario, form: Literal["table", "json"]) -> None:
    if form == "json":
        plain = {
            "scenario": scenario.name,
            "scenario_id": scenario.scenario_id,
            "engine": "events",
            "seed": scenario.run.seed,
            "block": found.height,
            "blocks": found.blocks,
            "outcome": found.outcome,
            "cause": found.cause,
            "first_block": found.first,
            "reason": found.reason,
        }
        print(json.dumps(plain, indent=2))
        return
    cause = f", by {found.cause}" if found.cause else ""
    print(f"{scenario.name}  block {found.height:,} of {found.blocks:,}: {found.outcome}{cause}")
    begun = "with this block" if found.first == found.height else f"with block {found.first:,}"
    print(f"events engine (seed {scenario.run.seed}): begun {begun}: {found.reason}.")
