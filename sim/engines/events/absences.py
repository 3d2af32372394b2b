"""Nodes whose answer lost: from when on they are away, and what brings them back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sim.engines.events.state_sync import StateSync
from sim.statistics.streams import cell_stream, named_key

if TYPE_CHECKING:
    from simpy import Event

    from sim.consensus.recovery import Recovery
    from sim.engines.events.world import World


class Absences:
    """Who is away.

    Parameters
    ----------
    world
        Where nodes leave and come back.
    recovery
        For how long they are away.
    """

    def __init__(self, world: World, recovery: Recovery) -> None:
        self._world, self._recovery = world, recovery
        self._stream = cell_stream(named_key("recovery", world.scenario.run.seed), 0)
        self.away: set[int] = set()
        self._back_at: dict[int, int] = {}  # the slot, or number of committed heights, that a node waits for

    def lose(self, node: int, height: int, slot: int, committed: int) -> None:
        """Let a node go whose answer lost.

        Parameters
        ----------
        node
            Which.
        height
            Where it diverged.
        slot, committed
            Slots, and heights that were committed, up to and with that block.
        """
        if node in self.away or not self._world.nodes[node].up or self.spares(committed):
            return
        self.away.add(node)
        recovery = self._recovery
        if recovery.every:
            self._back_at[node] = -(-committed // recovery.every) * recovery.every
        elif recovery.seconds is None and not recovery.never:
            self._back_at[node] = slot + int(recovery.draw(self._stream, 1)[0])
        self._world.lose(node, lasting=recovery.seconds is None)
        if recovery.state_bytes:
            StateSync(self._world, node, height, recovery.state_bytes, partial(self._wait, node))
        elif recovery.seconds is not None:
            self._wait(node)

    def spares(self, committed: int) -> bool:
        """Whether a block is a checkpoint: who diverges in it is back at once."""
        return self._recovery.every is not None and committed % self._recovery.every == 0

    def _wait(self, node: int) -> None:
        """Bring a node back that has all it needs, when it has worked through it."""
        clock = self._world.clock
        clock.call_at(clock.now + (self._recovery.seconds or 0.0), partial(self._return, node))

    def begins(self, slot: int, committed: int) -> None:
        """Bring back those who waited for this slot, or for that many committed heights, as soon as it has begun."""
        clock = self._world.clock
        reached = committed if self._recovery.every else slot
        for node in sorted(node for node, place in self._back_at.items() if place <= reached):
            del self._back_at[node]
            self.away.discard(node)
            clock.call_at(clock.now, partial(self._return, node))

    def _return(self, node: int, _: Event) -> None:
        self.away.discard(node)
        self._world.bring_back(node)
