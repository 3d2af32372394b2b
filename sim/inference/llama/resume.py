"""Recordings that grow prompt by prompt: what an earlier run has finished is kept, and the rest is recorded anew."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

import msgspec

from sim.base.errors import Problem, ScenarioError
from sim.base.files import open_regular
from sim.inference.recordings import Header, Record, reading, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sim.inference.llama.recorder import Prompt


_PIECE_BYTES = 2**20


class Records(Protocol):
    """Whatever runs a prompt on some replicas."""

    @property
    def replicas(self) -> list[str]:
        """Names of the replicas."""

    def records(self, prompt: Prompt) -> Iterator[Record]:
        """Run one prompt on every replica."""


def record_all(
    path: Path, header: Header, prompts: Sequence[Prompt], recorder: Records, report: Callable[[float], None]
) -> int:
    """Record the prompts that a file does not have yet.

    Parameters
    ----------
    path
        The recording; whenever this is stopped, it has whole prompts, and the next call goes on from there.
    header
        Its first line.
    prompts
        In the order in which they are recorded.
    recorder
        Runs them.
    report
        Called with the share of the work that is done.

    Returns
    -------
    int
        How many of the prompts the file had already.

    Raises
    ------
    ScenarioError
        The file is a recording of something else, or cannot be written.
    """
    done = _finished(path, header, recorder.replicas)
    left = [prompt for prompt in prompts if prompt.name not in done]
    for number, prompt in enumerate(left):
        records = []
        for record in recorder.records(prompt):
            records.append(record)
            report((number + len(records) / len(recorder.replicas)) / len(left))
        _append(path, header, records)
    return len(prompts) - len(left)


def _finished(path: Path, header: Header, replicas: list[str]) -> set[str]:
    """Names of the prompts that all replicas have answered; what is left of others is taken out of the file."""
    if not path.exists() or (path.is_file() and path.stat().st_size == 0):
        with _replacing(path) as new, writing(new, header):
            pass
        return set()
    _drop_torn_end(path, header)
    answered: dict[str, list[str]] = defaultdict(list)
    with reading(path) as reader:
        _check_same(path, reader.header, header)
        for record in reader:
            answered[record.prompt].append(record.replica)
    done = {prompt for prompt, names in answered.items() if sorted(names) == sorted(replicas)}
    for prompt, names in answered.items():
        if not set(names) <= set(replicas) or len(set(names)) < len(names):
            message = f"has other replicas than these {len(replicas)}, for prompt {prompt[:100]!r}; name another file"
            raise ScenarioError([Problem("", message, where=str(path))])
    if len(done) < len(answered):
        _keep_only(path, header, done)
    return done


def _check_same(path: Path, found: Header, wanted: Header) -> None:
    for name in msgspec.structs.asdict(wanted):
        has, wants = getattr(found, name), getattr(wanted, name)
        if name != "source" and has != wants:
            message = f"is a recording with another {name}, {has!r} and not {wants!r}; name another file"
            raise ScenarioError([Problem("", message, where=str(path))])


def _drop_torn_end(path: Path, header: Header) -> None:
    """Drop what follows the last whole line, or the last whole part of a gzipped file; other files are left alone."""
    try:
        with open_regular(path.resolve()) as file:
            whole = _whole_bytes(file)
            if not 0 < whole < file.seek(0, 2):
                return
            file.seek(0)
            with _replacing(path) as new:
                with new.open("wb") as copy:
                    while whole > 0:
                        whole -= copy.write(file.read(min(whole, _PIECE_BYTES)))
                with reading(new) as reader:
                    _check_same(path, reader.header, header)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise ScenarioError([Problem("", f"cannot go on: {reason}", where=str(path))]) from None


def _whole_bytes(file: IO[bytes]) -> int:
    """Bytes up to the end of the last whole line, or of the last whole part of a gzipped file."""
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    at = whole = 0
    unpack = zlib.decompressobj(wbits=31)
    while piece := file.read(_PIECE_BYTES):
        if not packed:
            whole = at + piece.rindex(b"\n") + 1 if b"\n" in piece else whole
            at += len(piece)
            continue
        while piece:
            try:
                unpack.decompress(piece, _PIECE_BYTES)
                while unpack.unconsumed_tail:
                    unpack.decompress(unpack.unconsumed_tail, _PIECE_BYTES)
            except zlib.error:
                return whole
            at += len(piece) - len(unpack.unused_data)
            piece = unpack.unused_data
            if unpack.eof:
                whole, unpack = at, zlib.decompressobj(wbits=31)
    return whole


def _keep_only(path: Path, header: Header, done: set[str]) -> None:
    with _replacing(path) as new:
        with writing(new, header):
            pass
        with reading(path) as reader:
            records: Iterable[Record] = (record for record in reader if record.prompt in done)
            for _, group in groupby(records, key=lambda record: record.prompt):
                _append(new, header, list(group))


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Name a file to be written that then takes the place of another; until then that one stays as it is."""
    new = path.with_name(f".new.{path.name}")
    try:
        yield new
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _append(path: Path, header: Header, records: list[Record]) -> None:
    with writing(path, header, append=True) as write:
        for record in records:
            write(record)
