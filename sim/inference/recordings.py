"""Recordings: logs of repeated inferences, in JSON Lines, gzipped if one likes.

The first line is a header; every other line is one inference, of one prompt by one replica::

    {"recording": 1, "model": "SmolLM2-135M-Instruct", "dtype": "bf16", "temperature": 0, "mode": "free"}
    {"prompt": "p0", "replica": "r0", "hardware": "h100", "batch": 8, "tokens": [17, 4, 99], "gaps": [1.5, 0.02, 3.1]}
    {"prompt": "p0", "replica": "r1", "hardware": "h100", "batch": 8, "tokens": [17, 4, 99]}

An output is given by its token ids, by its text, or by a hash of it. A file may come from anywhere: it is read in
pieces of fixed size, lines and what gzip expands to are bounded, and nothing in it is believed before it is checked.
Outputs are compared by a digest of 16 bytes, so that memory does not grow with their length.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from sim.base.errors import Problem, ScenarioError
from sim.base.text import has_control_characters
from sim.inference.recorded_lines import Bad, Lines, opened

if TYPE_CHECKING:
    from collections.abc import Callable

_BROKEN = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
TOKENS_MAX = 1_000_000
_Label = Annotated[str, Meta(max_length=200)]


class Header(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The first line of a recording: what all its inferences have in common."""

    recording: Literal[1]
    """Version of the format; always written."""
    model: _Label = ""
    """Name of the model."""
    weights: _Label = ""
    """SHA-256 of the file of weights, in hexadecimal digits."""
    dtype: _Label = ""
    """Storage format of the arithmetic: `bf16`, `fp16`, `fp32`."""
    temperature: Annotated[float, Meta(ge=0)] = 0.0
    """Sampling temperature; 0 is greedy."""
    mode: Literal["free", "teacher_forced"] = "free"
    """`free`: each replica goes on from the tokens that it chose itself; `teacher_forced`: all go on from the same
    tokens, so that every token is compared, and token i of all replicas answers the same question."""
    tie_break: _Label = ""
    """What decides between equal scores: `lowest_id`."""
    logits_rounded: bool | None = None
    """Whether logits are rounded to `dtype` before the best is chosen; None where that is not known."""
    source: Annotated[str, Meta(max_length=2_000)] = ""
    """Where it comes from: who made it, with which command, under which licence."""


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """One inference of one prompt by one replica."""

    prompt: _Label
    """Name of the prompt."""
    replica: _Label = ""
    """Name of the machine, or of the configuration that stands for it."""
    hardware: _Label = ""
    """Hardware class."""
    engine: _Label = ""
    """Software that ran it."""
    batch: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    """Batch size."""
    run: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    """Number of the repetition by the same replica, at the same batch size."""
    tokens: Annotated[list[Annotated[int, Meta(ge=0, lt=2**32)]], Meta(max_length=TOKENS_MAX)] | None = None
    """Token ids of the output."""
    text: str | None = None
    """Text of the output, where token ids are not known."""
    hash: _Label | None = None
    """Hash of the output, where nothing else may be told."""
    gaps: Annotated[list[Annotated[float, Meta(ge=0)]], Meta(max_length=TOKENS_MAX)] | None = None
    """Log-probability of the best token less that of the second, for each token."""


