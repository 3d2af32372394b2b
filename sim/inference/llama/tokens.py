"""Tokens: from text to the token ids of a network, as its file of weights says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

from sim.base.errors import Problem, ScenarioError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.inference.llama.gguf import Weights

_DIGITS_ALONE = frozenset({"smollm"})
_AS_GPT2 = frozenset({"gpt-2", "default", *_DIGITS_ALONE})


def encoder_of(weights: Weights) -> Callable[[str], list[int]]:
    """Give the function that turns text into token ids; nothing is put before or behind the text.

    Parameters
    ----------
    weights
        Tokens are bytes, or pairs merged as GPT-2 does (Sennrich et al. 2016; needs `tokenizers`, extra `record`).

    Raises
    ------
    ScenarioError
        The vocabulary is damaged or of another kind, or `tokenizers` is not installed.
    """
    try:
        return _bytes if weights.of_bytes else _merging(weights.metadata, weights.shape.vocab_size)
    except ValueError as error:
        raise ScenarioError([Problem("", str(error), where=str(weights.path))]) from None


def _bytes(text: str) -> list[int]:
    return list(text.encode())


def _merging(metadata: dict[str, Any], size: int) -> Callable[[str], list[int]]:
    kind, pre = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre", "default")
    if kind != "gpt2" or pre not in _AS_GPT2:
        known = "bytes, or gpt2 with pre-tokenizer " + ", ".join(sorted(_AS_GPT2))
        raise ValueError(f"its tokenizer must be {known} (is {str(kind)[:50]!r} with {str(pre)[:50]!r})")
    tokens, merges = metadata.get("tokenizer.ggml.tokens"), metadata.get("tokenizer.ggml.merges")
    if not _texts(tokens) or len(tokens) != size or len(set(tokens)) != size:
        raise ValueError(f"tokenizer.ggml.tokens must be {size:,} different strings")
    if not _texts(merges) or any(merge.count(" ") != 1 for merge in merges):
        raise ValueError("tokenizer.ggml.merges must be strings of two tokens each")
    try:
        from tokenizers import Tokenizer, models, pre_tokenizers
    except ImportError:
        raise ValueError("has a tokenizer that needs: pip install 'splitquorum[record]'") from None
    try:
        pairs = [(left, right) for left, _, right in (merge.partition(" ") for merge in merges)]
        model = models.BPE({token: number for number, token in enumerate(tokens)}, pairs)
    except Exception as error:  # noqa: BLE001 -- it raises bare Exceptions for merges that are no tokens
        raise ValueError(f"its merges do not fit its tokens: {' '.join(str(error).split())[:200]}") from None
    tokenizer = Tokenizer(model)
    steps: list[Any] = [pre_tokenizers.Digits(individual_digits=True)] if pre in _DIGITS_ALONE else []
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*steps, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids)


def _texts(values: Any) -> TypeGuard[list[str]]:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)
