"""Execute first, order only what a quorum agrees on: every request is an election of its own.

As in Hyperledger Fabric (Androulaki et al., EuroSys 2018), a request whose results do not reach a quorum is dropped,
and the block goes on without it. The block

- `forked` if one of its requests did;
- else has a `wrong_result` if one of its requests has;
- else is `agreed` if at least one request is certified;
- and has `no_quorum` if every request is dropped.

With one request a block this is `certify`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.consensus.tally import Outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

_FIRST = (Outcome.forked, Outcome.wrong_result, Outcome.agreed, Outcome.no_quorum)


def block_outcome(seen: Integers) -> Integers:
    """Outcome of blocks, given how many of their requests had each outcome.

    Parameters
    ----------
    seen
        Shape (B, 4), in the order of `Outcome`; every block has a request.

    Examples
    --------
    >>> block_outcome(np.array([[3, 1, 0, 0], [0, 2, 0, 0], [5, 0, 2, 0], [1, 0, 1, 1]])).tolist()
    [0, 1, 2, 3]
    """
    outcome: Integers = np.array(_FIRST)[(seen[:, list(_FIRST)] > 0).argmax(axis=1)]
    return outcome
