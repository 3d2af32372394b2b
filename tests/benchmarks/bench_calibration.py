"""How fast recordings are read and calibrated, in seconds of this process: reading 100 MB/s, 25,000 x 10 in 10 s."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from sim.analysis.calibration import calibrate
from sim.inference.recordings import Header, Record, reading, writing

if TYPE_CHECKING:
    from pathlib import Path

PROMPTS, RUNS, TOKENS = 25_000, 10, 32


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recordings") / "r.jsonl"
    noise, stream = random.Random(1), np.random.default_rng(1)
    with writing(path, Header(recording=1, model="m")) as put:
        for prompt in range(PROMPTS):
            chance, usual = stream.beta(0.1, 2.0), [noise.randrange(50_000) for _ in range(TOKENS)]
            for run in range(RUNS):
                other = usual[:16] + [noise.randrange(3) for _ in range(16)]
                tokens = usual if noise.random() > chance else other
                put(Record(prompt=f"p{prompt}", replica=f"r{run}", tokens=tokens))
    return path


def test_reading_is_fast(recording: Path) -> None:
    started = time.process_time()
    with reading(recording) as reader:
        number = sum(1 for _ in reader)
    speed = recording.stat().st_size / 1e6 / (time.process_time() - started)
    print(f"{speed:.0f} MB/s")
    assert number == PROMPTS * RUNS
    assert speed > 100


def test_calibrating_is_fast(recording: Path) -> None:
    started = time.process_time()
    found = calibrate([recording])
    seconds = time.process_time() - started
    print(f"{seconds:.1f} s")
    assert found.observed.runs == PROMPTS * RUNS
    assert seconds < 10
