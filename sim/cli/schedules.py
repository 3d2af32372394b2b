"""What a search of schedules has found, as a table for people, or as JSON for scripts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sim.analysis.explorer.chain import Chain
    from sim.analysis.explorer.explore import Counterexample, Exploration
    from sim.scenario.schema import Scenario


def show(found: Exploration, chain: Chain, scenario: Scenario, form: Literal["table", "json"]) -> None:
    """Print what a search has found, on stdout.

    Parameters
    ----------
    found, chain, scenario
        What, of what.
    form
        A table for people, or JSON.
    """
    if form == "json":
        print(json.dumps(_plain(found, chain, scenario), indent=2, allow_nan=False))
    else:
        print("\n".join(_table(found, chain, scenario)))


def show_again(found: Counterexample | None, chain: Chain, form: Literal["table", "json"]) -> None:
    """Print what a schedule leads to that was run again."""
    if form == "json":
        print(json.dumps(_plain_violation(found, chain) if found else None, indent=2, allow_nan=False))
    else:
        print("\n".join(_told(found, chain)) if found else "The schedule breaks no invariant any more.")


def _table(found: Exploration, chain: Chain, scenario: Scenario) -> Iterator[str]:
    from sim.analysis.explorer.invariants import MEANING as INVARIANTS
    from sim.analysis.explorer.sometimes import MEANING as EVENTS
    from sim.base.text import printable

    broken = found.counterexample.violation.invariant if found.counterexample else None
    lying = f"{len(chain.byzantine)} Byzantine (twins, {chain.behaviour})" if chain.byzantine else "none is Byzantine"
    yield printable(
        f"{scenario.name}  {scenario.consensus.protocol}, {len(chain.power)} nodes, quorum {chain.quorum}, tolerates "
        f"{chain.faults} faults, {lying}, result: {scenario.consensus.result}"
    )
    yield f"{found.schedules:,} schedules, {found.steps:,} steps, seed {found.seed}"
    yield "always"
    for invariant, meaning in INVARIANTS.items():
        yield f"  {invariant:<22}{'broken' if invariant == broken else 'held':<8}{meaning}"
    yield "sometimes, in how many schedules"
    for event, times in found.seen.items():
        yield f"  {event:<22}{times:<8,}{EVENTS[event]}"
    if found.counterexample is not None:
        yield from _told(found.counterexample, chain)
    elif found.missing:
        yield f"No violation, but never seen: {', '.join(found.missing)}. So it has not shown much: try more schedules."
    else:
        yield f"No violation in {found.schedules:,} schedules."


def _told(found: Counterexample, chain: Chain) -> Iterator[str]:
    from sim.analysis.explorer.story import cast, story

    _, height, text = found.violation
    yield f"Schedule {found.schedule:,} breaks {found.violation.invariant} at height {height}: {text}."
    yield from cast(chain, found.circumstances, height)
    yield f"{len(found.steps):,} of its {found.length:,} steps are enough; what is not told does not happen:"
    for place, line in enumerate(story(chain, found.circumstances, found.steps), 1):
        yield f"{place:>4}  {line}"


def _plain(found: Exploration, chain: Chain, scenario: Scenario) -> dict[str, Any]:
    from sim.analysis.explorer.invariants import INVARIANTS

    broken = found.counterexample.violation.invariant if found.counterexample else None
    return {
        "scenario": scenario.name,
        "scenario_id": scenario.scenario_id,
        "protocol": scenario.consensus.protocol,
        "nodes": len(chain.power),
        "quorum": chain.quorum,
        "faults_tolerated": chain.faults,
        "byzantine": len(chain.byzantine),
        "seed": found.seed,
        "schedules": found.schedules,
        "steps": found.steps,
        "invariants": {invariant: invariant != broken for invariant in INVARIANTS},
        "sometimes": found.seen,
        "missing": found.missing,
        "violation": _plain_violation(found.counterexample, chain) if found.counterexample else None,
    }


def _plain_violation(found: Counterexample, chain: Chain) -> dict[str, Any]:
    from sim.analysis.explorer.story import story

    return {
        "schedule": found.schedule,
        "invariant": found.violation.invariant,
        "height": found.violation.height,
        "text": found.violation.text,
        "length": found.length,
        "kept": found.kept,
        "steps": list(story(chain, found.circumstances, found.steps)),
    }
