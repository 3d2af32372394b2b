"""The examples of one's own difficulty model, matching rule and latency law, found through their entry points.

One's own protocol is in `test_one_vote`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packages import EXAMPLES, installed, unpacked
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import beta, expon, kstest

from sim import Result, Scenario, ScenarioError, load_scenario, run
from sim.cli import execute

SCENARIOS = EXAMPLES.parent / "scenarios"
PLUGINS = ("logistic_tie", "word_overlap", "queueing")
SENTENCES = ["a blue large ball", "a large red ball", "a small red ball"]


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return [unpacked(name, tmp_path_factory.mktemp(name)) for name in PLUGINS]


@pytest.fixture
def packages(sites: list[Path]) -> Iterator[None]:
    with installed(*sites):
        yield


def logistic(rate: float, n: int = 13, **parts: Any) -> Scenario:
    law = {"difficulty": "logistic_tie", "rate": rate}
    nodes = {"gpu": {"count": n, "executor": {"kind": "gpu", "nondeterminism": law}}}
    return Scenario.model_validate({"nodes": nodes, "run": {"blocks": 20_000}, **parts})


def closed_form(rate: float) -> float:
    """Between 5 and 8 of 13 nodes deviate: with du = -dp / (m p (1-p)) the mean is one of incomplete beta functions."""
    margin = brentq(lambda m: (math.log(2) - math.log1p(math.exp(-m))) / m - rate, 1e-6, 1 / rate, rtol=1e-14)
    share = {d: float(np.diff(beta(d, 13 - d).cdf([expit(-margin), 0.5]))[0]) for d in range(5, 9)}
    return sum(13 / (d * (13 - d)) * one for d, one in share.items()) / float(margin)


def overlap(threshold: float, *outputs: str, quorum: int | None = None) -> Result:
    executor = {"kind": "recorded", "outputs": list(outputs)}
    consensus: dict[str, Any] = {"matching": {"kind": "word_overlap", "threshold": threshold}, "quorum": quorum}
    nodes = {"computer": {"count": len(outputs), "executor": executor}}
    return run(Scenario.model_validate({"nodes": nodes, "consensus": consensus}))


def timed(latency: dict[str, Any]) -> Scenario:
    nodes = {"cpu": {"count": 4, "executor": {"kind": "cpu"}}}
    return Scenario.model_validate({"nodes": nodes, "network": {"latency": latency}, "run": {"blocks": 20}})


def latency(scenario: Scenario) -> Mapping[str, float]:
    timing = run(scenario).timing
    assert timing is not None
    assert timing.latency_s is not None
    return timing.latency_s


@pytest.mark.parametrize("name", PLUGINS)
def test_it_is_not_there_before_it_is_installed(name: str) -> None:
    places = {
        "logistic_tie": "nodes.gpu.executor.nondeterminism.difficulty",
        "word_overlap": "consensus.matching.kind",
        "queueing": "network.latency.kind",
    }
    with pytest.raises(ScenarioError, match=r"must be .*one of"):
        load_scenario(SCENARIOS / "ninety_nine_ninety_nine.yaml", [f"{places[name]}={name}"])


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("rate", [1e-9, 1e-4, 0.1, 0.49])
def test_blocks_fail_as_incomplete_beta_functions_say(rate: float) -> None:
    answered = run(logistic(rate))
    assert answered.engine == "exact"
    assert answered.block_failure.probability == pytest.approx(closed_form(rate), rel=1e-9)


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize(("threshold", "share"), [("1/4", 1 / 4), ("1/3", 1 / 3), ("49 %", 0.49)])
def test_of_many_nodes_blocks_fail_by_the_limit(threshold: str, share: float) -> None:
    failure = run(logistic(1e-5, 100_000, consensus={"fault_threshold": threshold})).block_failure.probability
    assert failure / 1e-5 == pytest.approx(math.log((1 - share) / share) / math.log(2), abs=1e-3)


@pytest.mark.usefixtures("packages")
def test_drawn_blocks_fail_as_often() -> None:
    failure = run(logistic(0.1, run={"engine": "montecarlo", "blocks": 20_000})).block_failure
    assert failure.low < closed_form(0.1) < failure.high


@pytest.mark.usefixtures("packages")
def test_a_rate_that_the_model_cannot_have_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "chain.yaml"
    written.write_text(json.dumps(logistic(0.1).model_dump(mode="json", exclude_none=True)))
    assert execute(["run", str(written), "--set", "nodes.gpu.executor.nondeterminism.rate=0.5"]) == 2
    assert "nodes.gpu.executor.nondeterminism.rate: must be at most 0.49 (got 0.5)" in capsys.readouterr().err


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize(("threshold", "outcome"), [(0.2, "agreed"), (0.6, "agreed"), (0.61, "no_quorum")])
def test_sentences_are_one_result_where_they_share_words(threshold: float, outcome: str) -> None:
    """Of the words of neighbours 3 of 5 are common, of those of the ends 2 of 6."""
    assert overlap(threshold, *SENTENCES).outcomes[outcome].probability == 1


@pytest.mark.usefixtures("packages")
def test_words_that_overlap_only_in_the_middle_fork_a_chain_of_honest_nodes() -> None:
    first, middle, last = SENTENCES
    nodes = [first, middle, middle, middle, last]
    assert overlap(0.6, *nodes, quorum=4).outcomes["forked"].probability == 1
    assert overlap(0.3, *nodes, quorum=4).outcomes["agreed"].probability == 1


@pytest.mark.usefixtures("packages")
def test_messages_take_as_long_as_the_law_says() -> None:
    scenario = timed({"kind": "queueing", "way": 0.03, "wait": 0.02})
    assert scenario.network is not None
    law: Any = scenario.network.latency
    seconds = law.quantile(np.random.default_rng(1).random(20_000))
    assert kstest(seconds, expon(0.03, 0.02).cdf).pvalue > 0.01
    assert law.expected == pytest.approx(seconds.mean(), rel=0.02)
    answered = run(scenario)
    assert answered.engine == "phases"
    assert answered.outcomes["agreed"].count == 20
    assert latency(scenario)["p50"] > 3 * 0.03  # three phases, each of at least the way


@pytest.mark.usefixtures("packages")
def test_a_law_without_a_wait_is_a_constant() -> None:
    queueing, constant = ({"kind": "queueing", "way": 0.05, "wait": 0}, {"kind": "constant", "seconds": 0.05})
    assert latency(timed(queueing)) == latency(timed(constant))
