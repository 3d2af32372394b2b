"""State sync: a node that fetches the state of the chain from its peers, part by part.

It asks one peer after another for the next part, as CometBFT's and the Internet Computer's do, so that a peer's votes
wait for one part at most. What is lost is asked for again, from the next peer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from sim.consensus.protocols.messages import Message
from sim.consensus.timeouts import Timeouts
from sim.network.keyed import Address

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.engines.events.world import World
    from sim.network.links import Flight

PARTS = 32


@dataclass(frozen=True, slots=True)
class StateRequest(Message):
    """Please send part number `round` of the state after this height."""

    name: ClassVar[str] = "state-request"


@dataclass(frozen=True, slots=True)
class StatePart(Message):
    """Part number `round` of the state after this height."""

    name: ClassVar[str] = "state"


_PHASES = {StateRequest: 1_001, StatePart: 1_002}  # beyond those of any protocol


class StateSync:
    """One transfer.

    Parameters
    ----------
    world
        Where it happens.
    node
        Who needs the state.
    height
        In which it diverged.
    size
        Bytes of the state.
    then
        Called when all of it is there.
    """

    def __init__(self, world: World, node: int, height: int, size: int, then: Callable[[], None]) -> None:
        self._world, self._node, self._height, self._then = world, node, height, then
        self._each = -(-size // PARTS)
        self._patience = (world.scenario.consensus.timeouts or Timeouts()).result
        self._ask(0, 0)

    def _ask(self, part: int, attempt: int) -> None:
        """Ask the next peer for a part."""
        world = self._world
        peers = [peer for peer in world.honest if peer != self._node and world.nodes[peer].up]
        if not peers:
            self._later(self._patience, self._ask, part, attempt)
            return
        peer = peers[(self._node + part + attempt) % len(peers)]
        message = StateRequest(self._height, part, self._node)
        flight = self._fly(message, peer, attempt, world.network.vote_bytes)
        if flight.receivers:
            world.clock.call_at(flight.times[0], lambda _: self._serve(part, attempt, peer))
        else:
            self._later(self._patience, self._ask, part, attempt + 1)

    def _serve(self, part: int, attempt: int, peer: int) -> None:
        """Let a peer send a part, if it still works."""
        if self._world.nodes[peer].up:
            flight = self._fly(StatePart(self._height, part, peer), self._node, attempt, self._each)
            if flight.receivers:
                self._world.clock.call_at(flight.times[0], lambda _: self._got(part))
                return
        self._later(self._patience, self._ask, part, attempt + 1)

    def _got(self, part: int) -> None:
        if part + 1 < PARTS:
            self._ask(part + 1, 0)
        else:
            self._then()

    def _fly(self, message: Message, receiver: int, attempt: int, size: int) -> Flight:
        world, now = self._world, self._world.clock.now
        address = Address(message.height, message.round, _PHASES[type(message)], attempt)
        flight = world.links.send(now, message.sender, (receiver,), address, size)
        world.measures.sent(type(message), flight.transmissions, size)
        if world.trace:
            world.trace.sent(now, message, flight.receivers, flight.times)
        return flight

    def _later(self, seconds: float, action: Callable[[int, int], None], part: int, attempt: int) -> None:
        self._world.clock.call_at(self._world.clock.now + seconds, lambda _: action(part, attempt))
