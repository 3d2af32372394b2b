"""From recordings to an executor: fits, what they predict, whether it holds, and what they cannot know."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.inference.calibration.fitting import REPLICATES, Fit, Interval, fitted
from sim.inference.calibration.laws import LAWS
from sim.inference.calibration.observed import Observed, gather
from sim.inference.calibration.pairs import Effect, Hazard, effect, hazard
from sim.inference.calibration.predicted import expected_groups, quorum_rates
from sim.statistics.intervals import clopper_pearson
from sim.statistics.streams import cell_stream, named_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from os import PathLike

    from numpy.typing import NDArray

    from sim.inference.calibration.choice import Choice
    from sim.inference.calibration.partitions import Partitions

    Floats = NDArray[np.float64]

TELLS_APART = 2.0
"""Difference of AIC below which data do not tell two laws apart (Burnham and Anderson 2002)."""


@dataclass(frozen=True)
class Quorum:
    """How often a group of runs is large enough for a quorum.

    Parameters
    ----------
    runs, quorum
        Group sizes that count, of so many runs.
    observed
        Share of the decision points, with its interval.
    predicted
        By each fitted law, with the interval that its parameters leave.
    """

    runs: int
    quorum: int
    observed: Interval
    predicted: dict[str, Interval]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        predicted = {name: interval._asdict() for name, interval in self.predicted.items()}
        plain = {"runs": self.runs, "quorum": self.quorum, "observed": self.observed._asdict()}
        return plain | {"predicted": predicted}


@dataclass(frozen=True)
class Groups:
    """Number of groups of each size in a decision point of `runs` runs; index 0 is size 1."""

    runs: int
    observed: tuple[float, ...]
    predicted: dict[str, tuple[float, ...]]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        predicted = {name: list(values) for name, values in self.predicted.items()}
        return {"runs": self.runs, "observed": list(self.observed), "predicted": predicted}


@dataclass(frozen=True)
class Calibration:
    """What recordings say.

    Parameters
    ----------
    observed
        What was gathered.
    per
        What a decision point is: `request`, or `token` where tokens are forced.
    points
        Number of decision points with two runs or more.
    fits
        Best first, by AIC.
    quorums
        By quorum, for the commonest number of runs.
    groups
        Sizes of groups, for the commonest number of runs.
    held_out
        What a fit to half of the runs predicts of the others; None where these are too few.
    hazard
        Hazard per token; None where tokens are not known.
    effects
        Of the factors asked for.
    """

    observed: Observed
    per: str
    points: int
    fits: tuple[Fit, ...]
    quorums: tuple[Quorum, ...]
    groups: Groups
    held_out: Quorum | None
    hazard: Hazard | None
    effects: tuple[Effect, ...]

    @property
    def best(self) -> Fit:
        """The fit with the lowest AIC."""
        return self.fits[0]

    @property
    def executor(self) -> dict[str, Any]:
        """Executor block of the best fit, as a scenario has it."""
        return executor_block(self.best, self.per)

    def unknown(self) -> list[str]:
        """What the fit cannot know, in words."""
        return list(_unknown(self))

    def to_dict(self) -> dict[str, Any]:
        """Plain values; a number that is infinite is None."""
        return {
            "prompts": len(self.observed.prompts),
            "runs": self.observed.runs,
            "points": self.points,
            "per": self.per,
            "bad_lines": self.observed.bad,
            "fits": [_plain_fit(fit) for fit in self.fits],
            "quorum": [quorum.to_dict() for quorum in self.quorums],
            "groups": self.groups.to_dict(),
            "held_out": self.held_out.to_dict() if self.held_out else None,
            "hazard": self.hazard.to_dict() if self.hazard else None,
            "effects": [effect.to_dict() for effect in self.effects],
            "executor": _finite(self.executor),
            "cannot_know": self.unknown(),
        }


def calibrate(paths: Sequence[str | PathLike[str]], choice: Choice | None = None, seed: int = 1) -> Calibration:
    """Fit difficulty models to recordings.

    Parameters
    ----------
    paths
        Recordings, or tables of counts (CSV with a column `class_sizes`).
    choice
        Which runs count, and the factors whose effect is asked for.
    seed
        Of the bootstrap and of the split of the held-out check.

    Returns
    -------
    Calibration
        Fits, best first, and what they predict.

    Raises
    ------
    ScenarioError
        A file cannot be read, or has nothing to compare.
    """
    observed = gather(paths, choice)
    key = named_key("calibrate", seed)
    partitions = observed.partitions()
    fits = tuple(
        sorted(
            (fitted(partitions, name, cell_stream(key, cell)) for cell, name in enumerate(sorted(LAWS))),
            key=lambda fit: fit.aic,
        )
    )
    runs = int(np.bincount(partitions.runs, weights=partitions.counts).argmax())
    factors = range(len(observed.choice.by))
    return Calibration(
        observed,
        "token" if observed.forced else "request",
        partitions.points,
        fits,
        tuple(_quorums(partitions, fits, runs, cell_stream(key, len(LAWS) + 2 + len(factors)))),
        _groups(partitions, fits, runs),
        _held_out(partitions, fits, cell_stream(key, len(LAWS))),
        hazard(observed, cell_stream(key, len(LAWS) + 1)),
        tuple(effect(observed, position, cell_stream(key, len(LAWS) + 2 + position)) for position in factors),
    )


def executor_block(fit: Fit, per: str) -> dict[str, Any]:
    """Executor block of a fit, numbers rounded to what the data can tell."""
    law: dict[str, Any] = {"difficulty": fit.law.name}
    law |= {name: _rounded(interval.value) for name, interval in fit.parameters.items()}
    if per != "request":
        law["per"] = per
    law["intervals"] = {
        name: [_rounded(interval.low), _rounded(interval.high)] for name, interval in fit.parameters.items()
    }
    return {"kind": "gpu", "nondeterminism": law}


def _rounded(value: float) -> float:
    return value if not math.isfinite(value) or not value else float(f"{value:.4g}")


def _quorums(partitions: Partitions, fits: Sequence[Fit], runs: int, stream: np.random.Generator) -> Iterator[Quorum]:
    """Yield every quorum of more than half of the runs; tokens of one prompt are not taken to be independent."""
    several = partitions.points > partitions.prompts
    again = partitions.resampled(stream, REPLICATES if several else 0)[:, partitions.runs == runs]
    chosen = partitions.runs == runs
    counts, largest = partitions.counts[chosen], partitions.largest[chosen]
    expected = {fit.law.name: (_one(fit, runs), expected_groups(fit.law, fit.replicates, runs)) for fit in fits}
    points = int(counts.sum())
    for quorum in range(runs // 2 + 1, runs + 1):
        reached = int(counts[largest >= quorum].sum())
        predicted = {
            name: _spread(float(quorum_rates(one, quorum)[0]), quorum_rates(drawn, quorum))
            for name, (one, drawn) in expected.items()
        }
        low, high = clopper_pearson(reached, points)
        if several:
            shares = again[:, largest >= quorum].sum(axis=1) / np.maximum(again.sum(axis=1), 1)
            wide = _spread(reached / points, shares)
            low, high = min(low, wide.low), max(high, wide.high)
        yield Quorum(runs, quorum, Interval(reached / points, low, high), predicted)


def _one(fit: Fit, runs: int) -> Floats:
    values = {name: np.array([value]) for name, value in fit.values.items()}
    return expected_groups(fit.law, values, runs)


def _spread(value: float, drawn: Floats) -> Interval:
    low, high = (float(np.quantile(drawn, tail)) for tail in (0.025, 0.975))
    return Interval(value, min(low, value), max(high, value))


def _groups(partitions: Partitions, fits: Sequence[Fit], runs: int) -> Groups:
    seen: Counter[int] = Counter()
    for sizes, count in zip(partitions.sizes, partitions.counts.tolist(), strict=True):
        if sum(sizes) == runs:
            for size in sizes:
                seen[size] += int(count)
    points = float(partitions.counts[partitions.runs == runs].sum())
    predicted = {fit.law.name: tuple(map(float, _one(fit, runs)[0, 1:])) for fit in fits}
    return Groups(runs, tuple(seen[size] / points for size in range(1, runs + 1)), predicted)


def _held_out(partitions: Partitions, fits: Sequence[Fit], stream: np.random.Generator) -> Quorum | None:
    """Fit half of the runs of each decision point, and predict how often more than 2/3 of the others agree."""
    first, second = partitions.halved(stream)
    runs = int(np.bincount(second.runs, weights=second.counts).argmax())
    if runs < 3:
        return None
    again = [fitted(first, fit.law.name, stream) for fit in fits]
    quorum = 2 * runs // 3 + 1
    return next(found for found in _quorums(second, again, runs, stream) if found.quorum == quorum)


def _unknown(found: Calibration) -> Iterator[str]:
    """Yield what the fit cannot know."""
    observed, best = found.observed, found.best
    header = observed.header
    yield (
        "Which output is the reference: the fit sums over all, and takes it to be the commonest answer (rate below "
        "1/2). A deviation that all runs share is not seen."
    )
    yield (
        "Whether machines of one hardware class share their noise (shared_noise): the fit takes every run's noise to "
        "be its own. Record several classes, and use --by hardware."
    )
    yield (
        "Other prompts, models, versions and lengths of output: intervals are those of drawing prompts like these, "
        "and nothing more."
    )
    if found.per == "request":
        yield "How the rate changes with the number of tokens, unless the hazard per token is flat."
    runs = found.groups.runs
    yield f"More than {runs} nodes: laws that agree on {runs} runs may differ there. Run the scenario with each."
    close = [fit.law.name for fit in found.fits[1:] if fit.aic - best.aic < TELLS_APART]
    if close:
        yield f"Whether {best.law.name} or {' or '.join(close)} is the law: they fit about as well (AIC within 2)."
    if best.values["rate"] == 0:
        yield "The rate, beyond its upper bound: all runs of every prompt agree."
    elif best.values["rate"] > 0.49:
        yield "A rate: no answer is common enough to be the reference, and the fit is at its bound of 1/2."
    if header is not None and header.temperature > 0:
        yield f"Nondeterminism of machines: these runs were sampled at temperature {header.temperature:g}."
    if not observed.complete:
        yield "The hazard per token of all outputs: there was no room to keep all tokens."


def _plain_fit(fit: Fit) -> dict[str, Any]:
    parameters = {name: _finite(interval._asdict()) for name, interval in fit.parameters.items()}
    return {
        "model": fit.law.name,
        "parameters": parameters,
        "log_likelihood": fit.log_likelihood,
        "aic": fit.aic,
    }


def _finite(value: Any) -> Any:
    """Write infinity as None, which JSON has."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
