"""What a worker does: plain functions of plain values, the same numbers wherever they run."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from sim.consensus.tally import Outcome
from sim.engines.chains.engine import run_chains
from sim.engines.events.engine import run_events
from sim.engines.exact import run_exact
from sim.engines.montecarlo import MonteCarlo
from sim.engines.phases.engine import run_phases
from sim.engines.result import Result
from sim.engines.timing import IN_TIME
from sim.scenario.schema import Scenario
from sim.statistics.counts import Counts
from sim.sweeps.store import Stretch


class Counted(NamedTuple):
    """A finished stretch, and the seconds it took."""

    stretch: Stretch
    seconds: float


class Finished(NamedTuple):
    """All blocks of a point under its rule.

    Parameters
    ----------
    counts
        Its blocks, up to the one that ends it.
    by_failures
        Whether the last block is the failing one that the rule waited for.
    seconds
        How long finishing took.
    """

    counts: Counts
    by_failures: bool
    seconds: float


class Answered(NamedTuple):
    """An answer, or why there is none; `late` tells that time was up before its last block."""

    result: Result | None
    error: str
    seconds: float
    late: bool = False


class _Held(NamedTuple):
    """A scenario that is told apart by its identity, so that simulations can be cached."""

    identity: tuple[str, int]
    scenario: Scenario

    def __hash__(self) -> int:
        return hash(self.identity)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and self.identity == other.identity


@lru_cache(maxsize=8)
def _simulation(held: _Held) -> MonteCarlo:
    return MonteCarlo(held.scenario)


def simulation(scenario: Scenario) -> MonteCarlo:
    """The simulation of a scenario; the last few are kept, since stretches of one come in a row."""
    return _simulation(_Held((scenario.scenario_id, scenario.run.seed), scenario))


def failures_of(counts: Counts) -> int:
    """Blocks that were not agreed."""
    return counts.trials - counts.outcomes[Outcome.agreed]


def nothing_of(scenario: Scenario) -> Counts:
    """No blocks of a scenario yet."""
    return Counts(simulation(scenario).task, 0, (0,) * len(Outcome))


def count_stretch(scenario: Scenario, first_cell: int, cells: int) -> Counted:
    """Simulate whole cells, one after the other."""
    started = time.perf_counter()
    engine = simulation(scenario)
    counts = nothing_of(scenario)
    for cell in range(first_cell, first_cell + cells):
        counts += engine.count(cell, engine.cell_blocks)
    return Counted(Stretch(first_cell, cells, counts), time.perf_counter() - started)


def finish(scenario: Scenario, before: Counts, first_cell: int, blocks: int, failures: int | None) -> Finished:
    """Simulate from a cell on to the block that ends the point.

    Parameters
    ----------
    scenario
        The point.
    before
        Counts of all cells before `first_cell`.
    first_cell
        Where to go on.
    blocks
        Blocks of the point if nothing ends it earlier.
    failures
        The failing block that ends it; None if none does.
    """
    started = time.perf_counter()
    engine = simulation(scenario)
    counts, cell = before, first_cell
    while counts.trials < blocks:
        size = min(engine.cell_blocks, blocks - counts.trials)
        more = counts + engine.count(cell, size)
        if failures is not None and failures_of(more) >= failures:
            size = _first_size(engine, cell, size, failures - failures_of(counts))
            return Finished(counts + engine.count(cell, size), by_failures=True, seconds=time.perf_counter() - started)
        counts, cell = more, cell + 1
    return Finished(counts, by_failures=False, seconds=time.perf_counter() - started)


def _first_size(engine: MonteCarlo, cell: int, size: int, failures: int) -> int:
    """Fewest blocks of a cell that hold that many failures: a shorter run is a prefix of a longer one."""
    low, high = 0, size
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if failures_of(engine.count(cell, middle)) >= failures else (middle, high)
    return high


def answer_exactly(scenarios: list[Scenario], reasons: list[str]) -> list[Answered]:
    """Answer scenarios that the exact engine can answer; one that fails does not keep the others back."""
    answers = []
    for scenario, reason in zip(scenarios, reasons, strict=True):
        started = time.perf_counter()
        try:
            result: Result | None = replace(run_exact(scenario), engine_reason=reason)
            error = ""
        except Exception as failure:  # noqa: BLE001 -- recorded with the point, and told
            result, error = None, described(failure)
        answers.append(Answered(result, error, time.perf_counter() - started))
    return answers


def answer_whole(
    scenario: Scenario, engine: str, reason: str, blocks: int, failures: int | None, until: float = math.inf
) -> Answered:
    """Run a point that can't be split: message by message, up to that many failing blocks, or chains over time.

    Parameters
    ----------
    scenario, engine, reason
        The point, who answers it, and why that one.
    blocks, failures
        Its blocks, and the failing one that ends it.
    until
        When time is up, in seconds since the epoch: then with the blocks, or chains, that are over.
    """
    started = time.perf_counter()

    def look_at_clock(*_: object) -> None:
        if time.time() > until:
            raise KeyboardInterrupt  # as Ctrl-C does, it makes engines answer with what they have

    late, error, result = False, "", None
    try:
        look_at_clock()
        settled = scenario.model_copy(update={"run": scenario.run.model_copy(update={"blocks": blocks})})
        if engine in IN_TIME:
            result = (run_phases if engine == "phases" else run_events)(settled, look_at_clock, failures=failures)
        else:
            result = run_chains(settled, look_at_clock)
    except KeyboardInterrupt as stopped:
        late, result = time.time() > until, getattr(stopped, "result", None)
        if not late:
            raise
    except Exception as failure:  # noqa: BLE001 -- recorded with the point, and told
        error = described(failure)
    result = replace(result, engine_reason=reason) if result else None
    return Answered(result, error, time.perf_counter() - started, late)


def described(failure: BaseException) -> str:
    """Describe a failure in one line."""
    return f"{type(failure).__name__}: {' '.join(str(failure).split())[:500]}"
