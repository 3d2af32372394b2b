"""Whatever kills a sweep, what was finished is kept, nobody is left behind, and the results are the same in the end."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

SWEEP = """
name: long
nodes:
  gpu: {count: 13, executor: {kind: gpu, nondeterminism: {rate: 3e-2}}}
run: {engine: montecarlo, seed: 5, blocks: 60000000}
sweep:
  n: {path: nodes.gpu.count, values: [4, 13]}
"""


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "sim", "sweep", "sweep.yaml", "--store", "s.db", "--workers", "2", *more]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, start_new_session=True, text=True, **pipes)  # type: ignore[call-overload,no-any-return]


def complete(folder: Path) -> None:
    process = start(folder)
    process.communicate(timeout=120)
    assert process.returncode == 0


def results(folder: Path) -> str:
    command = [sys.executable, "-m", "sim", "results", "s.db", "--format", "json"]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def stretches(folder: Path) -> set[tuple[object, ...]]:
    if not (folder / "s.db").exists():
        return set()
    database = sqlite3.connect(folder / "s.db")
    try:
        return set(database.execute("SELECT * FROM stretch"))
    except sqlite3.OperationalError:
        return set()  # killed before the tables were made
    finally:
        database.close()


def others_alive(group: int) -> bool:
    """Whether any process of the group is still running."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(group: int, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while others_alive(group) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not others_alive(group)


def wait_for_work(folder: Path, more_than: int = 0) -> None:
    deadline = time.monotonic() + 30
    while len(stretches(folder)) <= more_than and time.monotonic() < deadline:
        time.sleep(0.05)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "sweep.yaml").write_text(SWEEP)
    complete(folder)
    return results(folder)


def killed_again_and_again(folder: Path, kills: int, seed: int) -> None:
    rng = random.Random(seed)
    kept: set[tuple[object, ...]] = set()
    for _ in range(kills):
        process = start(folder)
        time.sleep(rng.uniform(0.3, 2.0))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        now = stretches(folder)
        assert kept <= now, "a committed stretch was lost or counted again"
        kept = now
    complete(folder)
    assert kept <= stretches(folder)


def test_kills_change_nothing(tmp_path: Path, undisturbed: str) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    killed_again_and_again(tmp_path, 5, seed=1)
    assert results(tmp_path) == undisturbed


@pytest.mark.slow
def test_fifty_kills_change_nothing(tmp_path: Path, undisturbed: str) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    killed_again_and_again(tmp_path, 50, seed=2)
    assert results(tmp_path) == undisturbed


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_its_parent(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP.replace("60000000", "6000000000"))
    process = start(tmp_path)
    wait_for_work(tmp_path)
    process.send_signal(how)  # to the parent alone
    process.communicate()
    assert wait_until_gone(process.pid)


def test_ctrl_c_says_what_was_kept(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP.replace("60000000", "6000000000"))
    process = start(tmp_path)
    wait_for_work(tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "s.db keeps 0 of 2 points, and every finished stretch" in told
    assert "Traceback" not in told
    assert wait_until_gone(process.pid)


def test_ctrl_c_does_not_wait_for_points_that_are_one_run(tmp_path: Path) -> None:
    timed = SWEEP.replace("engine: montecarlo, seed: 5, blocks: 60000000", "engine: events, blocks: 1000000")
    (tmp_path / "sweep.yaml").write_text(timed)
    process = start(tmp_path)
    time.sleep(4)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "s.db keeps 0 of 2 points" in told
    assert "Traceback" not in told
    assert wait_until_gone(process.pid)


def test_a_script_without_a_main_guard_does_not_hang(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP.replace("60000000", "500000"))
    script = "import sim\nrows = sim.sweep('sweep.yaml', 's.db', workers=2)\nprint('rows', len(rows))\n"
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=tmp_path, timeout=60, capture_output=True, text=True, check=True)
    assert done.stdout == "rows 2\n"
    assert not done.stderr
