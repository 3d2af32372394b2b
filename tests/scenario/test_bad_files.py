"""A file that cannot be a scenario is refused in one line, without hanging, whatever stands at its name."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from scenario.command import BASE, FILE, hold, refused, refuses

from sim.cli import execute

NOT_REGULAR = "is not a regular file"
UNREADABLE = "cannot be read: "


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("missing.yaml", f"{UNREADABLE}no such file or directory; sim new FILE writes one to begin with"),
        ("no/such/folder.yaml", f"{UNREADABLE}no such file or directory; sim new FILE writes one to begin with"),
        (".", NOT_REGULAR),
        ("/dev/null", NOT_REGULAR),
        ("/dev/zero", NOT_REGULAR),
        ("x" * 300, f"{UNREADABLE}file name too long"),
        ("a\0b", f"{UNREADABLE}a null character in its name"),
    ],
)
def test_what_is_no_readable_file_is_told(file: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = refused(["run", file], capsys)
    assert line.endswith(f": {message}")
    assert line.startswith(file.partition("\0")[0])


def test_a_folder_is_no_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    Path("folder").mkdir()
    hold(refused(["run", "folder"], capsys), (f" | {NOT_REGULAR}",), "folder")


def test_a_pipe_without_a_writer_does_not_hang(capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("pipe")
    begin = time.perf_counter()
    hold(refused(["run", "pipe"], capsys), (f" | {NOT_REGULAR}",), "pipe")
    assert time.perf_counter() - begin < 2


def test_a_link_to_itself_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("loop").symlink_to("loop")
    hold(refused(["run", "loop"], capsys), (" | too many levels of symbolic links",), "loop")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path(FILE).write_text(BASE, encoding="utf-8")
    Path(FILE).chmod(0)
    hold(refused(["run", FILE], capsys), (f" | {UNREADABLE}permission denied",))


def test_a_file_of_256_kib_is_read_and_one_byte_more_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    largest = (BASE + "#" * (256 * 1024)).encode()[: 256 * 1024]
    Path(FILE).write_bytes(largest)
    assert execute(["run", FILE]) == 0
    capsys.readouterr()
    refuses(largest + b"#", (" | is larger than 256 KiB",), capsys)


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (BASE.encode() + b"\n# \xff\xfe\n", "15:1: | is not UTF-8 text"),
        (BASE.encode("utf-16"), "1:1: | is not UTF-8 text"),
        (b"name: caf\xe9\n", "1:1: | is not UTF-8 text"),
    ],
)
def test_a_file_that_is_not_utf8_is_told_with_the_line(
    raw: bytes, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refuses(raw, (line,), capsys)


def test_a_byte_order_mark_is_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    Path(FILE).write_bytes(b"\xef\xbb\xbf" + BASE.encode())
    assert execute(["run", FILE]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("file", ["a\x1b[2J.yaml", "a\nb.yaml", "a\u202eb.yaml"])
@pytest.mark.parametrize("text", [None, "nodes: [\n", "nodes: {a: {count: 0, executor: {kind: cpu}}}\n"])
def test_a_file_name_with_control_characters_is_shown_escaped_on_one_line(
    file: str, text: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        Path(file).write_text(text, encoding="utf-8")
    (line,) = refused(["run", file], capsys)  # which holds that all is printable
    assert line.startswith("a\\")
