"""Runs of many prompts, gathered from recordings and tables of counts: which outputs were alike.

Of an output only a digest is kept, and its tokens as long as there is room for them, so that memory grows with the
number of prompts and of different outputs, and not with the file.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sim.base.errors import Problem, ScenarioError
from sim.base.text import has_control_characters
from sim.inference.calibration.choice import Choice
from sim.inference.calibration.counts import Table, is_table
from sim.inference.calibration.partitions import RUNS_MAX, Partitions
from sim.inference.recorded_lines import opened
from sim.inference.recordings import Header, Record, reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from os import PathLike

    from sim.inference.calibration.partitions import Sizes

PROMPTS_MAX = 1_000_000
TOKEN_BYTES_MAX = 256 * 2**20
"""Tokens that are kept, of all different outputs together."""
FIELDS = ("prompt", "replica", "hardware", "engine", "batch", "run")
_SAME = ("model", "weights", "dtype", "temperature", "mode")


@dataclass(slots=True)
class Prompt:
    """The runs of one prompt.

    Parameters
    ----------
    outputs
        Number of each different output, by its digest.
    runs
        How many runs gave an output (by its number) at levels of the factors.
    tokens
        Tokens of each output, by its number, where they are kept.
    seen
        Runs that are in, so that none counts twice.
    """

    outputs: dict[bytes, int] = field(default_factory=dict)
    runs: Counter[tuple[int, tuple[str, ...]]] = field(default_factory=Counter)
    tokens: dict[int, array[int]] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)

    def sizes(self) -> Sizes:
        """How many runs gave each output."""
        sizes: Counter[int] = Counter()
        for (output, _), number in self.runs.items():
            sizes[output] += number
        return tuple(sizes.values())


@dataclass
class Observed:
    """Everything gathered.

    Parameters
    ----------
    choice
        Which runs count.
    """

    choice: Choice = field(default_factory=Choice)
    prompts: dict[str, Prompt] = field(default_factory=dict)
    header: Header | None = None
    """Of the first recording."""
    bad: int = 0
    """Lines that were left out."""
    kept_bytes: int = 0
    """Bytes of the tokens that are kept."""
    complete: bool = True
    """Whether the tokens of all outputs are kept."""

    @property
    def forced(self) -> bool:
        """Whether every token is a decision point of its own."""
        return self.header is not None and self.header.mode == "teacher_forced"

    @property
    def runs(self) -> int:
        """Number of runs."""
        return sum(sum(prompt.runs.values()) for prompt in self.prompts.values())

    def partitions(self) -> Partitions:
        """Groups of runs with the same output: of every prompt, or of every token where those are forced."""
        return Partitions.of(self._points())

    def _points(self) -> Iterator[tuple[int, Sizes]]:
        number = 0
        for prompt in self.prompts.values():
            points = list(_by_token(prompt)) if self.forced else [prompt.sizes()]
            points = [sizes for sizes in points if sum(sizes) > 1]
            for sizes in points:
                yield number, sizes
            number += bool(points)

    def add(self, path: str | PathLike[str]) -> None:
        """Read a recording, or a table of counts.

        Raises
        ------
        ScenarioError
            The file cannot be read, or does not go with those before it.
        """
        if is_table(path):
            with opened(path) as lines:
                table = Table(lines, self.choice)
                for line, sizes, levels in table:
                    self.put_counts(f"{path}:{line}", sizes, levels)
                self.bad += table.bad
            return
        self.choice.check(FIELDS, str(path))
        with reading(path, skip_bad=self.choice.skip_bad) as reader:
            self._same(reader.header, str(path))
            for record in reader:
                if (wrong := self._put(record)) is not None:
                    reader.refuse(wrong)
            self.bad += reader.bad_count

    def _same(self, header: Header, name: str) -> None:
        """Refuse to mix recordings of different models or arithmetic."""
        first = self.header = self.header or header
        for key in _SAME:
            mine, theirs = getattr(first, key), getattr(header, key)
            if mine != theirs:
                message = f"its {key} is {theirs!r}, and {mine!r} in the file before: calibrate them one by one"
                raise ScenarioError([Problem("", message, where=name)])

    def put_counts(self, name: str, sizes: Sizes, levels: tuple[str, ...]) -> None:
        """Add a prompt of which only the group sizes are known."""
        prompt = self._prompt(name)
        for number, size in enumerate(sizes):
            prompt.runs[number, levels] += size

    def _prompt(self, name: str) -> Prompt:
        prompt = self.prompts.get(name)
        if prompt is None:
            if len(self.prompts) >= PROMPTS_MAX:
                raise ScenarioError([Problem("", f"there are more than {PROMPTS_MAX:,} prompts")])
            prompt = self.prompts[name] = Prompt()
        return prompt

    def _put(self, record: Record) -> str | None:
        """Add a run; say what is wrong with it if it cannot be."""
        choice = self.choice
        if any(_text(record, key) != value for key, value in choice.where.items()):
            return None
        prompt = self._prompt(record.prompt)
        run = hash((record.replica, record.hardware, record.engine, record.batch, record.run))
        if run in prompt.seen:
            return "is a run that was there before: same prompt, replica, hardware, engine, batch and run"
        if len(prompt.seen) >= RUNS_MAX:
            return f"is beyond the {RUNS_MAX:,} runs of a prompt that can be used"
        levels = tuple(_text(record, key) for key in choice.by)
        if has_control_characters("".join(levels)):
            return "has control characters in a label"
        if self.forced and (wrong := _unforced(record, prompt)):
            return wrong
        prompt.seen.add(run)
        digest = _digest(record)
        number = prompt.outputs.setdefault(digest, len(prompt.outputs))
        prompt.runs[number, levels] += 1
        if record.tokens is not None and number not in prompt.tokens:
            self._keep(prompt, number, record.tokens)
        return None

    def _keep(self, prompt: Prompt, number: int, tokens: list[int]) -> None:
        size = 4 * len(tokens)
        if self.kept_bytes + size > TOKEN_BYTES_MAX:
            self.complete = False
            if self.forced:
                message = f"its tokens are more than the {TOKEN_BYTES_MAX // 2**20} MiB that are kept"
                raise ScenarioError([Problem("", message)])
            return
        prompt.tokens[number] = array("I", tokens)
        self.kept_bytes += size


def gather(paths: Sequence[str | PathLike[str]], choice: Choice | None = None) -> Observed:
    """Read recordings and tables of counts.

    Parameters
    ----------
    paths
        Files; prompts of the same name in several recordings are one.
    choice
        Which runs count.

    Raises
    ------
    ScenarioError
        A file cannot be read, has a broken line, or does not go with the others; or there is nothing to compare.
    """
    observed = Observed(choice or Choice())
    for path in paths:
        observed.add(path)
    if not any(sum(prompt.runs.values()) > 1 for prompt in observed.prompts.values()):
        told = "no prompt has two runs" if observed.prompts else "there is no run"
        message = f"{told}{' where ' + str(dict(observed.choice.where)) if observed.choice.where else ''}"
        raise ScenarioError([Problem("", message, where=", ".join(map(str, paths)))])
    return observed


def _text(record: Record, key: str) -> str:
    value = getattr(record, key)
    return "" if value is None else str(value)


def _digest(record: Record) -> bytes:
    if record.tokens is not None:
        return hashlib.blake2b(array("I", record.tokens).tobytes(), digest_size=16).digest()
    text = f"text {record.text}" if record.hash is None else f"hash {record.hash}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _unforced(record: Record, prompt: Prompt) -> str | None:
    """What is wrong with a run where every token is compared."""
    if record.tokens is None:
        return "must have tokens, since the header says teacher_forced"
    length = len(prompt.tokens[0]) if prompt.tokens else len(record.tokens)
    if len(record.tokens) != length:
        return f"must have {length} tokens, as the runs before of its prompt (has {len(record.tokens)})"
    return None


def _by_token(prompt: Prompt) -> Iterator[Sizes]:
    """Group sizes at every token."""
    numbers = Counter[int]()
    for (output, _), runs in prompt.runs.items():
        numbers[output] += runs
    for position in range(len(next(iter(prompt.tokens.values()), ()))):
        chosen: Counter[int] = Counter()
        for output, tokens in prompt.tokens.items():
            chosen[tokens[position]] += numbers[output]
        yield tuple(chosen.values())
