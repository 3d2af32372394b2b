"""A Llama network, position by position and head by head, in double precision: slow and plain."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def logits(
    weights: dict[str, NDArray[np.float32]], tokens: list[int], heads: int, kv_heads: int, base: float, epsilon: float
) -> Floats:
    """Logits of what follows each token, shape (T, vocabulary)."""
    w = {name: array.astype(np.float64) for name, array in weights.items()}
    blocks = 1 + max(int(name.split(".")[1]) for name in w if name.startswith("blk."))
    seen: list[list[tuple[Floats, Floats]]] = [[] for _ in range(blocks)]
    rows = []
    for position, token in enumerate(tokens):
        x = w["token_embd.weight"][token]
        for layer in range(blocks):
            at = f"blk.{layer}."
            normed = _norm(x, w[f"{at}attn_norm.weight"], epsilon)
            query, key, value = (w[f"{at}attn_{part}.weight"] @ normed for part in "qkv")
            query, key = _rotated(query, heads, position, base), _rotated(key, kv_heads, position, base)
            seen[layer].append((key, value))
            x = x + w[f"{at}attn_output.weight"] @ _mixed(query, seen[layer], heads, kv_heads)
            normed = _norm(x, w[f"{at}ffn_norm.weight"], epsilon)
            gate = w[f"{at}ffn_gate.weight"] @ normed
            x = x + w[f"{at}ffn_down.weight"] @ (gate / (1 + np.exp(-gate)) * (w[f"{at}ffn_up.weight"] @ normed))
        rows.append(w["token_embd.weight"] @ _norm(x, w["output_norm.weight"], epsilon))
    return np.array(rows)


def _norm(x: Floats, weight: Floats, epsilon: float) -> Floats:
    return x / math.sqrt(sum(value * value for value in x) / len(x) + epsilon) * weight


def _rotated(x: Floats, heads: int, position: int, base: float) -> Floats:
    """Multiply neighbouring numbers, as one complex number, by that of their angle."""
    length = len(x) // heads
    pairs = (x[::2] + 1j * x[1::2]).reshape(heads, length // 2)
    speeds = np.array([base ** (-2 * number / length) for number in range(length // 2)])
    turned = pairs * np.exp(1j * position * speeds)
    return np.stack([turned.real, turned.imag], axis=-1).reshape(-1)


def _mixed(query: Floats, seen: list[tuple[Floats, Floats]], heads: int, kv_heads: int) -> Floats:
    length = len(query) // heads
    result = []
    for head in range(heads):
        own, shared = slice(head * length, (head + 1) * length), head // (heads // kv_heads)
        theirs = slice(shared * length, (shared + 1) * length)
        scores = np.array([query[own] @ key[theirs] / math.sqrt(length) for key, _ in seen])
        shares = np.exp(scores - scores.max())
        shares = shares / shares.sum()
        result.append(sum(share * value[theirs] for share, (_, value) in zip(shares, seen, strict=True)))
    return np.concatenate(result)
