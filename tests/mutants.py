"""Protocols that are broken on purpose."""

from __future__ import annotations

from sim.consensus.protocols.messages import Value
from sim.consensus.protocols.pbft import NewView, Pbft
from sim.consensus.protocols.setting import Setting
from sim.consensus.protocols.tendermint import Tendermint


class LowPbft(Pbft):
    """Takes one vote too few for a quorum."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting._replace(quorum=setting.quorum - 1))


class LowTendermint(Tendermint):
    """The same."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting._replace(quorum=setting.quorum - 1))


class Unlocked(Tendermint):
    """Never locks."""

    def _polka(self, value: Value) -> None:
        super()._polka(value)
        self.locked, self.locked_round = None, -1


class Unproven(Pbft):
    """Believes any new view."""

    def _allowed(self, message: NewView) -> bool:
        del message
        return True


class Unprepared(Pbft):
    """Forgets what it has prepared when the view changes."""

    def _change_view(self, view: int) -> None:
        self.prepared = None
        super()._change_view(view)
