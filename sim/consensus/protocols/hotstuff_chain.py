"""HotStuff's chain of certified blocks, as one replica knows it: what it locks on, and what is committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.consensus.protocols.hotstuff_messages import GENESIS, Qc, View

if TYPE_CHECKING:
    from collections.abc import Callable


def direct(view: View, parent: View) -> bool:
    """Whether a view follows that of its parent directly."""
    return view == (parent[0] + 1, 0)


class Chain:
    """Certificates by view; at most one for each, if fewer than 2q - n replicas are faulty.

    Parameters
    ----------
    awaits
        Whether a certificate that is missing will come: until then, nothing that builds on it is committed.
    """

    def __init__(self, awaits: Callable[[View], bool] = lambda _: False) -> None:
        self.known: dict[View, Qc] = {GENESIS.view: GENESIS}
        self.high = GENESIS
        """The certificate of the latest view."""
        self.lock: View = GENESIS.view
        """The latest block that heads a two-chain."""
        self._awaits = awaits
        self._committed: set[View] = {GENESIS.view}
        self._held: set[View] = set()
        """Blocks that are to be committed, with all before them."""

    def stand_on(self, certificate: Qc) -> None:
        """Begin with a block as the genesis is begun with."""
        self.known = {certificate.view: certificate}
        self.high, self.lock = certificate, certificate.view
        self._committed = {certificate.view}

    def add(self, certificate: Qc) -> list[Qc]:
        """Take a certificate.

        Returns
        -------
        list of Qc
            The blocks that it commits, the oldest first.
        """
        height, view = certificate.height, certificate.view
        self.known[view] = certificate
        if certificate.value.parent is not None:
            self.lock = max(self.lock, certificate.value.parent)
        if view > self.high.view:
            self.high = certificate
        for last in (view, (height + 1, 0), (height + 2, 0)):
            first = self._three_chain(last)
            if first is not None and first.view not in self._committed:
                self._held.add(first.view)
        return self.commit()

    def commit(self) -> list[Qc]:
        """Commit what is held, as far as nothing is awaited; those below that are not known follow when they are."""
        found: list[Qc] = []
        for view in sorted(self._held):
            chain: list[Qc] = []
            parent: View | None = view
            while parent in self.known and parent not in self._committed:
                chain.append(self.known[parent])
                parent = chain[-1].value.parent
            missing = parent if parent is not None and parent not in self._committed else None
            if missing is not None and self._awaits(missing):
                continue
            if chain:
                self._held.discard(view)
            if missing is not None:
                self._held.add(missing)
            self._committed.update(block.view for block in chain)
            found += chain[::-1]
        return found

    def heads(self, block: Qc) -> bool:
        """Whether two blocks that follow a block directly are certified."""
        first = self._three_chain((block.height + 2, 0))
        return first is not None and first.view == block.view

    def _three_chain(self, last: View) -> Qc | None:
        """The first of three certified blocks that follow each other directly, if that view is the last of them."""
        third = self.known.get(last)
        second = self._below(third)
        first = self._below(second)
        if third is None or second is None or first is None:
            return None
        return first if direct(third.view, second.view) and direct(second.view, first.view) else None

    def _below(self, block: Qc | None) -> Qc | None:
        parent = block.value.parent if block else None
        return self.known.get(parent) if parent is not None else None

    def certified(self, height: int, rounds: int) -> bool:
        """Whether a block of a height is certified."""
        return any((height, round_) in self.known for round_ in range(rounds))

    def forget(self, height: int) -> None:
        """Drop all below a height."""
        self.known = {view: known for view, known in self.known.items() if view[0] >= height}
        for views in (self._committed, self._held):
            views.difference_update([view for view in views if view[0] < height])
