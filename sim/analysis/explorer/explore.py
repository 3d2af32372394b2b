"""Exploring many schedules of a chain, up to the first violation."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from sim.analysis.explorer.circumstances import Circumstances
from sim.analysis.explorer.draws import Draws
from sim.analysis.explorer.driver import Driver
from sim.analysis.explorer.invariants import INVARIANTS, Invariants
from sim.analysis.explorer.shrink import shrunk
from sim.analysis.explorer.sometimes import Sometimes, applicable
from sim.analysis.explorer.steps import Step, machine_of, place_of
from sim.analysis.explorer.walk import Walk
from sim.statistics.streams import named_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sim.analysis.explorer.chain import Chain
    from sim.analysis.explorer.invariants import Invariant, Violation
    from sim.analysis.explorer.sometimes import Event
    from sim.analysis.explorer.walk import Kind


class Counterexample(NamedTuple):
    """A schedule that breaks an invariant.

    Parameters
    ----------
    schedule
        Its number.
    violation
        What it breaks.
    circumstances
        What it fixed before it began.
    steps
        The steps that are needed, in order.
    length
        Steps that it had before it was shrunk.
    """

    schedule: int
    violation: Violation
    circumstances: Circumstances
    steps: tuple[Step, ...]
    length: int


class Exploration(NamedTuple):
    """What a search has found.

    Parameters
    ----------
    seed
        Of the search.
    schedules
        Schedules that were run.
    steps
        Steps in them.
    seen
        In how many schedules each event has happened, of those that can.
    counterexample
        The first schedule that breaks an invariant, if there is one.
    """

    seed: int
    schedules: int
    steps: int
    seen: dict[Event, int]
    counterexample: Counterexample | None

    @property
    def missing(self) -> list[Event]:
        """Events that can happen and never did: where there are any, the search has not shown much."""
        return [event for event, times in self.seen.items() if not times]


class Stopped(KeyboardInterrupt):
    """Ctrl-C; `found` has what was explored until then."""

    def __init__(self, found: Exploration) -> None:
        super().__init__()
        self.found = found


def explore(
    chain: Chain,
    schedules: int,
    seed: int = 1,
    *,
    kind: Kind = "mixed",
    invariants: Collection[Invariant] = INVARIANTS,
    report: Callable[[int], None] | None = None,
) -> Exploration:
    """Run schedules until one breaks an invariant, and shrink it.

    Parameters
    ----------
    chain
        What is explored (see `chain_of`).
    schedules
        How many; the first few of a longer search are those of a shorter one.
    seed
        Decides, with a schedule's number, all that is chosen in it.
    kind
        `random`, `targeted`, or both.
    invariants
        Which of them to look at.
    report
        Called with the number of schedules that are done.

    Raises
    ------
    Stopped
        Ctrl-C.
    """
    key, seen, steps = named_key("schedules", seed), Counter[str](), 0
    possible = applicable(chain)
    done, found = 0, None
    try:
        for schedule in range(schedules):
            circumstances, taken, violation, events = _walked(chain, Draws(key, schedule), kind, invariants)
            done += 1
            steps += len(taken)
            seen.update(events)
            if violation is not None:
                found = Counterexample(schedule, violation, circumstances, tuple(taken), len(taken))
                found = _smaller(chain, found, invariants)
                break
            if report:
                report(done)
    except KeyboardInterrupt:
        raise Stopped(_summed(seed, done, steps, seen, possible, found)) from None
    return _summed(seed, done, steps, seen, possible, found)


def _summed(
    seed: int, done: int, steps: int, seen: Counter[str], possible: Sequence[Event], found: Counterexample | None
) -> Exploration:
    return Exploration(seed, done, steps, {event: seen[event] for event in possible}, found)


def _walked(
    chain: Chain, draws: Draws, kind: Kind, invariants: Collection[Invariant]
) -> tuple[Circumstances, list[Step], Violation | None, set[Event]]:
    circumstances = Circumstances.drawn(chain, draws)
    always, sometimes = Invariants(chain, circumstances, invariants), Sometimes(chain, circumstances)
    driver = Driver(chain, circumstances, (always, sometimes))
    walk = Walk(driver, draws, kind)
    taken: list[Step] = []
    while always.violation is None and (step := walk.next()) is not None:
        if driver.take(step):
            taken.append(step)
    return circumstances, taken, always.violation, sometimes.seen


def _smaller(chain: Chain, found: Counterexample, invariants: Collection[Invariant]) -> Counterexample:
    """Shrink a schedule to the steps that break the same invariant."""

    def still(steps: list[Step]) -> list[Step] | None:
        taken, violation = replayed(chain, found.circumstances, steps, invariants)
        return taken if violation is not None and violation.invariant == found.violation.invariant else None

    steps = shrunk(list(found.steps), still, (machine_of, place_of))
    _, violation = replayed(chain, found.circumstances, steps, invariants)
    assert violation is not None  # noqa: S101 -- shrinking keeps it
    return found._replace(steps=tuple(steps), violation=violation)


def replayed(
    chain: Chain,
    circumstances: Circumstances,
    steps: Sequence[Step],
    invariants: Collection[Invariant] = INVARIANTS,
) -> tuple[list[Step], Violation | None]:
    """Run given steps, up to a violation; those that are not possible are passed over.

    Returns
    -------
    taken, violation
        The steps that were carried out, and the violation that they led to.
    """
    always = Invariants(chain, circumstances, invariants)
    driver = Driver(chain, circumstances, (always,))
    taken: list[Step] = []
    for step in steps:
        if driver.take(step):
            taken.append(step)
        if always.violation is not None:
            break
    return taken, always.violation
