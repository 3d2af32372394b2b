"""What a replica knows from the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sim.consensus.timeouts import Timeouts


class Setting(NamedTuple):
    """What a replica knows from the start.

    Parameters
    ----------
    node
        Its own number.
    power
        Voting power of every replica.
    quorum, faults
        q and f, in voting power.
    proposes
        Whether results are proposed by the leader (`propose`) rather than voted on after ordering (`certify`).
    rounds
        Rounds (views) of a height that it takes part in, from 0.
    timeouts
        How long to wait.
    checkpoint_interval
        Heights between checkpoints, for protocols that make them.
    watched
        Whether somebody wants to hear of every phase (`Enter`).
    variant
        Which of its blocks it proposes: not 0 where an equivocator runs several machines under one name.
    """

    node: int
    power: tuple[int, ...]
    quorum: int
    faults: int
    proposes: bool
    rounds: int
    timeouts: Timeouts
    checkpoint_interval: int
    watched: bool = True
    variant: int = 0
