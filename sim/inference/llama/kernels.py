"""Kernels: in which order a machine forms the sums of a neural network.

Sums of floating-point numbers depend on their order, and GPUs choose it by shape, batch and hardware: a matrix product
is cut along the summed dimension (split-K), attention is cut along the keys (split-KV), a norm is summed in blocks of
threads. Within a part the order is that of this machine's own matrix product. Partial sums stay in fp32; what a kernel
returns is rounded to the storage format.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

Order = Literal["forward", "backward", "tree"]


@dataclass(frozen=True, slots=True)
class Kernels:
    """The order of sums on one machine.

    Parameters
    ----------
    split_k
        Parts into which the summed dimension of a matrix product is cut.
    order
        How partial sums are added: from the first, from the last, or neighbours first (a tree).
    kv_block
        Keys in a block of attention; None: all at once.
    norm_block
        Numbers in a block of a norm's sum; None: all at once.
    """

    split_k: int = 1
    order: Order = "forward"
    kv_block: int | None = None
    norm_block: int | None = None

    @property
    def label(self) -> str:
        """A name that tells the configuration: `split_k=4 order=tree kv_block=32 norm_block=64`."""
        return (
            f"split_k={self.split_k} order={self.order} "
            f"kv_block={self.kv_block or 'all'} norm_block={self.norm_block or 'all'}"
        )

    def total(self, parts: Sequence[Floats]) -> Floats:
        """Add partial sums in this machine's order.

        Parameters
        ----------
        parts
            At least one, all of one shape; not changed.
        """
        if self.order == "tree":
            level = list(parts)
            while len(level) > 1:
                pairs = [a + b for a, b in zip(level[::2], level[1::2], strict=False)]
                level = pairs + level[len(pairs) * 2 :]
            return level[0]
        ordered = parts if self.order == "forward" else parts[::-1]
        result = ordered[0]
        for part in ordered[1:]:
            result = result + part
        return result

    def product(self, rows: Floats, matrix: Floats) -> Floats:
        """Matrix product of (T, K) and (K, N), not yet rounded."""
        edges = cuts(len(matrix), self.split_k)
        if len(edges) == 2:
            return np.asarray(rows @ matrix)
        return self.total([rows[:, a:b] @ matrix[a:b] for a, b in pairwise(edges)])

    def square_sum(self, rows: Floats) -> Floats:
        """Sum of the squares of each row of (T, K), shape (T, 1)."""
        squares = rows * rows
        length = self.norm_block or rows.shape[1]
        starts = range(0, rows.shape[1], length)
        return self.total([squares[:, start : start + length].sum(axis=1, keepdims=True) for start in starts])


def cuts(length: int, parts: int) -> list[int]:
    """Where a dimension is cut into parts of about equal length, both ends included.

    Examples
    --------
    >>> cuts(64, 4), cuts(10, 3), cuts(2, 8)
    ([0, 16, 32, 48, 64], [0, 3, 6, 10], [0, 1, 2])
    """
    return sorted({length * part // parts for part in range(parts + 1)})


REFERENCE = Kernels()
CONFIGURATIONS: tuple[Kernels, ...] = (
    REFERENCE,
    Kernels(2, "forward", None, None),
    Kernels(4, "forward", 64, 64),
    Kernels(4, "tree", 32, 32),
    Kernels(3, "forward", None, 64),
    Kernels(3, "backward", 32, None),
    Kernels(6, "forward", 64, 32),
    Kernels(8, "forward", 16, None),
    Kernels(8, "tree", 64, 16),
    Kernels(1, "forward", 16, 16),
    Kernels(2, "backward", 32, 32),
    Kernels(6, "tree", None, 64),
    Kernels(4, "backward", 16, 64),
    Kernels(1, "backward", 32, 16),
    Kernels(8, "backward", None, 32),
    Kernels(3, "tree", 64, 32),
)
"""What replica 0, 1, 2, ... computes with: all differ in their bits, replica 0 has nothing cut."""
