"""What goes wrong on the way: partitions, loss, duplication, reordering, and lateness before stabilisation.

A message meets these as of the moment at which it leaves its sender.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.base.members import numbers
from sim.network.keyed import Address, Batches, Uniforms
from sim.network.schema import Network, Partition

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Numbers = NDArray[np.int64]

# The draws of an address; each is a purpose of its own.
DELAY, LOSS, REPEAT, REPEAT_DELAY, HOLD, HOLD_DELAY, EXTRA = range(7)
DRAWS = 7


def drawn_for(address: Address, draw: int) -> Address:
    """The address under which one of the draws is made.

    Parameters
    ----------
    address
        Of the messages; its own purpose is below 2**13.
    draw
        `DELAY` to `EXTRA`.
    """
    return address._replace(purpose=DRAWS * address.purpose + draw)


class Split(NamedTuple):
    """A partition as numbers."""

    start: float
    end: float
    """Infinite where it never heals."""
    lost: bool
    side: Numbers
    """Side of each node."""

    @classmethod
    def of(cls, partition: Partition, numbering: Mapping[str, range], n: int) -> Split:
        """Number the sides, those not named last."""
        side = np.full(n, len(partition.apart))
        for number, members in enumerate(partition.apart):
            side[numbers(members, numbering)] = number
        end = math.inf if partition.end is None else partition.end
        return cls(partition.start, end, partition.lost or partition.end is None, side)


class Disruption:
    """What goes wrong on a network.

    Parameters
    ----------
    network
        What the scenario says.
    numbering
        Global numbers of each group's nodes.
    uniforms
        Where draws come from.
    n
        Number of nodes.
    """

    def __init__(self, network: Network, numbering: Mapping[str, range], uniforms: Uniforms, n: int) -> None:
        splits = (Split.of(partition, numbering, n) for partition in network.partitions)
        self.splits = sorted(splits, key=lambda split: not split.lost)  # what one loses no other holds
        self._network, self._uniforms = network, uniforms
        self._until = math.inf if network.gst is None else network.gst.time
        self._wild = bool(network.loss or network.duplication or network.reordering or network.gst)
        self._draws = [Batches(self._drawn, n) for _ in range(DRAWS)]

    def _drawn(self, address: Address, sender: int | None) -> tuple[Floats]:
        return (self._uniforms.matrix(address) if sender is None else self._uniforms.row(address, sender),)

    def row(self, address: Address, draw: int, sender: int, receivers: Numbers) -> Floats:
        """Uniforms of one draw, by receiver."""
        (row,) = self._draws[draw].row(drawn_for(address, draw), sender)
        chosen: Floats = row[receivers]
        return chosen

    def wild(self, now: float) -> bool:
        """Whether messages that leave now may be lost, doubled, held back or late."""
        return self._wild and now < self._until

    def active(self, now: float) -> tuple[int, ...]:
        """Numbers of the partitions that are on."""
        return tuple(number for number, split in enumerate(self.splits) if split.start <= now < split.end)

    def released(self, leave: Floats, sender: int, receivers: Numbers) -> Floats:
        """When messages get past the partitions.

        Parameters
        ----------
        leave
            When each leaves its sender, in seconds.
        sender, receivers
            From whom, and to whom.

        Returns
        -------
        Floats
            The time of leaving, or that at which the last partition in between has healed; infinite for lost messages.
        """
        release, waiting = leave.copy(), bool(self.splits)
        while waiting:  # what one partition holds, the next may hold again
            waiting = False
            for split in self.splits:
                held = (split.side[receivers] != split.side[sender]) & (split.start <= release) & (release < split.end)
                if held.any():
                    release[held] = math.inf if split.lost else split.end
                    waiting = True
        return release

    def lost(self, leave: Floats, address: Address, sender: int, receivers: Numbers) -> Bools:
        """Which messages are lost by chance."""
        if not self._network.loss:
            return np.zeros(len(receivers), bool)
        return (self.row(address, LOSS, sender, receivers) < self._network.loss) & (leave < self._until)

    def repeated(self, leave: Floats, address: Address, sender: int, receivers: Numbers) -> Bools:
        """Which messages arrive twice, if they do."""
        if not self._network.duplication:
            return np.zeros(len(receivers), bool)
        return (self.row(address, REPEAT, sender, receivers) < self._network.duplication) & (leave < self._until)

    def lateness(self, release: Floats, address: Address, sender: int, receivers: Numbers) -> Floats:
        """By how much messages are later than by their ordinary delay, in seconds.

        Parameters
        ----------
        release
            From `released`, finite.
        address, sender, receivers
            Which messages.
        """
        late = np.zeros(len(receivers))
        rule = self._network.reordering
        if rule is not None:
            held = self.row(address, HOLD, sender, receivers) < rule.probability
            late = np.where(held, rule.delay.quantile(self.row(address, HOLD_DELAY, sender, receivers)), 0)
        if self._network.gst is not None:
            late += self._network.gst.extra.quantile(self.row(address, EXTRA, sender, receivers))
            late = np.minimum(late, np.maximum(self._until - release, 0))
        return late
