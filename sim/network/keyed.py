"""Uniforms that depend on what a message is, and on nothing else: not on when, or in which order, they are asked for.

So scenarios that differ elsewhere meet the same delays, and an engine may ask in any order. They come from Philox
4x64 (Salmon et al., SC 2011): the address goes in the counter's top 192 bits, and the sender's row is found by its
position in the stream.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from sim.network.philox import WORD, philox

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Words = NDArray[np.uint64]
    Arrays = tuple[NDArray[Any], ...]

BATCH_NODES_MAX = 1024  # above it a row takes so long that batches no longer pay
EAGER_NODES_MAX = 24  # up to it all rows cost hardly more than one
KEPT = 8  # batches a cache keeps
_SPARE, _ONE, _BELOW_ONE = np.uint64(12), np.float64(1).view(np.uint64), 1 - 2.0**-53
_WHOLE_NODES_MAX = 256  # up to it all rows take no longer than the numbers of one column, each for itself


class Address(NamedTuple):
    """What is sent: the messages of one address may go from every node to every other.

    Height and round are below 2**64, phase and purpose below 2**16, copy below 2**32; none is negative.
    """

    height: int
    round: int
    phase: int
    copy: int = 0
    purpose: int = 0

    @property
    def counter(self) -> int:
        """The address as a number below 2**192.

        Raises
        ------
        ValueError
            A part is out of range.
        """
        number = 0
        for part, bits in zip(self, (64, 64, 16, 32, 16), strict=True):
            if part < 0 or part >> bits:
                raise ValueError(f"must have all parts in range: {self}")
            number = number << bits | part
        return number


class Uniforms(Protocol):
    """A source of uniforms, strictly between 0 and 1, by address, sender and receiver."""

    def row(self, address: Address, sender: int) -> Floats:
        """Those of one sender, shape (n,)."""

    def matrix(self, address: Address) -> Floats:
        """Those of all senders, shape (n, n)."""

    def column(self, address: Address, receiver: int) -> Floats:
        """Those to one receiver, shape (n,)."""

    def line(self, address: Address, count: int) -> Floats:
        """Those of the address alone, shape (count,)."""


class KeyedUniforms:
    """Uniforms by address, sender and receiver.

    Parameters
    ----------
    key
        A 128-bit key.
    n
        Number of nodes.
    """

    def __init__(self, key: int, n: int) -> None:
        self._n, self._blocks, self._key = n, -(-n // 4), key
        self._bits = np.random.Philox(key=key)
        self._start = self._bits.state  # setting it is twenty times faster than making a new generator

    def row(self, address: Address, sender: int) -> Floats:
        """Uniforms of one sender.

        Parameters
        ----------
        address, sender
            Which messages.

        Returns
        -------
        Floats
            Shape (n,), by receiver, strictly between 0 and 1.
        """
        return self._drawn(address, sender * self._blocks, self._n)

    def matrix(self, address: Address) -> Floats:
        """Uniforms of all senders.

        Parameters
        ----------
        address
            Which messages.

        Returns
        -------
        Floats
            Shape (n, n), rows as `row` gives them, bit for bit.
        """
        drawn = self._drawn(address, 0, 4 * self._n * self._blocks).reshape(self._n, 4 * self._blocks)
        return np.ascontiguousarray(drawn[:, : self._n])  # strided, NumPy's exp and power may round otherwise

    def column(self, address: Address, receiver: int) -> Floats:
        """Uniforms to one receiver; in time that grows as n, not as n^2.

        Parameters
        ----------
        address, receiver
            Which messages.

        Returns
        -------
        Floats
            Shape (n,), by sender, as `matrix` has them, bit for bit.
        """
        if self._n <= _WHOLE_NODES_MAX:
            raw = self._raw(address, 0, 4 * self._n * self._blocks)[receiver :: 4 * self._blocks].copy()
        else:
            block, word = divmod(receiver, 4)
            raw = philox(self._key, address.counter, np.arange(self._n) * self._blocks + block)[word]
        return _uniform(raw)

    def line(self, address: Address, count: int) -> Floats:
        """Uniforms of the address alone, one a link.

        Parameters
        ----------
        address
            Which messages.
        count
            How many.

        Returns
        -------
        Floats
            Shape (count,), strictly between 0 and 1; a shorter line is a prefix of a longer one.
        """
        return self._drawn(address, 0, count)

    def _drawn(self, address: Address, block: int, count: int) -> Floats:
        return _uniform(self._raw(address, block, count))

    def _raw(self, address: Address, block: int, count: int) -> Words:
        counter = address.counter << 64 | block
        words = [counter >> shift & WORD for shift in (0, 64, 128, 192)]
        self._start["state"]["counter"] = np.array(words, np.uint64)
        self._bits.state = self._start
        return self._bits.random_raw(count)


def _uniform(raw: Words) -> Floats:
    """Make uniforms of random bits, which are overwritten."""
    raw >>= _SPARE  # (k + 1/2) / 2**52 of the 52 bits that stay: with 53 the last would round to 1
    raw |= _ONE  # read as a float this is 1 + k / 2**52, and what is taken off it leaves no rounding
    uniform = raw.view(np.float64)
    uniform -= _BELOW_ONE
    return uniform


class Batches:
    """Rows by sender, made one at a time, or all together once a second sender asks for the same; few, at once.

    Parameters
    ----------
    make
        From what is asked for, and a sender or None for all of them: a tuple of arrays, with senders along the first
        axis where all are asked for.
    n
        Number of nodes; above `BATCH_NODES_MAX` rows are always made one at a time.
    """

    def __init__(self, make: Callable[[Any, int | None], Arrays], n: int) -> None:
        self._make, self._batched, self._eager = make, n <= BATCH_NODES_MAX, n <= EAGER_NODES_MAX
        self._first: OrderedDict[Hashable, int] = OrderedDict()
        self._whole: OrderedDict[Hashable, Arrays] = OrderedDict()

    def row(self, what: Hashable, sender: int) -> Arrays:
        """The arrays of one sender, whichever way they are made.

        Parameters
        ----------
        what
            What `make` is given.
        sender
            Whose.
        """
        whole = self._whole.get(what)
        if whole is not None:
            self._whole.move_to_end(what)
        else:
            if not self._eager and (not self._batched or self._first.setdefault(what, sender) == sender):
                _forget(self._first)
                return self._make(what, sender)
            whole = self._whole[what] = self._make(what, None)
            _forget(self._whole)
        return tuple([array[sender] for array in whole])  # a list is faster than a generator


def _forget(cache: OrderedDict[Hashable, Any]) -> None:
    while len(cache) > KEPT:
        cache.popitem(last=False)
