"""Where no timer is early, messages decide what votes decide: block by block on the same draws, and in the mean."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from cluster import messages_a_block
from drawn import draw_scenario

from sim import Scenario, run
from sim.consensus.attackers import FABRICATED, Answers
from sim.consensus.tally import BOOSTED, Outcome, certify, propose
from sim.engines.events.draws import Leaders, answers_of, powers
from sim.engines.events.engine import run_events
from sim.engines.events.ledger import Block, Over
from sim.engines.events.world import World
from sim.statistics.intervals import clopper_pearson

PROTOCOLS = ["pbft", "tendermint", "hotstuff", "icc"]
PATIENT = {
    "view": 100.0,
    "propose": 100.0,
    "prevote": 50.0,
    "precommit": 50.0,
    "rank": 50.0,
    "commit": 1e3,  # so that those who were sent another block catch up before the next height
    "result": 500.0,  # and before this one is given up
}


def timed(scenario: Scenario, protocol: str, sigma: float = 0.8, **run_block: Any) -> Scenario:
    """The same scenario, message by message, with patient timers and scattered delays."""
    plain = scenario.model_dump(mode="python", exclude_none=True)
    plain["consensus"] |= {"protocol": protocol, "timeouts": PATIENT}
    plain["network"] = {"latency": {"kind": "lognormal", "median": 0.05, "sigma": sigma}}
    plain["run"] = {"blocks": 100, "seed": 1} | run_block
    return Scenario.model_validate(plain)


def outcomes(scenario: Scenario) -> list[tuple[Outcome, int]]:
    """Outcome and diverged nodes of every block, as messages decide."""
    seen: list[Block] = []
    world = World(scenario)
    settle = world.ledger._over

    def over(end: Over) -> None:
        seen.append(end.block)
        settle(end)

    world.ledger._over = over
    world.run()
    stalled = scenario.run.blocks - len(seen)
    return [(block.outcome, block.diverged) for block in seen] + [(Outcome.no_quorum, 0)] * stalled


def tallied(scenario: Scenario) -> list[tuple[Outcome, int]]:
    """The same as votes decide, from the same answers and leaders."""
    election, weights = scenario.election, powers(scenario)
    leaders, answers = Leaders(weights, scenario.run.seed, 1), answers_of(scenario)
    found = []
    for height in range(1, scenario.run.blocks + 1):
        answer = answers(height)
        groups = np.array([answer.power or (0,)], dtype=np.int64)
        if scenario.consensus.result == "certify":
            verdict = certify(election, groups)
        else:
            result = answer.results[leaders.of(height)[0]]
            lead = int(np.cumsum(groups[0])[result]) - 1 if result >= 0 else election.votes - 1
            verdict = propose(election, groups, np.array([lead]))
            if _drops_votes(scenario, answer, leaders.of(height + 1)[0]):
                found.append((Outcome.no_quorum, 0))
                continue
        certified = int(verdict.certified[0])
        missing = sum(answer.nodes) - answer.nodes[certified] if certified >= 0 else 0
        found.append((Outcome(int(verdict.outcome[0])), missing))
    return found


def _drops_votes(scenario: Scenario, answer: Answers, following: int) -> bool:
    """Whether a silent leader of the next height gets the votes for a block: HotStuff sends them to nobody else."""
    silent = scenario.faults.behaviour == "silent" and answer.results[following] == FABRICATED
    return scenario.consensus.protocol == "hotstuff" and silent


def _races(scenario: Scenario) -> bool:
    """HotStuff's next leader may have too few votes for one side of an equivocator's block, by who is the quicker."""
    consensus = scenario.consensus
    equivocating = scenario.faults.behaviour == "equivocate" and scenario.election.byzantine
    return bool(equivocating) and consensus.result == "propose" and consensus.protocol == "hotstuff"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("seed", range(40))
def test_every_block_ends_as_its_votes_say(protocol: str, seed: int) -> None:
    random = Random(seed)
    drawn = draw_scenario(random, nodes=9, shared=(0.0, 0.5, 1.0), rates=(0.02, 0.45))
    scenario = timed(drawn, protocol, blocks=30, seed=seed)
    election = scenario.election
    if election.behaviour in BOOSTED and not election.unbreakable:
        pytest.skip("who then wins is a matter of timing")
    if not scenario.population.nodes:
        pytest.skip("no node is honest")
    if _races(scenario):
        pytest.skip("who then wins is a matter of timing")
    if _leaves_some_behind(scenario):
        for block in range(30):
            alone = reseeded(scenario, block)
            assert outcomes(alone) == tallied(alone)
    else:
        assert outcomes(scenario) == tallied(scenario)


def _leaves_some_behind(scenario: Scenario) -> bool:
    """PBFT goes on at once, while those whom an equivocating primary left out wait for their timers."""
    consensus = scenario.consensus
    equivocating = scenario.faults.behaviour == "equivocate" and scenario.election.byzantine
    return bool(equivocating) and consensus.result == "propose" and consensus.protocol == "pbft"


def reseeded(scenario: Scenario, seed: int) -> Scenario:
    """One block of the scenario, with another seed."""
    return scenario.model_copy(update={"run": scenario.run.model_copy(update={"blocks": 1, "seed": seed})})


CASES: list[dict[str, Any]] = [
    {"count": 13, "rate": 0.05},
    {"count": 4, "rate": 0.2},
    {"count": 13, "rate": 0.05, "byzantine": 4},
    {"count": 13, "rate": 0.05, "byzantine": 4, "behaviour": "random"},
    {"count": 13, "rate": 0.05, "byzantine": 4, "behaviour": "collude"},
    {"count": 13, "rate": 0.05, "byzantine": 3, "behaviour": "amplify"},
    {"count": 13, "rate": 0.1, "byzantine": 4, "behaviour": "equivocate"},
    {"count": 7, "rate": 0.1, "difficulty": "independent"},
    {"count": 7, "rate": 0.1, "difficulty": "beta", "correlation": 0.3},
    {"count": 9, "rate": 0.05, "threshold": "1/4"},
    {"count": 10, "rate": 0.05, "threshold": "2/5"},
    {"count": 7, "rate": 0.02, "tokens": 8, "per": "token"},
]


def case(spec: dict[str, Any], protocol: str, result: str) -> Scenario:
    """Build the scenario of a case."""
    law = {key: spec[key] for key in ("rate", "difficulty", "correlation", "per") if key in spec}
    document = {
        "nodes": {"gpu": {"count": spec["count"], "executor": {"kind": "gpu", "nondeterminism": law}}},
        "consensus": {"fault_threshold": spec.get("threshold", "1/3"), "result": result},
        "faults": {"byzantine": spec.get("byzantine", 0), "behaviour": spec.get("behaviour", "silent")},
        "workload": {"tokens": spec.get("tokens", 1)},
    }
    return timed(Scenario.model_validate(document), protocol, blocks=400, seed=11)


@pytest.mark.parametrize("result", ["certify", "propose"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("spec", CASES, ids=lambda spec: "-".join(map(str, spec.values())))
def test_outcomes_agree_with_the_exact_engine(spec: dict[str, Any], protocol: str, result: str) -> None:
    scenario = case(spec, protocol, result)
    if protocol == "hotstuff" and result == "propose" and spec.get("byzantine"):
        pytest.skip("a Byzantine leader of the next height may drop the votes of a good block")
    exact = run(scenario, engine="exact")
    if _leaves_some_behind(scenario):
        found = [end for seed in range(400) for end in outcomes(reseeded(scenario, seed))]
    else:
        found = outcomes(scenario)
    for outcome in Outcome:
        count = sum(seen == outcome for seen, _ in found)
        low, high = clopper_pearson(count, len(found), confidence=1 - 1e-6)
        assert low <= exact.outcomes[outcome.name].probability <= high, outcome.name
    diverged = np.array([nodes for _, nodes in found])
    spread = diverged.std() / np.sqrt(len(found)) + 0.02
    assert abs(diverged.mean() - exact.diverged_per_block.mean) <= 5 * spread


@pytest.mark.parametrize("result", ["certify", "propose"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("n", [1, 4, 7, 16])
def test_messages_per_block_are_the_protocols_formula(protocol: str, result: str, n: int) -> None:
    scenario = timed(case({"count": n, "rate": 0.0}, protocol, result), protocol, sigma=0.3, blocks=300)
    timing = run_events(scenario).timing
    assert timing is not None
    assert timing.messages_per_block == messages_a_block(protocol, n, proposes=result == "propose")
    assert timing.rounds_per_block == 1


def test_a_run_is_a_prefix_of_a_longer_one() -> None:
    scenario = case(CASES[0], "pbft", "propose")
    short = scenario.model_copy(update={"run": scenario.run.model_copy(update={"blocks": 50})})
    assert outcomes(scenario)[:50] == outcomes(short)


def test_leaders_are_drawn_in_proportion_to_power_without_repeats() -> None:
    leaders = Leaders((5, 1, 1, 1), 3, 4)
    orders = [leaders.of(height) for height in range(20_000)]
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)
    first = sum(order[0] == 0 for order in orders)
    low, high = clopper_pearson(first, 20_000, confidence=1 - 1e-6)
    assert low <= 5 / 8 <= high
    second = sum(order[1] == 0 for order in orders)
    low, high = clopper_pearson(second, 20_000, confidence=1 - 1e-6)
    assert low <= 3 / 8 * 5 / 7 <= high
    other = Leaders((5, 1, 1, 1), 4, 4)
    assert orders != [other.of(height) for height in range(20_000)]
