"""One executor and the others check: exact answers against enumeration, closed forms and draws."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from drawn import as_case, draw_scenario
from reference.executor import proved, rechecked
from scipy import stats

from sim import EngineError, Scenario, run
from sim.consensus.verification import Optimistic, SpotCheck
from sim.engines.montecarlo import MonteCarlo
from sim.inference.agreement import agreement
from sim.inference.alike import Alike
from sim.inference.population import Population
from sim.scenario.cost import race_time

GPU = {"kind": "gpu", "nondeterminism": {"difficulty": "near_tie", "rate": 0.02}}


def chain(verification: dict[str, Any], **keys: Any) -> Scenario:
    nodes = {"gpu": {"count": 13, "executor": GPU}}
    return Scenario.model_validate({"nodes": nodes, "verification": verification} | keys)


def attack(number: int, behaviour: str = "collude") -> dict[str, Any]:
    return {"byzantine": number, "behaviour": behaviour}


def with_verification(scenario: Scenario, verification: dict[str, Any]) -> Scenario:
    return Scenario.model_validate(scenario.model_dump() | {"verification": verification})


def draw_verification(random: Random, nodes: int) -> dict[str, Any]:
    kind = random.choice(["proof", "tee", "optimistic", "spot_check"])
    if kind == "proof":
        return {
            "kind": kind,
            "provers": random.randint(1, nodes),
            "failure": random.choice([0.0, 0.3]),
            "soundness": random.choice([0.0, 0.2, 1.0]),
            "timeout_s": random.choice([5.0, 15.0, 30.0]),
            "prove_s": 10.0,
            "spread": random.choice([0.0, 0.7]),
        }
    if kind == "tee":
        return {"kind": kind, "failure": random.choice([0.0, 0.2]), "compromise": random.choice([0.0, 0.3, 1.0])}
    if kind == "optimistic":
        watchers = random.choice([None, *range(nodes)])
        return {"kind": kind, "watch": random.choice([0.0, 0.4, 1.0]), "watchers": watchers}
    if nodes == 1:
        return {"kind": "optimistic"}
    chance = random.choice([0.0, 0.3, 1.0])
    return {"kind": kind, "probability": chance, "checkers": random.randint(1, nodes - 1)}


def expected(scenario: Scenario) -> dict[str, float]:
    """What the enumeration says, given only the parameters of the verification."""
    case, verification = as_case(scenario), scenario.verification
    assert verification is not None
    if isinstance(verification, Optimistic | SpotCheck):
        panel = verification.panel(scenario.node_count - 1)
        return rechecked(case, panel.chance, panel.drawn, panel.looks)
    if verification.kind == "tee":
        return proved(case, 1, 1 - verification.failure, verification.compromise)
    median = 10.0 * scenario.workload.requests_per_block
    late = stats.lognorm.sf(verification.timeout_s, verification.spread or 1e-9, scale=median)  # type: ignore[union-attr]
    delivers = (1 - verification.failure) * (1 - late)  # type: ignore[union-attr]
    return proved(case, verification.provers, delivers, verification.soundness)  # type: ignore[union-attr]


def settled(scenario: Scenario, ends: dict[str, float]) -> dict[str, float]:
    """Outcomes of those ends: honest nodes vote alike for what stands, Byzantine ones as their behaviour says."""
    election, honest = scenario.election, scenario.population.power
    b, q, behaviour = election.byzantine, election.quorum, election.behaviour
    outcomes = dict.fromkeys(("agreed", "no_quorum", "wrong_result", "forked"), 0.0)
    for end, votes in (("stands", honest), ("refused", 0)):
        first = votes + b * (behaviour == "equivocate")
        second = {"random": election.largest_byzantine, "silent": 0}.get(behaviour, b)
        winners = [votes > 0] * (first >= q) + [False] * (second >= q)
        name = "no_quorum" if not winners else "forked" if len(winners) == 2 else "wrong_result"
        outcomes["agreed" if winners == [True] else name] += ends[end]
    outcomes["wrong_result" if honest + b >= q else "no_quorum"] += ends["forged"]
    return outcomes


@pytest.mark.parametrize("seed", range(150))
def test_exact_is_what_enumeration_says(seed: int) -> None:
    random = Random(seed)
    drawn = draw_scenario(random, nodes=5, points=2, rates=(1e-3, 0.45))
    scenario = with_verification(drawn, draw_verification(random, drawn.node_count))
    result, ends = run(scenario, engine="exact"), expected(scenario)
    assert sum(ends.values()) == pytest.approx(1)
    for name, probability in settled(scenario, ends).items():
        assert result.outcomes[name].probability == pytest.approx(probability, rel=1e-8, abs=1e-12), name


@pytest.mark.parametrize("seed", range(60))
def test_draws_agree_with_exact(seed: int) -> None:
    random = Random(1_000 + seed)
    drawn = draw_scenario(random, nodes=14, points=3, rates=(1e-3, 0.4))
    scenario = with_verification(drawn, draw_verification(random, drawn.node_count))
    exact, blocks = run(scenario, engine="exact"), 60_000
    counted = run(scenario, engine="montecarlo", blocks=blocks)
    for name, estimate in exact.outcomes.items():
        count = counted.outcomes[name].count
        assert count is not None
        tails = (
            stats.binom.cdf(count, blocks, estimate.probability),
            stats.binom.sf(count - 1, blocks, estimate.probability),
        )
        assert min(tails) > 1e-7, (name, count / blocks, estimate.probability)


@pytest.mark.parametrize("residual", [0.3, 0.8])
def test_partly_shared_noise_is_drawn_and_lies_between(residual: float) -> None:
    """With all noise own, and with all noise common, the exact engine brackets what is drawn."""
    verification = {"kind": "optimistic", "watch": 0.6}
    executor = GPU | {"arithmetic": "class_exact", "residual": residual}
    partly = chain(verification, nodes={"gpu": {"count": 13, "executor": executor}})
    with pytest.raises(EngineError, match="partly shared"):
        run(partly, engine="exact")
    failed = run(partly, blocks=400_000).block_failure
    native = run(chain(verification)).block_failure.probability
    assert failed.low < residual * native * 1.1
    assert failed.high > residual * native * 0.9


@pytest.mark.parametrize("watch", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("byzantine", [1, 4])
def test_a_challenge_window_against_its_closed_form(watch: float, byzantine: int) -> None:
    """A forged result stands where the executor lies and none of the honest nodes looks."""
    result = run(chain({"kind": "optimistic", "watch": watch}, faults=attack(byzantine)))
    forged = byzantine / 13 * (1 - watch) ** (13 - byzantine)
    assert result.outcomes["wrong_result"].probability == pytest.approx(forged, rel=1e-12)


@pytest.mark.parametrize(("rate", "watch"), [(0.2, 0.5), (1e-3, 0.1), (1e-9, 1.0)])
def test_disputes_of_honest_results_against_their_closed_form(rate: float, watch: float) -> None:
    """Independent deviations to one wrong answer: all l + 1 stay, or all deviate; l is binomial."""
    law = {"difficulty": "independent", "rate": rate, "alternatives": 0}
    nodes = {"gpu": {"count": 13, "executor": {"kind": "gpu", "nondeterminism": law}}}
    failure = run(chain({"kind": "optimistic", "watch": watch}, nodes=nodes)).block_failure.probability
    stay = math.log1p(-rate) + 12 * math.log1p(-watch * rate)
    deviate = rate * (1 - watch * (1 - rate)) ** 12
    assert failure == pytest.approx(-math.expm1(stay) - deviate, rel=1e-9)


@pytest.mark.parametrize("checkers", [1, 3, 12])
@pytest.mark.parametrize("probability", [0.0, 0.1, 1.0])
def test_a_spot_check_against_its_closed_form(checkers: int, probability: float) -> None:
    verification = {"kind": "spot_check", "probability": probability, "checkers": checkers}
    result = run(chain(verification, faults=attack(4)))
    unseen = 1 - probability + probability * math.comb(3, checkers) / math.comb(12, checkers)
    assert result.outcomes["wrong_result"].probability == pytest.approx(4 / 13 * unseen, rel=1e-12)


@pytest.mark.parametrize("provers", [1, 2, 5])
def test_racing_provers_against_their_closed_form(provers: int) -> None:
    verification = {"kind": "proof", "provers": provers, "failure": 0.1, "timeout_s": 60.0, "prove_s": 1.0}
    failure = run(chain(verification, faults=attack(4, "silent"))).block_failure.probability
    law = stats.hypergeom(13, 4, provers)
    none = sum(law.pmf(j) * 0.1 ** (provers - j) for j in range(provers + 1))
    assert failure == pytest.approx(none, rel=1e-12)


def test_no_proof_in_time_keeps_its_precision() -> None:
    """Twelve provers that each fail once in a hundred times: 1e-24 is a sum, not one minus the rest."""
    verification = {"kind": "proof", "provers": 12, "failure": 0.01, "timeout_s": 60.0, "prove_s": 1.0}
    assert run(chain(verification)).block_failure.probability == pytest.approx(1e-24, rel=1e-9)


def test_where_all_answer_alike_a_false_challenge_is_dismissed_and_a_true_one_upheld() -> None:
    exact = {"gpu": {"count": 13, "executor": GPU | {"arithmetic": "exact"}}}
    verification = {"kind": "optimistic", "watch": 1.0}
    assert run(chain(verification, nodes=exact)).block_failure.probability == 0
    attacked = run(chain(verification, nodes=exact, faults=attack(4)))
    assert attacked.outcomes["wrong_result"].probability == 0
    assert attacked.outcomes["agreed"].probability == pytest.approx(9 / 13)
    one_class = {"gpu": {"count": 13, "executor": GPU | {"arithmetic": "class_exact"}}}
    kept = run(chain(verification, nodes=one_class, faults=attack(1)))
    assert kept.outcomes["agreed"].probability == pytest.approx(12 / 13)
    assert not any("refused" in warning for warning in kept.warnings)
    native = run(chain(verification, faults=attack(1)))
    assert native.outcomes["agreed"].probability == 0
    assert any("have any result refused" in warning for warning in native.warnings)


@pytest.mark.parametrize("kind", ["proof", "tee", "optimistic", "spot_check"])
def test_more_silent_nodes_than_tolerated_stop_the_chain(kind: str) -> None:
    assert run(chain({"kind": kind}, faults=attack(5, "silent"))).outcomes["no_quorum"].probability == pytest.approx(1)


@pytest.mark.parametrize("kind", ["proof", "tee", "optimistic", "spot_check"])
def test_runs_are_prefixes_of_longer_runs_and_repeat(kind: str) -> None:
    scenario = chain({"kind": kind}, faults=attack(3))
    simulation = MonteCarlo(scenario)
    whole = simulation.count(0, simulation.cell_blocks)
    part = simulation.count(0, 100)
    assert part == simulation.count(0, 100)
    assert all(some <= many for some, many in zip(part.outcomes, whole.outcomes, strict=True))
    assert sum(part.outcomes) == 100
    one = run(scenario, engine="montecarlo", blocks=20_000)
    assert one == run(scenario, engine="montecarlo", blocks=20_000)
    assert one != run(scenario, engine="montecarlo", blocks=20_000, seed=2)


def test_replicate_is_what_it_is_without_a_word() -> None:
    nodes = {"gpu": {"count": 13, "executor": GPU}}
    plain = run(Scenario.model_validate({"nodes": nodes}))
    assert run(chain({"kind": "replicate"})).outcomes == plain.outcomes


def test_message_by_message_refuses_and_names_who_can() -> None:
    with pytest.raises(EngineError, match=r"events engine cannot answer this: .*verification replicate.*; exact can"):
        run(chain({"kind": "tee"}), engine="events")
    assert run(chain({"kind": "tee"}, network={"latency": 0.1})).engine == "exact"


@pytest.mark.parametrize("provers", [1, 3, 8])
@pytest.mark.parametrize(("spread", "failure", "timeout"), [(0.0, 0.2, 30.0), (0.8, 0.0, None), (0.8, 0.2, 15.0)])
def test_the_time_of_a_race_is_that_of_drawn_races(
    provers: int, spread: float, failure: float, timeout: float | None
) -> None:
    keys = {"provers": provers, "spread": spread, "failure": failure, "timeout_s": timeout, "prove_s": 10.0}
    scenario = chain({"kind": "proof"} | {key: value for key, value in keys.items() if value is not None})
    stream, draws = np.random.default_rng(1), 400_000
    times = 10.0 * np.exp(spread * stream.standard_normal((draws, provers)))
    times[stream.random((draws, provers)) < failure] = np.inf
    first = np.minimum(times.min(axis=1), np.inf if timeout is None else timeout)
    wanted = race_time(scenario.verification, 10.0)  # type: ignore[arg-type]
    assert wanted == pytest.approx(first.mean(), abs=5 * first.std() / math.sqrt(draws) + 1e-3)


@pytest.mark.parametrize("seed", range(60))
def test_machines_that_differ_are_those_whose_whole_group_is_lost(seed: int) -> None:
    """The direct formula against the law of agreement of a population of the chosen machines alone."""
    random = Random(5_000 + seed)
    population = draw_scenario(random, nodes=16, points=1, rates=(1e-9, 0.45)).population
    alike = Alike(population)
    for _ in range(5):
        chosen = [random.randint(0, unit.count) for unit in population.units]
        units = [
            replace(unit, count=number, power=1, nodes=1)
            for unit, number in zip(population.units, chosen, strict=True)
            if number
        ]
        few = Population(tuple(units), population.alternatives)
        lost = agreement(few, few.power).lost if units else 0.0
        assert alike.differ(chosen, 1) == pytest.approx(lost, rel=1e-9, abs=1e-15)
        assert alike.differ(chosen, 7) == pytest.approx(-math.expm1(7 * math.log1p(-lost)), rel=1e-9, abs=1e-15)


def test_large_chains_are_answered_at_once_and_draws_stay_small() -> None:
    many = {"gpu": {"count": 1_000, "executor": GPU}}
    assert run(chain({"kind": "optimistic"}, nodes=many)).engine == "exact"
    cpus = {"cpu": {"count": 50_000, "executor": {"kind": "cpu"}}}
    assert run(chain({"kind": "spot_check"}, nodes=cpus)).engine == "exact"
    apart = {"difficulty": "independent", "rate": 0.3}
    crowd = {"gpu": {"count": 20_000, "power": 10**12, "executor": {"kind": "gpu", "nondeterminism": apart}}}
    scenario = chain({"kind": "spot_check", "probability": 1.0}, nodes=crowd)
    assert MonteCarlo(scenario).cell_blocks == 1
    drawn = run(scenario, engine="montecarlo", blocks=20)
    assert drawn.block_failure.count is not None
    assert 3 <= drawn.block_failure.count <= 17  # executor and checker both stay with probability 0.49


def test_one_attacker_more_never_makes_a_chain_safer() -> None:
    """Where a whole class attacks, nobody can tell its claim from an honest difference of that class."""
    executor = GPU | {"arithmetic": "class_exact"}
    nodes = {name: {"count": count, "executor": executor} for name, count in (("a100", 4), ("h100", 9))}
    failures = []
    for b in range(5):
        faults = {"byzantine": {"a100": b}, "behaviour": "collude"}
        scenario = chain({"kind": "optimistic", "watch": 1.0}, nodes=nodes, faults=faults)
        failures.append(run(scenario).block_failure.probability)
    assert failures[1:] == pytest.approx([1.0] * 4)
    assert failures[0] < 1
