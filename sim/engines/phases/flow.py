"""A chain of a protocol that has several heights in flight, worked out height after height by whole phases."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.consensus.protocols.messages import Message
from sim.engines.phases.cut import Cut
from sim.engines.phases.ground import Ground

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]


class Sent(NamedTuple):
    """Messages of a kind, how many, and the bytes of each."""

    kind: type[Message]
    number: int
    size: int


class Passed(NamedTuple):
    """A block that was agreed in the plain course.

    Parameters
    ----------
    height
        Which.
    latency
        Seconds from the moment its leader began it to the one at which enough nodes had its result.
    diverged
        Honest nodes that computed something else.
    sent
        Its messages.
    ended
        When all nodes had closed it, and all blocks before it.
    times
        When each node did what, by the name that a trace has for it; shape (n,), infinite where it never did.
    empties
        Messages of the heights after the last block, with the last block.
    """

    height: int
    latency: float
    diverged: int
    sent: tuple[Sent, ...]
    ended: float
    times: Mapping[str, Floats]
    empties: tuple[Sent, ...] = ()


class Disturbed(Exception):  # noqa: N818 -- nothing is wrong: it tells where messages have to take over
    """Something else happens than the plain course.

    Parameters
    ----------
    cut
        Where the chain can be taken up message by message: at the first block that has not been passed.
    """

    def __init__(self, cut: Cut) -> None:
        super().__init__(f"block {cut.height:,} is disturbed")
        self.cut = cut


class Backing(NamedTuple):
    """Who votes for a block, whose result wins, and how many honest nodes computed another."""

    backs: Bools
    agree: Bools
    diverged: int


class Flow(Ground, ABC):
    """Works out heights in the plain course of a protocol, as long as nothing disturbs it."""

    def start(self) -> Cut:
        """Where the chain stands before its first block."""
        begun = np.where(self._honest, 0.0, math.inf)
        return Cut(1, begun, self._executions.idle.copy())

    @abstractmethod
    def blocks(self, cut: Cut) -> Iterator[Passed]:
        """Work out blocks from a cut on, up to the last one and what follows it.

        Yields
        ------
        Passed
            Blocks in their order, each once nothing that happens later can change it.

        Raises
        ------
        Disturbed
            A block that is not the next one to be yielded, or this one, does not take the plain course.
        """

    def _backing(self, height: int, leader: int) -> Backing:
        """Who votes for the block of a height; for those after the last one everybody does."""
        up = self._honest
        if height > self.scenario.run.blocks:
            return Backing(up, up, 0)
        answers = self._answers(height)
        if len(answers.power) <= 1:
            return Backing(up, up, 0)
        results = np.array(answers.results)
        winner = int(results[leader]) if self.proposes else 0
        agree = up & (results == winner)
        return Backing(agree if self.proposes else up, agree, sum(answers.nodes) - answers.nodes[winner])
