"""Runs the points of a sweep on any executor, and keeps every finished stretch.

The coordinator hands out stretches of cells and commits each as it comes back. What a point's numbers are depends only
on its blocks in their order: stretches that come back early wait for those before them, and those beyond the block that
ends a point are kept for later but not counted. So the results are the same for any executor, number of workers and
interruption.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sim.base.errors import EngineError, Problem, ScenarioError, SplitquorumError
from sim.base.text import shown
from sim.engines.result import Estimate, Result, counted_result
from sim.engines.select import choose
from sim.engines.timing import IN_TIME
from sim.sweeps.stopping import Stopping, inverse_interval
from sim.sweeps.store import TIME
from sim.sweeps.work import (
    Answered,
    Counted,
    Finished,
    answer_exactly,
    answer_whole,
    count_stretch,
    described,
    failures_of,
    finish,
    nothing_of,
    simulation,
)

if TYPE_CHECKING:
    from sim.scenario.grid import Point
    from sim.scenario.schema import Scenario
    from sim.statistics.counts import Counts
    from sim.sweeps.store import Store, Stretch

STRETCH_CELLS = 32
EXACT_BATCH = 16
Report = Callable[[float], None]
"""Called with the share of the work that is done, 0 to 1."""


class Choice(NamedTuple):
    """A point, the engine that answers it, and why that one."""

    point: Point
    engine: str
    reason: str


def choices(points: Iterable[Point]) -> list[Choice]:
    """Choose an engine for every point.

    Raises
    ------
    EngineError
        The engine wanted cannot answer a point, which the text names.
    """
    chosen = []
    for point in points:
        try:
            chosen.append(Choice(point, *choose(point.scenario, point.scenario.run.engine)))
        except EngineError as error:
            where = ", ".join(f"{axis} = {shown(value)}" for axis, value in point.coordinates.items())
            raise EngineError(f"at {where}: {error}") from None
    return chosen


class WorkerLostError(SplitquorumError):
    """A worker process died; everything that was finished is kept."""


@dataclass
class _Simulated:
    """A point being simulated: its finished stretches, and how far they reach without a gap."""

    task: int
    scenario: Scenario
    reason: str
    blocks: int
    failures: int | None
    found: dict[int, Stretch]
    counts: Counts
    next_cell: int = 0
    asked: int = 0
    finishing: bool = False

    @property
    def full_cells(self) -> int:
        """Whole cells in its blocks."""
        return self.blocks // simulation(self.scenario).cell_blocks

    @property
    def rule(self) -> str:
        """The rule that its answer stands for."""
        return f"blocks={self.blocks} failures={self.failures}"

    @property
    def crossed(self) -> bool:
        """Whether the next stretch holds the failing block that ends the point."""
        stretch = self.found.get(self.next_cell)
        return (
            self.failures is not None
            and stretch is not None
            and failures_of(self.counts) + failures_of(stretch.counts) >= self.failures
        )

    def advance(self) -> None:
        """Take up the stretches that follow without a gap, up to the one that ends the point."""
        while not self.crossed:
            stretch = self.found.get(self.next_cell)
            if stretch is None or stretch.end > self.full_cells:
                return
            self.counts += stretch.counts
            self.next_cell = stretch.end
        return

    def missing(self) -> tuple[int, int] | None:
        """First cell and number of cells of the next stretch to ask for; None if all are there or asked for."""
        cell = max(self.asked, self.next_cell)
        while cell in self.found and self.found[cell].end <= self.full_cells:
            cell = self.found[cell].end
        end = min((cell // STRETCH_CELLS + 1) * STRETCH_CELLS, self.full_cells)
        later = [first for first in self.found if cell < first < end]
        end = min([end, *later])
        return (cell, end - cell) if end > cell else None


class Runner:
    """Runs a sweep.

    Parameters
    ----------
    store
        Where results are kept; open for writing.
    stopping
        When a point has seen enough.
    executor
        Who works: any `concurrent.futures.Executor`.
    ahead
        Tasks to keep handed out, at least the number of workers.
    report
        Called with the share that is done.
    """

    def __init__(
        self, store: Store, stopping: Stopping, executor: Executor, ahead: int, report: Report | None = None
    ) -> None:
        stopping.check()
        self.store, self.stopping, self.executor, self.ahead = store, stopping, executor, max(ahead, 1)
        self.answered = self.failed = self.reused = 0
        self._report = report or (lambda _: None)
        self._waiting: dict[Future[Any], Callable[[Any], None]] = {}
        self._exact: deque[tuple[int, Scenario, str]] = deque()
        self._timed: deque[tuple[int, Scenario, str, str]] = deque()
        self._simulated: deque[_Simulated] = deque()
        self._running: list[_Simulated] = []
        self._total = 0
        self._deadline = time.time() + (stopping.max_time or math.inf)

    def run(self, chosen: Sequence[Choice]) -> None:
        """Run all points; finished work is taken from the store.

        Parameters
        ----------
        chosen
            The points, and who answers each.

        Raises
        ------
        ScenarioError
            The store cannot be used.
        WorkerLostError
            A worker died.
        KeyboardInterrupt
            Ctrl-C; what was finished is kept.
        """
        if self.stopping.failures is not None and any(choice.point.scenario.chained for choice in chosen):
            message = "does not go with chains over time, whose blocks depend on one another (recovery, on_failure)"
            raise ScenarioError([Problem("", message, where="--max-failures, --relative-error")])
        tasks = self.store.register([choice.point for choice in chosen], [choice.engine for choice in chosen])
        todo = dict(zip(tasks, chosen, strict=True))
        self._total = len(todo)
        for task, (point, engine, reason) in todo.items():
            self._enlist(task, point.scenario, engine, reason)
        try:
            self._loop()
        except BrokenExecutor:
            message = "a worker process died (out of memory?); what was finished is kept, run the same command again"
            raise WorkerLostError(message) from None
        finally:
            for future in self._waiting:
                future.cancel()

    def _enlist(self, task: int, scenario: Scenario, engine: str, reason: str) -> None:
        rule, error = self.store.answered(task)
        if engine == "exact":
            if rule == "exact" and not error:
                self._done(reused=True)
            else:
                self._exact.append((task, scenario, reason))
            return
        blocks = self.stopping.max_blocks or scenario.run.blocks
        wanted = self._rule(scenario, blocks)
        if rule == wanted and not error:
            self._done(reused=True)
            return
        if engine in IN_TIME or scenario.chained:
            self._timed.append((task, scenario, engine, reason))
            return
        found = {stretch.first_cell: stretch for stretch in self.store.stretches(task, simulation(scenario).task)}
        state = _Simulated(task, scenario, reason, blocks, self.stopping.failures, found, nothing_of(scenario))
        self._simulated.append(state)

    def _loop(self) -> None:
        while True:
            self._hand_out()
            if not self._waiting:
                break
            left = self._deadline - time.time()
            timeout = max(left, 0.01) if 0 <= left < math.inf else None
            finished, _ = wait(self._waiting, timeout=timeout, return_when=FIRST_COMPLETED)
            for future in finished:
                self._waiting.pop(future)(future)
            self._report(self._share())
        for state in [*self._running, *self._simulated]:
            self._answer_late(state)

    def _hand_out(self) -> None:
        if time.time() > self._deadline:
            return
        for submit in self._tasks():
            submit()
            if len(self._waiting) >= 2 * self.ahead or time.time() > self._deadline:
                return

    def _tasks(self) -> Iterator[Callable[[], None]]:
        """Yield the next tasks to hand out, points in their order."""
        while self._exact:
            batch = [self._exact.popleft() for _ in range(min(EXACT_BATCH, len(self._exact)))]
            yield lambda batch=batch: self._submit_exact(batch)  # type: ignore[misc]
        while self._timed:
            task = self._timed.popleft()
            yield lambda task=task: self._submit_timed(*task)  # type: ignore[misc]
        for state in list(self._running):
            yield from self._tasks_of(state)
        while self._simulated:
            state = self._simulated.popleft()
            self._running.append(state)
            yield from self._tasks_of(state)

    def _tasks_of(self, state: _Simulated) -> Iterator[Callable[[], None]]:
        while not state.finishing:
            state.advance()
            if state.crossed or state.next_cell == state.full_cells:
                state.finishing = True
                yield lambda: self._submit_finish(state)
                return
            beyond = (state.asked - state.next_cell) // STRETCH_CELLS
            if state.failures is not None and beyond > self.ahead:
                return
            stretch = state.missing()
            if stretch is None:
                return
            state.asked = sum(stretch)
            yield lambda stretch=stretch: self._submit_stretch(state, *stretch)  # type: ignore[misc]

    def _submit_exact(self, batch: list[tuple[int, Scenario, str]]) -> None:
        def take(future: Future[list[Answered]]) -> None:
            with self.store.transaction():
                for (task, _, _), answer in zip(
                    batch, self._outcome(future, [b[0] for b in batch]) or (), strict=False
                ):
                    if answer.result is None:
                        self._fail(task, answer.error)
                    else:
                        self.store.answer(task, "exact", answer.result, answer.seconds)
                        self._done()

        future = self.executor.submit(answer_exactly, [s for _, s, _ in batch], [reason for _, _, reason in batch])
        self._waiting[future] = take

    def _rule(self, scenario: Scenario, blocks: int) -> str:
        """What a simulated answer stands for."""
        chains = f" chains={scenario.run.chains or 1}" if scenario.chained else ""
        return f"blocks={blocks} failures={self.stopping.failures}{chains}"

    @staticmethod
    def _rule_when_late(blocks: int, result: Result) -> str:
        """What the answer of a point stands for that is one run, and that time has ended."""
        if result.over_time is None:
            return f"{TIME} blocks={result.blocks} failures=None"
        return f"{TIME} blocks={blocks} failures=None chains={result.over_time.chains}"

    def _submit_timed(self, task: int, scenario: Scenario, engine: str, reason: str) -> None:
        blocks, failures = self.stopping.max_blocks or scenario.run.blocks, self.stopping.failures

        def take(future: Future[Answered]) -> None:
            answer = self._outcome(future, [task])
            if answer is None:
                return
            if answer.late:
                if answer.result is not None:
                    rule = self._rule_when_late(blocks, answer.result)
                    self._keep_late(task, rule, answer.result, answer.seconds)
                return
            if answer.result is None:
                self._fail(task, answer.error)
                return
            by_failures = failures is not None and failures_seen(answer.result) >= failures
            result = with_rule(answer.result) if by_failures else answer.result
            self.store.answer(task, self._rule(scenario, blocks), result, answer.seconds)
            self._done()

        arguments = (scenario, engine, reason, blocks, failures, self._deadline)
        self._waiting[self.executor.submit(answer_whole, *arguments)] = take

    def _submit_stretch(self, state: _Simulated, first_cell: int, cells: int) -> None:
        def take(future: Future[Counted]) -> None:
            counted = self._outcome(future, [state.task])
            if counted is None:
                self._drop(state)
                return
            self.store.keep(state.task, counted.stretch, counted.seconds)
            state.found[first_cell] = counted.stretch

        self._waiting[self.executor.submit(count_stretch, state.scenario, first_cell, cells)] = take

    def _submit_finish(self, state: _Simulated) -> None:
        def take(future: Future[Finished]) -> None:
            finished = self._outcome(future, [state.task])
            if finished is not None:
                result = _result(state, finished)
                self.store.answer(state.task, state.rule, result, finished.seconds)
                self._done()
            self._drop(state)

        arguments = (state.scenario, state.counts, state.next_cell, state.blocks, state.failures)
        self._waiting[self.executor.submit(finish, *arguments)] = take

    def _outcome(self, future: Future[Any], tasks: Sequence[int]) -> Any:
        """Result of a future; None, with the error recorded, if the work failed."""
        try:
            return future.result()
        except BrokenExecutor:
            raise
        except Exception as failure:  # noqa: BLE001 -- recorded with the point, and told
            for task in tasks:
                self._fail(task, described(failure))
            return None

    def _fail(self, task: int, error: str) -> None:
        self.store.fail(task, error)
        self.failed += 1

    def _done(self, *, reused: bool = False) -> None:
        self.answered += 1
        self.reused += reused

    def _drop(self, state: _Simulated) -> None:
        state.finishing = True
        if state in self._running:
            self._running.remove(state)

    def _share(self) -> float:
        partly = sum(state.counts.trials / state.blocks for state in self._running)
        return min((self.answered + self.failed + partly) / max(self._total, 1), 1.0)

    def _answer_late(self, state: _Simulated) -> None:
        """Time is up: answer with what there is, without a gap."""
        state.advance()
        if state.counts.trials:
            self._keep_late(state.task, TIME, _result(state, Finished(state.counts, by_failures=False, seconds=0.0)))

    def _keep_late(self, task: int, rule: str, result: Result, seconds: float = 0.0) -> None:
        """Keep what there was when time was up."""
        note = "stopped by --max-time: how many blocks that is depends on the machine"
        self.store.answer(task, rule, replace(result, warnings=(*result.warnings, note)), seconds)
        self._done()


def _result(state: _Simulated, finished: Finished) -> Result:
    """Answer of a simulated point, with the interval that is honest under its rule."""
    result = replace(counted_result(state.scenario, finished.counts), engine_reason=state.reason)
    return with_rule(result) if finished.by_failures else result


def failures_seen(result: Result) -> int:
    """Failing blocks of a simulated answer."""
    return result.block_failure.count or 0


def with_rule(result: Result) -> Result:
    """The answer of a point that its last failing block has ended, with the interval that is honest then."""
    failures, blocks = failures_seen(result), result.blocks or 0
    failure = Estimate(*inverse_interval(failures, blocks), failures)
    note = f"stopped at failing block {failures}: the intervals of the single outcomes are approximate"
    return replace(result, block_failure=failure, warnings=(*result.warnings, note))
