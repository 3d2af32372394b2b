"""Queueing: a message needs a fixed time for the way, and waits in queues for a time without memory.

The wait is exponential, as the time that a customer spends in an M/M/1 queue (Kleinrock 1975): rarely long, and the
rest of it is as long as all of it was in the mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from sim.statistics.durations import DurationLaw, Seconds

if TYPE_CHECKING:
    from sim.statistics.durations import Floats


class Queueing(DurationLaw):
    """A shifted exponential law."""

    kind: Literal["queueing"] = "queueing"
    way: Seconds
    """Shortest duration, in seconds: what the way takes."""
    wait: Seconds
    """Mean time in queues, in seconds."""

    def quantile(self, uniform: Floats) -> Floats:
        """The way, and the quantile of an exponential wait (see `DurationLaw`)."""
        seconds: Floats = self.way - self.wait * np.log1p(-np.asarray(uniform))
        return seconds

    @property
    def expected(self) -> float:
        """Mean, in seconds."""
        return self.way + self.wait

    @property
    def constant(self) -> float | None:
        """The way, where nothing waits."""
        return None if self.wait else self.way
