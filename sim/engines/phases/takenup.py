"""A chain that is taken up in the middle, message by message."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sim.base.errors import EngineError
from sim.engines.events import engine as events
from sim.engines.events.world import World

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from simpy import Event

    from sim.engines.events.node import Node
    from sim.scenario.schema import Scenario


def check_memory(scenario: Scenario, height: int) -> None:
    """See that there is enough memory to go on message by message.

    Raises
    ------
    EngineError
        There is not.
    """
    refused = events.memory_refusal(scenario)
    if refused:
        message = f"block {height:,} fails, or may time out, and must run message by message: {refused}"
        raise EngineError(message)


class TakenUp(World):
    """A world whose nodes may still execute blocks before its first."""

    def _occupy(self, node: Node, free: Sequence[float]) -> None:
        """Let devices go on with blocks before."""
        for moment in free:
            if self.starts < moment < math.inf:
                self.clock.process(self._busy(node, moment))

    def _busy(self, node: Node, until: float) -> Generator[Event]:
        with node.device() as device:
            yield device
            over = self.clock.event()
            self.clock.call_at(until, lambda _: over.succeed())
            yield over
