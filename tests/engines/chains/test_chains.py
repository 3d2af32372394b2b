"""Chains over time: exact answers against draws, draws against a plain simulation slot by slot, and laws of queues."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sim import EngineError, Result, Scenario, run
from sim.consensus.recovery import Recovery
from sim.consensus.tally import Election, Outcome, certify
from sim.engines.chains.engine import Chains
from sim.engines.chains.slots import Machines, draw_slots
from sim.engines.chains.walk import Rules, Walk, certified
from sim.inference.sampler import PartitionSampler

INDEPENDENT = {"difficulty": "independent", "rate": 0.01}
NEAR_TIE = {"difficulty": "near_tie", "rate": 1e-4}
GEOMETRIC = {"law": "geometric", "mean_blocks": 20}


def chain(
    law: dict[str, Any], count: int = 13, blocks: int = 100_000, chains: int | None = None, **keys: Any
) -> Scenario:
    nodes = {"g": {"count": count, "executor": {"kind": "gpu", "nondeterminism": law}}}
    return Scenario.model_validate({"nodes": nodes, "run": {"blocks": blocks, "chains": chains}} | keys)


def away(result: Result) -> float:
    assert result.over_time is not None
    return result.over_time.nodes_away.mean


def test_away_nodes_spend_the_budget_as_the_markov_chain_says() -> None:
    scenario = chain(INDEPENDENT, blocks=500_000, recovery=GEOMETRIC, on_failure="skip")
    exact, drawn = run(scenario), run(scenario, engine="montecarlo")
    assert (exact.engine, drawn.engine) == ("exact", "montecarlo")
    assert away(exact) == pytest.approx(1.976, abs=5e-4)
    assert exact.block_failure.probability == pytest.approx(0.00998, abs=5e-6)
    assert away(drawn) == pytest.approx(away(exact), rel=0.015)
    assert drawn.block_failure.probability == pytest.approx(exact.block_failure.probability, rel=0.08)
    assert drawn.over_time is not None
    assert exact.over_time is not None
    shares = exact.over_time.nodes_away.distribution
    for number, share in enumerate(drawn.over_time.nodes_away.distribution[:4]):
        assert share == pytest.approx(shares[number], rel=0.05)
    alone = run(chain(INDEPENDENT)).block_failure.probability
    assert exact.block_failure.probability > 50_000 * alone


def walked(
    law: dict[str, Any], recovery: Recovery, slots: int, election: Election | None = None, count: int = 13
) -> Walk:
    """A chain with rules of its own: here a quorum that anything reaches."""
    scenario = chain(law, count)
    election = election or scenario.election._replace(quorum=1)
    machines = Machines(scenario.population)
    sampler = PartitionSampler(scenario.population, 1, 1, 1)
    stream = np.random.default_rng(7)
    rules = Rules(election, scenario.faults_tolerated, recovery, "skip", 0)
    walk = Walk(rules, machines, lambda _: (), lambda n: recovery.draw(stream, n).tolist(), slots, slots)
    while not walk.over:
        drawn = draw_slots(stream, sampler, machines, 4_096)
        for gap, groups in zip(drawn.gaps, drawn.groups, strict=True):
            walk.quiet(gap - 1)
            if walk.over:
                break
            walk.eventful([max(groups, key=machines.power)], 0)
            if walk.over:
                break
    return walk


def test_with_the_quorum_switched_off_nodes_are_away_independently() -> None:
    """Then, and only then, the plain binomial holds: 13 (p R) / (1 + p R) = 2.167."""
    record = walked(INDEPENDENT, Recovery(law="geometric", mean_blocks=20), 200_000).records[0]
    total = sum(record.away.values())
    mean = sum(number * slots for number, slots in record.away.items()) / total
    assert mean == pytest.approx(13 * 0.2 / 1.2, rel=0.02)
    law = stats.binom(13, 0.2 / 1.2)
    for number in range(6):
        assert record.away[number] / total == pytest.approx(law.pmf(number), rel=0.08)
    diverging = 1 - (1 - 0.2 / 1.2) * 0.99
    assert stats.binom.sf(4, 13, diverging) == pytest.approx(0.061, abs=1e-3)  # what it says of failures


def test_between_checkpoints_nodes_are_lost_one_by_one() -> None:
    """P(a node is away, phase j) = 1 - (1 - rate)^j, so that the mean over a period is that of all phases."""
    record = walked(INDEPENDENT, Recovery(every=50), 300_000).records[0]
    mean = sum(number * slots for number, slots in record.away.items()) / sum(record.away.values())
    wanted = 13 * np.mean(1 - 0.99 ** np.arange(50))
    assert mean == pytest.approx(float(wanted), rel=0.02)


RETRIES = {0: 9.73e-5, 1: 5.07e-5, 2: 3.04e-5, 3: 1.93e-5}


@pytest.mark.parametrize("retries", RETRIES)
def test_retries_help_little_on_near_ties(retries: int) -> None:
    how = {"on_failure": "retry", "max_retries": retries} if retries else {"on_failure": "skip"}
    exact = run(chain(NEAR_TIE, **how))
    assert exact.engine == "exact"
    assert exact.block_failure.probability == pytest.approx(RETRIES[retries], rel=5e-3)
    law = NEAR_TIE | {"rate": 1e-2}
    often = chain(law, blocks=4_000, chains=400, **how)
    drawn, expected = run(often, engine="montecarlo"), run(often).block_failure.probability
    slack = drawn.block_failure.high - drawn.block_failure.low
    assert drawn.block_failure.probability == pytest.approx(expected, abs=slack)


def test_identical_kernels_repeat_themselves() -> None:
    law = NEAR_TIE | {"rate": 0.01, "shared_noise": 1}
    nodes = {
        name: {"count": count, "executor": {"kind": "gpu", "nondeterminism": law}}
        for name, count in (("a", 7), ("b", 6))
    }
    base = {"nodes": nodes, "run": {"blocks": 20_000, "chains": 1}}
    tried = run(Scenario.model_validate(base | {"on_failure": "retry", "max_retries": 5}), engine="montecarlo")
    assert tried.over_time is not None
    assert tried.over_time.halts == {"split": 1}
    assert tried.outcomes["no_quorum"].count == 1
    retries = tried.over_time.retries_per_block
    assert retries is not None
    assert retries * (tried.blocks or 0) == pytest.approx(5)  # the first block that fails, fails every time


@pytest.mark.parametrize(
    "recovery",
    [{"blocks": 15}, GEOMETRIC, {"law": "lognormal", "mean_blocks": 30, "sigma": 0.5}],
)
@pytest.mark.parametrize("law", [INDEPENDENT, {"difficulty": "beta", "rate": 5e-3, "correlation": 0.2}])
def test_littles_law(recovery: dict[str, Any], law: dict[str, Any]) -> None:
    """Nodes away = nodes that diverge in a slot times the slots that each is away."""
    result = run(chain(law, blocks=300_000, recovery=recovery, on_failure="skip"), engine="montecarlo")
    drawn = Recovery.model_validate(recovery).draw(np.random.default_rng(1), 400_000)
    assert away(result) == pytest.approx(result.diverged_per_block.mean * float(drawn.mean()), rel=0.02)


def plainly(scenario: Scenario, slots: int, seed: int) -> tuple[float, float, float]:
    """Away nodes, diverged nodes and failures in a slot, node by node: one group, one wrong answer or all different."""
    stream = np.random.default_rng(seed)
    law = scenario.population.units[0].law
    assert law is not None
    recovery, honest = scenario.recovery, scenario.honest_nodes
    assert recovery is not None
    until = np.zeros(honest, dtype=np.int64)
    totals = np.zeros(3)
    hardness = stream.random(slots)
    chances = law.deviation_probability(hardness)
    noise = stream.random((slots, honest))
    for slot in range(slots):
        active = until <= slot
        deviating = active & (noise[slot] < chances[slot])
        staying = active & ~deviating
        best, rest = staying, deviating
        if law.alternatives == 0 and deviating.sum() > staying.sum():
            best, rest = deviating, staying
        totals[0] += honest - active.sum()
        if best.sum() >= scenario.election.quorum:
            lost = np.flatnonzero(rest)
            totals[1] += len(lost)
            until[lost] = slot + 1 + recovery.draw(stream, len(lost))
        else:
            totals[2] += 1
    away_mean, diverged, failed = totals / slots
    return float(away_mean), float(diverged), float(failed)


@pytest.mark.parametrize("recovery", [{"blocks": 12}, GEOMETRIC, {"law": "lognormal", "mean_blocks": 25}])
@pytest.mark.parametrize("law", [INDEPENDENT, {"difficulty": "near_tie", "rate": 0.02}])
@pytest.mark.parametrize("byzantine", [0, 2])
def test_draws_are_those_of_a_plain_simulation(law: dict[str, Any], recovery: dict[str, Any], byzantine: int) -> None:
    faults = {"byzantine": byzantine, "behaviour": "silent"}
    scenario = chain(law, blocks=60_000, recovery=recovery, on_failure="skip", faults=faults)
    result = run(scenario, engine="montecarlo")
    plain = [plainly(scenario, 60_000, seed) for seed in (1, 2)]
    for index, seen in enumerate((away(result), result.diverged_per_block.mean, result.block_failure.probability)):
        one, other = plain[0][index], plain[1][index]
        assert seen == pytest.approx((one + other) / 2, rel=0.06, abs=3 * abs(one - other) + 5e-4)


@settings(max_examples=300)
@given(st.data())
def test_one_slot_is_tallied_as_many_are(data: Any) -> None:
    count = data.draw(st.integers(1, 6))
    machines = Machines(chain(INDEPENDENT, count).population)
    sizes, left = [], count
    while left and data.draw(st.booleans()):
        sizes.append(data.draw(st.integers(1, left)))
        left -= sizes[-1]
    groups = [((1 << size) - 1) << start for size, start in zip(sizes, np.cumsum([0, *sizes]).tolist(), strict=False)]
    active = data.draw(st.integers(0, machines.everyone))
    b = data.draw(st.integers(0, 5))
    votes = count + b
    behaviour = data.draw(st.sampled_from(["silent", "random", "collude", "amplify", "equivocate"]))
    election = Election(votes, data.draw(st.integers(votes // 2 + 1, votes)), b, min(b, 1), behaviour)
    present = sorted(((group & active).bit_count() for group in groups), reverse=True)
    table = np.array([present or [0]])
    verdict = certified(election, machines, groups, active)
    plain = certify(election, table)
    assert verdict.outcome == plain.outcome[0]
    if verdict.outcome == Outcome.agreed:
        assert verdict.winner.bit_count() == present[plain.certified[0]]


@settings(max_examples=30, deadline=None)
@given(
    st.integers(4, 20),
    st.floats(1e-3, 0.1),
    st.sampled_from([{"blocks": 50}, {"law": "geometric", "mean_blocks": 200}, {"every": 70}, {"never": True}]),
    st.sampled_from(["halt", "skip"]),
    st.integers(0, 2),
)
def test_divergence_alone_never_takes_more_nodes_than_are_tolerated(
    count: int, rate: float, recovery: dict[str, Any], on_failure: str, seed: int
) -> None:
    law = {"difficulty": "near_tie", "rate": rate}
    scenario = chain(law, count, 2_000, recovery=recovery, on_failure=on_failure)
    result = run(scenario, engine="montecarlo", seed=seed)
    assert result.over_time is not None
    assert len(result.over_time.nodes_away.distribution) - 1 <= scenario.faults_tolerated
    assert sum(result.over_time.nodes_away.distribution) == pytest.approx(1)
    assert set(result.over_time.halts) <= {"split", "spent"}


def test_without_recovery_and_retries_blocks_are_as_they_were() -> None:
    law = {"difficulty": "beta", "rate": 1e-2, "correlation": 0.3}
    plain = run(chain(law, workload={"requests_per_block": 3}))
    exact = run(chain(law, on_failure="skip", workload={"requests_per_block": 3}))
    assert exact.block_failure.probability == pytest.approx(plain.block_failure.probability, rel=1e-12)
    assert exact.diverged_per_block.mean == pytest.approx(plain.diverged_per_block.mean, rel=1e-12)
    drawn = run(chain(law, blocks=200_000, on_failure="skip", workload={"requests_per_block": 3}), engine="montecarlo")
    assert drawn.block_failure.low <= plain.block_failure.probability <= drawn.block_failure.high
    assert away(drawn) == 0


def test_a_halt_has_its_cause() -> None:
    silent = {"byzantine": 5, "behaviour": "silent"}
    budget = run(chain(NEAR_TIE, recovery=GEOMETRIC, faults=silent), engine="montecarlo")
    assert budget.over_time is not None
    assert budget.over_time.halts == {"budget": 1}
    assert (budget.blocks, budget.over_time.availability) == (1, 0)
    forks = {"byzantine": 5, "behaviour": "equivocate"}
    law = NEAR_TIE | {"rate": 0.2}
    forked = run(
        chain(law, chains=50, blocks=1_000, recovery=GEOMETRIC, faults=forks, consensus={"fault_threshold": "49 %"}),
        engine="montecarlo",
    )
    assert forked.over_time is not None
    assert "fork" in forked.over_time.halts
    assert forked.outcomes["forked"].count == forked.over_time.halts["fork"]
    slow = run(chain(INDEPENDENT, chains=40, recovery={"never": True}), engine="montecarlo")
    assert slow.over_time is not None
    assert slow.over_time.halts["spent"] > 30  # one deviation more than the budget has left
    assert sum(slow.over_time.halts.values()) == 40


def test_time_to_the_halt_is_that_of_the_absorbing_chain() -> None:
    scenario = chain(NEAR_TIE | {"rate": 1e-3}, chains=600, blocks=10_000_000, recovery={"never": True})
    exact, drawn = run(scenario).over_time, run(scenario, engine="montecarlo").over_time
    assert exact is not None
    assert drawn is not None
    assert exact.blocks_to_halt is not None
    assert drawn.blocks_to_halt == pytest.approx(exact.blocks_to_halt, rel=0.15)
    assert exact.blocks_to_failure == exact.blocks_to_halt
    running = dict(exact.still_running)
    for slots, share in drawn.still_running[1:-1:10]:
        nearest = min(running, key=lambda n: abs(math.log(n / slots)))
        assert 0 <= share <= 1
        if abs(math.log(nearest / slots)) < 0.02:
            assert share == pytest.approx(running[nearest], abs=0.08)
    assert all(one >= other for (_, one), (_, other) in pairwise(drawn.still_running))
    tests = dict(exact.looked_deterministic)
    for blocks, share in drawn.looked_deterministic[:4]:
        assert share == pytest.approx(tests[blocks], abs=0.09)


def test_a_longer_run_goes_on_where_a_shorter_one_ends() -> None:
    law = INDEPENDENT | {"rate": 0.03}
    short, long = (
        Chains(chain(law, blocks=blocks, recovery=GEOMETRIC, on_failure="skip")).walk(3) for blocks in (3_200, 32_000)
    )
    assert (short.batch, long.batch) == (100, 1_000)
    first = [sum(record.outcomes[k] for record in short.records) for k in range(4)]
    assert first == [sum(record.outcomes[k] for record in long.records[:3]) for k in range(4)] or short.slot == 3_200
    again = Chains(chain(law, blocks=3_200, recovery=GEOMETRIC, on_failure="skip")).walk(3)
    assert [record.away for record in again.records] == [record.away for record in short.records]
    tenth = Chains(chain(law, blocks=1_000, recovery=GEOMETRIC, on_failure="skip")).walk(3)
    assert sum(record.diverged for record in tenth.records) == sum(record.diverged for record in short.records[:10])


def test_the_answer_can_be_read_back() -> None:
    for scenario in (
        chain(INDEPENDENT, blocks=2_000, chains=5, recovery=GEOMETRIC),
        chain(NEAR_TIE, on_failure="retry"),
    ):
        for engine in ("exact", "montecarlo"):
            result = run(scenario, engine=engine, blocks=500)
            plain = json.loads(json.dumps(result.to_dict()))
            assert Result.from_dict(plain) == result
            if result.over_time:
                assert set(plain["nodes_away"]) == {"mean", "low", "high", "distribution"}


def test_what_is_not_known_over_time_is_told() -> None:
    for keys, why in (
        ({"consensus": {"result": "endorse"}}, "all execute"),
        ({"workload": {"requests_per_block": 2}, "on_failure": "retry"}, "one decision point a block"),
        (
            {"consensus": {"matching": {"kind": "equivalence", "share": 0.5}}, "on_failure": "retry"},
            "compared as it is",
        ),
    ):
        with pytest.raises(EngineError, match=why):
            run(chain(NEAR_TIE, recovery=GEOMETRIC, **keys), engine="montecarlo")
    exact: list[tuple[dict[str, Any], str]] = [
        ({"recovery": {"blocks": 3}}, "has a memory"),
        ({"recovery": {"never": True}, "on_failure": "skip"}, "in no steady state"),
        ({"recovery": GEOMETRIC, "on_failure": "retry"}, "together are simulated"),
    ]
    for keys, why in exact:
        with pytest.raises(EngineError, match=why):
            run(chain(NEAR_TIE, **keys), engine="exact")
    with pytest.raises(EngineError, match="execute a block once"):
        run(chain(NEAR_TIE, recovery=GEOMETRIC, on_failure="retry"), engine="events")


def test_rare_failures_keep_their_digits() -> None:
    """To first order a chain of nodes that are hardly ever away fails as often as its blocks do."""
    for rate in (1e-7, 1e-9, 1e-12):
        law = {"difficulty": "independent", "rate": rate}
        halting = run(chain(law, recovery={"law": "geometric", "mean_blocks": 1}), engine="exact")
        alone = run(chain(law), engine="exact").block_failure.probability
        assert halting.over_time is not None
        assert halting.over_time.blocks_to_halt is not None
        assert halting.block_failure.probability == pytest.approx(1 / halting.over_time.blocks_to_halt, rel=1e-9)
        assert alone <= halting.block_failure.probability < 100 * alone
        skipping = run(chain(law, recovery={"law": "geometric", "mean_blocks": 1}, on_failure="skip"), engine="exact")
        assert skipping.block_failure.probability == pytest.approx(halting.block_failure.probability, rel=1e-4)
    never = run(chain(INDEPENDENT, 1, recovery=GEOMETRIC), engine="exact")
    assert never.over_time is not None
    assert never.over_time.blocks_to_failure is None
    assert never.block_failure.probability == 0


def test_availability_counts_the_blocks_of_all_slots() -> None:
    scenario = chain(INDEPENDENT, blocks=100, chains=4_000, recovery=GEOMETRIC)
    exact, drawn = run(scenario).over_time, run(scenario, engine="montecarlo").over_time
    assert exact is not None
    assert drawn is not None
    assert drawn.availability == pytest.approx(exact.availability, abs=0.015)


def test_many_retries_are_simulated_and_few_are_told_as_chains() -> None:
    many = run(chain(NEAR_TIE | {"rate": 0.05}, on_failure="retry", max_retries=30), blocks=300)
    assert many.engine == "montecarlo"
    few = run(chain(NEAR_TIE, on_failure="retry"))
    assert few.over_time is not None
    assert few.over_time.blocks_to_halt == pytest.approx(1 / few.block_failure.probability)


def test_everybody_diverges_from_a_forged_result() -> None:
    keys: dict[str, Any] = {"faults": {"byzantine": 5, "behaviour": "collude"}, "on_failure": "skip"}
    law = INDEPENDENT | {"rate": 1e-9}
    result = run(chain(law, 7, 3_000, recovery={"blocks": 2}, **keys), engine="montecarlo")
    assert result.outcomes["wrong_result"].probability == 1
    assert away(result) == pytest.approx(2 * 2 / 3, rel=0.01)  # both honest nodes, two slots of three
    assert result.diverged_per_block.mean == 0  # failed blocks count 0
    assert result.over_time is not None
    assert (result.over_time.longest_stall, result.over_time.availability) == (0, 1)


def test_a_cause_is_that_of_the_slot_that_failed() -> None:
    keys: dict[str, Any] = {"chains": 400, "blocks": 2_000, "consensus": {"quorum": 4}}
    law = INDEPENDENT | {"rate": 0.3, "alternatives": 0.0}
    result = run(chain(law, 7, recovery={"blocks": 1}, **keys), engine="montecarlo")
    assert result.over_time is not None
    assert result.over_time.halts["budget"] / 400 == pytest.approx(0.37, abs=0.1)  # three or more away, of f = 2
    led = {"consensus": {"result": "propose"}, "on_failure": "halt"}
    alone = run(chain(INDEPENDENT | {"rate": 0.05}, 7, 200, 50, **led), engine="montecarlo")
    assert alone.over_time is not None
    assert set(alone.over_time.halts) == {"split"}  # nobody is ever away


def test_few_batches_tell_no_interval() -> None:
    result = run(chain(INDEPENDENT, 7, recovery={"never": True}, chains=1), engine="montecarlo")
    assert result.over_time is not None
    away_nodes = result.over_time.nodes_away
    assert (away_nodes.low, away_nodes.high) == (0, 7)
    quiet = run(chain({"difficulty": "independent", "rate": 1e-12}, 7, 3_200, on_failure="skip"), engine="montecarlo")
    assert 0 == quiet.diverged_per_block.mean < quiet.diverged_per_block.high < 0.1


def test_work_without_end_is_refused() -> None:
    with pytest.raises(EngineError, match=r"would walk through .* slots in which nodes deviate"):
        run(chain(INDEPENDENT | {"rate": 0.2}, blocks=10**12, recovery={"blocks": 5}, on_failure="skip"))


def test_progress_is_told_within_a_chain() -> None:
    seen: list[int] = []
    scenario = chain(INDEPENDENT, blocks=50_000, recovery=GEOMETRIC, on_failure="skip")
    run(scenario, engine="montecarlo", progress=lambda counts: seen.append(counts.trials))
    assert len(seen) > 3
    assert seen == sorted(seen)
    assert seen[-1] == 50_000
