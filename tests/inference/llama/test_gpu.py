"""The PyTorch recorder, on PyTorch's own CPU kernels: what it computes, not what a GPU makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ggufs
import numpy as np
import pytest

from sim.base.errors import ScenarioError
from sim.inference.llama.gguf import read_weights
from sim.inference.llama.gpu import GpuRecorder, TorchNetwork
from sim.inference.llama.kernels import REFERENCE
from sim.inference.llama.recorder import Mode, Wanted, prompts_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOKENS = [72, 101, 108, 108, 111, 44, 32, 119, 111, 114, 108, 100, 33, 0, 255, 72, 101]


def test_it_computes_the_same_network(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    weights = read_weights(ggufs.tiny(tmp_path))
    expected = weights.network("fp32").logits(TOKENS, REFERENCE, last=len(TOKENS))
    network = TorchNetwork(weights.shape, weights.arrays(), "fp32", "cpu")
    for size in (1, 3):
        assert np.allclose(network.logits(TOKENS, size, last=len(TOKENS)), expected, rtol=0, atol=1e-3)
        cache: list[Any] = []
        pieces = [
            network.logits(part, size, cache, last=len(part)) for part in (TOKENS[:5], *([t] for t in TOKENS[5:]))
        ]
        assert np.allclose(np.concatenate(pieces), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("mode", ["teacher_forced", "free"])
def test_it_records_batch_sizes_and_runs(tmp_path: Path, mode: Mode) -> None:
    pytest.importorskip("torch")
    weights, wanted = read_weights(ggufs.tiny(tmp_path)), Wanted(dtype="fp32", mode=mode, tokens=6, gaps=3)
    prompt = prompts_of(["Hello"], weights, 6, "")[0]
    recorder = GpuRecorder(weights, wanted, [1, 2], 2, device="cpu")
    records = list(recorder.records(prompt))
    assert [record.replica for record in records] == recorder.replicas
    assert [(r.batch, r.run) for r in records] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert [r.gaps is not None for r in records] == [True, True, True, False]
    assert all(r.engine.startswith("torch ") and r.tokens and len(r.tokens) == 6 for r in records)


def test_without_pytorch_the_flag_is_refused(tmp_path: Path, without: Callable[[str], None]) -> None:
    without("torch")
    weights = read_weights(ggufs.tiny(tmp_path))
    with pytest.raises(ScenarioError, match=r"^--device: needs PyTorch: pip install 'splitquorum\[cuda\]'"):
        GpuRecorder(weights, Wanted(dtype="fp32"), [1], 1)


def test_without_a_gpu_the_flag_is_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    weights = read_weights(ggufs.tiny(tmp_path))
    with pytest.raises(ScenarioError, match=r"^--device: needs a GPU, and PyTorch .* finds none"):
        GpuRecorder(weights, Wanted(dtype="fp32"), [1], 1)
