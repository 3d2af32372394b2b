"""Small GGUF files, whole or damaged, for tests."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SIZES = {"vocab": 256, "width": 16, "inner": 24, "blocks": 2, "heads": 4, "kv": 2, "context": 64}


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def value_of(value: Any) -> bytes:
    """A metadata value with its type before it."""
    if isinstance(value, bytes):  # as it stands
        return value
    if isinstance(value, str):
        return struct.pack("<I", 8) + text(value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, list):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
    return struct.pack("<II", 4, value)


def metadata(**changes: Any) -> dict[str, Any]:
    """Metadata of a network of `SIZES`; a dot in a key is written as two underscores, None leaves a key out."""
    entries: dict[str, Any] = {
        "general.architecture": "llama",
        "general.name": "tiny",
        "llama.vocab_size": SIZES["vocab"],
        "llama.context_length": SIZES["context"],
        "llama.embedding_length": SIZES["width"],
        "llama.block_count": SIZES["blocks"],
        "llama.feed_forward_length": SIZES["inner"],
        "llama.attention.head_count": SIZES["heads"],
        "llama.attention.head_count_kv": SIZES["kv"],
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.freq_base": 10_000.0,
        "tokenizer.ggml.model": "bytes",
    }
    entries |= {key.replace("__", "."): value for key, value in changes.items()}
    return {key: value for key, value in entries.items() if value is not None}


def weights(seed: int = 1, scale: float = 0.6) -> dict[str, NDArray[np.float32]]:
    """Random weights of a network of `SIZES`."""
    draw = np.random.default_rng(seed)
    width, inner, kv = SIZES["width"], SIZES["inner"], SIZES["width"] // SIZES["heads"] * SIZES["kv"]
    shapes: dict[str, tuple[int, ...]] = {"token_embd": (SIZES["vocab"], width), "output_norm": (width,)}
    for layer in range(SIZES["blocks"]):
        for name, shape in {
            "attn_norm": (width,),
            "attn_q": (width, width),
            "attn_k": (kv, width),
            "attn_v": (kv, width),
            "attn_output": (width, width),
            "ffn_norm": (width,),
            "ffn_gate": (inner, width),
            "ffn_up": (inner, width),
            "ffn_down": (width, inner),
        }.items():
            shapes[f"blk.{layer}.{name}"] = shape
    arrays = {f"{name}.weight": draw.standard_normal(shape) for name, shape in shapes.items()}
    return {
        name: (1 + 0.1 * array if array.ndim == 1 else scale * array).astype(np.float32)
        for name, array in arrays.items()
    }


def packed(
    entries: dict[str, Any],
    arrays: dict[str, NDArray[np.float32]],
    *,
    tensor_count: int | None = None,
    entry_count: int | None = None,
    described: dict[str, tuple[tuple[int, ...], int, int]] | None = None,
) -> bytes:
    """A GGUF file; counts and the descriptions of tensors (shape, type, offset) may lie."""
    head = b"GGUF" + struct.pack("<I", 3)
    head += struct.pack("<QQ", len(arrays) if tensor_count is None else tensor_count, entry_count or len(entries))
    head += b"".join(text(key) + value_of(value) for key, value in entries.items())
    data = b""
    for name, array in arrays.items():
        shape, kind, offset = (described or {}).get(name, (array.shape, 0, len(data)))
        head += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape))
        head += struct.pack("<IQ", kind, offset)
        data += array.astype("<f4").tobytes()
        data += b"\0" * (-len(data) % 32)
    return head + b"\0" * (-len(head) % 32) + data


def tiny(folder: Path, name: str = "tiny.gguf", **changes: Any) -> Path:
    """Write a whole file with random weights."""
    path = folder / name
    path.write_bytes(packed(metadata(**changes), weights()))
    return path
