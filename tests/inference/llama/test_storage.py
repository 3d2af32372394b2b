"""Rounding to a storage format, against the types of ml_dtypes and NumPy."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from sim.inference.llama.storage import DTYPES, Dtype, Storage

TYPES: dict[Dtype, type] = {"bf16": ml_dtypes.bfloat16, "fp16": np.float16, "fp32": np.float32}


@pytest.mark.parametrize("dtype", DTYPES)
def test_rounding_is_that_of_the_type_for_all_kinds_of_bits(dtype: Dtype) -> None:
    bits = np.random.default_rng(3).integers(0, 2**32, 2_000_000, dtype=np.uint32)
    edges = np.array([0, 1, 0x7F7FFFFF, 0x7F800000, 0x477FEFFF, 0x477FF000, 0x38800000, 0x387FE000, 0x33000000])
    halves = np.arange(2**16, dtype=np.uint32) * 2**16 + 2**15  # ties of bf16
    fine = (np.arange(2**18, dtype=np.uint32) << 12) + 0x33000000  # ties of fp16, those near zero included
    values = np.concatenate([bits, edges.astype(np.uint32), halves, fine])
    values = np.concatenate([values, values ^ np.uint32(2**31)]).view(np.float32)
    values = values[~np.isnan(values)]
    before = values.copy()
    with np.errstate(over="ignore"):
        expected = values.astype(TYPES[dtype]).astype(np.float32)
    found = Storage(dtype).rounded(values)
    assert np.array_equal(values, before)
    assert np.array_equal(found.view(np.uint32) & 0x7FFFFFFF, expected.view(np.uint32) & 0x7FFFFFFF)
    large = np.abs(expected) > 0
    assert np.array_equal(np.signbit(found[large]), np.signbit(expected[large]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_no_number_stays_so(dtype: Dtype) -> None:
    assert np.isnan(Storage(dtype).rounded(np.full(3, np.nan, dtype=np.float32))).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_unit_roundoff_is_the_largest_relative_error(dtype: Dtype) -> None:
    storage = Storage(dtype)
    values = np.random.default_rng(4).uniform(1, 2, 100_000).astype(np.float32)
    errors = np.abs(storage.rounded(values).astype(np.float64) / values - 1)
    assert errors.max() <= storage.unit_roundoff
    if dtype != "fp32":
        assert errors.max() > 0.9 * storage.unit_roundoff
