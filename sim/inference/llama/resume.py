"""Recordings that grow prompt by prompt: what an earlier run has finished is kept, and the rest is recorded anew."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from sim.base.errors import Problem, ScenarioError
from sim.inference.recordings import Header, Record, reading, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sim.inference.llama.recorder import Prompt


class Records(Protocol):
    """Whatever runs a prompt on some replicas."""

    @property
    def replicas(self) -> list[str]:
        """Names of the replicas."""

    def records(self, prompt: Prompt) -> Iterator[Record]:
        """Run one prompt on every replica."""


def record_all(
    path: Path, header: Header, prompts: Sequence[Prompt], recorder: Records, report: Callable[[float], None]
) -> int:
    """Record the prompts that a file does not have yet.

    Parameters
    ----------
    path
        The recording; whenever this is stopped, it has whole prompts, and the next call goes on from there.
    header
        Its first line.
    prompts
        In the order in which they are recorded.
    recorder
        Runs them.
    report
        Called with the share of the work that is done.

    Returns
    -------
    int
        How many of the prompts the file had already.

    Raises
    ------
    ScenarioError
        The file is a recording of something else, or cannot be written.
    """
    done = _finished(path, header, recorder.replicas)
    left = [prompt for prompt in prompts if prompt.name not in done]
    for number, prompt in enumerate(left):
        records = []
        for record in recorder.records(prompt):
            records.append(record)
            report((number + len(records) / len(recorder.replicas)) / len(left))
        _append(path, header, records)
    return len(prompts) - len(left)


def _finished(path: Path, header: Header, replicas: list[str]) -> set[str]:
    """Names of the prompts that all replicas have answered; what is left of others is taken out of the file."""
    if not path.exists() or (path.is_file() and path.stat().st_size == 0):
        with writing(path, header):
            return set()
    answered: dict[str, list[str]] = defaultdict(list)
    with reading(path, skip_bad=True) as reader:
        _same(path, reader.header, header)
        for record in reader:
            answered[record.prompt].append(record.replica)
        torn = reader.bad_count > 0
    done = {prompt for prompt, names in answered.items() if sorted(names) == sorted(replicas)}
    for prompt, names in answered.items():
        if not set(names) <= set(replicas) or len(set(names)) < len(names):
            message = f"has other replicas than these {len(replicas)}, for prompt {prompt[:100]!r}; name another file"
            raise ScenarioError([Problem("", message, where=str(path))])
    if torn or len(done) < len(answered):
        _rewrite(path, header, done)
    return done


def _same(path: Path, found: Header, wanted: Header) -> None:
    for name in msgspec.structs.asdict(wanted):
        has, wants = getattr(found, name), getattr(wanted, name)
        if name != "source" and has != wants:
            message = f"is a recording with another {name}, {has!r} and not {wants!r}; name another file"
            raise ScenarioError([Problem("", message, where=str(path))])


def _rewrite(path: Path, header: Header, done: set[str]) -> None:
    """Keep only whole prompts; until the very end, the file stays as it is."""
    kept = path.with_name(f".kept.{path.name}")
    with reading(path, skip_bad=True) as reader, writing(kept, header):
        records: Iterable[Record] = (record for record in reader if record.prompt in done)
        for _, group in groupby(records, key=lambda record: record.prompt):
            _append(kept, header, list(group))
    kept.replace(path)


def _append(path: Path, header: Header, records: list[Record]) -> None:
    with writing(path, header, append=True) as write:
        for record in records:
            write(record)
