"""HotStuff's chain of certified blocks, as one replica knows it: what it locks on, and what is committed."""

from __future__ import annotations

from sim.consensus.protocols.hotstuff_messages import GENESIS, Qc, View


def direct(view: View, parent: View) -> bool:
    """Whether a view follows that of its parent directly."""
    return view == (parent[0] + 1, 0)


class Chain:
    """Certificates by view; at most one for each, if fewer than 2q - n replicas are faulty."""

    def __init__(self) -> None:
        self.known: dict[View, Qc] = {GENESIS.view: GENESIS}
        self.high = GENESIS
        """The certificate of the latest view."""
        self.lock: View = GENESIS.view
        """The latest block that heads a two-chain."""
        self._committed: set[View] = {GENESIS.view}
        self._top = 0
        self._awaited: set[View] = set()

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
        found = self._commit(certificate) if view in self._awaited else []
        for last in (view, (height + 1, 0), (height + 2, 0)):
            first = self._three_chain(last)
            if first is not None and first.height > self._top:
                found += self._commit(first)
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

    def _commit(self, block: Qc) -> list[Qc]:
        """Commit a block with all before it; those that are not known yet follow when they are."""
        self._top = max(self._top, block.height)
        chain: list[Qc] = []
        parent: View | None = block.view
        while parent in self.known and parent not in self._committed:
            chain.append(self.known[parent])
            self._committed.add(parent)
            parent = chain[-1].value.parent
        if parent is not None and parent not in self._committed:
            self._awaited.add(parent)
        return chain[::-1]

    def certified(self, height: int, rounds: int) -> bool:
        """Whether a block of a height is certified."""
        return any((height, round_) in self.known for round_ in range(rounds))

    def forget(self, height: int) -> None:
        """Drop all below a height."""
        self.known = {view: known for view, known in self.known.items() if view[0] >= height}
        for views in (self._committed, self._awaited):
            views.difference_update([view for view in views if view[0] < height])
