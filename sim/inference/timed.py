"""What all executors have: the time that a request takes."""

from __future__ import annotations

from sim.base.model import FrozenModel
from sim.statistics.durations import Duration


class Timed(FrozenModel):
    """An executor, whose inferences take time."""

    seconds_per_request: Duration | None = None
    """Seconds that one inference takes on one device, a number or a law; left out, none."""

    @property
    def slowed(self) -> float:
        """How many times longer it takes than `seconds_per_request`."""
        return 1.0
