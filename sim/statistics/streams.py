"""Random streams that make results depend on nothing but the task: not on workers, batches or interruptions.

Work falls into cells. A cell's stream is Philox 4x64 (Salmon et al., SC 2011), a counter-based generator: the key comes
from the scenario and the seed, the cell number goes in the counter's top 64 bits, so that every cell can be drawn
alone, in any order, anywhere, and always gives the same bits. A second word of the counter numbers the streams
within a cell.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

CONTENTS, POSITIONS, BY_NODE = 0, 1, 2  # the streams within a cell


def stream_key(scenario_id: str, seed: int) -> int:
    """Key of a task's streams: the first 128 bits of SHA-256 over the scenario's id and the seed.

    Parameters
    ----------
    scenario_id
        Hexadecimal id of the scenario.
    seed
        The user's seed, 0 <= seed < 2**63.

    Returns
    -------
    int
        A 128-bit key.
    """
    return int.from_bytes(hashlib.sha256(f"{scenario_id}:{seed}".encode()).digest()[:16], "big")


def named_key(what: str, seed: int) -> int:
    """Key of streams that only the seed decides, so that scenarios which differ elsewhere meet the same draws.

    Parameters
    ----------
    what
        What is drawn: "network", "leaders".
    seed
        The user's seed.

    Returns
    -------
    int
        A 128-bit key.
    """
    return stream_key(what, seed)


def cell_stream(key: int, cell: int, stream: int = CONTENTS, branch: int = 0) -> np.random.Generator:
    """Make the generator of one cell.

    Parameters
    ----------
    key
        From `stream_key`.
    cell
        Cell number, 0 <= cell < 2**64.
    stream
        `CONTENTS` or `POSITIONS`.
    branch
        A number below 2**64 that tells apart independent draws of one stream.

    Returns
    -------
    numpy.random.Generator
        At the start of its stream; 2**64 blocks of four numbers long.
    """
    from numpy.random import Generator, Philox

    return Generator(Philox(counter=(cell << 192) | (stream << 128) | (branch << 64), key=key))


def first_among(key: int, cell: int, special: int, trials: int, first: int) -> int:
    """Count the special ones among the first few of a cell's trials, when only their total number was drawn.

    The total is split in half again and again, each half's share hypergeometric and drawn from a stream of its own, so
    that a shorter run is always a prefix of a longer one.

    Parameters
    ----------
    key, cell
        Which cell.
    special
        Number of special ones, 0 <= special <= trials.
    trials
        Number of trials, below 1e9.
    first
        How many of them to look at, 0 <= first <= trials.

    Returns
    -------
    int
        At most `special`, never falling with `first`.
    """
    found, branch = 0, 1
    while special and first and first < trials:
        left = trials // 2
        share = (
            int(cell_stream(key, cell, POSITIONS, branch).hypergeometric(special, trials - special, left))
            if left
            else 0
        )
        if first < left:
            trials, special, branch = left, share, 2 * branch
        else:
            found += share
            trials, special, first, branch = trials - left, special - share, first - left, 2 * branch + 1
    return found + (special if first == trials else 0)
