"""Certificates that a HotStuff replica has missed, and asks for: each is in one proposal only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.consensus.protocols.effects import Broadcast, Effect, Send, SetTimer, Timer
from sim.consensus.protocols.messages import Fetch

if TYPE_CHECKING:
    from sim.consensus.protocols.hotstuff_messages import View

_ATTEMPTS_MAX = 6


class Gaps:
    """What is missing between certificates that are known.

    Parameters
    ----------
    node
        Whose gaps they are.
    grace
        Seconds for which a certificate may be overtaken by the next one.
    """

    def __init__(self, node: int, grace: float) -> None:
        self.node, self._grace = node, grace
        self._carriers: dict[View, int] = {}
        self._attempts: dict[View, int] = {}

    @property
    def none(self) -> bool:
        """Whether no certificate is missing."""
        return not self._carriers

    def miss(self, view: View, carrier: int) -> list[Effect]:
        """Note that a certificate is missing below one that somebody has brought; wait a while for it."""
        if view in self._carriers:
            return []
        self._carriers[view], self._attempts[view] = carrier, 0
        return [self._timer(view)]

    def ask(self, timer: Timer) -> list[Effect]:
        """Ask for it: first who brought the one above, then all, ever more rarely."""
        view = (timer.height, timer.round)
        if self._attempts.get(view, _ATTEMPTS_MAX) == _ATTEMPTS_MAX:
            return []
        self._attempts[view] += 1
        fetch, copy, carrier = Fetch(*view, self.node), self._attempts[view], self._carriers[view]
        asked = Send((carrier,), fetch, copy) if copy == 1 and carrier != self.node else Broadcast(fetch, copy)
        return [asked, self._timer(view)]

    def waits(self, view: View) -> bool:
        """Whether it is missing, and may still come."""
        return self._attempts.get(view, _ATTEMPTS_MAX) < _ATTEMPTS_MAX

    def again(self) -> list[Effect]:
        """Set the timers again, after a crash."""
        return [self._timer(view) for view in self._carriers]

    def filled(self, view: View) -> None:
        """It has come."""
        if view in self._carriers:
            del self._carriers[view], self._attempts[view]

    def forget(self, height: int) -> None:
        """Nothing below a height is needed any more."""
        for view in [view for view in self._carriers if view[0] < height]:
            self.filled(view)

    def _timer(self, view: View) -> Effect:
        return SetTimer(Timer("missing", *view), self._grace * 2 ** self._attempts[view], view[0])
