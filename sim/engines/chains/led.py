"""One chain on which leaders propose: nodes vote on whether they computed what the leader computed.

A leader is drawn uniformly from all nodes. One that is away, or Byzantine, proposes nothing that passes; an honest one
needs a quorum of active nodes that computed the same. Where the next leader tries, all answers stay, and nobody leads
twice at a block.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sim.consensus.tally import Outcome
from sim.engines.chains.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


class LedWalk(Walk):
    """A chain on its way, each of whose nodes has a vote of 1.

    Parameters
    ----------
    uniform
        Draws a number in [0, 1).
    arguments
        As for `Walk`.
    """

    def __init__(self, uniform: Callable[[], float], *arguments: Any) -> None:
        super().__init__(*arguments)
        self.uniform = uniform
        self.votes = self.rules.election.votes
        self._whole: list[int] = []  # groups of the honest leaders of a block, with those who are away

    def quiet(self, blocks: int) -> None:
        """Walk through blocks in which nobody deviates: in one stride where the first leader is a good one."""
        while blocks and not self.over:
            bad = self.rules.election.byzantine + self.away.bit_count()
            enough = self._active.bit_count() >= self.rules.election.quorum
            good = blocks
            if bad or not enough:
                share = bad / self.votes if enough else 1.0
                good = 0 if share >= 1 else int(math.log1p(-self.uniform()) / math.log1p(-share))
            before, away = self.slot, self.away
            if good:
                self._stride(self._next_change(min(self.slot + min(good, blocks), self.horizon)), Outcome.agreed)
                blocks -= self.slot - before
                if self.slot - before < good or self.away != away:
                    continue  # somebody is back, or there are no more blocks
            if blocks and not self.over:
                self._attempts([self.machines.everyone], bad_first=enough)
                blocks -= 1

    def eventful(self, groups: Sequence[int], place: int) -> None:  # noqa: ARG002 -- nothing is drawn again
        """Walk through a block in which somebody may deviate."""
        self._attempts(groups, bad_first=False)

    def _attempts(self, groups: Sequence[int], *, bad_first: bool) -> None:
        """Let one leader after another try; the first is known to be a bad one, or is like any other."""
        tries = 1 + self.rules.max_retries if self.rules.on_failure == "next_leader" else 1
        self._whole.clear()
        led, hostile = 0, 0  # machines, and Byzantine nodes, that have led
        for attempt in range(min(tries, self.votes)):
            machine = self._leader(led, hostile, bad=bad_first and not attempt)
            group = 0
            if machine is None:
                hostile += 1
            else:
                led |= machine
                self._whole.append(self._group_of(machine, groups))
                group = 0 if machine & self.away else self._whole[-1] & self._active
            if group.bit_count() >= self.rules.election.quorum:
                self._stride(self.slot + 1, Outcome.agreed, self._active & ~group)
                return
            self._stride(self.slot + 1, Outcome.no_quorum)
            if attempt + 1 < min(tries, self.votes):
                self.try_again(Outcome.no_quorum)
                if self.slot >= self.horizon:
                    return
        if self.rules.on_failure != "skip":
            self.halt(self._cause(Outcome.no_quorum, groups))

    def _group_of(self, machine: int, groups: Sequence[int]) -> int:
        """Machines that computed what a leader did."""
        return next((group for group in groups if group & machine), machine)

    def _passes_alone(self, groups: Sequence[int]) -> bool:  # noqa: ARG002 -- what counts is who led
        """Whether one of those who led would have passed with nobody away."""
        return any(group.bit_count() >= self.rules.election.quorum for group in self._whole)

    def _leader(self, led: int, hostile: int, *, bad: bool) -> int | None:
        """A node that has not led, None for a Byzantine one; where it is bad, one that is away or Byzantine."""
        candidates = (self.away if bad else self.machines.everyone) & ~led
        byzantine = self.rules.election.byzantine - hostile
        place = int(self.uniform() * (candidates.bit_count() + byzantine)) - byzantine
        if place < 0:
            return None
        for _ in range(place):
            candidates &= candidates - 1
        return candidates & -candidates
