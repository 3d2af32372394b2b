"""A Dask cluster of processes on this machine gives the same results, also when a worker dies in mid-run."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from sim import Stopping, sweep

SWEEP = """
nodes:
  gpu: {count: 13, executor: {kind: gpu, nondeterminism: {rate: 3e-2}}}
run: {engine: montecarlo, seed: 5}
sweep:
  n: {path: nodes.gpu.count, values: [4, 13]}
"""
STOPPING = Stopping(max_blocks=12_000_000)


def processes(folder: Path) -> tuple[str, list[subprocess.Popen[bytes]]]:
    """Start a scheduler and two worker processes on loopback."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    where = folder / "scheduler.json"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    scheduler = subprocess.Popen([*dask, "--no-dashboard", "--scheduler-file", str(where)], **quiet)  # type: ignore[call-overload]
    deadline = time.monotonic() + 30
    while not where.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.3)
    command = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(where), "--nthreads", "1"]
    command += ["--no-dashboard", "--no-nanny", "--host", "127.0.0.1"]
    workers = [subprocess.Popen(command, **quiet) for _ in range(2)]  # type: ignore[call-overload]
    import json

    return json.loads(where.read_text())["address"], [scheduler, *workers]


def test_a_cluster_gives_the_same_results_though_a_worker_dies(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    alone = sweep(tmp_path / "sweep.yaml", tmp_path / "alone.db", stopping=STOPPING, workers=1)
    address, started = processes(tmp_path)
    timer = threading.Timer(2.5, lambda: started[1].send_signal(signal.SIGKILL))
    try:
        timer.start()
        rows = sweep(tmp_path / "sweep.yaml", tmp_path / "s.db", stopping=STOPPING, workers=2, scheduler=address)
    finally:
        timer.cancel()
        for process in started:
            process.kill()
            process.wait()
    assert rows == alone
