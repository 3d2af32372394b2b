"""Philox 4x64 at many places of one stream at once; NumPy's own goes from a place on.

Ten rounds of multiplications and keyed swaps (Salmon, Moraes, Dror and Shaw, SC 2011), as NumPy has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Words = NDArray[np.uint64]

_FACTORS = 0xD2E7_470E_E14C_6C93, 0xCA5A_8263_9512_1157
_STEPS = 0x9E37_79B9_7F4A_7C15, 0xBB67_AE85_84CA_A73B
_ROUNDS = 10
_HALF, _SHIFT = np.uint64(0xFFFF_FFFF), np.uint64(32)
WORD = 0xFFFF_FFFF_FFFF_FFFF
"""The 64 bits of a word."""


def philox(key: int, place: int, blocks: NDArray[np.int64]) -> tuple[Words, Words, Words, Words]:
    """Draw some blocks of four words.

    Parameters
    ----------
    key
        128 bits.
    place
        The top 192 bits of the counter.
    blocks
        Its lowest 64 bits, for each block: where NumPy's generator stands before it.

    Returns
    -------
    tuple of Words
        The four words, of all blocks.
    """
    low = blocks.astype(np.uint64) + np.uint64(1)  # NumPy counts before it draws
    counter = [low, *(np.full_like(low, place >> shift & WORD) for shift in (0, 64, 128))]
    first, second = key & WORD, key >> 64 & WORD
    for _ in range(_ROUNDS):
        left, right = _times(_FACTORS[0], counter[0]), _times(_FACTORS[1], counter[2])
        counter = [
            right[0] ^ counter[1] ^ np.uint64(first),
            right[1],
            left[0] ^ counter[3] ^ np.uint64(second),
            left[1],
        ]
        first, second = first + _STEPS[0] & WORD, second + _STEPS[1] & WORD
    return counter[0], counter[1], counter[2], counter[3]


def _times(factor: int, words: Words) -> tuple[Words, Words]:
    """The upper and the lower half of products."""
    high, low = np.uint64(factor >> 32), np.uint64(factor) & _HALF
    upper, lower = words >> _SHIFT, words & _HALF
    middle = lower * high + (lower * low >> _SHIFT)
    other = upper * low + (middle & _HALF)
    return upper * high + (middle >> _SHIFT) + (other >> _SHIFT), words * np.uint64(factor)
