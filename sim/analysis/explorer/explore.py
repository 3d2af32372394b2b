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


_FURTHER = 50
"""Schedules that are run after a violation, for one that is shorter."""


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
    kept
        Their numbers among the steps of the whole schedule.
    length
        How many these are.
    """

    schedule: int
    violation: Violation
    circumstances: Circumstances
    steps: tuple[Step, ...]
    kept: tuple[int, ...]
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
        A schedule that breaks an invariant, if there is one: the shortest of the first and some that follow it.
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
    """Run schedules until one breaks an invariant, and a few more for a shorter one; shrink it.

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
    done, last, found = 0, schedules, None

    def summed() -> Exploration:
        return Exploration(seed, done, steps, {event: seen[event] for event in applicable(chain)}, found)

    try:
        while done < last:
            walked = _walked(chain, Draws(key, done), kind, invariants)
            if walked.violation is not None and (found is None or len(walked.steps) < found.length):
                last = min(schedules, done + 1 + _FURTHER) if found is None else last
                found = _counterexample(chain, done, walked, range(len(walked.steps)), invariants)
                found = _counterexample(chain, done, walked, _needed(chain, walked, invariants), invariants)
            done += 1
            steps += len(walked.steps)
            seen.update(walked.seen)
            if report:
                report(done)
    except KeyboardInterrupt:
        raise Stopped(summed()) from None
    return summed()


def again(
    chain: Chain,
    number: int,
    kept: Sequence[int],
    seed: int,
    *,
    kind: Kind = "mixed",
    invariants: Collection[Invariant] = INVARIANTS,
) -> Counterexample | None:
    """Run some steps of a schedule again; None if they break nothing (any more).

    Parameters
    ----------
    chain, seed, kind, invariants
        As in `explore`.
    number
        Which schedule.
    kept
        Which of its steps.
    """
    walked = _walked(chain, Draws(named_key("schedules", seed), number), kind, invariants)
    kept = [index for index in kept if index < len(walked.steps)]
    return _counterexample(chain, number, walked, kept, invariants)


class _Walked(NamedTuple):
    """One schedule, as it was made."""

    circumstances: Circumstances
    steps: list[Step]
    violation: Violation | None
    seen: set[Event]


def _walked(chain: Chain, draws: Draws, kind: Kind, invariants: Collection[Invariant]) -> _Walked:
    circumstances = Circumstances.drawn(chain, draws)
    always, sometimes = Invariants(chain, circumstances, invariants), Sometimes(chain, circumstances)
    driver = Driver(chain, circumstances, (always, sometimes))
    walk = Walk(driver, draws, kind)
    taken: list[Step] = []
    while always.violation is None and (step := walk.next()) is not None:
        if driver.take(step):
            taken.append(step)
    return _Walked(circumstances, taken, always.violation, sometimes.seen)


def _needed(chain: Chain, walked: _Walked, invariants: Collection[Invariant]) -> list[int]:
    """Shrink a schedule to the steps that break the same invariant."""
    steps, broken = walked.steps, walked.violation
    assert broken is not None  # noqa: S101 -- asked of such schedules only

    def still(kept: list[int]) -> list[int] | None:
        taken, violation = replayed(chain, walked.circumstances, [steps[index] for index in kept], invariants)
        same = violation is not None and violation.invariant == broken.invariant
        return [kept[place] for place in taken] if same else None

    kinds = (lambda index: machine_of(steps[index]), lambda index: place_of(steps[index]))
    return shrunk(list(range(len(steps))), still, kinds)


def _counterexample(
    chain: Chain, number: int, walked: _Walked, kept: Sequence[int], invariants: Collection[Invariant]
) -> Counterexample | None:
    steps = tuple(walked.steps[index] for index in kept)
    _, violation = replayed(chain, walked.circumstances, steps, invariants)
    if violation is None:
        return None
    return Counterexample(number, violation, walked.circumstances, steps, tuple(kept), len(walked.steps))


def replayed(
    chain: Chain,
    circumstances: Circumstances,
    steps: Sequence[Step],
    invariants: Collection[Invariant] = INVARIANTS,
) -> tuple[list[int], Violation | None]:
    """Run given steps, up to a violation; those that are not possible are passed over.

    Returns
    -------
    taken, violation
        Places of the steps that were carried out, and the violation that they led to.
    """
    always = Invariants(chain, circumstances, invariants)
    driver = Driver(chain, circumstances, (always,))
    taken: list[int] = []
    for place, step in enumerate(steps):
        if driver.take(step):
            taken.append(place)
        if always.violation is not None:
            break
    return taken, always.violation
