"""Progress on stderr: a bar on a terminal for work over a second, one line every 10 s when piped."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress as Bar
    from rich.progress import TaskID

BAR_AFTER_S = 1.0
LINE_EVERY_S = 10.0


class Progress:
    """Tells how far some work has come, without slowing it down; use it as a context manager.

    Parameters
    ----------
    what
        What the work is over, as in "41 % of 1,000 blocks".
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._started = self._told = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def update(self, share: float) -> None:
        """Take note of the share of the work that is done, 0 to 1."""
        now = time.monotonic()
        if self._terminal:
            if self._bar is None and now - self._started > BAR_AFTER_S:
                self._open()
            if self._bar is not None and self._task is not None:
                self._bar.update(self._task, completed=share)
        elif now - self._told > LINE_EVERY_S and share > 0:
            self._told = now
            left = (now - self._started) * (1 - share) / share
            print(f"{share:.0%} of {self._what}, about {left:.0f} s left", file=sys.stderr, flush=True)

    def _open(self) -> None:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichBar

        text = TextColumn("{task.percentage:.0f} % of {task.description}, left:")
        self._bar = RichBar(BarColumn(), text, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
        self._bar.start()
        self._task = self._bar.add_task(escape(self._what), total=1.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
