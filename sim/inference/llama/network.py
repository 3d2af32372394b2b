"""The forward pass of a Llama network (Touvron et al. 2023) in a chosen arithmetic.

Pre-norm blocks with RMS norms (Zhang and Sennrich 2019), rotary positions (Su et al. 2021), grouped-query attention
(Ainslie et al. 2023) and a gated SiLU; attention over blocks of keys as in FlashAttention (Dao et al. 2022), whose
partial results are put together at the end as in Flash-Decoding (Dao et al. 2023). Each kernel sums in fp32 and stores
its result rounded; the logits stay in fp32 unless the caller rounds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sim.inference.llama.storage import Dtype, Storage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from sim.inference.llama.kernels import Kernels

    Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a network, under their names in GGUF's metadata."""

    vocab_size: int
    embedding_length: int
    block_count: int
    feed_forward_length: int
    head_count: int
    head_count_kv: int
    context_length: int
    rope_freq_base: float
    rms_epsilon: float

    @property
    def head_length(self) -> int:
        """Numbers of one head."""
        return self.embedding_length // self.head_count

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Shapes that the weights must have, by name: (outputs, inputs) for matrices."""
        width, inner, kv = self.embedding_length, self.feed_forward_length, self.head_length * self.head_count_kv
        shapes: dict[str, tuple[int, ...]] = {
            "token_embd.weight": (self.vocab_size, width),
            "output_norm.weight": (width,),
        }
        for layer in range(self.block_count):
            block = {
                "attn_norm": (width,),
                "attn_q": (width, width),
                "attn_k": (kv, width),
                "attn_v": (kv, width),
                "attn_output": (width, width),
                "ffn_norm": (width,),
                "ffn_gate": (inner, width),
                "ffn_up": (inner, width),
                "ffn_down": (width, inner),
            }
            shapes |= {f"blk.{layer}.{name}.weight": shape for name, shape in block.items()}
        return shapes


class _Block(NamedTuple):
    """Weights of one block; matrices as (inputs, outputs)."""

    attn_norm: Floats
    attn_q: Floats
    attn_k: Floats
    attn_v: Floats
    attn_output: Floats
    ffn_norm: Floats
    ffn_gate: Floats
    ffn_up: Floats
    ffn_down: Floats


class Cache:
    """Keys and values of the tokens that a sequence has so far, for each block."""

    def __init__(self) -> None:
        self.length = 0
        self._held: dict[int, tuple[Floats, Floats]] = {}

    def extended(self, layer: int, keys: Floats, values: Floats) -> tuple[Floats, Floats]:
        """Put the keys and values of new tokens behind those of a block, (heads, T, length) each; give all of them."""
        if layer in self._held:
            old_keys, old_values = self._held[layer]
            keys, values = np.concatenate([old_keys, keys], axis=1), np.concatenate([old_values, values], axis=1)
        self._held[layer] = (keys, values)
        return keys, values


class Network:
    """A network whose weights are held in a storage format.

    Parameters
    ----------
    shape
        Its sizes.
    weights
        Arrays by name, shaped as `Shape.tensors` says; `output.weight` where logits do not use the embedding.
    dtype
        Storage format.
    """

    def __init__(self, shape: Shape, weights: Mapping[str, Floats], dtype: Dtype) -> None:
        self.shape, self.storage = shape, Storage(dtype)
        keep = self.storage.rounded
        self._embedding = keep(weights["token_embd.weight"])
        self._head = np.ascontiguousarray(keep(weights.get("output.weight", self._embedding)).T)
        self._norm = keep(weights["output_norm.weight"])
        self._blocks = [
            _Block(*(np.ascontiguousarray(keep(weights[f"blk.{layer}.{name}.weight"]).T) for name in _Block._fields))
            for layer in range(shape.block_count)
        ]

    def logits(self, tokens: Sequence[int], kernels: Kernels, cache: Cache | None = None, *, last: int = 1) -> Floats:
        """Logits of what follows each of the last tokens.

        Parameters
        ----------
        tokens
            New tokens, behind those of the cache.
        kernels
            In which order sums are formed.
        cache
            What came before; changed in place. None: nothing.
        last
            After how many of the new tokens logits are wanted.

        Returns
        -------
        Floats
            Shape (last, vocabulary), not rounded.
        """
        cache = cache if cache is not None else Cache()
        turns = self._turns(cache.length, len(tokens))
        keep = self.storage.rounded
        x = self._embedding[np.asarray(tokens)]
        with _one_thread(), np.errstate(over="ignore", invalid="ignore"):  # fp16 may overflow: the logits then show it
            for layer, block in enumerate(self._blocks):
                mixed = self._attention(self._normed(x, block.attn_norm, kernels), block, kernels, cache, layer, turns)
                x = keep(x + mixed)
                x = keep(x + self._fed(self._normed(x, block.ffn_norm, kernels), block, kernels))
            cache.length += len(tokens)
            return kernels.product(self._normed(x[-last:], self._norm, kernels), self._head)

    def _normed(self, x: Floats, weight: Floats, kernels: Kernels) -> Floats:
        mean = kernels.square_sum(x) / np.float32(x.shape[1])
        scaled = x / np.sqrt(mean + np.float32(self.shape.rms_epsilon))
        return self.storage.rounded(self.storage.rounded(scaled) * weight)

    def _fed(self, x: Floats, block: _Block, kernels: Kernels) -> Floats:
        keep = self.storage.rounded
        gate, up = keep(kernels.product(x, block.ffn_gate)), keep(kernels.product(x, block.ffn_up))
        active = keep(gate / (1 + np.exp(-gate)))  # where exp overflows, the gate is zero, as it must be
        return keep(kernels.product(keep(active * up), block.ffn_down))

    def _attention(
        self, x: Floats, block: _Block, kernels: Kernels, cache: Cache, layer: int, turns: tuple[Floats, Floats]
    ) -> Floats:
        keep = self.storage.rounded
        query, key, value = (
            keep(kernels.product(x, matrix)).reshape(len(x), -1, self.shape.head_length).transpose(1, 0, 2)
            for matrix in (block.attn_q, block.attn_k, block.attn_v)
        )
        query, key = keep(_turned(query, turns)), keep(_turned(key, turns))
        keys, values = cache.extended(layer, key, value)
        mixed = attended(query, keys, values, kernels, self.storage)
        return keep(kernels.product(mixed, block.attn_output))

    def _turns(self, start: int, count: int) -> tuple[Floats, Floats]:
        """Cosine and sine of the rotary angles of new positions, shape (T, head length / 2)."""
        half = self.shape.head_length // 2
        speeds = self.shape.rope_freq_base ** (-np.arange(half) / half)
        angles = np.arange(start, start + count)[:, None] * speeds
        return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _one_thread() -> AbstractContextManager[Any]:
    """Give matrix products one thread, so that their sums have one order."""
    limited: AbstractContextManager[Any] = _threads().limit(limits=1, user_api="blas")
    return limited


@cache
def _threads() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _turned(x: Floats, turns: tuple[Floats, Floats]) -> Floats:
    """Rotate neighbouring numbers of (heads, T, length) by the angle of their position."""
    cosine, sine = turns
    even, odd = x[..., ::2], x[..., 1::2]
    result = np.empty(x.shape, dtype=np.float32)
    result[..., ::2] = even * cosine - odd * sine
    result[..., 1::2] = even * sine + odd * cosine
    return result


def attended(query: Floats, keys: Floats, values: Floats, kernels: Kernels, storage: Storage) -> Floats:
    """Causal attention, block of keys by block of keys, as the machine orders it.

    Parameters
    ----------
    query
        Shape (heads, T, length): the last T positions of the sequence.
    keys, values
        Shape (kv heads, S, length): the whole sequence; each is shared by heads / kv heads neighbouring heads.
    kernels
        In which order sums are formed.
    storage
        To which the weights of a block and the result are rounded.

    Returns
    -------
    Floats
        Shape (T, heads x length).
    """
    heads, count, length = query.shape
    sharing, total = heads // len(keys), keys.shape[1]
    query = (query * np.float32(length**-0.5)).reshape(len(keys), sharing * count, length)
    positions = np.tile(np.arange(total - count, total), sharing)
    size = kernels.kv_block or total
    maxima, sums, mixes = [], [], []
    for start in range(0, total, size):
        block = slice(start, min(start + size, total))
        scores = query @ keys[:, block].transpose(0, 2, 1)
        if block.stop > total - count:  # some queries do not see all of it
            scores[:, positions[:, None] < np.arange(block.start, block.stop)] = -np.inf
        best = scores.max(axis=2, keepdims=True)
        weights = np.exp(scores - np.where(best == -np.inf, np.float32(0), best))
        maxima.append(best)
        sums.append(weights.sum(axis=2, keepdims=True))
        mixes.append(storage.rounded(weights) @ values[:, block])
    if len(maxima) > 1:
        overall = np.maximum.reduce(maxima)
        scales = [np.exp(best - overall) for best in maxima]
        sums = [kernels.total([part * scale for part, scale in zip(sums, scales, strict=True)])]
        mixes = [kernels.total([part * scale for part, scale in zip(mixes, scales, strict=True)])]
    result = storage.rounded(mixes[0] / sums[0])
    return result.reshape(heads, count, length).transpose(1, 0, 2).reshape(count, heads * length)
