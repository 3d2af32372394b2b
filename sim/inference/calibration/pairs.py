"""Pairs of runs of the same prompt: where they part, and whether those of one kind agree more than others.

Both need no law. Intervals come from drawing prompts with replacement.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.inference.calibration.fitting import REPLICATES, Interval

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator

    from numpy.random import Generator
    from numpy.typing import NDArray

    from sim.inference.calibration.observed import Observed, Prompt

    Floats = NDArray[np.float64]

BINS = 8
OUTPUTS_MAX = 60
"""Different outputs of a prompt that are compared token by token."""


@dataclass(frozen=True)
class Hazard:
    """How likely two runs that agree so far are to part at the next token.

    Parameters
    ----------
    edges
        First tokens of the bins, and the token after the last, from 0; shape (bins + 1,).
    per_token
        Hazard in each bin: the chance that two runs which agree so far part at a token.
    overall
        Hazard over all tokens.
    late_to_early
        Ratio of the hazard in the later half of what was compared to the earlier one; flat where its interval has 1.
    """

    edges: tuple[int, ...]
    per_token: tuple[Interval, ...]
    overall: Interval
    late_to_early: Interval | None

    @property
    def flat(self) -> bool | None:
        """Whether it is flat, as far as can be seen; None where nothing was seen."""
        ratio = self.late_to_early
        return None if ratio is None else ratio.low <= 1 <= ratio.high

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        ratio = self.late_to_early
        return {
            "edges": list(self.edges),
            "per_token": [interval._asdict() for interval in self.per_token],
            "overall": self.overall._asdict(),
            "late_to_early": ratio._asdict() if ratio else None,
            "flat": self.flat,
        }


def hazard(observed: Observed, stream: Generator) -> Hazard | None:
    """Measure the hazard per token; None where tokens are not known, or no output has two.

    Parameters
    ----------
    observed
        Runs with tokens.
    stream
        Source of randomness of the intervals.
    """
    compared: list[tuple[int, int, int, int]] = []  # prompt, tokens at risk, where they part (-1 nowhere), pairs
    for number, prompt in enumerate(observed.prompts.values()):
        if prompt.tokens:
            compared += [(number, *pair) for pair in _pairs(prompt, forced=observed.forced)]
    if not compared:
        return None
    prompt_of, length, parted, pairs = np.array(compared, dtype=np.int64).T
    longest = int(length.max())
    if longest < 2:
        return None
    ends = np.bincount(length, weights=pairs, minlength=longest + 1)
    at_risk = pairs.sum() - np.cumsum(ends)[:-1]  # at each token
    edges = _edges(at_risk)
    shape = (len(observed.prompts), len(edges) - 1)
    risk, events = np.zeros(shape), np.zeros(shape)
    for column, (low, high) in enumerate(itertools.pairwise(edges)):
        np.add.at(risk[:, column], prompt_of, pairs * np.clip(length - low, 0, high - low))
        inside = (parted >= low) & (parted < high)
        np.add.at(events[:, column], prompt_of[inside], pairs[inside])
    return _estimated(edges, risk, events, stream)


def _estimated(edges: list[int], risk: Floats, events: Floats, stream: Generator) -> Hazard:
    half = risk.shape[1] // 2
    drawn_risk, drawn_events = resampled(np.stack([risk, events]), stream)
    overall = _ratio(events.sum(), risk.sum(), drawn_events.sum(axis=1), drawn_risk.sum(axis=1))
    bins = tuple(
        _ratio(events[:, i].sum(), risk[:, i].sum(), drawn_events[:, i], drawn_risk[:, i]) for i in range(risk.shape[1])
    )
    late_to_early = None
    if half and events[:, :half].sum() and events[:, half:].sum():
        with np.errstate(divide="ignore", invalid="ignore"):
            rates = [
                drawn_events[:, part].sum(axis=1) / drawn_risk[:, part].sum(axis=1)
                for part in (slice(half), slice(half, None))
            ]
            value = (events[:, half:].sum() / risk[:, half:].sum()) / (events[:, :half].sum() / risk[:, :half].sum())
            late_to_early = interval_of(float(value), np.nan_to_num(rates[1] / rates[0], nan=1.0, posinf=1e300))
    return Hazard(tuple(edges), bins, overall, late_to_early)


def _edges(at_risk: Floats) -> list[int]:
    """Edges of bins of tokens, about equal in what is at risk."""
    total = np.cumsum(at_risk) / at_risk.sum()
    inner = np.searchsorted(total, np.arange(1, BINS) / BINS) + 1
    return sorted({0, *inner[inner < len(at_risk)].tolist(), len(at_risk)})


def _pairs(prompt: Prompt, *, forced: bool) -> Iterator[tuple[int, int, int]]:
    """Tokens at risk, where the outputs part, and how many pairs of runs that holds for."""
    runs: Counter[int] = Counter()
    for (output, _), number in prompt.runs.items():
        runs[output] += number
    known = [(prompt.tokens[output], runs[output]) for output in list(prompt.tokens)[:OUTPUTS_MAX]]
    for tokens, number in known:
        if number > 1:
            yield len(tokens), -1, number * (number - 1) // 2
    for (one, here), (other, there) in itertools.combinations(known, 2):
        for length, parted in _partings(one, other, forced=forced):
            yield length, parted, here * there


def _partings(one: array[int], other: array[int], *, forced: bool) -> Iterator[tuple[int, int]]:
    """Tokens at risk and where two outputs part: at the first difference, or wherever they differ if forced."""
    shorter = min(len(one), len(other))
    differs = np.flatnonzero(
        np.frombuffer(one, dtype=np.uint32)[:shorter] != np.frombuffer(other, dtype=np.uint32)[:shorter]
    )
    if not forced:
        first = int(differs[0]) if len(differs) else shorter  # the shorter one ends where the other goes on
        yield first + 1, first
        return
    yield shorter, -1
    for place in differs.tolist():
        yield 0, place


@dataclass(frozen=True)
class Level:
    """Runs of one kind: how often two of them differ."""

    name: str
    runs: int
    differ: Interval | None


@dataclass(frozen=True)
class Effect:
    """Whether runs that are alike in a factor agree more often than others.

    Parameters
    ----------
    factor
        Field or column.
    levels
        Its values.
    within, between
        How often two runs of one prompt differ (at a token, where those are compared), of the same level and of
        different ones; None without such pairs.
    excess
        `between` less `within`: an effect is seen where its interval excludes 0.
    """

    factor: str
    levels: tuple[Level, ...]
    within: Interval | None
    between: Interval | None
    excess: Interval | None

    @property
    def seen(self) -> bool | None:
        """Whether an effect is seen; None where no prompt has two runs of a level, or none has several levels."""
        return None if self.excess is None else not self.excess.low <= 0 <= self.excess.high

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        plain = {
            key: value._asdict() if value else None
            for key, value in (("within", self.within), ("between", self.between), ("excess", self.excess))
        }
        levels = [
            {"level": level.name, "runs": level.runs, "differ": level.differ._asdict() if level.differ else None}
            for level in self.levels
        ]
        return {"factor": self.factor, "levels": levels, **plain, "seen": self.seen}


def effect(observed: Observed, position: int, stream: Generator) -> Effect:
    """Compare runs within and between the levels of a factor.

    Parameters
    ----------
    observed
        What was gathered.
    position
        Of the factor, among those asked for.
    stream
        Source of randomness of the intervals.
    """
    names = sorted({levels[position] for prompt in observed.prompts.values() for _, levels in prompt.runs})
    number = {name: index for index, name in enumerate(names)}
    # pairs, and differing pairs, of each prompt: within each level, and last between levels
    pairs = np.zeros((2, len(observed.prompts), len(names) + 1))
    runs = np.zeros(len(names), dtype=np.int64)
    for row, prompt in enumerate(observed.prompts.values()):
        table = np.zeros((max(output for output, _ in prompt.runs) + 1, len(names)), dtype=np.int64)
        for (output, levels), count in prompt.runs.items():
            table[output, number[levels[position]]] += count
        runs += table.sum(axis=0)
        for answers in _by_answer(prompt, table, forced=observed.forced):
            every, alike = _within(answers.sum(axis=0)), _within(answers).sum(axis=0)
            pairs[0, row, :-1] += every
            pairs[1, row, :-1] += every - alike
            all_pairs, all_alike = _within(answers.sum(keepdims=True)).sum(), _within(answers.sum(axis=1)).sum()
            pairs[0, row, -1] += all_pairs - every.sum()
            pairs[1, row, -1] += (all_pairs - all_alike) - (every - alike).sum()
    drawn = resampled(pairs, stream)
    total = pairs.sum(axis=1)

    def share(columns: slice) -> Interval | None:
        if not total[0, columns].sum():
            return None
        return _ratio(
            total[1, columns].sum(),
            total[0, columns].sum(),
            drawn[1][:, columns].sum(axis=1),
            drawn[0][:, columns].sum(axis=1),
        )

    within, between = share(slice(-1)), share(slice(-1, None))
    excess = None
    if within and between:
        with np.errstate(divide="ignore", invalid="ignore"):
            rates = drawn[1][:, -1] / drawn[0][:, -1] - drawn[1][:, :-1].sum(axis=1) / drawn[0][:, :-1].sum(axis=1)
        excess = interval_of(between.value - within.value, np.nan_to_num(rates))
    found = tuple(Level(name, int(runs[i]), share(slice(i, i + 1))) for i, name in enumerate(names))
    return Effect(observed.choice.by[position], found, within, between, excess)


def _by_answer(prompt: Prompt, table: NDArray[np.int64], *, forced: bool) -> Iterator[NDArray[np.int64]]:
    """Yield runs by answer and level: of whole outputs, or at every token where those are compared."""
    if not forced:
        yield table
        return
    tokens = np.array([prompt.tokens[output] for output in range(len(table))], dtype=np.int64)
    for chosen in tokens.T:
        answers, answer = np.unique(chosen, return_inverse=True)
        merged = np.zeros((len(answers), table.shape[1]), dtype=np.int64)
        np.add.at(merged, answer, table)
        yield merged


def _within(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs within each count."""
    return counts * (counts - 1) // 2


def resampled(sums: Floats, stream: Generator) -> Floats:
    """Column sums when prompts are drawn with replacement.

    Parameters
    ----------
    sums
        What each prompt adds, shape (S, prompts, C).
    stream
        Source of randomness.

    Returns
    -------
    Floats
        Shape (S, B, C).
    """
    prompts = sums.shape[1]
    busy = np.flatnonzero(np.abs(sums).sum(axis=(0, 2)))
    drawn = np.empty((sums.shape[0], REPLICATES, sums.shape[2]))
    share = np.full(prompts, 1 / prompts)
    for index in range(REPLICATES):
        times = stream.multinomial(prompts, share)[busy]
        drawn[:, index] = np.einsum("p,spc->sc", times, sums[:, busy])
    return drawn


def _ratio(events: float, risk: float, drawn_events: Floats, drawn_risk: Floats) -> Interval:
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = np.nan_to_num(drawn_events / drawn_risk)
    return interval_of(float(events / risk) if risk else 0.0, drawn)


def interval_of(value: float, drawn: Floats) -> Interval:
    """The interval that holds 95 % of the replicates, and the value."""
    low, high = (float(np.quantile(drawn, tail)) for tail in (0.025, 0.975))
    return Interval(value, min(low, value), max(high, value))
