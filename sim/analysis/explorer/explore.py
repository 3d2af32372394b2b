"""Exploring many schedules of a chain, up to the first violation."""

from __future__ import annotations

from collections import Counter, deque
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
    from collections.abc import Callable, Collection, Iterator, Sequence
    from concurrent.futures import Executor, Future

    from sim.analysis.explorer.chain import Chain
    from sim.analysis.explorer.invariants import Invariant, Violation
    from sim.analysis.explorer.sometimes import Event
    from sim.analysis.explorer.walk import Kind


_FURTHER = 50
"""Schedules that are run after a violation, for one that is shorter."""
_STRETCH = 10
"""Schedules that are handed out together."""
_AHEAD = 64
"""Stretches that are handed out before the first has come back."""


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


class Search(NamedTuple):
    """Which schedules are made, and what is looked at.

    Parameters
    ----------
    chain
        What is explored (see `chain_of`).
    seed
        Decides, with a schedule's number, all that is chosen in it.
    kind
        `random`, `targeted`, or both.
    invariants
        Which of them to look at.
    """

    chain: Chain
    seed: int = 1
    kind: Kind = "mixed"
    invariants: tuple[Invariant, ...] = INVARIANTS

    def walked(self, number: int) -> _Walked:
        """Make a schedule."""
        return _walked(self.chain, Draws(named_key("schedules", self.seed), number), self.kind, self.invariants)

    def looked_at(self, first: int, end: int) -> list[_Seen]:
        """What can be seen in a stretch of schedules."""
        return [walked.told for walked in map(self.walked, range(first, end))]


def explore(
    search: Search, schedules: int, executor: Executor | None = None, report: Callable[[int], None] | None = None
) -> Exploration:
    """Run schedules until one breaks an invariant, and a few more for a shorter one; shrink it.

    Parameters
    ----------
    search
        Which schedules.
    schedules
        How many; the first few of a longer search are those of a shorter one.
    executor
        Who runs them; the result is the same whoever does. None: this process.
    report
        Called with the number of schedules that are done.

    Raises
    ------
    Stopped
        Ctrl-C.
    """
    seen, steps, done, last = Counter[str](), 0, 0, schedules
    shortest: tuple[int, int] | None = None

    def summed(found: Counterexample | None) -> Exploration:
        return Exploration(search.seed, done, steps, {one: seen[one] for one in applicable(search.chain)}, found)

    def found(*, shrink: bool) -> Counterexample | None:
        return None if shortest is None else _found(search, shortest[1], shrink=shrink)

    try:
        for schedule in _in_order(search, schedules, executor):
            if schedule.broken:
                last = last if shortest else min(schedules, done + 1 + _FURTHER)
                shortest = min(shortest or (schedule.steps, done), (schedule.steps, done))
            done += 1
            steps += schedule.steps
            seen.update(schedule.events)
            if report:
                report(done)
            if done == last:
                break
        return summed(found(shrink=True))
    except KeyboardInterrupt:
        raise Stopped(summed(found(shrink=False))) from None


def again(search: Search, number: int, kept: Sequence[int]) -> Counterexample | None:
    """Run some steps of a schedule again; None if they break nothing (any more).

    Parameters
    ----------
    search
        Of which it is a schedule.
    number
        Which schedule.
    kept
        Which of its steps.
    """
    walked = search.walked(number)
    return _counterexample(search, number, walked, [index for index in kept if index < len(walked.steps)])


class _Seen(NamedTuple):
    """What a search keeps of a schedule."""

    steps: int
    events: frozenset[Event]
    broken: bool


def _in_order(search: Search, schedules: int, executor: Executor | None) -> Iterator[_Seen]:
    """Look at schedules, in their order."""
    if executor is None:
        for number in range(schedules):
            yield search.walked(number).told
        return
    pending: deque[Future[list[_Seen]]] = deque()
    for first in range(0, schedules, _STRETCH):
        pending.append(executor.submit(search.looked_at, first, min(first + _STRETCH, schedules)))
        if len(pending) >= _AHEAD:
            yield from pending.popleft().result()
    while pending:
        yield from pending.popleft().result()


class _Walked(NamedTuple):
    """One schedule, as it was made."""

    circumstances: Circumstances
    steps: list[Step]
    violation: Violation | None
    seen: set[Event]

    @property
    def told(self) -> _Seen:
        """What a search keeps of it."""
        return _Seen(len(self.steps), frozenset(self.seen), self.violation is not None)


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


def _found(search: Search, number: int, *, shrink: bool) -> Counterexample | None:
    """Make a schedule again that breaks an invariant, and shrink it."""
    walked = search.walked(number)
    kept = _needed(search, walked) if shrink else range(len(walked.steps))
    return _counterexample(search, number, walked, kept)


def _needed(search: Search, walked: _Walked) -> list[int]:
    """Shrink a schedule to the steps that break the same invariant."""
    steps, broken = walked.steps, walked.violation
    assert broken is not None  # noqa: S101 -- asked of such schedules only

    def still(kept: list[int]) -> list[int] | None:
        some = [steps[index] for index in kept]
        taken, violation = replayed(search.chain, walked.circumstances, some, search.invariants)
        same = violation is not None and violation.invariant == broken.invariant
        return [kept[place] for place in taken] if same else None

    kinds = (lambda index: machine_of(steps[index]), lambda index: place_of(steps[index]))
    return shrunk(list(range(len(steps))), still, kinds)


def _counterexample(search: Search, number: int, walked: _Walked, kept: Sequence[int]) -> Counterexample | None:
    steps = tuple(walked.steps[index] for index in kept)
    _, violation = replayed(search.chain, walked.circumstances, steps, search.invariants)
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
