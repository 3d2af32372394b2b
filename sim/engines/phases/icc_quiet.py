"""When a timer of ICC first has an effect at a height: until then, its plain course is all that happens."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.engines.phases.icc_height import Height

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]


def _first_of(times: Floats, odd: Bools) -> float:
    """The first of those times at which something odd happens; infinite if there is none."""
    return float(times[odd].min()) if odd.any() else math.inf


def odd_turns(at: Height, rank_s: float) -> float:
    """When a replica first asks for the beacon, has the next rank's turn, or makes a block of a worse rank.

    Where there is only one rank, a replica that still executes would wait on; that is taken to be odd, too.

    Parameters
    ----------
    at
        The height.
    rank_s
        Seconds between the turns of two ranks.
    """
    asks, presses = odd_waits(at.begun, at.shared, rank_s), odd_waits(at.turned, at.finished, rank_s)
    return min(asks, presses, _made(at, rank_s))


def _made(at: Height, rank_s: float) -> float:
    """When a maker of a worse rank proposes: on its turn, without a valid block of a better rank."""
    makers = np.array(at.makers[1:], np.int64)
    due = at.ranked[makers] + np.arange(1, len(makers) + 1) * rank_s
    backs = at.backs[makers]
    ready = np.where(backs, due, np.maximum(due, at.executed[makers]))
    lacks = np.where(backs, at.arrived[makers] >= due, True)  # noqa: FBT003 -- NumPy's own order
    return _first_of(ready, np.isfinite(ready) & lacks & (ready <= at.finished[makers]))


def odd_waits(since: Floats, until: Floats, seconds: float) -> float:
    """When those who wait for others first give up.

    Parameters
    ----------
    since, until
        From when to when each node waits.
    seconds
        For how long it does.
    """
    ends = since + seconds
    return _first_of(ends, np.isfinite(ends) & (until >= ends))
