"""The examples of one's own difficulty model, matching rule and latency law, found through their entry points.

One's own protocol is in `test_one_vote`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packages import EXAMPLES, installed, unpacked
from scipy.stats import binom, expon, kstest

from sim import Result, Scenario, ScenarioError, load_scenario, run
from sim.cli import execute

SCENARIOS = EXAMPLES.parent / "scenarios"
PLUGINS = ("hard_prompts", "word_overlap", "queueing")
SENTENCES = ["a blue large ball", "a large red ball", "a small red ball"]


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return [unpacked(name, tmp_path_factory.mktemp(name)) for name in PLUGINS]


@pytest.fixture
def packages(sites: list[Path]) -> Iterator[None]:
    with installed(*sites):
        yield


def hard(rate: float, share: float, engine: str = "auto") -> Scenario:
    law = {"difficulty": "hard_prompts", "rate": rate, "share": share, "alternatives": 0}
    nodes = {"gpu": {"count": 13, "executor": {"kind": "gpu", "nondeterminism": law}}}
    return Scenario.model_validate({"nodes": nodes, "run": {"engine": engine, "blocks": 20_000}})


def one_binomial(rate: float, share: float) -> float:
    """Neither those that stay with the reference output nor the others, who all answer alike, reach 9 of 13."""
    return float(share * (binom.cdf(8, 13, rate / share) - binom.cdf(4, 13, rate / share)))


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
        "hard_prompts": "nodes.gpu.executor.nondeterminism.difficulty",
        "word_overlap": "consensus.matching.kind",
        "queueing": "network.latency.kind",
    }
    with pytest.raises(ScenarioError, match=r"must be .*one of"):
        load_scenario(SCENARIOS / "ninety_nine_ninety_nine.yaml", [f"{places[name]}={name}"])


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize(("rate", "share"), [(1e-4, 2e-4), (1e-4, 0.5), (1e-9, 1.0), (0.1, 0.4)])
def test_blocks_fail_as_the_binomial_of_hard_prompts_says(rate: float, share: float) -> None:
    answered = run(hard(rate, share))
    assert answered.engine == "exact"
    assert answered.block_failure.probability == pytest.approx(one_binomial(rate, share), rel=1e-10)


@pytest.mark.usefixtures("packages")
def test_drawn_blocks_fail_as_often() -> None:
    low, high = (getattr(run(hard(0.1, 0.4, "montecarlo")).block_failure, end) for end in ("low", "high"))
    assert low < one_binomial(0.1, 0.4) < high


@pytest.mark.usefixtures("packages")
def test_a_rate_above_the_share_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "chain.yaml"
    written.write_text(json.dumps(hard(0.1, 0.4).model_dump(mode="json", exclude_none=True)))
    assert execute(["run", str(written), "--set", "nodes.gpu.executor.nondeterminism.share=0.05"]) == 2
    assert "nodes.gpu.executor.nondeterminism.share: must be more than the rate (0.1)" in capsys.readouterr().err


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
    assert answered.engine == "events"
    assert answered.outcomes["agreed"].count == 20
    assert latency(scenario)["p50"] > 3 * 0.03  # three phases, each of at least the way


@pytest.mark.usefixtures("packages")
def test_a_law_without_a_wait_is_a_constant() -> None:
    queueing, constant = ({"kind": "queueing", "way": 0.05, "wait": 0}, {"kind": "constant", "seconds": 0.05})
    assert latency(timed(queueing)) == latency(timed(constant))
