"""Progress goes to stderr: lines when piped, a bar on a terminal, nothing for short runs, and never into the result."""

from __future__ import annotations

import io
import json
import re
import sys

import pytest

from sim.cli import execute, progress
from sim.cli.progress import Progress

LONG = ("--engine", "montecarlo", "--blocks", "1e5", "--set", "nodes.gpu.executor.nondeterminism.rate=0.2")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_short_run_tells_nothing(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["run", file, *LONG]) == 0
    assert capsys.readouterr().err == ""


def test_a_piped_run_tells_its_share_line_by_line_and_leaves_the_result_alone(
    file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    assert execute(["run", file, *LONG, "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["blocks"] == 100_000
    lines = err.splitlines()
    assert len(lines) > 1
    assert all(re.fullmatch(r"\d+% of 100,000 blocks, about \d+ s left", line) for line in lines), lines
    shares = [int(line.partition("%")[0]) for line in lines]
    assert shares == sorted(shares)
    assert shares[-1] == 100


def test_lines_come_no_more_often_than_every_ten_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("sim.cli.progress.time.monotonic", lambda: now[0])
    with Progress("1,000 blocks") as told:
        for second in range(1, 41):
            now[0] = 1000.0 + second
            told.update(second / 40)
    assert capsys.readouterr().err.splitlines() == [
        "28% of 1,000 blocks, about 29 s left",
        "55% of 1,000 blocks, about 18 s left",
        "82% of 1,000 blocks, about 7 s left",
    ]


@pytest.mark.parametrize("share", [0.0, 1e-12, 1.0])
def test_any_share_can_be_told(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", -1.0)
    with Progress("1 block") as told:
        told.update(share)


def test_a_terminal_gets_a_bar_that_is_gone_at_the_end(
    file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "BAR_AFTER_S", -1.0)
    monkeypatch.setenv("TERM", "xterm")
    assert execute(["run", file, *LONG, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["blocks"] == 100_000
    assert "% of 100,000 blocks" in terminal.getvalue()
    assert terminal.getvalue().rstrip("\n").endswith("\x1b[2K")  # the line of the bar is erased
