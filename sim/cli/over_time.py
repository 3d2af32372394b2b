"""What chains over time have shown, in lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.cli.settings import settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sim.engines.over_time import ChainMeasures
    from sim.scenario.schema import Scenario

_UNLIKELY = 1e-6
MEANING = {
    "budget": "more nodes away, or silent, than it tolerates",
    "spent": "the same answers would have passed with nobody away",
    "split": "the answers split even with everybody there",
    "fork": "two results were certified",
    "attack": "what Byzantine nodes did was enough",
    "partition": "the network was split",
    "timeout": "votes came too late",
}


def over_time_lines(measures: ChainMeasures, scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Yield a title and a text for each measure.

    Parameters
    ----------
    measures
        What was seen, or worked out.
    scenario
        What was run.
    """
    away, exact = measures.nodes_away, measures.chains is None
    interval = "exact" if exact else f"{away.low:.3g} to {away.high:.3g}"
    yield "nodes away", f"{away.mean:.4g} in a slot ({interval}), {_at_most(away.distribution)}"
    if measures.availability is not None:
        yield "available", f"{100 * measures.availability:.4g} % of the slots that {_chains(measures, scenario)}"
    yield "first failure", _after(measures.blocks_to_failure, exact=exact)
    if measures.longest_stall:
        yield "longest stall", f"{measures.longest_stall:,} slots"
    if measures.retries_per_block:
        yield "retries", f"{measures.retries_per_block:.4g} a block"
    if scenario.after_failure != "skip":
        halted = sum(measures.halts.values())
        among = "" if exact or halted == measures.chains else f" ({halted:,} of {measures.chains:,} chains)"
        yield "halt", _after(measures.blocks_to_halt, exact=exact, all_of_them=not among) + among
    for cause, number in measures.halts.items():
        yield "", f"{number:,} by {cause}: {MEANING[cause]}"
    if measures.looked_deterministic:
        yield "tests", f"chance that a test of so many blocks sees nothing: {_tests(measures)}"
    if scenario.recovery:
        yield "recovery", f"{settings_of(scenario.recovery)}; on failure: {scenario.after_failure}"


def _tests(measures: ChainMeasures) -> str:
    tests = [(blocks, share) for blocks, share in measures.looked_deterministic if str(blocks).strip("0") == "1"]
    told = ", ".join(f"{blocks:,} {100 * share:.3g} %" for blocks, share in tests if blocks > 1 and share > _UNLIKELY)
    return told or "none"


def _after(blocks: float | None, *, exact: bool, all_of_them: bool = True) -> str:
    if blocks is None:
        return "never" if exact else "none seen"
    return f"after {blocks:,.5g} blocks, in the mean" if all_of_them else f"once in {blocks:,.5g} blocks that were run"


def _chains(measures: ChainMeasures, scenario: Scenario) -> str:
    number = measures.chains or 1
    blocks = scenario.run.blocks
    return f"{number:,} chains had, {blocks:,} each" if number > 1 else f"a chain of {blocks:,} has"


def _at_most(distribution: tuple[float, ...]) -> str:
    """Number of nodes that are away in 99.9 % of the slots, at most."""
    total = 0.0
    for number, share in enumerate(distribution):
        total += share
        if total >= 0.999:
            return f"at most {number:,} in 99.9 % of them"
    return f"at most {len(distribution) - 1:,}"
