"""Chains over time on which leaders propose: against one-block laws, a formula, and a simulation attempt by attempt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from sim import EngineError, Scenario, run
from sim.engines.chains.exact import one_block

INDEPENDENT = {"difficulty": "independent", "rate": 0.01}
NEAR_TIE = {"difficulty": "near_tie", "rate": 0.02}
GEOMETRIC = {"law": "geometric", "mean_blocks": 20}


def led(
    law: dict[str, Any], blocks: int = 100_000, byzantine: int = 0, behaviour: str = "silent", **keys: Any
) -> Scenario:
    nodes = {"g": {"count": 13, "executor": {"kind": "gpu", "nondeterminism": law}}}
    plain = {"nodes": nodes, "run": {"blocks": blocks, "engine": "montecarlo"}, "consensus": {"result": "propose"}}
    return Scenario.model_validate(plain | {"faults": {"byzantine": byzantine, "behaviour": behaviour}} | keys)


@pytest.mark.parametrize("law", [INDEPENDENT, NEAR_TIE])
@pytest.mark.parametrize(("byzantine", "behaviour"), [(0, "silent"), (3, "silent"), (4, "collude"), (2, "random")])
def test_one_attempt_without_recovery_is_the_one_block_law(law: dict[str, Any], byzantine: int, behaviour: str) -> None:
    keys: dict[str, Any] = {"byzantine": byzantine, "behaviour": behaviour}
    drawn = run(led(law, 60_000, on_failure="skip", **keys))
    exact = run(led(law, run={"engine": "exact"}, **keys))
    slack = 2 * (drawn.block_failure.high - drawn.block_failure.low)
    assert drawn.block_failure.probability == pytest.approx(exact.block_failure.probability, abs=slack)
    assert drawn.diverged_per_block.mean == pytest.approx(exact.diverged_per_block.mean, rel=0.05)


@pytest.mark.parametrize("retries", [1, 3, 12])
@pytest.mark.parametrize("byzantine", [0, 3])
def test_all_leaders_fail_as_often_as_drawing_without_replacement_says(retries: int, byzantine: int) -> None:
    """A group of G >= q passes unless all of the first leaders are outside of it; no such group never passes."""
    run_block = {"blocks": 20_000, "chains": 60, "engine": "montecarlo"}
    scenario = led(NEAR_TIE, 1, byzantine, on_failure="next_leader", max_retries=retries, run=run_block)
    law = one_block(scenario)
    honest = 13 - byzantine
    outside = [stats.hypergeom.pmf(0, 13, size, min(retries + 1, 13)) for size in range(honest + 1)]
    wanted = law.lost[-1] + float(law.agreed[-1] @ np.array(outside))
    result = run(scenario)
    slack = result.block_failure.high - result.block_failure.low
    assert result.block_failure.probability == pytest.approx(wanted, abs=slack)
    assert result.over_time is not None
    assert sum(result.over_time.halts.values()) == 60 or wanted < 1e-3


def plainly(scenario: Scenario, chains: int, seed: int) -> tuple[float, float, float]:
    """Away nodes in a slot, failures and retries a block; attempt by attempt, all wrong answers different."""
    stream, honest, slots = np.random.default_rng(seed), scenario.honest_nodes, scenario.run.blocks
    law, recovery = scenario.population.units[0].law, scenario.recovery
    assert law is not None
    assert recovery is not None
    totals, blocks, failures, retries, away = 0, 0, 0, 0, 0
    for _ in range(chains):
        slot, until = 0, np.zeros(honest, dtype=np.int64)
        halted = False
        while slot < slots and not halted:
            lost = stream.random(honest) < law.deviation_probability(stream.random(1))
            for leader in stream.permutation(13):
                active = until <= slot
                away += int(honest - active.sum())
                group = active & ~lost
                slot += 1
                if leader < honest and group[leader] and group.sum() >= scenario.election.quorum:
                    blocks += 1
                    out = np.flatnonzero(active & ~group)
                    until[out] = slot + recovery.draw(stream, len(out))
                    break
                if slot >= slots:
                    retries += 1  # unfinished
                    break
                retries += 1
            else:
                halted, blocks, failures, retries = True, blocks + 1, failures + 1, retries - 1
        totals += slot
    return away / totals, failures / blocks, retries / blocks


@pytest.mark.parametrize("byzantine", [0, 2])
@pytest.mark.parametrize("recovery", [GEOMETRIC, {"blocks": 30}])
def test_draws_are_those_of_a_plain_simulation(byzantine: int, recovery: dict[str, Any]) -> None:
    run_block = {"blocks": 400, "chains": 250, "engine": "montecarlo"}
    scenario = led(INDEPENDENT, 1, byzantine, recovery=recovery, run=run_block)
    assert (scenario.after_failure, scenario.retries) == ("next_leader", 12)
    result = run(scenario)
    assert result.over_time is not None
    plain = plainly(scenario, 250, 5)
    assert result.over_time.nodes_away.mean == pytest.approx(plain[0], rel=0.08)
    assert result.over_time.retries_per_block == pytest.approx(plain[2], rel=0.08)
    slack = result.block_failure.high - result.block_failure.low
    assert result.block_failure.probability == pytest.approx(plain[1], abs=2 * slack)


def test_an_absent_leader_costs_a_turn_not_a_block() -> None:
    skipping = run(led(INDEPENDENT, 60_000, recovery=GEOMETRIC, on_failure="skip"))
    trying = run(led(INDEPENDENT, 60_000, recovery=GEOMETRIC))
    assert skipping.over_time is not None
    away = skipping.over_time.nodes_away.mean
    assert skipping.block_failure.probability == pytest.approx(away / 13 + 0.01, rel=0.25)
    assert trying.block_failure.probability < 1e-3


def test_what_leaders_cannot_do_over_time_is_told() -> None:
    decide: list[dict[str, Any]] = [
        {"byzantine": 3, "behaviour": "equivocate"},
        {"byzantine": 9, "behaviour": "collude"},
    ]
    for keys in decide:
        with pytest.raises(EngineError, match="must not decide over time"):
            run(led(NEAR_TIE, recovery=GEOMETRIC, **keys))
    certify, rounds = {"result": "certify"}, {"result": "propose", "max_rounds": 3}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"on_failure": "retry"}, "must not be retry where a leader proposes"),
        ({"recovery": GEOMETRIC, "consensus": rounds}, "1 . max_retries says the same"),
        ({"on_failure": "next_leader", "consensus": certify}, "must not be next_leader where nobody leads"),
        ({"max_retries": 3}, "goes with on_failure retry or next_leader"),
    ]
    for extra, why in wrong:
        with pytest.raises(ValueError, match=why):
            led(NEAR_TIE, **extra)
