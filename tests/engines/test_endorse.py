"""Endorsing: exact answers against enumeration and closed forms, drawn ones against exact ones and node by node."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from drawn import as_case, draw_scenario
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reference.brute_force import outcomes
from reference.closed_form import no_quorum
from reference.per_node import Nodes, draw_answers, settle
from scipy.stats import binom, chi2, kstest

from sim import EngineError, Result, Scenario, run
from sim.cli import execute
from sim.consensus.tally import Outcome
from sim.engines.exact import refusal, run_exact
from sim.engines.montecarlo import MonteCarlo

if TYPE_CHECKING:
    from pathlib import Path

    from sim.statistics.counts import Counts

DROPPED = "dropped_per_block"


def endorsed(scenario: Scenario, **workload: int) -> Scenario:
    plain = scenario.model_dump(exclude_none=True)
    plain["consensus"]["result"] = "endorse"
    plain["workload"] |= workload
    return Scenario.model_validate(plain)


def with_result(scenario: Scenario, result: str) -> Scenario:
    consensus = scenario.consensus.model_copy(update={"result": result})
    return scenario.model_copy(update={"consensus": consensus})


def chain(law: dict[str, Any], requests: int, **parts: Any) -> Scenario:
    nodes = {"gpu": {"count": 13, "executor": {"kind": "gpu", "nondeterminism": law}}}
    plain = {"nodes": nodes, "consensus": {"result": "endorse"}, "workload": {"requests_per_block": requests}}
    return Scenario.model_validate(plain | parts)


def dropped(result: Result) -> float:
    assert result.dropped_per_block is not None
    return result.dropped_per_block.mean


@given(random=st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_with_one_request_a_block_it_is_certify(random: Random) -> None:
    scenario = endorsed(draw_scenario(random, nodes=13), requests_per_block=1)
    assume(refusal(scenario) is None)
    one, other = run_exact(scenario), run_exact(with_result(scenario, "certify"))
    for name, estimate in one.outcomes.items():
        assert estimate.probability == pytest.approx(other.outcomes[name].probability, rel=1e-13, abs=0), name
    assert one.block_failure.probability == pytest.approx(other.block_failure.probability, rel=1e-13, abs=0)
    assert one.diverged_per_block == other.diverged_per_block
    assert dropped(one) == other.outcomes["no_quorum"].probability


@given(random=st.randoms(use_true_random=False), requests=st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_every_outcome_equals_enumeration_of_its_requests(random: Random, requests: int) -> None:
    """One request is enumerated node by node; the requests of a block are independent."""
    scenario = endorsed(draw_scenario(random), requests_per_block=requests)
    assume(refusal(scenario) is None and scenario.population.nodes <= 6)
    case = as_case(scenario)
    single = outcomes(replace(case, requests=1))
    result = run_exact(scenario)
    fine = 1 - single.forked - single.wrong_result
    expected = {
        "no_quorum": single.no_quorum**requests,
        "wrong_result": (1 - single.forked) ** requests - fine**requests,
        "forked": 1 - (1 - single.forked) ** requests,
    }
    expected["agreed"] = 1 - sum(expected.values())
    for name, estimate in result.outcomes.items():
        assert estimate.probability == pytest.approx(expected[name], rel=1e-8, abs=1e-13), name
    assert result.outcomes["no_quorum"].probability == pytest.approx(expected["no_quorum"], rel=1e-7, abs=0)
    assert dropped(result) == pytest.approx(requests * single.no_quorum, rel=1e-8, abs=1e-15)
    assert result.diverged_per_block.mean == pytest.approx(requests * single.diverged, rel=1e-8, abs=1e-15)


@pytest.mark.parametrize("requests", [1, 7, 40])
def test_tiny_probabilities_keep_their_precision(requests: int) -> None:
    law = {"difficulty": "independent", "rate": 1e-2}
    none = no_quorum(13, 9, "independent", 1e-2, None, math.inf, 1)
    result = run(chain(law, requests))
    assert result.block_failure.probability == pytest.approx(float(none**requests), rel=1e-9, abs=0)
    rare = chain({"difficulty": "independent", "rate": 0.97}, requests)  # hardly any request is certified
    mass = binom.sf(8, 13, 0.03)
    agreed = run(rare).outcomes["agreed"].probability
    assert agreed == pytest.approx(-math.expm1(requests * math.log1p(-mass)), rel=1e-9, abs=0)
    assert agreed < 1e-9


def node_by_node(scenario: Scenario, blocks: int, seed: int) -> Counter[str]:
    """Blocks drawn request by request and node by node, each request settled by itself."""
    case = replace(as_case(scenario), requests=1)
    rng = np.random.default_rng(seed)
    nodes = Nodes(
        [g for g in case.groups for _ in range(g.honest)], [g for g in case.groups for _ in range(g.byzantine)]
    )
    requests = scenario.workload.requests_per_block
    heads = draw_answers(case, nodes.honest, blocks * requests, rng).tolist()
    ties = rng.random((len(heads), len(nodes.honest))).tolist()
    counts: Counter[str] = Counter()
    for block in range(blocks):
        ends = [settle(case, nodes, heads[i], 0, ties[i]) for i in range(block * requests, (block + 1) * requests)]
        names = [name for name, _ in ends]
        outcome = next(name for name in ("forked", "wrong_result", "agreed", "no_quorum") if name in names)
        counts[outcome] += 1
        counts["dropped"] += names.count("no_quorum")
        counts["diverged"] += sum(size for _, size in ends) if outcome == "agreed" else 0
    return counts


@pytest.mark.parametrize("seed", range(30))
def test_what_is_drawn_equals_a_plain_per_node_simulation(seed: int) -> None:
    random = Random(seed)
    while True:
        shared = random.choice([(0.0, 1.0), (0.4, 0.9)])
        scenario = draw_scenario(random, nodes=8, shared=shared, rates=(0.05, 0.45))
        scenario = endorsed(scenario, requests_per_block=random.randint(1, 4))
        if refusal(scenario) is None or scenario.election.behaviour in {"amplify", "equivocate"}:
            break
    blocks = 5_000
    mine, plain = run(scenario, engine="montecarlo", blocks=blocks, seed=seed), node_by_node(scenario, blocks, seed)
    counts = np.array([[mine.outcomes[name].count or 0, plain[name]] for name in Outcome.__members__])
    counts = counts[counts.sum(axis=1) > 0]
    expected = counts.sum(axis=1, keepdims=True) / 2
    assert chi2.sf(float(((counts - expected) ** 2 / expected).sum()), max(len(counts) - 1, 1)) > 1e-5
    requests = scenario.workload.requests_per_block
    spread = 4.5 * math.sqrt(2 * blocks * requests)
    assert abs(dropped(mine) * blocks - plain["dropped"]) <= 0.5 * spread
    nodes = max(scenario.population.nodes, 1)
    assert abs(mine.diverged_per_block.mean * blocks - plain["diverged"]) <= spread * nodes


def test_failures_and_dropped_requests_follow_the_exact_numbers() -> None:
    transformed: list[float] = []
    scores: list[float] = []
    blocks, rng, seed = 10_000, np.random.default_rng(5), 0
    while len(transformed) < 150:
        seed += 1
        scenario = endorsed(draw_scenario(Random(seed), nodes=13, rates=(1e-2, 0.45)))
        if refusal(scenario) is not None:
            continue
        exact, drawn = run(scenario), run(scenario, engine="montecarlo", blocks=blocks, seed=seed)
        p, k = exact.block_failure.probability, drawn.block_failure.count
        assert k is not None
        if 1e-6 < p < 1 - 1e-6:
            transformed.append(binom.cdf(k - 1, blocks, p) + rng.random() * binom.pmf(k, blocks, p))
        requests = scenario.workload.requests_per_block
        lost = dropped(exact) / requests
        if 1e-3 < lost < 1 - 1e-3:
            scores.append((dropped(drawn) - dropped(exact)) / math.sqrt(requests * lost * (1 - lost) / blocks))
    assert kstest(transformed, "uniform").pvalue > 1e-3
    assert kstest(scores, "norm").pvalue > 1e-3


def counted(scenario: Scenario, blocks: int) -> Counts:
    simulation = MonteCarlo(scenario)
    parts = [simulation.count(cell, size) for cell, size in simulation.cells(blocks)]
    return sum(parts[1:], start=parts[0])


@given(random=st.randoms(use_true_random=False), blocks=st.integers(1, 30_000), more=st.integers(0, 30_000))
@settings(max_examples=30, deadline=None)
def test_a_run_is_a_prefix_of_a_longer_one(random: Random, blocks: int, more: int) -> None:
    scenario = endorsed(draw_scenario(random, nodes=7, shared=(0.0, 0.5, 1.0)))
    short, long = counted(scenario, blocks), counted(scenario, blocks + more)
    for before, after in zip(short.outcomes, long.outcomes, strict=True):
        assert 0 <= after - before <= more
    assert 0 <= long.extra - short.extra <= more * scenario.workload.requests_per_block


def test_quiet_blocks_are_skipped_and_count_what_they_drop() -> None:
    silent = {"byzantine": 5, "behaviour": "silent"}
    stopped = run(chain({"rate": 1e-9}, 3, faults=silent), engine="montecarlo", blocks=10**9)
    assert (stopped.outcomes["no_quorum"].count, dropped(stopped)) == (10**9, 3)
    rare = run(chain({"rate": 1e-6}, 4), engine="montecarlo", blocks=10**8)
    assert dropped(rare) == pytest.approx(4 * 0.97339e-6, rel=0.3)


def test_requests_that_attackers_alone_certify_are_wrong() -> None:
    result = run(chain({"rate": 0.1}, 3, faults={"byzantine": 9, "behaviour": "collude"}))
    assert (result.outcomes["wrong_result"].probability, dropped(result)) == (1, 0)


def test_who_cannot_answer_says_why() -> None:
    with pytest.raises(EngineError, match="vote on whole blocks"):
        run(chain({"rate": 0.1}, 2), engine="events")
    for parts, match in (
        ({"verification": {"kind": "tee"}}, "where one node executes"),
        ({"nodes": {"a": {"count": 1, "executor": {"kind": "recorded", "outputs": ["x"]}}}}, "answers are recorded"),
    ):
        with pytest.raises(ValueError, match=match):
            chain({"rate": 0.1}, 2, **parts)


def test_results_survive_as_plain_values() -> None:
    result = run(chain({"rate": 1e-3}, 10))
    assert Result.from_dict(json.loads(json.dumps(result.to_dict()))) == result
    certified = run(with_result(chain({"rate": 1e-3}, 10), "certify"))
    assert DROPPED not in certified.to_dict()
    assert Result.from_dict(certified.to_dict()).dropped_per_block is None


def test_a_sweep_keeps_what_is_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, store = tmp_path / "endorse.yaml", tmp_path / "store.db"
    file.write_text(
        "nodes: {gpu: {count: 13, executor: {kind: gpu, nondeterminism: {rate: 0.05}}}}\n"
        "consensus: {result: endorse}\nworkload: {requests_per_block: 5}\nrun: {engine: montecarlo, blocks: 40000}\n"
        "sweep: {result: {path: consensus.result, values: [endorse, certify]}}\n"
    )
    assert execute(["sweep", str(file), "--store", str(store)]) == 0
    capsys.readouterr()
    assert execute(["results", str(store), "--format", "json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    scenario = chain({"rate": 0.05}, 5)
    alone = run(scenario, engine="montecarlo", blocks=40_000, seed=1)
    assert first[DROPPED]["mean"] == dropped(alone)
    assert DROPPED not in second
    assert execute(["results", str(store), "--format", "csv"]) == 0
    header, one, other = capsys.readouterr().out.splitlines()
    column = header.split(",").index(DROPPED)
    assert float(one.split(",")[column]) == dropped(alone)
    assert other.split(",")[column] == ""


def test_the_table_tells_what_is_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "endorse.yaml"
    file.write_text(
        "nodes: {gpu: {count: 13, executor: {kind: gpu, nondeterminism: {rate: 1e-3}}}}\n"
        "consensus: {result: endorse}\nworkload: {requests_per_block: 2}\n"
    )
    assert execute(["run", str(file)]) == 0
    out = capsys.readouterr().out
    assert "dropped           0.0019468  exact          of 2 requests a block\n" in out
    assert "no result of any of its requests reaches the quorum of 9 of 13 votes; 0.00195 requests a block" in out
