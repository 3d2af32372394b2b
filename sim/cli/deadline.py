"""`sim deadline`: how often a block of a scenario takes longer than some time."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

from sim.cli.flags import Names, Override, number, seconds, settings

if TYPE_CHECKING:
    from sim.analysis.deadline import Misses


def deadline(
    scenario: str,
    within: str,
    /,
    *,
    set_: Override = None,
    seed: str | None = None,
    format: Literal["table", "json"] = "table",  # noqa: A002 -- the flag is --format
    names: Names | None = None,
) -> int:
    """Estimate how often a block misses a deadline, however rare that is (importance splitting).

    For example: sim deadline scenarios/wide_area.yaml 0.25

    Parameters
    ----------
    scenario
        A scenario file (YAML) with a network.
    within
        The deadline, in seconds from a block's start until more than f votes hold its result; below every timeout.
    set_
        Override a field, as PATH=VALUE: --set nodes.gpu.count=40. May be given several times.
    seed
        Seed of the random streams.
    format
        A line for people, or JSON for scripts.
    """
    from sim.analysis.deadline import misses
    from sim.base.errors import EngineError, Problem
    from sim.cli.progress import Progress
    from sim.scenario.load import located, open_document, validated

    limit = number(within, "the deadline", seconds, "a number of seconds")
    source = (scenario, set_ or (), settings(seed=seed))
    document, problems = open_document(*source, **(names or Names()).options())
    loaded = validated(document, problems)
    try:
        with Progress("the runs") as progress:
            found = misses(loaded, limit, report=progress.update)
    except EngineError as error:
        raise located(Problem("run.engine", str(error), loaded.run.engine), *source) from None
    if format == "json":
        plain = {"scenario": loaded.name, "scenario_id": loaded.scenario_id, "seed": loaded.run.seed}
        print(json.dumps(plain | asdict(found), indent=2))
    else:
        print(_told(found))
    return 0


def _told(found: Misses) -> str:
    from sim.engines.result import Estimate
    from sim.engines.told import one_in

    share = f"{found.probability:.3g} of the blocks (95 %: {found.low:.3g} to {found.high:.3g})"
    rare = f", {one_in(Estimate.exact(found.probability))}," if found.probability else ""
    return (
        f"{share}{rare} take longer than {found.deadline_s:g} s.\n"
        f"Importance splitting over {len(found.levels)} levels: {found.blocks:,} blocks worked out."
    )
