"""The command as a process: interruption, closed pipes, and what it imports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

OFTEN = ("--set", "nodes.gpu.executor.nondeterminism.rate=0.1")
ENDLESS = ("--engine", "montecarlo", "--blocks", "1e12", *OFTEN)
ARTICLE = str(Path(__file__).parents[2] / "scenarios" / "ninety_nine_ninety_nine.yaml")
TELLING = "import sim.cli.progress as p; p.LINE_EVERY_S = 0.05; from sim.cli import main; main()"
HEAVY = ["numpy", "scipy", "pydantic", "matplotlib", "ruamel", "networkx", "simpy"]


def interrupted(file: str, *flags: str) -> tuple[int, str, list[str]]:
    """Interrupt an endless run as soon as it tells its first progress; give code, stdout and later lines of stderr."""
    command = [sys.executable, "-c", TELLING, "run", file, *ENDLESS, *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "% of 1,000,000,000,000 blocks" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    return process.returncode, out, [line for line in err.splitlines() if "left" not in line]


def test_an_interrupted_run_says_what_it_kept_and_prints_it(file: str) -> None:
    code, out, lines = interrupted(file, "--format", "json")
    assert code == 130
    result = json.loads(out)
    assert 0 < result["blocks"] < 10**12
    assert sum(estimate["count"] for estimate in result["outcomes"].values()) == result["blocks"]
    assert lines == [f"interrupted: kept {result['blocks']:,} of 1,000,000,000,000 blocks", "interrupted"]


def test_what_an_interrupted_run_prints_is_what_a_shorter_run_gives(file: str) -> None:
    _, out, _ = interrupted(file, "--format", "json")
    partial = json.loads(out)
    command = [sys.executable, "-m", "sim", "run", file, *ENDLESS[:2], "--blocks", str(partial["blocks"]), *OFTEN]
    done = subprocess.run([*command, "--format", "json"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == partial


def test_an_interrupted_run_prints_its_table(file: str) -> None:
    code, out, _ = interrupted(file)
    assert code == 130
    assert "montecarlo engine (" in out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["run", "s.yaml"], 0),
        (["run", "s.yaml", "--format", "json"], 0),
        (["run", "s.yaml", "--fail-above", "0"], 3),
        (["schema"], 0),
        (["--help"], 0),
        (["--version"], 0),
    ],
)
@pytest.mark.usefixtures("file")
def test_a_reader_that_has_gone_away_is_no_error(arguments: list[str], code: int) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "sim", *arguments]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr
    assert done.returncode == code


def test_the_first_line_can_be_piped_into_head(file: str) -> None:
    command = f"{sys.executable} -m sim run {file} | head -1"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("thirteen  13 nodes")
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"], ["run", "--formt", "x"]])
def test_help_and_mistyped_commands_import_nothing_heavy(arguments: list[str]) -> None:
    code = f"import sys; from sim.cli import execute; execute({arguments!r}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "sim" in loaded
    assert not loaded & set(HEAVY)


def test_a_wrong_scenario_is_exit_code_2_and_leaves_stdout_empty(file: str) -> None:
    command = [sys.executable, "-m", "sim", "run", file, "--set", "nodes.gpu.count=0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "--set nodes.gpu.count=0: nodes.gpu.count: must be at least 1 (got 0)\n"


def test_the_table_does_not_depend_on_the_width_of_the_terminal(file: str) -> None:
    command = [sys.executable, "-m", "sim", "run", file]
    tables = {
        subprocess.run(
            command, env=os.environ | {"COLUMNS": columns}, capture_output=True, text=True, check=True
        ).stdout
        for columns in ("20", "80", "300")
    }
    assert len(tables) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("arguments", [["schema"], ["run", ARTICLE], ["run", ARTICLE, "--format", "json"]])
def test_output_that_cannot_be_written_is_told_in_one_line(arguments: list[str]) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        command = [sys.executable, "-m", "sim", *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "sim: the output cannot be written: no space left\n"
