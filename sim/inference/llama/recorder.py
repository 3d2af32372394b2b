"""The recorder: the same prompts on machines that sum in different orders, and what each of them answers.

What to use when: `teacher_forced` to see how often two machines differ on a token, everywhere along one text (the
greedy answer of the reference, nothing cut, in fp32); `free` to see whether whole answers differ, as nodes of a chain
would give them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from sim.base.errors import Problem, ScenarioError
from sim.inference.llama.kernels import CONFIGURATIONS, REFERENCE, Kernels
from sim.inference.llama.network import Cache, Network
from sim.inference.llama.tokens import encoder_of
from sim.inference.recordings import Header, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from sim.inference.llama.gguf import Weights
    from sim.inference.llama.storage import Dtype, Storage

    Floats = NDArray[np.float32]

Mode = Literal["free", "teacher_forced"]
TOKENS_MAX = 2_048
PROMPT_TOKENS_MAX = 2_048
GAP_DECIMALS: dict[Dtype, int] = {"bf16": 3, "fp16": 4, "fp32": 7}
"""Digits of a gap that are kept: well below the noise of the format."""


class Prompt(NamedTuple):
    """A prompt, under a name that changes with its text."""

    name: str
    tokens: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to record.

    Parameters
    ----------
    dtype
        Storage format.
    mode
        See the module.
    tokens
        Tokens of every answer; the end of a text is a token like others, so that answers are equally long.
    round_logits
        Whether logits, too, are rounded to the storage format before the best is chosen.
    gaps
        For how many replicas, from the first, the gaps between the two best tokens are kept.
    """

    dtype: Dtype
    mode: Mode = "teacher_forced"
    tokens: int = 128
    round_logits: bool = False
    gaps: int = 2

    def kept(self, gaps: list[float], number: int, weights: Weights) -> list[float] | None:
        """Gaps as they are recorded for a replica, None beyond the first replicas; refuses those of overflows."""
        if not np.isfinite(gaps).all():
            message = f"its numbers overflow in {self.dtype}; another --dtype may hold them"
            raise ScenarioError([Problem("", message, where=str(weights.path))])
        return [round(gap, GAP_DECIMALS[self.dtype]) for gap in gaps] if number < self.gaps else None

    def header(self, weights: Weights, source: str) -> Header:
        """First line of the recording."""
        return Header(
            recording=1,
            model=weights.name,
            weights=weights.digest,
            dtype=self.dtype,
            mode=self.mode,
            tie_break="lowest_id",
            logits_rounded=self.round_logits or self.dtype == "fp32",
            source=source,
        )


def prompts_of(texts: Sequence[str], weights: Weights, tokens: int, where: str) -> list[Prompt]:
    """Turn texts into tokens, and check that there is room for an answer.

    Parameters
    ----------
    texts
        One a prompt.
    weights
        Whose tokens.
    tokens
        Tokens of an answer.
    where
        File of the prompts, for messages.
    """
    encode, prompts, problems = encoder_of(weights), [], []
    room = min(weights.shape.context_length - tokens, PROMPT_TOKENS_MAX)
    for number, text in enumerate(texts, 1):
        ids = encode(text)
        if not 1 <= len(ids) <= room:
            message = f"a prompt must have 1 to {room:,} tokens beside an answer of {tokens:,} (has {len(ids):,})"
            problems.append(Problem("", message, where=f"{where}:{number}"))
        prompts.append(Prompt(f"{number:04d}-{hashlib.sha256(text.encode()).hexdigest()[:8]}", ids))
    if problems:
        raise ScenarioError(problems)
    return prompts


class Recorder:
    """Machines that differ only in the order of their sums, on one network.

    Parameters
    ----------
    weights
        Of the network.
    wanted
        What to record.
    machines
        One a replica.
    """

    def __init__(self, weights: Weights, wanted: Wanted, machines: Sequence[Kernels] = CONFIGURATIONS) -> None:
        self._weights, self._wanted, self._machines = weights, wanted, machines

    @cached_property
    def _network(self) -> Network:
        return self._weights.network(self._wanted.dtype)

    @cached_property
    def _teacher(self) -> Network:
        return self._network if self._wanted.dtype == "fp32" else self._weights.network("fp32")

    @property
    def replicas(self) -> list[str]:
        """Names of the replicas."""
        return [f"r{number}" for number in range(len(self._machines))]

    def records(self, prompt: Prompt) -> Iterator[Record]:
        """Run one prompt on every machine."""
        wanted, network = self._wanted, self._network
        forced = wanted.mode == "teacher_forced"
        storage = network.storage if wanted.round_logits else None
        answer = greedy(network_logits(self._teacher, REFERENCE), prompt.tokens, wanted.tokens)[0] if forced else []
        for number, kernels in enumerate(self._machines):
            if forced:
                logits = network.logits(prompt.tokens + answer[:-1], kernels, last=wanted.tokens)
                best, gaps = chosen(logits, storage)
            else:
                best, gaps = greedy(network_logits(network, kernels), prompt.tokens, wanted.tokens, storage)
            yield Record(
                prompt=prompt.name,
                replica=self.replicas[number],
                hardware=kernels.label,
                engine="numpy",
                batch=1,
                tokens=best,
                gaps=wanted.kept(gaps, number, self._weights),
            )


def network_logits(network: Network, kernels: Kernels) -> Callable[[list[int]], Floats]:
    """Give a function from the next tokens of one sequence to the logits of what follows."""
    cache = Cache()
    return lambda tokens: network.logits(tokens, kernels, cache)


def greedy(
    logits: Callable[[list[int]], Floats], prompt: list[int], count: int, storage: Storage | None = None
) -> tuple[list[int], list[float]]:
    """Let a machine answer by itself, token by token.

    Parameters
    ----------
    logits
        Of what follows the next tokens of the sequence.
    prompt
        Its first tokens.
    count
        Tokens of the answer.
    storage
        To which logits are rounded; None: not at all.

    Returns
    -------
    tuple
        Token ids, and the gap between the two best tokens each time.
    """
    new, answer, gaps = prompt, list[int](), list[float]()
    for _ in range(count):
        new, gap = chosen(logits(new), storage)
        answer += new
        gaps += gap
    return answer, gaps


def chosen(logits: Floats, storage: Storage | None = None) -> tuple[list[int], list[float]]:
    """Best token of each row, the first among equals, and by how much it leads the second, in log-probability.

    Parameters
    ----------
    logits
        Shape (rows, vocabulary).
    storage
        To which they are rounded before; None: not at all.
    """
    rounded = logits if storage is None else storage.rounded(logits)
    top = np.partition(rounded, -2, axis=1)[:, -2:]
    with np.errstate(invalid="ignore"):  # infinite logits: the gap is then no number
        return rounded.argmax(axis=1).tolist(), (top[:, 1] - top[:, 0]).astype(np.float64).tolist()
