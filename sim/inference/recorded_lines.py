"""Lines of a file of any length, plain or gzipped, in pieces of whole lines: memory stays flat whatever the file."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from sim.base.errors import Problem, ScenarioError
from sim.base.files import open_regular

if TYPE_CHECKING:
    from typing import Any

LINE_BYTES_MAX = 16 * 2**20
PIECE_BYTES = 2**18
EXPANSION_MAX = 300
"""How many times its size a gzipped file may expand to, once it is past 64 MiB."""
_EXPANDED_FREE = 64 * 2**20
_MAGIC = b"\x1f\x8b"


class Bad(NamedTuple):
    """A line that cannot be used, and why."""

    line: int
    reason: str


class Lines:
    """Lines of an open file.

    Parameters
    ----------
    file
        Open for reading bytes, at its start.
    name
        Of the file, for messages.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._raw, self.name = file, name
        packed = file.read(2) == _MAGIC
        file.seek(0)
        self._file: Any = gzip.GzipFile(fileobj=file, mode="rb") if packed else file
        self._packed, self._expanded = packed, 0
        self._rest = self._pending = b""
        self._number = 1
        self._torn = ""

    @property
    def position(self) -> int:
        """Bytes of the file read so far, as it lies on the disk."""
        return self._raw.tell()

    def first(self) -> bytes:
        """Read the first line, which is a header; the mark of UTF-8 before it is left out."""
        begun = b""
        while b"\n" not in begun and len(begun) <= LINE_BYTES_MAX and (chunk := self._chunk()):
            begun += chunk
        if self._torn and not begun:
            raise ScenarioError([Problem("", self._torn, where=f"{self.name}:1")])
        line, _, self._pending = begun.partition(b"\n")
        self._number = 2
        return line[: LINE_BYTES_MAX + 1].removeprefix(b"\xef\xbb\xbf")

    def pieces(self) -> Iterator[tuple[int, bytes | str]]:
        """Yield the number of a line with it and lines after it, or with why it cannot be read."""
        while chunk := self._chunk():
            whole, newline, rest = chunk.rpartition(b"\n")
            if newline:
                piece = self._rest + whole
                self._rest = rest
                yield self._number, piece
                self._number += piece.count(b"\n") + 1
            else:
                self._rest += rest
            if len(self._rest) > LINE_BYTES_MAX:
                yield self._number, f"is longer than {LINE_BYTES_MAX // 2**20} MiB"
                self._skip_line()
        last, self._rest = self._rest, b""
        if self._torn:
            yield self._number + last.count(b"\n"), self._torn
            last = last.rpartition(b"\n")[0]  # the last line was cut
        if last.strip():
            yield self._number, last

    def _skip_line(self) -> None:
        self._rest = b""
        while chunk := self._chunk():
            _, newline, rest = chunk.partition(b"\n")
            if newline:
                self._rest = rest
                break
        self._number += 1

    def _chunk(self) -> bytes:
        """Some more bytes; none at the end, or where gzip cannot be read on."""
        if self._pending:
            pending, self._pending = self._pending, b""
            return pending
        if self._torn:
            return b""
        chunk: bytes = self._unpacked() if self._packed else self._file.read(PIECE_BYTES)
        self._expanded += len(chunk)
        if self._packed and self._expanded > max(_EXPANDED_FREE, EXPANSION_MAX * self._raw.tell()):
            message = f"expands to more than {EXPANSION_MAX} times its size, which is refused"
            raise ScenarioError([Problem("", message, where=self.name)])
        return chunk

    def _unpacked(self) -> bytes:
        """Some more bytes of what is packed; those before damage are not lost."""
        parts, size = [], 0
        try:
            while size < PIECE_BYTES and (part := self._file.read1(PIECE_BYTES)):
                parts.append(part)
                size += len(part)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            self._torn = "cannot be read on: gzip data is damaged or cut off here"
        return b"".join(parts)


@contextmanager
def opened(path: str | PathLike[str]) -> Iterator[Lines]:
    """Open a regular file to be read line by line.

    Raises
    ------
    ScenarioError
        It cannot be read.
    """
    name = str(path)
    try:
        with open_regular(Path(path).resolve()) as file:
            yield Lines(file, name)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ScenarioError([Problem("", f"cannot be read: {reason}", where=name)]) from None
    except ValueError as error:
        raise ScenarioError([Problem("", str(error), where=name)]) from None
