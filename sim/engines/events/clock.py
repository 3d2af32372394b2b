"""SimPy's environment with absolute times, and the delivery of a message to many."""

from __future__ import annotations

from heapq import heappush
from typing import TYPE_CHECKING, Any

from simpy import Environment
from simpy.events import NORMAL, Event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sim.consensus.protocols.messages import Message
    from sim.engines.events.world import World


class Clock(Environment):
    """A SimPy environment in which an event can be given its exact time.

    `schedule` adds a delay to the present, which rounds; that two engines agree on a time to the last bits needs the
    time itself.
    """

    def at(self, time: float, event: Event) -> None:
        """Let an event happen at a time, not before now."""
        heappush(self._queue, (time, NORMAL, next(self._eid), event))

    def call_at(self, time: float, callback: Callable[[Event], Any]) -> None:
        """Call a function at a time."""
        event = Event(self)
        event._ok = True  # noqa: SLF001 -- as simpy.Timeout does
        event._value = None  # noqa: SLF001
        event.callbacks.append(callback)
        self.at(time, event)


class Delivery(Event):
    """One message on its way to many: one event that happens again at each arrival, so that the queue stays short.

    Parameters
    ----------
    clock
        Where it happens.
    message
        What arrives.
    receivers, times
        Who gets it and when, times rising; not empty.
    world
        Where messages arrive: `inbox` has what takes a message and gives effects, by receiver; `landed` is told of the
        last arrival.
    """

    __slots__ = ("_again", "_index", "_last", "_receivers", "_times", "_world", "message")

    def __init__(
        self,
        clock: Clock,
        message: Message,
        receivers: Sequence[int],
        times: Sequence[float],
        world: World,
    ) -> None:
        self.env, self._ok, self._value = clock, True, None  # Event's own, without its call
        self.message, self._receivers, self._times, self._world = message, receivers, times, world
        self._index, self._last = 0, len(receivers) - 1
        self._again: list[Callable[[Event], None]] = [self._arrive]
        self.callbacks = self._again
        clock.at(times[0], self)

    def _arrive(self, _: Event) -> None:
        index, world = self._index, self._world
        receiver = self._receivers[index]
        if index < self._last:
            self._index = index = index + 1
            self.callbacks = self._again
            clock = world.clock
            heappush(clock._queue, (self._times[index], NORMAL, next(clock._eid), self))  # noqa: SLF001 -- as `at` does
            effects = world.inbox[receiver](self.message)
            if effects:
                world.nodes[receiver].carry_out(effects)
            return
        effects = world.inbox[receiver](self.message)
        if effects:
            world.nodes[receiver].carry_out(effects)
        world.landed(self.message)
