"""Where a chain that has several blocks in flight can be taken up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Cut(NamedTuple):
    """All that the blocks below one leave to it and to those above, where several are in flight.

    No moment need exist at which all is quiet. Instead a cut at a height promises this of the blocks below:

    - Every node that takes part begins the height right above the block before: of round 0 (rank 0), and the parent of
      what is proposed. When it begins, it knows every certificate (HotStuff) or notarization (ICC) below that it will
      ever need, and has asked for the execution of no block out of order: of none below after one of this height or
      above.
    - Up to some moment, only the plain course happens: no timer has an effect, and nothing but the usual messages is
      sent. By that moment all that the blocks below bring about is over at every node: they are decided, executed and
      closed, all their messages are sent, and have arrived. And what a timer that has an effect later is about, is at
      this height or above. If flows attribute what goes wrong to the first height whose beginning sets the timer, or
      whose leader is silent, that moment is when its first node begins.

    So nothing below changes what happens at this height and above, but for the times told here.

    Parameters
    ----------
    height
        The first block that is still to be worked out.
    begun
        When each node begins it, in seconds, shape (n,); infinite for those that take no part.
    devices
        When each device of each node is free, after all executions below, shape (n, devices); infinite where a node
        has fewer.
    shared
        ICC: when each node sends its share of the beacon of this height, shape (n,), infinite for those that take no
        part; None for other protocols, and for the first height.
    counted
        By node, how many copies of what it has sent the protocol has numbered so far (see `Pipelined.copies`); kept
        from one cut to the next.
    backlog
        Heights below that some node closes only after the first one begins: when each node decides it, and closes it,
        shape (n,) each. No height is closed before those below it, and flow control counts what is not closed.
    """

    height: int
    begun: Floats
    devices: Floats
    shared: Floats | None = None
    counted: Mapping[int, object] = {}
    backlog: Mapping[int, tuple[Floats, Floats]] = {}

    @property
    def first(self) -> float:
        """When the first node begins."""
        return float(self.begun.min())
