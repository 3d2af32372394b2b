"""Protocols that are broken on purpose."""

from __future__ import annotations

from sim.consensus.protocols.hotstuff import HotStuff
from sim.consensus.protocols.hotstuff_chain import Chain
from sim.consensus.protocols.hotstuff_messages import Qc, View
from sim.consensus.protocols.icc import Icc
from sim.consensus.protocols.icc_height import IccHeight
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


class LowHotStuff(HotStuff):
    """Takes one vote too few for a quorum."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting._replace(quorum=setting.quorum - 1))


class LowIcc(Icc):
    """The same."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting._replace(quorum=setting.quorum - 1))


class _OneChain(Chain):
    """Commits a block as soon as it is certified."""

    def _three_chain(self, last: View) -> Qc | None:
        return self.known.get(last)


class OneChain(HotStuff):
    """The same."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.chain = _OneChain()


class Unfaithful(Icc):
    """Gives finalization shares whatever else it has given notarization shares to."""

    def _supports_only(self, at: IccHeight, value: Value) -> bool:
        del at, value
        return True
