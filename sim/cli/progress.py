"""Progress on stderr: a bar on a terminal for runs over a second, one line every 10 s when piped."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from sim.statistics.counts import Counts

BAR_AFTER_S = 1.0
LINE_EVERY_S = 10.0


class Progress:
    """Tells how far a run has come, without slowing it down.

    Parameters
    ----------
    blocks
        Blocks that the run will have.
    """

    def __init__(self, blocks: int) -> None:
        self._blocks = blocks
        self._started = self._told = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def update(self, counts: Counts) -> None:
        """Take note of what is counted so far."""
        now = time.monotonic()
        if self._terminal:
            if self._bar is None and now - self._started > BAR_AFTER_S:
                self._open()
            if self._bar is not None and self._task is not None:
                self._bar.update(self._task, completed=counts.trials)
        elif now - self._told > LINE_EVERY_S:
            self._told = now
            share = counts.trials / self._blocks
            left = (now - self._started) * (1 - share) / share
            print(
                f"{share:.0%} of {self._blocks:,} blocks, about {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichBar

        columns = (
            BarColumn(),
            TextColumn("{task.percentage:.0f} % of {task.total:,} blocks"),
            TimeRemainingColumn(),
        )
        self._bar = RichBar(*columns, console=Console(stderr=True), transient=True)
        self._bar.start()
        self._task = self._bar.add_task("blocks", total=self._blocks)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
