"""The forward pass, against one that is written position by position in double precision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ggufs
import numpy as np
import pytest
from reference.llama import logits as plain

from sim.inference.llama.gguf import read_weights
from sim.inference.llama.kernels import CONFIGURATIONS, REFERENCE, Kernels
from sim.inference.llama.network import Cache, Network
from sim.inference.llama.storage import DTYPES, Dtype

if TYPE_CHECKING:
    from pathlib import Path

TOKENS = [72, 101, 108, 108, 111, 44, 32, 119, 111, 114, 108, 100, 33, 0, 255, 72, 101]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ggufs.tiny(tmp_path_factory.mktemp("gguf"))


@pytest.mark.parametrize("kernels", CONFIGURATIONS, ids=lambda kernels: kernels.label)
def test_logits_are_those_of_the_plain_version(tiny: Path, kernels: Kernels) -> None:
    expected = plain(ggufs.weights(), TOKENS, heads=4, kv_heads=2, base=10_000.0, epsilon=1e-5)
    found = read_weights(tiny).network("fp32").logits(TOKENS, kernels, last=len(TOKENS))
    assert found.shape == (len(TOKENS), 256)
    assert np.abs(found - expected).max() < 2e-4 * np.abs(expected).max()


def test_token_by_token_is_the_same_as_all_at_once(tiny: Path) -> None:
    network, cache = read_weights(tiny).network("fp32"), Cache()
    whole = network.logits(TOKENS, REFERENCE, last=len(TOKENS))
    pieces = [network.logits(TOKENS[:4], REFERENCE, cache, last=4)]
    pieces += [network.logits([token], REFERENCE, cache) for token in TOKENS[4:]]
    assert np.allclose(np.concatenate(pieces), whole, rtol=0, atol=1e-4)


def test_an_answer_does_not_depend_on_what_comes_later(tiny: Path) -> None:
    network = read_weights(tiny).network("fp32")
    longer = network.logits(TOKENS, Kernels(kv_block=4), last=len(TOKENS))
    assert np.allclose(longer[:9], network.logits(TOKENS[:9], Kernels(kv_block=4), last=9), rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_same_configuration_gives_the_same_bits_twice(tiny: Path, dtype: Dtype) -> None:
    weights = read_weights(tiny)
    for kernels in CONFIGURATIONS:
        first = weights.network(dtype).logits(TOKENS, kernels, last=9)
        assert np.array_equal(first, weights.network(dtype).logits(list(TOKENS), kernels, last=9))


def test_configurations_with_the_same_arithmetic_give_the_same_bits(tiny: Path) -> None:
    network = read_weights(tiny).network("bf16")
    wide = Kernels(2, "tree", kv_block=len(TOKENS), norm_block=16)
    assert np.array_equal(network.logits(TOKENS, Kernels(2), last=9), network.logits(TOKENS, wide, last=9))


def test_stored_results_are_numbers_of_the_format(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every matrix product and norm takes numbers of the format: nothing stays in fp32 between kernels."""
    network = read_weights(tiny).network("bf16")
    taken: list[Any] = []
    product, square_sum = Kernels.product, Kernels.square_sum

    def watched(kernels: Kernels, rows: Any, matrix: Any) -> Any:
        taken.extend([rows, matrix])
        return product(kernels, rows, matrix)

    def watched_sum(kernels: Kernels, rows: Any) -> Any:
        taken.append(rows)
        return square_sum(kernels, rows)

    monkeypatch.setattr(Kernels, "product", watched)
    monkeypatch.setattr(Kernels, "square_sum", watched_sum)
    network.logits(TOKENS, REFERENCE)
    assert len(taken) == 2 * (7 * 2 + 2) + 3
    for array in taken:
        assert not (np.ascontiguousarray(array).view(np.uint32) & 0xFFFF).any()


def test_an_output_matrix_of_its_own_is_used(tmp_path: Path) -> None:
    arrays = ggufs.weights()
    own = {**arrays, "output.weight": arrays["token_embd.weight"][::-1]}
    (tmp_path / "own.gguf").write_bytes(ggufs.packed(ggufs.metadata(), own))
    found = read_weights(tmp_path / "own.gguf").network("fp32").logits(TOKENS, REFERENCE)
    tied = Network(read_weights(tmp_path / "own.gguf").shape, arrays, "fp32").logits(TOKENS, REFERENCE)
    assert np.allclose(found, tied[:, ::-1], atol=1e-4)
