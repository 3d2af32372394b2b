"""Can the chain of a scenario run its model, and is what it says of its GPUs to be believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.analysis.credibility import BAR, KEEPS_ONE_ANSWER, credibility, memory_of
from sim.analysis.feasibility import PATIENCE_S, Feasibility, duration, judge, size, verdict_of
from sim.analysis.rules import rule1, rule2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sim.catalog.catalog import Catalog
    from sim.scenario.schema import Scenario


@dataclass(frozen=True, slots=True)
class Claim(Feasibility):
    """Whether a scenario's chain can run its model, with rule 3.

    Parameters
    ----------
    rule3
        `deterministic or approximate consensus`, `not robust`, `not credible`, `unknown`; None where it claims no GPU.
    block_failure
        How often its blocks fail; None where it claims no GPU.
    """

    rule3: str | None
    block_failure: float | None


def judge_scenario(scenario: Scenario, catalog: Catalog, patience: float = PATIENCE_S, bar: float = BAR) -> Claim:
    """Judge a scenario.

    Parameters
    ----------
    scenario
        A validated scenario; what it does not name (platform, model, times) stays unknown.
    catalog
        Where its names are looked up.
    patience
        Seconds that a person waits.
    bar
        Block failure up to which it counts as robust.

    Returns
    -------
    Claim
        The verdict is rule 3's case, where its GPUs are not kept to one answer.
    """
    row = _pair(scenario, catalog, patience)
    claim = credibility(scenario, catalog, bar)
    verdict, why = row.verdict, row.why
    if claim is not None:
        why = "; ".join(filter(None, (claim.why, why)))
        if claim.case != KEEPS_ONE_ANSWER:
            verdict = claim.case
        elif verdict == "unknown":
            verdict = KEEPS_ONE_ANSWER
    plain = row.to_dict() | {"verdict": verdict, "why": why}
    return Claim(**plain, rule3=claim.case if claim else None, block_failure=claim.block_failure if claim else None)


def _pair(scenario: Scenario, catalog: Catalog, patience: float) -> Feasibility:
    """Platform and model; on the scenario's own machines where it says what they are."""
    platform = catalog.find("platforms", scenario.platform or "")
    model = catalog.find("models", scenario.workload.model or "")
    tightest = _tightest(scenario, catalog)
    if platform and model and tightest is None:
        return judge(
            platform, catalog.platforms[platform], model, catalog.models[model], patience, scenario.workload.tokens
        )
    needed, available = tightest or (int(catalog.models[model].bytes.value) if model else None, None)
    seconds = _slowest(scenario)
    operations = catalog.models[model].operations_per_token.value * scenario.workload.tokens if model else None
    fits = None if available is None or needed is None else needed <= available
    in_time = None if seconds is None else seconds <= patience
    return Feasibility(
        platform or scenario.name,
        model,
        fits,
        needed,
        available,
        seconds,
        in_time,
        None if available is None else str(rule1(available)),
        None if not seconds or operations is None else str(rule2(operations / seconds)),
        verdict_of(fits=fits, in_time=in_time),
        "; ".join(_sentences(needed, available, seconds)),
    )


def _tightest(scenario: Scenario, catalog: Catalog) -> tuple[int | None, int] | None:
    """Bytes needed and available where they are closest; None where the memory of some machines is not known."""
    known: list[tuple[int | None, int]] = []
    for group in scenario.nodes.values():
        needed, available = memory_of(scenario, group, catalog)
        if available is None:
            return None
        known.append((needed, available))
    return min(known, key=lambda pair: pair[1] - (pair[0] or 0))


def _slowest(scenario: Scenario) -> float | None:
    """Seconds of a request on the slowest machines; None where a group does not say."""
    times = [
        None if law is None else law.expected * group.executor.slowed
        for group in scenario.nodes.values()
        for law in (group.executor.seconds_per_request,)
    ]
    return None if None in times else max(time for time in times if time is not None)


def _sentences(needed: float | None, available: float | None, seconds: float | None) -> Iterator[str]:
    if needed is not None and available is not None:
        yield f"{size(needed)} of weights in machines of {size(available)}"
    if seconds is not None:
        yield f"an answer takes {duration(seconds)} on its slowest machines"
