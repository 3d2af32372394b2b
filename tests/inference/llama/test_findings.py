"""What real arithmetic says about machines that disagree, on the recordings of SmolLM2 that ship with the scenarios.

Tokens of one prompt hang together, so that intervals come from a bootstrap by prompt.
"""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from scipy.stats import binom, norm

from sim import load_scenario, run
from sim.analysis.calibration import calibrate
from sim.base.errors import ScenarioError
from sim.inference.recordings import Header, reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FOLDER = Path(__file__).parents[3] / "scenarios" / "measured"
DTYPES = ("bf16", "fp16")
ROUNDOFF = {"bf16": 2.0**-8, "fp16": 2.0**-11}
REPLICAS, TOKENS, QUORUM = 13, 128, 9


class Recorded(NamedTuple):
    header: Header
    said: NDArray[np.int64]
    """Token ids, shape (prompts, replicas, tokens)."""
    gaps: Floats
    """Leads of the best token over the second, of replicas 0 and 1: shape (prompts, 2, tokens)."""

    @property
    def groups(self) -> NDArray[np.int64]:
        """How many replicas say what replica i says, shape (prompts, replicas, tokens)."""
        return np.asarray((self.said[:, :, None] == self.said[:, None]).sum(axis=2))


@cache
def recorded(dtype: str) -> Recorded:
    with reading(FOLDER / f"smollm2_{dtype}.jsonl.gz") as reader:
        records = list(reader)
        header = reader.header
    said = np.array([record.tokens for record in records]).reshape(-1, REPLICAS, TOKENS)
    gaps = np.array([record.gaps for record in records if record.gaps]).reshape(-1, 2, TOKENS)
    return Recorded(header, said, gaps)


