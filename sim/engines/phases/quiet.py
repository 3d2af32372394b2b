"""Which timers of a protocol would run out: where none does, the phases are all that happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.consensus.timeouts import Timeouts

    Floats = NDArray[np.float64]


class Times(NamedTuple):
    """When each node that takes part does what, in seconds; shape (nodes,).

    Parameters
    ----------
    begun
        Begins the height.
    accepted
        Has begun, and has the proposal.
    leads
        Whether it is the leader.
    ready
        Has executed too, where that comes before its first ballot.
    enough
        Has a quorum of first ballots, of any kind, but not before it is ready.
    prepared
        Has a quorum of first ballots for the proposal, and casts its last one; infinite for those that never do.
    final
        Has a quorum of last ballots.
    decided
        Decides.
    voted
        Has executed the decided block, where that comes after; else None.
    closed
        Is through with the height.
    """

    begun: Floats
    accepted: Floats
    leads: NDArray[np.bool_]
    ready: Floats
    enough: Floats
    prepared: Floats
    final: Floats
    decided: Floats
    voted: Floats | None
    closed: Floats

    def only(self, nodes: NDArray[np.bool_]) -> Times:
        """Those of some nodes."""
        return Times(*(None if times is None else times[nodes] for times in self))  # type: ignore[arg-type]


def results_quiet(times: Times, timeouts: Timeouts) -> bool:
    """Whether nobody stops waiting for the others' results."""
    return times.voted is None or bool((times.closed < times.voted + timeouts.result).all())


def pbft_quiet(times: Times, timeouts: Timeouts) -> bool:
    """Whether every replica decides before it would ask for another view."""
    return bool((times.decided < times.begun + timeouts.view).all())


def tendermint_quiet(times: Times, timeouts: Timeouts) -> bool:
    """Whether no replica stops waiting for a proposal, more prevotes or more precommits, or repeats its votes."""
    begun, decided = times.begun, times.decided
    in_time = times.leads | (times.accepted < begun + timeouts.propose)
    prevotes = np.minimum(times.prepared, decided) < times.enough + timeouts.prevote
    precommits = decided < np.maximum(begun, times.final) + timeouts.precommit
    patience = 2 * (timeouts.propose + timeouts.prevote + timeouts.precommit)
    return bool((in_time & prevotes & precommits & (decided < begun + patience)).all())


QUIET: dict[str, Callable[[Times, Timeouts], bool]] = {"pbft": pbft_quiet, "tendermint": tendermint_quiet}
"""The protocols that this engine knows, and whether their timers keep quiet."""


def pause(protocol: str, timeouts: Timeouts) -> float:
    """Seconds between closing a height and beginning the next."""
    return timeouts.commit if protocol == "tendermint" else 0.0
