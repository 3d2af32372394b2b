"""GGUF, the file format of weights of llama.cpp: sizes, vocabulary and tensors of a Llama network.

A file may come from anywhere. Its header says how long everything is, and may lie: every length is held against the
bytes that are left before anything of that length is read, so that memory is bounded by the size of the file. Format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; blocks of quantised numbers are unpacked by the package
`gguf` (extra `record`), plain ones by NumPy.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sim.base.errors import Problem, ScenarioError
from sim.base.files import open_regular
from sim.inference.llama.network import Network, Shape

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray

    from sim.inference.llama.storage import Dtype

    Floats = NDArray[np.float32]

PARAMETERS_MAX = 2_000_000_000
_ENTRIES_MAX, _TENSORS_MAX, _ITEMS_MAX, _DEPTH_MAX = 4_096, 65_536, 4_000_000, 4
_STRING, _ARRAY = 8, 9
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_PLAIN: dict[int, np.dtype[Any]] = {0: np.dtype("<f4"), 1: np.dtype("<f2")}
_BFLOAT = 30
_FIELDS = {
    "embedding_length": "embedding_length",
    "block_count": "block_count",
    "feed_forward_length": "feed_forward_length",
    "head_count": "attention.head_count",
    "context_length": "context_length",
    "rms_epsilon": "attention.layer_norm_rms_epsilon",
}


class Tensor(NamedTuple):
    """Where a tensor lies, and how."""

    shape: tuple[int, ...]
    kind: int
    offset: int


class _Reader:
    """Values of the header, none of them longer than what is left of the file."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self.size, self.at = file, size, 0
        file.seek(0)

    def take(self, length: int, what: str) -> bytes:
        if length > self.size - self.at:
            left = self.size - self.at
            raise ValueError(f"{what} of {length:,} bytes at byte {self.at:,}, where {left:,} are left of the file")
        self.at += length
        taken = self._file.read(length)
        if len(taken) != length:
            raise ValueError("is cut off while it is read")
        return taken

    def skip(self, length: int, what: str) -> None:
        if length > self.size - self.at:
            self.take(length, what)
        self.at += length
        self._file.seek(self.at)

    def scalar(self, kind: int) -> Any:
        if (code := _SCALARS.get(kind)) is None:
            raise ValueError(f"a value of unknown type {kind} at byte {self.at:,}")
        return struct.unpack(code, self.take(struct.calcsize(code), "a number"))[0]

    def text(self, length_max: int = 1_000_000) -> str:
        length = self.scalar(10)
        if length > length_max and length <= self.size - self.at:
            raise ValueError(f"a string of {length:,} bytes at byte {self.at:,}, more than {length_max:,}")
        return self.take(length, "a string").decode("utf-8", errors="replace")

    def value(self, *, keep: bool, depth: int = 0) -> Any:
        """Read a value with its type before it; None where it need not be kept."""
        return self._of(self.scalar(4), keep=keep, depth=depth)

    def _of(self, kind: int, *, keep: bool, depth: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            return self._items(keep=keep, depth=depth)
        return self.scalar(kind)

    def _items(self, *, keep: bool, depth: int) -> list[Any] | None:
        inner, count = self.scalar(4), self.scalar(10)
        if (code := _SCALARS.get(inner)) is not None:
            length, what = count * struct.calcsize(code), f"an array of {count:,} numbers"
            if not keep:
                self.skip(length, what)
                return None
            return list(np.frombuffer(self.take(length, what), np.dtype(code)).tolist())
        if inner not in (_STRING, _ARRAY) or depth >= _DEPTH_MAX:
            raise ValueError(f"an array of unknown type {inner} or too deep, at byte {self.at:,}")
        if count * 8 > self.size - self.at:
            self.take(count * 8, f"an array of {count:,} values")
        if count > _ITEMS_MAX:
            raise ValueError(f"an array of {count:,} values at byte {self.at:,}, more than {_ITEMS_MAX:,}")
        values = (self._of(inner, keep=keep, depth=depth + 1) for _ in range(count))
        if keep:
            return list(values)
        deque(values, maxlen=0)
        return None


@dataclass(frozen=True, slots=True)
class Weights:
    """The header of a file of weights, checked; tensors are read when a network is built."""

    path: Path
    name: str
    shape: Shape
    metadata: dict[str, Any]
    """Metadata whose keys begin with `general.` or `tokenizer.`."""
    tensors: dict[str, Tensor]

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @property
    def of_bytes(self) -> bool:
        """Whether its tokens are bytes, as those of the small model in the package are."""
        return self.metadata.get("tokenizer.ggml.model") == "bytes"

    def arrays(self) -> dict[str, Floats]:
        """Read the tensors, as (outputs, inputs) for matrices, in fp32.

        Raises
        ------
        ScenarioError
            They cannot be read, or hold what is no finite number.
        """
        names = [*self.shape.tensors(), *({"output.weight"} & self.tensors.keys())]
        try:
            with open_regular(self.path.resolve()) as file:
                return {name: self._array(file, name) for name in names}
        except (OSError, ValueError) as error:
            raise _refused(self.path, str(error)) from None

    def network(self, dtype: Dtype) -> Network:
        """Build the network, its weights in a storage format."""
        return Network(self.shape, self.arrays(), dtype)

    def _array(self, file: IO[bytes], name: str) -> Floats:
        shape, kind, offset = self.tensors[name]
        length = _bytes_of(shape, kind)
        file.seek(offset)
        content = file.read(length)
        if len(content) != length:
            raise ValueError("is cut off while it is read")
        if kind in _PLAIN:
            array = np.frombuffer(content, _PLAIN[kind]).astype(np.float32)
        elif kind == _BFLOAT:
            array = (np.frombuffer(content, "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            array = _unpacked(content, kind, shape)
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: holds what is no finite number")
        return array.reshape(shape)


def read_weights(path: str | PathLike[str]) -> Weights:
    """Read and check the header of a GGUF file.

    Parameters
    ----------
    path
        A regular file, version 2 or 3, little-endian, of architecture `llama`.

    Raises
    ------
    ScenarioError
        It cannot be read, is damaged or lies, or is of a kind that is not supported; the text says which.
    """
    where = Path(path)
    try:
        with open_regular(where.resolve()) as file:
            return _header(where, _Reader(file, file.seek(0, 2)))
    except OSError as error:
        raise _refused(where, f"cannot be read: {(error.strerror or str(error)).lower()}") from None
    except ValueError as error:
        raise _refused(where, str(error)) from None


def _refused(path: Path, reason: str) -> ScenarioError:
    return ScenarioError([Problem("", reason, where=str(path))])


def _header(path: Path, reader: _Reader) -> Weights:
    if reader.size < 24 or reader.take(4, "the mark") != b"GGUF":
        raise ValueError("is not a GGUF file")
    version = reader.scalar(4)
    if version not in (2, 3):
        raise ValueError(f"must be little-endian GGUF of version 2 or 3 (got {version})")
    tensor_count, entry_count = reader.scalar(10), reader.scalar(10)
    if tensor_count > _TENSORS_MAX or entry_count > _ENTRIES_MAX:
        raise ValueError(
            f"must have at most {_TENSORS_MAX:,} tensors and {_ENTRIES_MAX:,} metadata entries "
            f"(claims {tensor_count:,} and {entry_count:,})"
        )
    metadata: dict[str, Any] = {}
    for _ in range(entry_count):
        key = reader.text(65_535)
        if key in metadata:
            raise ValueError(f"metadata key {key[:100]!r} twice")
        keep = key.startswith(("general.", "llama.")) or key in TOKENIZER_KEYS
        metadata[key] = reader.value(keep=keep)
    shape = _shape(metadata)
    tensors = _tensors(reader, tensor_count, metadata)
    _check(shape, tensors, reader.size)
    kept = {key: value for key, value in metadata.items() if key.startswith("general.") or key in TOKENIZER_KEYS}
    return Weights(path, str(metadata.get("general.name") or path.stem)[:200], shape, kept, tensors)


TOKENIZER_KEYS = frozenset(
    f"tokenizer.ggml.{key}" for key in ("model", "pre", "tokens", "merges", "token_type", "eos_token_id")
)


def _shape(metadata: dict[str, Any]) -> Shape:
    if (architecture := metadata.get("general.architecture")) != "llama":
        raise ValueError(f"must be of architecture llama (is {str(architecture)[:100]!r})")
    values: dict[str, Any] = {}
    for name, key in _FIELDS.items():
        value = metadata.get(f"llama.{key}")
        whole = name != "rms_epsilon"
        if type(value) is not (int if whole else float) or not 0 < value <= 1e9:
            raise ValueError(f"metadata llama.{key} must be a positive {'integer' if whole else 'number'}")
        values[name] = value
    values["head_count_kv"] = metadata.get("llama.attention.head_count_kv", values["head_count"])
    values["rope_freq_base"] = metadata.get("llama.rope.freq_base", 10_000.0)
    tokens = metadata.get("tokenizer.ggml.tokens")
    values["vocab_size"] = metadata.get("llama.vocab_size", len(tokens) if isinstance(tokens, list) else None)
    _sizes_fit(metadata, values)
    return Shape(**values)


def _sizes_fit(metadata: dict[str, Any], values: dict[str, Any]) -> None:
    heads, kv_heads, width = values["head_count"], values["head_count_kv"], values["embedding_length"]
    if type(kv_heads) is not int or kv_heads < 1 or heads % kv_heads:
        raise ValueError(f"llama.attention.head_count_kv must divide head_count {heads} (got {kv_heads!r})")
    if width % heads or (width // heads) % 2:
        raise ValueError(f"llama.embedding_length must be an even multiple of head_count {heads} (got {width})")
    for key in ("key_length", "value_length"):
        if metadata.get(f"llama.attention.{key}", width // heads) != width // heads:
            raise ValueError(f"llama.attention.{key} other than embedding_length / head_count is not supported")
    if metadata.get("llama.rope.dimension_count", width // heads) != width // heads:
        raise ValueError("llama.rope.dimension_count other than the length of a head is not supported")
    if any(key.startswith("llama.rope.scaling") and metadata[key] not in ("none", None) for key in metadata):
        raise ValueError("llama.rope.scaling is not supported")
    if type(values["rope_freq_base"]) is not float or not 1 <= values["rope_freq_base"] < 1e12:
        raise ValueError("metadata llama.rope.freq_base must be a number of at least 1")
    if type(values["vocab_size"]) is not int or not 2 <= values["vocab_size"] <= _ITEMS_MAX:
        raise ValueError(f"the vocabulary must have 2 to {_ITEMS_MAX:,} tokens (got {values['vocab_size']!r})")


def _tensors(reader: _Reader, count: int, metadata: dict[str, Any]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for _ in range(count):
        name, dimensions = reader.text(65_535), reader.scalar(4)
        if dimensions > 4:
            raise ValueError(f"tensor {name[:100]!r} of {dimensions:,} dimensions, more than 4")
        sizes = [reader.scalar(10) for _ in range(dimensions)]
        if name in tensors:
            raise ValueError(f"tensor {name[:100]!r} twice")
        tensors[name] = Tensor(tuple(reversed(sizes)), reader.scalar(4), reader.scalar(10))
    alignment = metadata.get("general.alignment", 32)
    if type(alignment) is not int or not 8 <= alignment <= 2**20 or alignment % 8:
        raise ValueError(f"general.alignment must be a multiple of 8 (got {str(alignment)[:50]})")
    base = -(-reader.at // alignment) * alignment
    return {name: tensor._replace(offset=base + tensor.offset) for name, tensor in tensors.items()}


def _check(shape: Shape, tensors: dict[str, Tensor], size: int) -> None:
    """Hold the tensors against the sizes, before anything as large as them is made."""
    if shape.block_count > 1_000:
        raise ValueError(f"must have at most 1,000 blocks (claims {shape.block_count:,})")
    wanted = shape.tensors()
    if "output.weight" in tensors:
        wanted["output.weight"] = wanted["token_embd.weight"]
    if (parameters := sum(map(math.prod, wanted.values()))) > PARAMETERS_MAX:
        raise ValueError(f"must have at most {PARAMETERS_MAX:,} parameters (claims {parameters:,})")
    for name, sizes in wanted.items():
        tensor = tensors.get(name)
        if tensor is None:
            raise ValueError(f"tensor {name} is missing")
        if tensor.shape != sizes:
            raise ValueError(f"tensor {name} must have shape {list(sizes)} (claims {list(tensor.shape)})")
        if tensor.offset + _bytes_of(sizes, tensor.kind) > size:
            raise ValueError(f"tensor {name} ends beyond the file of {size:,} bytes")
    for name in tensors:
        if name not in wanted:
            raise ValueError(f"tensor {name[:100]!r} is not part of a plain Llama network, which is what is supported")


def _bytes_of(shape: tuple[int, ...], kind: int) -> int:
    """Bytes that a tensor takes in the file."""
    count = math.prod(shape)
    if kind in _PLAIN:
        return count * _PLAIN[kind].itemsize
    if kind == _BFLOAT:
        return count * 2
    numbers, length = _quantised(kind)
    if shape[-1] % numbers:
        raise ValueError(f"rows of {shape[-1]} numbers do not fit blocks of {numbers}")
    return count // numbers * length


def _quantised(kind: int) -> tuple[int, int]:
    """Numbers in a block of a quantised type, and its bytes."""
    constants = _package().constants
    try:
        numbers, length = constants.GGML_QUANT_SIZES[constants.GGMLQuantizationType(kind)]
    except (KeyError, ValueError):
        raise ValueError(f"a tensor of unknown type {kind}") from None
    return int(numbers), int(length)


def _unpacked(content: bytes, kind: int, shape: tuple[int, ...]) -> Floats:
    gguf = _package()
    quantised = gguf.constants.GGMLQuantizationType(kind)
    rows = np.frombuffer(content, np.uint8).reshape(shape[0], -1)
    try:
        with np.errstate(all="ignore"):  # damaged scales may be anything: what is not finite is refused afterwards
            return np.asarray(gguf.quants.dequantize(rows, quantised), dtype=np.float32)
    except NotImplementedError:
        raise ValueError(f"tensors of type {quantised.name} are not supported") from None


def _package() -> Any:
    try:
        import gguf
    except ImportError:
        raise ValueError("has quantised weights, which need: pip install 'splitquorum[record]'") from None
    return gguf
