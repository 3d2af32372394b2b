"""GGUF files: what is read, and what files that are damaged or lie cost."""

from __future__ import annotations

import os
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ggufs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.base.errors import ScenarioError
from sim.inference.llama.gguf import read_weights
from sim.inference.llama.tokens import encoder_of

HUGE = 2**62


def refused(path: Path, words: str) -> None:
    """The file is refused in one line with these words, without memory or time beyond its size."""
    tracemalloc.start()
    started = time.monotonic()
    try:
        with pytest.raises(ScenarioError, match=words) as caught:
            read_weights(path).arrays()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert peak < 4_000_000
    assert time.monotonic() - started < 5


def written(folder: Path, content: bytes) -> Path:
    path = folder / "bad.gguf"
    path.write_bytes(content)
    return path


def test_a_whole_file_gives_its_sizes_and_arrays(tmp_path: Path) -> None:
    weights = read_weights(ggufs.tiny(tmp_path))
    assert (weights.name, weights.of_bytes) == ("tiny", True)
    assert (weights.shape.embedding_length, weights.shape.head_length, weights.shape.vocab_size) == (16, 4, 256)
    for name, array in weights.arrays().items():
        assert np.array_equal(array, ggufs.weights()[name]), name


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_1"])
def test_other_types_are_unpacked_as_gguf_does(tmp_path: Path, kind: str) -> None:
    import gguf

    path = tmp_path / "typed.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    entries = ggufs.metadata(llama__embedding_length=64, llama__feed_forward_length=32, llama__block_count=1)
    for key, value in entries.items():
        if key != "general.architecture":
            add: Any = {str: writer.add_string, int: writer.add_uint32, float: writer.add_float32}[type(value)]
            add(key, value)
    draw, expected = np.random.default_rng(1), {}
    shapes = {"attn_q": (64, 64), "attn_k": (32, 64), "attn_v": (32, 64), "attn_output": (64, 64)}
    shapes |= {"ffn_gate": (32, 64), "ffn_up": (32, 64), "ffn_down": (64, 32)}
    named: dict[str, tuple[int, ...]] = {"token_embd.weight": (256, 64)}
    named |= {f"blk.0.{name}.weight": shape for name, shape in shapes.items()}
    for name, shape in named.items():
        array, quantised = draw.standard_normal(shape).astype(np.float32), gguf.GGMLQuantizationType[kind]
        bits = gguf.quants.quantize(array, quantised)
        writer.add_tensor(name, bits, raw_dtype=quantised)
        expected[name] = gguf.quants.dequantize(bits, quantised)
    for name in ("output_norm.weight", "blk.0.attn_norm.weight", "blk.0.ffn_norm.weight"):
        writer.add_tensor(name, np.ones(64, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = read_weights(path).arrays()
    for name, array in expected.items():
        assert np.array_equal(found[name], array), name


LIES: list[tuple[str, dict[str, Any]]] = [
    ("a string of 4,611,686,018,427,387,904 bytes", {"general__name": struct.pack("<IQ", 8, HUGE)}),
    ("an array of 4,611,686,018,427,387,904 numbers", {"x__y": struct.pack("<IIQ", 9, 4, HUGE)}),
    ("an array of 4,611,686,018,427,387,904 numbers", {"llama__y": struct.pack("<IIQ", 9, 6, HUGE)}),
    ("an array of 4,611,686,018,427,387,904 values", {"x__y": struct.pack("<IIQ", 9, 8, HUGE)}),
    ("an array of 4,611,686,018,427,387,904 values", {"tokenizer__ggml__tokens": struct.pack("<IIQ", 9, 8, HUGE)}),
    ("too deep", {"x__y": struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 50}),
    ("unknown type 77", {"x__y": struct.pack("<II", 77, 0)}),
    ("at most 1,000 blocks", {"llama__block_count": 999_999_999}),
    ("positive integer", {"llama__block_count": 0}),
    ("positive integer", {"llama__block_count": "two"}),
    ("positive integer", {"llama__embedding_length": 2**32 - 1}),
    ("even multiple", {"llama__embedding_length": 18}),
    ("must divide", {"llama__attention__head_count_kv": 3}),
    ("must divide", {"llama__attention__head_count_kv": 0}),
    ("must have shape", {"llama__feed_forward_length": 25}),
    ("parameters", {"llama__embedding_length": 1_000_000}),
    ("must have 2 to 4,000,000 tokens", {"llama__vocab_size": 2**31}),
    ("must have shape", {"llama__vocab_size": 512}),
    ("architecture llama", {"general__architecture": "bert"}),
    ("architecture llama", {"general__architecture": None}),
    ("rms_epsilon", {"llama__attention__layer_norm_rms_epsilon": float("nan")}),
    ("rope.scaling is not supported", {"llama__rope__scaling__type": "yarn"}),
    ("freq_base", {"llama__rope__freq_base": float("inf")}),
    ("alignment", {"general__alignment": 0}),
    ("dimension_count", {"llama__rope__dimension_count": 2}),
]


@pytest.mark.parametrize(("words", "changes"), LIES, ids=range(len(LIES)))
def test_a_header_that_lies_is_refused(tmp_path: Path, words: str, changes: dict[str, Any]) -> None:
    refused(written(tmp_path, ggufs.packed(ggufs.metadata(**changes), ggufs.weights())), words)


@pytest.mark.parametrize(
    ("words", "described"),
    [
        ("ends beyond the file", ((256, 16), 0, 2**40)),
        ("must have shape", ((2**40, 2**20), 0, 0)),
        ("must have shape", ((16, 256), 0, 0)),
        ("a tensor of unknown type 4,?000", ((256, 16), 4_000, 0)),
        ("do not fit blocks of 32", ((256, 16), 8, 0)),
    ],
)
def test_tensors_that_lie_are_refused(tmp_path: Path, words: str, described: tuple[tuple[int, ...], int, int]) -> None:
    lying = ggufs.packed(ggufs.metadata(), ggufs.weights(), described={"token_embd.weight": described})
    refused(written(tmp_path, lying), words)


def test_without_gguf_quantised_weights_say_what_to_install(tmp_path: Path, without: Callable[[str], None]) -> None:
    without("gguf")
    assert read_weights(ggufs.tiny(tmp_path)).arrays()  # plain numbers need nothing
    described: dict[str, tuple[tuple[int, ...], int, int]] = {"token_embd.weight": ((256, 16), 8, 0)}
    path = written(tmp_path, ggufs.packed(ggufs.metadata(), ggufs.weights(), described=described))
    refused(path, r"quantised weights, which need: pip install 'splitquorum\[record\]'")


def test_counts_that_lie_are_refused(tmp_path: Path) -> None:
    arrays, entries = ggufs.weights(), ggufs.metadata()
    refused(written(tmp_path, ggufs.packed(entries, arrays, tensor_count=HUGE)), "at most 65,536 tensors")
    refused(written(tmp_path, ggufs.packed(entries, arrays, entry_count=HUGE)), "4,096 metadata entries")
    refused(written(tmp_path, ggufs.packed(entries, arrays, tensor_count=60_000)), "at byte|dimensions|string")
    refused(written(tmp_path, ggufs.packed(entries, arrays, entry_count=4_000)), "at byte")
    refused(written(tmp_path, ggufs.packed(entries, arrays, tensor_count=3)), "is missing")


def test_a_sparse_file_of_a_terabyte_costs_nothing(tmp_path: Path) -> None:
    lie = struct.pack("<IIQ", 9, 8, 2**33)
    path = written(tmp_path, ggufs.packed(ggufs.metadata(x__y=lie), {}))
    os.truncate(path, 2**40)
    refused(path, "an array of 8,589,934,592 values")


def test_damaged_numbers_are_refused(tmp_path: Path) -> None:
    arrays = ggufs.weights()
    arrays["blk.1.ffn_up.weight"][3, 4] = np.nan
    refused(written(tmp_path, ggufs.packed(ggufs.metadata(), arrays)), "ffn_up.weight: holds what is no finite number")


def test_what_is_not_supported_is_said(tmp_path: Path) -> None:
    arrays = ggufs.weights() | {"blk.0.attn_q.bias": np.ones(16, dtype=np.float32)}
    refused(written(tmp_path, ggufs.packed(ggufs.metadata(), arrays)), "attn_q.bias.*not part of a plain Llama")
    path = written(tmp_path, ggufs.packed(ggufs.metadata(tokenizer__ggml__model="llama"), ggufs.weights()))
    with pytest.raises(ScenarioError, match="its tokenizer must be bytes, or gpt2"):
        encoder_of(read_weights(path))


def test_files_that_are_none(tmp_path: Path) -> None:
    refused(written(tmp_path, b""), "is not a GGUF file")
    refused(written(tmp_path, b"GGML" + bytes(100)), "is not a GGUF file")
    refused(written(tmp_path, b"GGUF" + struct.pack(">I", 3) + bytes(100)), "version 2 or 3")
    refused(tmp_path, "regular file")
    refused(tmp_path / "absent.gguf", "cannot be read|no such file")


WHOLE = ggufs.packed(ggufs.metadata(tokenizer__ggml__tokens=["a", "bc"], x__y=[]), ggufs.weights())
HEAD = WHOLE.index(b"token_embd.weight")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at=st.integers(4, HEAD + 1_500), bits=st.binary(min_size=1, max_size=9), end=st.none() | st.integers(0, len(WHOLE))
)
def test_any_damage_is_refused_or_harmless(tmp_path: Path, at: int, bits: bytes, end: int | None) -> None:
    path = written(tmp_path, (WHOLE[:at] + bits + WHOLE[at + len(bits) :])[:end])
    try:
        read_weights(path).arrays()
    except ScenarioError as error:
        told = str(error)
    else:
        told = ""
    assert "\n" not in told
