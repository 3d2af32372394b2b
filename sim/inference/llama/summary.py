"""What a recording shows at a glance: how often two replicas differ, and how often the replicas split."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from sim.inference.recordings import reading

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from os import PathLike


class Summary(NamedTuple):
    """Counts over a recording, and shares of its decisions.

    A decision is a token where replicas were held to one text (`teacher_forced`), else a whole answer.
    """

    prompts: int
    replicas: int
    decisions: int
    pair_mismatch: float
    """Probability that two different replicas differ at a decision."""
    split: float
    """Share of decisions at which not all replicas say the same."""
    no_two_thirds: float
    """Share of decisions at which no answer has more than two thirds of the replicas."""


def summary_of(path: str | PathLike[str]) -> Summary:
    """Read a recording, and summarise it; memory holds its tokens.

    Parameters
    ----------
    path
        A recording, all of whose prompts have the same number of replicas.
    """
    answers: dict[str, list[Sequence[Hashable]]] = defaultdict(list)
    with reading(path) as reader:
        forced = reader.header.mode == "teacher_forced"
        for record in reader:
            tokens = tuple(record.tokens or ())
            answers[record.prompt].append(tokens if forced else (tokens,))
    pairs = split = lost = decisions = 0
    replicas = max(map(len, answers.values()), default=0)
    for group in answers.values():
        for said in zip(*group, strict=False):
            sizes = Counter(said).values()
            decisions += 1
            pairs += len(said) ** 2 - sum(size**2 for size in sizes)
            split += len(sizes) > 1
            lost += 3 * max(sizes) <= 2 * len(said)
    possible = decisions * replicas * (replicas - 1)
    share = max(decisions, 1)
    return Summary(len(answers), replicas, decisions, pairs / max(possible, 1), split / share, lost / share)