def interval(count: int, statistic: Callable[[NDArray[np.int64]], float], share: float = 0.99) -> tuple[float, float]:
    """Interval of a statistic of the numbers of the prompts, by a bootstrap."""
    draws = np.random.default_rng(8).integers(0, count, (2_000, count))
    values = [statistic(draw) for draw in draws]
    low, high = np.nanquantile(values, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def ratio_of(count: float, among: float) -> float:
    """A ratio, no number where there is nothing to divide by."""
    return float(count / among) if among else float("nan")


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_recordings_are_whole_and_say_what_they_are(dtype: str) -> None:
    found = recorded(dtype)
    assert found.header.dtype == dtype
    assert found.header.mode == "teacher_forced"
    assert found.header.weights == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    assert f"--replicas 13 --dtype {dtype} --mode teacher_forced --tokens 128" in found.header.source
    assert len(found.said) == len(found.gaps) == 64
    assert sum(path.stat().st_size for path in FOLDER.glob("smollm2_*.jsonl.gz")) < 200_000


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_third_differs_with_probability_one_half_where_a_second_does(dtype: str) -> None:
    """Whichever machine is the first: none is special, the one that cuts nothing as little as others.

    Where two tokens compete and machines are alike this is a matter of symmetry, under any law: of three that do not
    all agree, one is alone. What tells laws apart is the next test.
    """
    others = REPLICAS - recorded(dtype).groups  # replicas that differ from replica i
    outside = 0
    for first in range(REPLICAS):

        def chance(prompts: NDArray[np.int64], first: int = first) -> float:
            differ = others[prompts, first]
            return ratio_of((differ * (differ - 1)).sum(), (differ * (REPLICAS - 2)).sum())

        low, high = interval(len(others), chance)
        outside += not low <= 0.5 <= high
    assert outside <= 1
    assert 0.49 < ratio_of((others * (others - 1)).sum(), (others * (REPLICAS - 2)).sum()) < 0.54


@pytest.mark.parametrize("dtype", DTYPES)
def test_another_deviates_where_one_does_as_near_ties_say(dtype: str) -> None:
    """From the commonest answer: near ties say 0.246, within a fifth (orders that cut alike have noise in common).

    Of independent machines, another would deviate as rarely as any.
    """
    away = REPLICAS - recorded(dtype).groups.max(axis=1)
    margins = np.linspace(-6, 6, 2_001)[:, None]  # between two tokens, in units of the noise: any is as likely
    count = np.arange(REPLICAS + 1)
    chances = binom.pmf(count, REPLICAS, norm.cdf(margins)).sum(axis=0)
    minority = np.minimum(count, REPLICAS - count)
    expected = float((chances * minority * (minority - 1)).sum() / (chances * minority).sum() / (REPLICAS - 1))

    def chance(prompts: NDArray[np.int64]) -> float:
        deviate = away[prompts]
        return ratio_of((deviate * (deviate - 1)).sum(), (deviate * (REPLICAS - 1)).sum())

    low, high = interval(len(away), chance)
    assert expected == pytest.approx(0.246, abs=5e-4)
    assert low < 1.2 * expected
    assert high > expected / 1.2
    assert low > 10 * away.mean() / REPLICAS


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_density_of_gaps_is_flat_near_zero(dtype: str) -> None:
    """As many gaps lie within 0.1 logits, twice the noise of bf16, as from 0.1 to 0.2; farther out they grow rarer."""
    gaps = recorded(dtype).gaps[:, 0]
    near, next_to, far = (
        ((gaps >= low) & (gaps < high)).sum(axis=1) for low, high in ((0, 0.1), (0.1, 0.2), (0.2, 0.4))
    )
    low, high = interval(len(gaps), lambda prompts: ratio_of(near[prompts].sum(), next_to[prompts].sum()))
    assert low < 1 < high
    assert high - low < 0.5
    assert 0.7 < far.sum() / (near.sum() + next_to.sum()) < 1


def _noise(dtype: str) -> Floats:
    """By how much the lead of replica 1 differs from that of replica 0 where both have the same best token."""
    found = recorded(dtype)
    same = found.said[:, 0] == found.said[:, 1]
    return np.where(same & (found.gaps[:, 0] < 4), np.abs(found.gaps[:, 1] - found.gaps[:, 0]), np.nan)


def test_noise_is_proportional_to_the_unit_roundoff() -> None:
    noise = {dtype: _noise(dtype) for dtype in DTYPES}

    def ratio(prompts: NDArray[np.int64]) -> float:
        return float(np.nanmedian(noise["bf16"][prompts]) / np.nanmedian(noise["fp16"][prompts]))

    low, high = interval(min(map(len, noise.values())), ratio)
    assert low < 1.15 * ROUNDOFF["bf16"] / ROUNDOFF["fp16"]
    assert high > 0.85 * ROUNDOFF["bf16"] / ROUNDOFF["fp16"]
    assert 6 < ratio(np.arange(len(noise["fp16"]))) < 10


@pytest.mark.parametrize("dtype", DTYPES)
def test_near_ties_explain_how_often_two_machines_differ(dtype: str) -> None:
    """Two leads straddle zero with probability density / 2 x mean distance between them, whatever the law of noise."""
    found = recorded(dtype)
    density = (found.gaps[:, 0] < 0.4).mean(axis=1) / 0.4
    distance = np.nanmean(np.where(found.gaps[:, 0] < 1, _noise(dtype), np.nan), axis=1)
    everybody = (REPLICAS - found.groups).mean(axis=(1, 2)) / (REPLICAS - 1)

    def ratio(prompts: NDArray[np.int64]) -> float:
        return ratio_of(everybody[prompts].mean(), density[prompts].mean() * np.nanmean(distance[prompts]) / 2)

    low, high = interval(len(density), ratio)
    assert low < 1.35
    assert high > 0.65


def _failures(found: Recorded) -> NDArray[np.bool_]:
    """Whether no token has a quorum of 9 of 13, shape (prompts, tokens)."""
    return np.asarray(found.groups.max(axis=1) < QUORUM)


@pytest.mark.parametrize("dtype", DTYPES)
def test_blocks_fail_about_as_often_as_two_machines_differ(dtype: str) -> None:
    found = recorded(dtype)
    failed, pairs = _failures(found).mean(axis=1), (REPLICAS - found.groups).mean(axis=(1, 2)) / (REPLICAS - 1)
    low, high = interval(len(failed), lambda prompts: ratio_of(failed[prompts].mean(), pairs[prompts].mean()))
    assert low < 1.1  # near ties say 1.0797 / sqrt(2) = 0.76
    assert high > 0.5
    rate = pairs.mean() / 2  # independent machines that differ as often in pairs
    independent = float(binom.sf(REPLICAS - QUORUM, REPLICAS, rate))
    assert failed.mean() > {"bf16": 1e5, "fp16": 1e9}[dtype] * independent


@pytest.mark.parametrize("dtype", DTYPES)
def test_two_hardware_classes_fail_as_a_pair_and_a_minority_of_one_never(dtype: str) -> None:
    """Nodes of a class compute alike: 7 + 6 reach no quorum wherever the classes differ, 12 + 1 always do."""
    found = recorded(dtype)
    split = lone = tried = 0
    for one, other in itertools.combinations(range(REPLICAS), 2):
        differ = found.said[:, one] != found.said[:, other]
        for first, second in ((7, 6), (12, 1)):
            largest = np.where(differ, max(first, second), first + second)
            split += int((largest < QUORUM).sum()) if first == 7 else 0
            lone += int((largest < QUORUM).sum()) if first == 12 else 0
        tried += differ.size
    pairs = (REPLICAS - found.groups).mean() / (REPLICAS - 1)
    assert split / tried == pytest.approx(pairs)
    assert lone == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_scenario_replays_the_recording_and_does_what_its_comment_claims(dtype: str) -> None:
    """Its exact answer for one token is the share of tokens without a quorum: all 13 runs, one a node."""
    result = run(load_scenario(FOLDER / f"smollm2_{dtype}.yaml"))
    assert result.engine == "exact"
    assert result.block_failure.probability == pytest.approx(_failures(recorded(dtype)).mean())
    text = (FOLDER / f"smollm2_{dtype}.yaml").read_text()
    assert f"{result.block_failure.probability:.2e}" in text
    if dtype == "bf16":
        whole = run(load_scenario(FOLDER / "smollm2_bf16.yaml", ["workload.tokens=128"]))
        assert whole.block_failure.probability > 0.7
        assert f"({(REPLICAS - recorded(dtype).groups).mean() / (REPLICAS - 1):.2e})" in text


def test_the_scenario_to_copy_does_what_its_comment_claims() -> None:
    path = FOLDER / "yours.yaml"
    assert f"{run(load_scenario(path)).block_failure.probability:.2e}" in path.read_text()
    assert run(load_scenario(path, ["nodes.machine.count=7"])).block_failure.probability > 0
    with pytest.raises(ScenarioError, match="at most the 13 runs"):
        load_scenario(path, ["nodes.machine.count=14"])


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_scenario_opens_with_what_it_shows(path: Path) -> None:
    assert path.read_text().startswith("# Shows: ")
    assert "# Expect: " in path.read_text()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_calibration_finds_near_ties(dtype: str) -> None:
    """Laws that gather deviations on few tokens fit far better than one rate for all, and near ties as well as any."""
    fits = {fit.law.name: fit for fit in calibrate([FOLDER / f"smollm2_{dtype}.jsonl.gz"]).fits}
    aics = {name: fit.aic for name, fit in fits.items()}
    assert aics["near_tie"] < min(aics.values()) + 6
    assert aics["near_tie"] < aics["independent"] - 30
    rate = fits["near_tie"].parameters["rate"]
    pairs = (REPLICAS - recorded(dtype).groups).mean() / (REPLICAS - 1)
    assert rate.low < pairs / np.sqrt(2) < rate.high  # two near-tie machines disagree at sqrt(2) x rate