class Reader:
    """The inferences of an open recording.

    Parameters
    ----------
    lines
        Of the file.
    skip_bad
        Whether lines that cannot be used are counted and left out.
    """

    def __init__(self, lines: Lines, *, skip_bad: bool = False) -> None:
        self._lines, self._skip_bad = lines, skip_bad
        self._decoder = msgspec.json.Decoder(Record)
        self.bad: list[Bad] = []
        """The first of the lines that were left out."""
        self.bad_count = 0
        """Lines that were left out."""
        self.line = 1
        """The line of the record in hand."""
        self.header = self._read_header()

    def _read_header(self) -> Header:
        line = self._lines.first()
        try:
            header = msgspec.json.decode(line, type=Header)
        except _BROKEN as error:
            reason = f'must begin with a header such as {{"recording": 1, "model": "..."}}: {_plain(error)}'
            raise ScenarioError([Problem("", reason, where=f"{self._lines.name}:1")]) from None
        if has_control_characters("".join(map(str, msgspec.structs.astuple(header)))):
            raise ScenarioError([Problem("", "its header holds control characters", where=f"{self._lines.name}:1")])
        return header

    def __iter__(self) -> Iterator[Record]:
        for number, piece in self._lines.pieces():
            if isinstance(piece, str):
                self._refuse(Bad(number, piece))
                continue
            if not piece.strip():
                continue
            try:
                records = self._decoder.decode_lines(piece)
            except _BROKEN:
                records = []
            if len(records) != piece.count(b"\n") + 1 or any(map(_mistake, records)):
                yield from self._one_by_one(number, piece)
                continue
            for self.line, record in enumerate(records, number):
                yield record

    def _one_by_one(self, number: int, piece: bytes) -> Iterator[Record]:
        """Read the lines of a piece that has a bad one."""
        for at, line in enumerate(piece.split(b"\n"), number):
            if not line.strip():
                continue
            try:
                record = self._decoder.decode(line)
                wrong = _mistake(record)
            except _BROKEN as error:
                wrong = _plain(error)
            if wrong is None:
                self.line = at
                yield record
            else:
                self._refuse(Bad(at, wrong))

    def refuse(self, reason: str) -> None:
        """Refuse the record in hand, or leave it out.

        Raises
        ------
        ScenarioError
            Bad lines are not skipped.
        """
        self._refuse(Bad(self.line, reason))

    def _refuse(self, bad: Bad) -> None:
        if not self._skip_bad:
            problem = Problem(
                "", f"{bad.reason} (--skip-bad leaves such lines out)", where=f"{self._lines.name}:{bad.line}"
            )
            raise ScenarioError([problem])
        self.bad_count += 1
        if len(self.bad) < 10:
            self.bad.append(bad)


def _mistake(record: Record) -> str | None:
    """What is wrong with a line that is well formed."""
    tokens, gaps = record.tokens, record.gaps
    if (tokens is None) + (record.text is None) + (record.hash is None) != 2:
        return "must have one of tokens, text and hash"
    if gaps is not None and tokens is not None and len(gaps) != len(tokens):
        return f"must have a gap for each of its {len(tokens)} tokens (has {len(gaps)})"
    return None


def _plain(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8 text"
    return " ".join(str(error).split())[:200]


@contextmanager
def reading(path: str | PathLike[str], *, skip_bad: bool = False) -> Iterator[Reader]:
    """Open a recording.

    Parameters
    ----------
    path
        A regular file: JSON Lines, gzipped or not, whatever its name.
    skip_bad
        Whether lines that cannot be used are counted and left out, not refused.

    Raises
    ------
    ScenarioError
        The file cannot be read, is no recording, or has a broken line; its text names the line.
    """
    with opened(path) as lines:
        yield Reader(lines, skip_bad=skip_bad)


@contextmanager
def writing(path: str | PathLike[str], header: Header, *, append: bool = False) -> Iterator[Callable[[Record], None]]:
    """Open a recording to be written, gzipped where its name ends so; missing folders are made.

    Parameters
    ----------
    path
        The file.
    header
        Its first line; not written when appending.
    append
        Whether records are put behind those that the file has.

    Yields
    ------
    callable
        Writes one record.

    Raises
    ------
    ScenarioError
        It cannot be written.
    """
    target, encoder = Path(path), msgspec.json.Encoder()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _stream(target, append=append) as stream:
            if not append:
                stream.write(encoder.encode(header) + b"\n")
            yield lambda record: _put(stream, encoder.encode(record))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ScenarioError([Problem("", f"cannot be written: {reason}", where=str(target))]) from None


def _put(stream: IO[bytes] | Any, line: bytes) -> None:
    stream.write(line + b"\n")


@contextmanager
def _stream(target: Path, *, append: bool) -> Iterator[Any]:
    import gzip

    with target.open("ab" if append else "wb") as file:
        if target.suffix != ".gz":
            yield file
            return
        with gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:  # no name and no time: the same bits each time
            yield packed
