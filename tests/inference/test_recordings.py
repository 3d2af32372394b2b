"""Recordings come back as they were written; what is hostile gives one line, with its number, and little memory."""

from __future__ import annotations

import gzip
import json
import random
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from sim.base.errors import ScenarioError
from sim.inference.recorded_lines import LINE_BYTES_MAX
from sim.inference.recordings import Header, Record, reading, writing

if TYPE_CHECKING:
    from pathlib import Path

HEAD = b'{"recording": 1, "model": "m"}\n'
GOOD = b'{"prompt": "p", "replica": "r0", "tokens": [1, 2], "gaps": [0.5, 2]}\n'


def read(path: Path, *, skip_bad: bool = False) -> list[Record]:
    with reading(path, skip_bad=skip_bad) as reader:
        return list(reader)


def refused(path: Path) -> str:
    with pytest.raises(ScenarioError) as caught:
        read(path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(str(path))
    return text.removeprefix(str(path))


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_what_is_written_comes_back(name: str, tmp_path: Path) -> None:
    header = Header(recording=1, model="m", weights="ab" * 32, dtype="bf16", mode="teacher_forced", logits_rounded=True)
    records = [
        Record(prompt="p", replica="r0", hardware="h100", engine="e", batch=8, run=3, tokens=[1, 2], gaps=[0.25, 1e-9]),
        Record(prompt="p", text="grüße\n"),
        Record(prompt="q", hash="ff"),
    ]
    with writing(tmp_path / "new" / name, header) as put:
        for record in records:
            put(record)
    with reading(tmp_path / "new" / name) as reader:
        assert reader.header == header
        assert list(reader) == records
    with writing(tmp_path / "new" / name, header, append=True) as put:
        put(records[0])
    assert read(tmp_path / "new" / name) == [*records, records[0]]


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.gz", "b.gz"):
        with writing(tmp_path / name, Header(recording=1)) as put:
            put(Record(prompt="p", hash="x"))
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"{", ":3: Input data was truncated"),
        (b"[1]", ":3: Expected `object`, got `array`"),
        (b'{"prompt": "p", "tokens": [1, -2]}', ":3: Expected `int` >= 0"),
        (b'{"prompt": "p", "tokens": [1.5]}', ":3: Expected `int`, got `float`"),
        (b'{"prompt": "p", "hash": "x", "gaps": [NaN]}', ":3: JSON is malformed"),
        (b'{"prompt": "p", "hash": "x", "gaps": [-1]}', ":3: Expected `float` >= 0.0"),
        (b'{"prompt": "p", "hash": "x", "gaps": [1e999]}', ":3: Number out of range"),
        (b'{"prompt": "p", "tokens": [1, 2], "gaps": [1]}', ":3: must have a gap for each of its 2 tokens (has 1)"),
        (b'{"prompt": "p"}', ":3: must have one of tokens, text and hash"),
        (b'{"prompt": "p", "text": "", "hash": ""}', ":3: must have one of tokens, text and hash"),
        (b'{"tokens": [1]}', ":3: Object missing required field `prompt`"),
        (b'{"prompt": "p", "hash": "x", "rate": 1}', ":3: Object contains unknown field `rate`"),
        (b'{"prompt": "p", "hash": "x", "batch": 0}', ":3: Expected `int` >= 1"),
        (b'{"prompt": "p", "text": "\xff"}', ":3: "),
        (b'{"prompt": ' + b"[" * 100_000, ":3: "),
        (b'{"prompt": "' + b"x" * 300 + b'", "hash": "x"}', ":3: Expected `str` of length <= 200"),
    ],
)
def test_a_broken_line_is_told_with_its_number(line: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(HEAD + GOOD + line + b"\n" + GOOD)
    assert refused(path).startswith(told)
    with reading(path, skip_bad=True) as reader:
        assert len(list(reader)) == 2
        assert reader.bad_count == 1
        assert [bad.line for bad in reader.bad] == [3]


@pytest.mark.parametrize(
    "first", [b"", b"\n", b'{"model": "m"}\n', b'{"recording": 2}\n', b'{"recording": 1, "x": 1}\n', b"\x80\x04pickle"]
)
def test_a_file_that_is_no_recording_is_refused(first: bytes, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(first + GOOD)
    assert refused(path).startswith(":1: must begin with a header")


def test_lines_are_numbered_over_pieces_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(HEAD + GOOD * 40_000 + b"\n\n" + GOOD + b"{}\n")
    assert refused(path).startswith(":40005: Object missing")


def test_a_last_line_needs_no_end(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(HEAD + GOOD + GOOD.rstrip())
    assert len(read(path)) == 2
    path.write_bytes(b"\xef\xbb\xbf" + HEAD.replace(b"\n", b"\r\n") + GOOD.replace(b"\n", b"\r\n"))
    assert len(read(path)) == 1


def test_a_line_without_end_is_refused_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with path.open("wb") as file:
        file.write(HEAD + GOOD + b'{"prompt": "')
        for _ in range(60):
            file.write(b"x" * 2**20)
        file.write(b'"}\n' + GOOD)
    tracemalloc.start()
    assert ":3: is longer than 16 MiB" in refused(path)
    with reading(path, skip_bad=True) as reader:
        assert len(list(reader)) == 2
        assert [bad.line for bad in reader.bad] == [3]
    assert tracemalloc.get_traced_memory()[1] < 5 * LINE_BYTES_MAX
    tracemalloc.stop()


def test_gzip_that_is_cut_off_gives_the_lines_before_it(tmp_path: Path) -> None:
    noise = random.Random(1)
    lines = b"".join(b'{"prompt": "p%d", "hash": "%x"}\n' % (i, noise.randrange(2**64)) for i in range(20_000))
    packed = gzip.compress(HEAD + lines)
    path = tmp_path / "r.jsonl.gz"
    for cut in (packed[: len(packed) // 2], packed[:5000] + b"\0" * 10 + packed[5010:]):
        path.write_bytes(cut)
        assert "gzip data is damaged or cut off" in refused(path)
    path.write_bytes(packed[: len(packed) // 2])
    with reading(path, skip_bad=True) as reader:
        number = len(list(reader))
        assert 5_000 < number < 15_000
        assert [bad.line for bad in reader.bad] == [number + 2]


def test_a_gzip_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl.gz"
    with gzip.open(path, "wb", 9) as file:
        file.write(HEAD)
        for _ in range(80):
            file.write(b"\n" * 2**20)
    tracemalloc.start()
    assert "expands to more than 300 times its size" in refused(path)
    assert tracemalloc.get_traced_memory()[1] < 3 * LINE_BYTES_MAX
    tracemalloc.stop()


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path, peaks = tmp_path / "r.jsonl", []
    for copies in (20_000, 80_000):
        path.write_bytes(HEAD + GOOD * copies)
        tracemalloc.start()
        with reading(path) as reader:
            assert sum(1 for _ in reader) == copies
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "cannot be read: no such file" in refused(tmp_path / "absent")
    assert "must be a regular file" in refused(tmp_path)


def test_every_line_is_json_with_few_words(tmp_path: Path) -> None:
    with writing(tmp_path / "r", Header(recording=1, model="m")) as put:
        put(Record(prompt="p", tokens=[3]))
    lines = [json.loads(line) for line in (tmp_path / "r").read_text().splitlines()]
    assert lines == [{"recording": 1, "model": "m"}, {"prompt": "p", "tokens": [3]}]
