"""Uniforms depend on the key, the address, the sender and the receiver, and on nothing else."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.network import keyed
from sim.network.keyed import KEPT, Address, Batches, KeyedUniforms

WORD, SHORT = st.integers(0, 2**64 - 1), st.integers(0, 2**16 - 1)
ADDRESSES = st.builds(Address, WORD, WORD, SHORT, st.integers(0, 2**32 - 1), SHORT)


@given(st.integers(0, 2**128 - 1), st.integers(1, 13), ADDRESSES, st.randoms(use_true_random=False))
def test_a_row_is_the_matrix_s_row_bit_for_bit_in_any_order(key: int, n: int, address: Address, order: Any) -> None:
    uniforms = KeyedUniforms(key, n)
    matrix = uniforms.matrix(address)
    senders = list(range(n))
    order.shuffle(senders)
    for sender in senders:
        assert np.array_equal(uniforms.row(address, sender), matrix[sender])
    assert np.array_equal(KeyedUniforms(key, n).matrix(address), matrix)
    assert len(np.unique(matrix)) == n * n


@pytest.mark.parametrize("whole", [0, 100])
@given(st.integers(0, 2**128 - 1), st.integers(1, 13), ADDRESSES)
def test_a_column_is_the_matrix_s_column_bit_for_bit(whole: int, key: int, n: int, address: Address) -> None:
    """Whether it is cut out of all rows, or made by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keyed, "_WHOLE_NODES_MAX", whole)
        columns = [KeyedUniforms(key, n).column(address, receiver) for receiver in range(n)]
    assert np.array_equal(np.array(columns).T, KeyedUniforms(key, n).matrix(address))


@given(st.lists(st.tuples(st.integers(0, 2**128 - 1), ADDRESSES), min_size=2, max_size=6, unique=True))
def test_no_two_keys_or_addresses_share_their_uniforms(places: list[tuple[int, Address]]) -> None:
    drawn = np.concatenate([KeyedUniforms(key, 5).matrix(address).ravel() for key, address in places])
    assert len(np.unique(drawn)) == len(drawn)


def test_every_part_of_an_address_matters() -> None:
    addresses = [Address(*(part == place for part in range(5))) for place in range(-1, 5)]
    assert len({float(KeyedUniforms(1, 4).row(address, 0)[0]) for address in addresses}) == 6


def test_numbers_never_change() -> None:
    """A change here breaks the promise that a seed gives the same delays to the last bit."""
    counter = np.random.Philox(counter=(5 << 192) | (6 << 128) | (((7 << 32 | 8) << 16 | 9) << 64) | 6, key=77)
    expected = [((int(word) >> 12) + 0.5) / 2**52 for word in counter.random_raw(7)]
    assert KeyedUniforms(77, 7).row(Address(5, 6, 7, 8, 9), 3).tolist() == expected


def test_uniforms_are_strictly_between_0_and_1(monkeypatch: pytest.MonkeyPatch) -> None:
    uniforms = KeyedUniforms(1, 2)

    class Extremes:
        state: Any = None

        def random_raw(self, count: int) -> Any:
            return np.array([0, 2**64 - 1] * (count // 2), np.uint64)

    monkeypatch.setattr(uniforms, "_bits", Extremes())
    low, high = uniforms.row(Address(0, 0, 0), 0).tolist()
    assert 0 < low < 1e-15
    assert 1 - 1e-15 < high < 1


def test_uniforms_are_uniform_and_rows_uncorrelated() -> None:
    from scipy.stats import kstest

    matrix = KeyedUniforms(3, 400).matrix(Address(1, 2, 3))
    assert kstest(matrix.ravel(), "uniform").pvalue > 1e-4
    correlation = np.asarray(np.corrcoef(matrix))[~np.eye(400, dtype=bool)]
    assert np.abs(correlation).max() < 6 / np.sqrt(400)


def test_a_shorter_line_is_a_prefix_of_a_longer_one() -> None:
    uniforms = KeyedUniforms(3, 4)
    assert np.array_equal(uniforms.line(Address(1, 2, 3), 50)[:7], uniforms.line(Address(1, 2, 3), 7))


@pytest.mark.parametrize("part", range(5))
@pytest.mark.parametrize("value", [-1, 2**64])
def test_an_address_out_of_range_is_refused_rather_than_shared(part: int, value: int) -> None:
    with pytest.raises(ValueError, match="in range"):
        KeyedUniforms(1, 2).row(Address(*(value if place == part else 0 for place in range(5))), 0)


def test_a_batch_is_made_once_when_a_second_sender_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, int | None]] = []

    def make(what: Any, sender: int | None) -> tuple[Any]:
        asked.append((what, sender))
        table = np.arange(9).reshape(3, 3)
        return (table if sender is None else table[sender],)

    few = Batches(make, 3)
    assert few.row("x", 1)[0].tolist() == [3, 4, 5]
    assert asked == [("x", None)]
    asked.clear()
    monkeypatch.setattr(keyed, "EAGER_NODES_MAX", 2)
    batches = Batches(make, 3)
    rows = [batches.row("x", sender)[0].tolist() for sender in (1, 1, 0, 2, 1)]
    assert rows == [[3, 4, 5], [3, 4, 5], [0, 1, 2], [6, 7, 8], [3, 4, 5]]
    assert asked == [("x", 1), ("x", 1), ("x", None)]
    for what, sender in itertools.product(range(3 * KEPT), (0, 1)):
        batches.row(what, sender)
    assert len(batches._whole) <= KEPT
    assert len(batches._first) <= KEPT
    monkeypatch.setattr(keyed, "BATCH_NODES_MAX", 2)
    asked.clear()
    alone = Batches(make, 3)
    assert [alone.row("x", sender)[0].tolist() for sender in (0, 2)] == [[0, 1, 2], [6, 7, 8]]
    assert asked == [("x", 0), ("x", 2)]


def test_uniforms_are_the_middles_of_cells_of_52_bits() -> None:
    address = Address(3, 1, 2)
    raw = np.random.Philox(key=5, counter=address.counter << 64).random_raw(4 * 3)
    expected = ((raw >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
    assert (KeyedUniforms(5, 12).row(address, 0) == expected).all()
