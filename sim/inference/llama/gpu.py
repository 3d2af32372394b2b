"""A GPU's own nondeterminism: the same prompts in batches of different sizes, by PyTorch's kernels (extra `cuda`).

A batch holds one prompt as often as its size says, and its first row is recorded: kernels are chosen by shape, so that
the size alone changes the order of sums. Logits are rounded to the storage format, as the kernels return them.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.base.errors import Problem, ScenarioError
from sim.inference.llama.kernels import REFERENCE
from sim.inference.llama.recorder import Prompt, Wanted, chosen, greedy, network_logits
from sim.inference.recordings import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from sim.inference.llama.gguf import Weights
    from sim.inference.llama.network import Network, Shape
    from sim.inference.llama.storage import Dtype

    Floats = NDArray[np.float32]


class GpuRecorder:
    """One GPU, at several batch sizes.

    Parameters
    ----------
    weights
        Of the network.
    wanted
        What to record.
    sizes
        Batch sizes.
    runs
        How often each is run.
    device
        PyTorch's name of the device.

    Raises
    ------
    ScenarioError
        PyTorch is not installed, or finds no such device.
    """

    def __init__(
        self, weights: Weights, wanted: Wanted, sizes: Sequence[int], runs: int, *, device: str = "cuda"
    ) -> None:
        torch = _torch(device)
        self._weights, self._wanted = weights, wanted
        self._cases = [(size, run) for size in sizes for run in range(runs)]
        self._network = TorchNetwork(weights.shape, weights.arrays(), wanted.dtype, device)
        self._hardware = torch.cuda.get_device_name() if device == "cuda" else device
        self._engine = f"torch {torch.__version__}"

    @property
    def replicas(self) -> list[str]:
        """Names of the cases that stand for replicas."""
        return [f"batch{size}-run{run}" for size, run in self._cases]

    @cached_property
    def _teacher(self) -> Network:
        return self._weights.network("fp32")

    def records(self, prompt: Prompt) -> Iterator[Record]:
        """Run one prompt in every batch size."""
        wanted = self._wanted
        forced = wanted.mode == "teacher_forced"
        teacher = network_logits(self._teacher, REFERENCE) if forced else None
        answer = greedy(teacher, prompt.tokens, wanted.tokens)[0] if teacher is not None else []
        for number, (size, run) in enumerate(self._cases):
            if forced:
                best, gaps = chosen(self._network.logits(prompt.tokens + answer[:-1], size, last=wanted.tokens))
            else:
                best, gaps = greedy(self._logits(size), prompt.tokens, wanted.tokens)
            yield Record(
                prompt=prompt.name,
                replica=self.replicas[number],
                hardware=self._hardware,
                engine=self._engine,
                batch=size,
                run=run,
                tokens=best,
                gaps=wanted.kept(gaps, number, self._weights),
            )

    def _logits(self, size: int) -> Callable[[list[int]], Floats]:
        cache: list[Any] = []
        return lambda tokens: self._network.logits(tokens, size, cache)


def _torch(device: str) -> Any:
    try:
        import torch
    except ImportError:
        message = "needs PyTorch: pip install 'splitquorum[cuda]'"
        raise ScenarioError([Problem("", message, device, where="--device")]) from None
    if device == "cuda" and not torch.cuda.is_available():
        message = f"needs a GPU, and PyTorch {torch.__version__} finds none that it can use"
        raise ScenarioError([Problem("", message, device, where="--device")])
    return torch


class TorchNetwork:
    """The same network as `Network`, by PyTorch's own kernels.

    Parameters
    ----------
    shape
        Its sizes.
    weights
        Arrays by name.
    dtype
        Storage format.
    device
        PyTorch's name of the device.
    """

    def __init__(self, shape: Shape, weights: dict[str, Floats], dtype: Dtype, device: str) -> None:
        torch = self._torch = _torch(device)
        kind = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[dtype]
        self._shape, self._device = shape, device
        self._weights = {name: torch.tensor(array).to(device, kind) for name, array in weights.items()}
        self._head = self._weights.get("output.weight", self._weights["token_embd.weight"])

    def logits(self, tokens: list[int], size: int, cache: list[Any] | None = None, *, last: int = 1) -> Floats:
        """Logits of what follows each of the last tokens, in the first row of a batch.

        Parameters
        ----------
        tokens
            New tokens, the same in every row.
        size
            Rows of the batch.
        cache
            Keys and values of what came before, changed in place; empty at first. None: nothing came before.
        last
            After how many of the new tokens logits are wanted.
        """
        torch, start = self._torch, cache[0][0].shape[2] if cache else 0
        linear = torch.nn.functional.linear
        turns = self._turns(start, len(tokens))
        with torch.inference_mode():
            x = self._weights["token_embd.weight"][torch.tensor([tokens] * size, device=self._device)]
            for layer in range(self._shape.block_count):
                w = {key.split(".")[2]: self._weights[key] for key in self._weights if key.startswith(f"blk.{layer}.")}
                mixed = self._attended(self._normed(x, w["attn_norm"]), w, layer, cache, turns)
                x = x + linear(mixed, w["attn_output"])
                normed = self._normed(x, w["ffn_norm"])
                gate = torch.nn.functional.silu(linear(normed, w["ffn_gate"]))
                x = x + linear(gate * linear(normed, w["ffn_up"]), w["ffn_down"])
            x = self._normed(x[:, -last:], self._weights["output_norm.weight"])
            return np.asarray(linear(x, self._head)[0].float().cpu().numpy())

    def _normed(self, x: Any, weight: Any) -> Any:
        return self._torch.nn.functional.rms_norm(x, (x.shape[-1],), weight, self._shape.rms_epsilon)

    def _attended(self, x: Any, w: dict[str, Any], layer: int, cache: list[Any] | None, turns: Any) -> Any:
        functional, size, count = self._torch.nn.functional, len(x), x.shape[1]
        query, key, value = (
            functional.linear(x, w[name]).view(size, count, -1, self._shape.head_length).transpose(1, 2)
            for name in ("attn_q", "attn_k", "attn_v")
        )
        query, key = self._turned(query, turns), self._turned(key, turns)
        first = True
        if cache is not None:
            if first := len(cache) <= layer:
                cache.append((key, value))
            else:
                key, value = (self._torch.cat(pair, dim=2) for pair in zip(cache[layer], (key, value), strict=True))
                cache[layer] = (key, value)
        sharing = self._shape.head_count // self._shape.head_count_kv
        key, value = (part.repeat_interleave(sharing, dim=1) for part in (key, value))
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=first)
        return mixed.transpose(1, 2).reshape(size, count, -1)

    def _turns(self, start: int, count: int) -> Any:
        half = self._shape.head_length // 2
        speeds = self._shape.rope_freq_base ** (-np.arange(half) / half)
        angles = self._torch.tensor(np.arange(start, start + count)[:, None] * speeds, device=self._device)
        return self._torch.cos(angles).float(), self._torch.sin(angles).float()

    def _turned(self, x: Any, turns: Any) -> Any:
        (cosine, sine), even, odd = turns, x[..., ::2].float(), x[..., 1::2].float()
        pairs = self._torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1)
        return pairs.flatten(-2).to(x.dtype)
