"""Draws blocks in which nodes check posted tokens by their margins (see `sim.inference.forcing`).

Only decision points whose margin is small enough to matter to anyone are drawn: beyond 38 standard deviations a normal
tail is zero in double precision.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np

from sim.consensus.tally import Outcome
from sim.engines.margin_exact import law_of
from sim.inference.forcing import SIGMA_MAX

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from sim.consensus.matching import Margin
    from sim.scenario.schema import Scenario

    Integers = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

_CHUNK = 1 << 20  # numbers held at once
WORK_MAX = 50_000_000
"""Numbers drawn for a block beyond which it would take too long."""


class MarginDraws:
    """Draws how blocks end.

    Parameters
    ----------
    scenario
        A validated scenario whose matching is margin.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario, self.election = scenario, scenario.election
        self.honest = scenario.honest_nodes
        self.gap = cast("Margin", scenario.consensus.matching).gap
        self.cheaper = scenario.faults.noise

    @cached_property
    def widest(self) -> float:
        """Hardness up to which a margin can matter."""
        reach = self.gap + SIGMA_MAX * max(1.0, self.cheaper or 0.0)
        return min(reach / law_of(self.scenario).margin_max, 1.0)

    @property
    def work(self) -> float:
        """Numbers drawn for a block, about."""
        return (1 + self.scenario.points * self.widest) * (self.honest + 1)

    def draw(self, stream: Generator, blocks: int, *, hostile: bool = False) -> tuple[Integers, Integers]:
        """Outcome of each block, and its honest nodes that reject what is agreed; shape (blocks,) each.

        Parameters
        ----------
        stream
            Source of randomness.
        blocks
            Number of blocks.
        hostile
            Whether a Byzantine node leads every one.
        """
        election = self.election
        led = (stream.integers(0, election.votes, size=blocks) >= self.honest) | hostile
        rows = stream.binomial(self.scenario.points, self.widest, size=blocks)
        collude = election.behaviour == "collude"
        cheap = collude and self.cheaper is not None
        accepts, same = self._checked(stream, np.repeat(np.arange(blocks), rows), led)
        accepts[led] &= cheap
        accepts[~led, :1] = True  # the leader, of honest ones the first, accepts its own
        won = accepts.sum(axis=1) + np.where(led & collude, election.byzantine, 0) >= election.quorum
        fair = ~led | (same.any(axis=1) & cheap)
        outcome = np.where(won, np.where(fair, Outcome.agreed, Outcome.wrong_result), Outcome.no_quorum)
        return outcome, np.where(outcome == Outcome.agreed, self.honest - accepts.sum(axis=1), 0)

    def _checked(self, stream: Generator, block: Integers, led: Flags) -> tuple[Flags, Flags]:
        """Which honest nodes accept all that is posted, and which would have posted the same; shape (blocks, h)."""
        accepts, same = (np.ones((len(led), self.honest), dtype=np.bool_) for _ in range(2))
        size = max(1, _CHUNK // max(self.honest, 1))
        for start in range(0, len(block), size):
            piece = block[start : start + size]
            posted = self._leads(stream, led[piece])
            np.logical_and.at(accepts, piece, posted >= -self.gap)
            np.logical_and.at(same, piece, posted >= 0)
        return accepts, same

    def _leads(self, stream: Generator, led: Flags) -> Floats:
        """By how much the posted token leads the other one, as each honest node sees it; shape (points, h)."""
        margin = law_of(self.scenario).margin_max * self.widest * stream.random(len(led))
        noise = np.where(led & (self.election.behaviour == "collude"), self.cheaper or 0.0, 1.0)
        second = noise * stream.standard_normal(len(led)) > margin
        seen = margin[:, None] - stream.standard_normal((len(led), self.honest))  # by how much the best one leads
        return np.where(second[:, None], -seen, seen)
