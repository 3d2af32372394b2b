"""How often a block misses a deadline: against plain simulation, and against a formula for two nodes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from timed import chain

from sim import EngineError, ScenarioError
from sim.analysis import deadline
from sim.analysis.deadline import misses
from sim.cli import execute
from sim.engines.phases.chain import Chain
from sim.statistics.intervals import clopper_pearson

LATENCY = {"kind": "lognormal", "median": 0.05, "sigma": 0.4}


def scattered(n: int, protocol: str = "pbft", result: str = "propose", **parts: Any) -> Any:
    consensus = {"protocol": protocol, "result": result}
    return chain(n, consensus=consensus, network={"latency": LATENCY}, **parts)


def plain(scenario: Any, blocks: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Latencies of the blocks of a chain, one after the other."""
    worked, latencies = Chain(scenario), []
    state = worked.start()
    for _ in range(blocks):
        voters = worked.voters(state)
        assert voters is not None
        latency, state = worked.race(state, voters)
        latencies.append(latency)
    return np.array(latencies)


@pytest.mark.parametrize(
    ("n", "protocol", "result", "limit"),
    [(4, "pbft", "propose", 0.2), (7, "tendermint", "certify", 0.26)],
)
def test_splitting_agrees_with_plain_simulation(n: int, protocol: str, result: str, limit: float) -> None:
    scenario = scattered(n, protocol, result)
    latencies = plain(scenario, 20_000)
    low, high = clopper_pearson(int((latencies > limit).sum()), len(latencies), confidence=0.999)
    assert low > 1e-4
    found = misses(scenario, limit, states=60, runs=8)
    assert len(found.levels) > 2
    assert found.low < high
    assert found.high > low


def of_two(begun: Any, leads: Any, draws: Any) -> tuple[Any, Any]:
    """When two nodes decide, and when the leader began: every quorum is both of them."""
    proposal, prepare, leaders_commit, others_commit = draws
    first, second = np.where(leads, begun[0], begun[1]), np.where(leads, begun[1], begun[0])
    accepted = np.maximum(second, first + proposal)  # and prepared: the proposal is the leader's prepare
    prepared = accepted + prepare
    one, other = np.maximum(prepared, accepted + others_commit), np.maximum(accepted, prepared + leaders_commit)
    return np.array([np.where(leads, one, other), np.where(leads, other, one)]), first


def test_two_nodes_miss_as_often_as_their_formula_says() -> None:
    stream, blocks, limit = np.random.default_rng(1), 4_000_000, 0.36
    draws = 0.05 * np.exp(0.4 * stream.standard_normal((2, 4, blocks)))
    leads = stream.random((2, blocks)) < 0.5
    decided, _ = of_two(np.zeros((2, blocks)), leads[0], draws[0])
    again, begun = of_two(decided, leads[1], draws[1])
    share = float((again.min(axis=0) - begun > limit).mean())  # one of two is more than f = 0
    found = misses(scattered(2), limit, states=100, runs=12)
    assert 1e-6 < share < 1e-4
    assert found.low < 1.2 * share
    assert found.high > share / 1.2


def test_the_levels_rise_to_the_deadline_and_nothing_that_is_rare_is_missed() -> None:
    found = misses(scattered(4), 0.3, states=60, runs=8)
    assert list(found.levels) == sorted(found.levels)
    assert found.levels[-1] == found.deadline_s == 0.3
    assert 2e-8 < found.probability < 1e-6  # 1.7e-7
    assert 0 <= found.low <= found.probability <= found.high


def test_the_same_seed_gives_the_same_numbers() -> None:
    first, again = (misses(scattered(4), 0.2, states=20, runs=3) for _ in range(2))
    assert first == again
    assert misses(scattered(4, run={"seed": 2}), 0.2, states=20, runs=3) != first


def test_blocks_of_silent_leaders_miss_every_deadline() -> None:
    found = misses(scattered(7, faults={"byzantine": 2}), 1.5, states=100, runs=5)
    assert found.probability == pytest.approx(2 / 7, abs=0.08)


@pytest.mark.parametrize("limit", [0.0, 4.0, 10.0])
def test_a_deadline_beyond_a_timeout_is_refused(limit: float) -> None:
    with pytest.raises(ScenarioError, match="below the shortest timeout"):
        misses(scattered(4), limit)


def test_what_the_phases_cannot_answer_is_refused() -> None:
    with pytest.raises(EngineError, match="deadlines need the phases engine"):
        misses(chain(4, network={"loss": 0.1}), 0.2)
    with pytest.raises(EngineError, match="do not crash at given times"):
        misses(chain(4, faults={"crashes": [{"nodes": {"a": 1}, "at": 1.0}]}), 0.2)
    with pytest.raises(EngineError, match="one block after the other"):
        misses(chain(4, consensus={"protocol": "hotstuff"}), 0.2)


def test_the_command_tells_the_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(deadline.misses, "__kwdefaults__", {"states": 20, "runs": 3, "report": None})
    path = tmp_path / "s.yaml"
    path.write_text(
        "nodes: {a: {count: 4, executor: {kind: cpu}}}\nnetwork: {latency: {kind: uniform, low: 0, high: 0.2}}\n"
    )
    assert execute(["deadline", str(path), "0.5", "--format", "json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert set(plain) == {
        "scenario",
        "scenario_id",
        "seed",
        "deadline_s",
        "probability",
        "low",
        "high",
        "levels",
        "blocks",
    }
    assert execute(["deadline", str(path), "0.5"]) == 0
    assert "take longer than 0.5 s" in capsys.readouterr().out
    assert execute(["deadline", str(path), "soon"]) == 2
    assert "must be a number of seconds (got 'soon')" in capsys.readouterr().err
