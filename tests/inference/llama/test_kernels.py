"""The order of sums: what it changes, what it does not, and by how much."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sim.inference.llama.kernels import CONFIGURATIONS, Kernels, Order
from sim.inference.llama.network import attended
from sim.inference.llama.storage import DTYPES, Dtype, Storage

ORDERS: tuple[Order, ...] = ("forward", "backward", "tree")


def drawn(*shape: int, seed: int = 5) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8])
def test_a_total_adds_in_the_order_that_it_names(order: Order, count: int) -> None:
    parts = list(drawn(count, 40) * 10.0 ** np.arange(count)[:, None].astype(np.float32))

    def plain(values: list[np.float32]) -> np.float32:
        if order == "tree":
            while len(values) > 1:
                tail = [values[-1]] if len(values) % 2 else []
                values = [values[i] + values[i + 1] for i in range(0, len(values) - 1, 2)] + tail
            return values[0]
        return np.float32(sum(values[::-1] if order == "backward" else values, start=np.float32(0)))

    expected = [plain([part[column] for part in parts]) for column in range(40)]
    assert np.array_equal(Kernels(order=order).total(parts), np.array(expected, dtype=np.float32))


@pytest.mark.parametrize("kernels", CONFIGURATIONS, ids=lambda kernels: kernels.label)
def test_every_order_gives_the_same_product_and_norm_but_for_rounding(kernels: Kernels) -> None:
    rows, matrix = drawn(5, 96), drawn(96, 7, seed=6)
    exact = rows.astype(np.float64) @ matrix.astype(np.float64)
    assert np.allclose(kernels.product(rows, matrix), exact, rtol=0, atol=2e-5)
    assert np.allclose(kernels.square_sum(rows)[:, 0], (rows.astype(np.float64) ** 2).sum(axis=1), rtol=1e-6)


def test_orders_that_are_the_same_arithmetic_give_the_same_bits() -> None:
    rows, matrix = drawn(5, 96), drawn(96, 7, seed=6)
    for split in (1, 2):  # one part has no order, and a + b is b + a
        results = [Kernels(split, order).product(rows, matrix) for order in ORDERS]
        assert all(np.array_equal(results[0], result) for result in results)
    assert np.array_equal(Kernels(norm_block=96).square_sum(rows), Kernels().square_sum(rows))
    assert np.array_equal(Kernels(norm_block=500).square_sum(rows), Kernels().square_sum(rows))


def test_other_orders_give_other_bits() -> None:
    rows, matrix = drawn(50, 96), drawn(96, 70, seed=6)
    products = [Kernels(split, order).product(rows, matrix) for split in (4, 8) for order in ORDERS]
    for one, other in itertools.combinations([Kernels().product(rows, matrix), *products], 2):
        assert (one != other).mean() > 0.05
        assert np.abs(one - other).max() < 3e-5


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("block", [None, 1, 3, 8, 100])
@pytest.mark.parametrize("order", ORDERS)
def test_attention_block_by_block_is_attention(dtype: Dtype, block: int | None, order: Order) -> None:
    query, keys, values = drawn(4, 6, 8), drawn(2, 20, 8, seed=6), drawn(2, 20, 8, seed=7)
    found = attended(query, keys, values, Kernels(kv_block=block, order=order), Storage(dtype))
    expected = np.empty((6, 4, 8))
    for head, row in itertools.product(range(4), range(6)):
        seen = slice(0, 20 - 6 + row + 1)
        scores = keys[head // 2, seen].astype(np.float64) @ query[head, row] / np.sqrt(8)
        shares = np.exp(scores) / np.exp(scores).sum()
        expected[row, head] = shares @ values[head // 2, seen]
    tolerance = 8 * max(Storage(dtype).unit_roundoff, 2.0**-22)
    assert np.allclose(found, expected.reshape(6, 32), rtol=0, atol=tolerance)


def test_a_block_that_holds_all_keys_is_no_block() -> None:
    arrays = drawn(4, 6, 8), drawn(2, 20, 8, seed=6), drawn(2, 20, 8, seed=7)
    whole = attended(*arrays, Kernels(), Storage("bf16"))
    assert np.array_equal(whole, attended(*arrays, Kernels(kv_block=20), Storage("bf16")))
    assert not np.array_equal(whole, attended(*arrays, Kernels(kv_block=5), Storage("bf16")))


def test_configurations_are_all_different() -> None:
    assert len(set(CONFIGURATIONS)) == len(CONFIGURATIONS) == 16
    assert CONFIGURATIONS[0] == Kernels()
