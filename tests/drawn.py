"""Scenarios drawn at random, and their translation for the plain reference implementations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from reference.model import Case, Group

from sim import Gpu, Scenario
from sim.statistics.intervals import clopper_pearson

if TYPE_CHECKING:
    from random import Random

    from sim import Result

THRESHOLDS = ["1/3", "1/4", "2/5", "49/100"]
BEHAVIOURS = ["silent", "random", "collude", "amplify", "equivocate"]


def draw_scenario(
    random: Random,
    *,
    nodes: int = 6,
    groups: int = 3,
    shared: tuple[float, ...] = (0.0, 1.0),
    points: int = 3,
    rates: tuple[float, float] = (1e-6, 0.45),
    behaviours: list[str] = BEHAVIOURS,
    shares: tuple[float, ...] = (),
) -> Scenario:
    """Draw a valid scenario of at most that many nodes and decision points, with a share of equivalent answers."""
    number = random.randint(1, groups)
    counts = [random.randint(1, max(1, nodes // number)) for _ in range(number)]
    by_class = {label: random.choice(shared) for label in "xy"}
    partly = any(0 < value < 1 for value in by_class.values())
    alternatives = 0.0 if partly else random.choice([0.0, 0.5, 1.0, 2.0, math.inf])
    per = "request" if shares else random.choice(["request", "token"])
    document: dict[str, Any] = {"nodes": {}, "faults": {"behaviour": random.choice(behaviours), "byzantine": {}}}
    for index, count in enumerate(counts):
        label = random.choice(sorted(by_class))
        law = _law(random, rates) | {"alternatives": alternatives, "shared_noise": by_class[label], "per": per}
        gpu = index == 0 or random.random() < 0.8
        executor = {"kind": "gpu", "nondeterminism": law} if gpu else {"kind": "cpu"}
        power = random.choice([1, 1, 1, 2, 3])
        document["nodes"][f"g{index}"] = {"count": count, "power": power, "hardware": label, "executor": executor}
        lying = random.choice([0, 0, 1, random.randint(0, count)])
        document["faults"]["byzantine"][f"g{index}"] = min(lying, count)
    document["consensus"] = {
        "fault_threshold": random.choice(THRESHOLDS),
        "result": random.choice(["certify", "propose"]),
    }
    document["workload"] = {"requests_per_block": random.randint(1, points), "tokens": random.randint(1, points)}
    if shares:
        document["consensus"]["matching"] = {"kind": "equivalence", "share": random.choice(shares)}
    return Scenario.model_validate(document)


def _law(random: Random, rates: tuple[float, float]) -> dict[str, Any]:
    difficulty = random.choice(["near_tie", "independent", "beta"])
    rate = 10 ** random.uniform(math.log10(rates[0]), math.log10(rates[1]))
    law = {"difficulty": difficulty, "rate": rate}
    return law | {"correlation": random.uniform(0.02, 0.95)} if difficulty == "beta" else law


def within(result: Result, outcome: str, probability: float) -> bool:
    """Whether a simulated share is one that a probability gives, but for one draw in a million."""
    count, blocks = result.outcomes[outcome].count, result.blocks
    assert count is not None
    assert blocks is not None
    low, high = clopper_pearson(count, blocks, confidence=1 - 1e-6)
    return low <= probability * (1 + 1e-12) and probability <= high


def as_case(scenario: Scenario) -> Case:
    """Translate a scenario for the reference implementations."""
    laws = [g.executor.nondeterminism for g in scenario.nodes.values() if isinstance(g.executor, Gpu)]
    deviating = [law for law in laws if law.rate]
    groups = []
    for name, group in scenario.nodes.items():
        law = group.executor.nondeterminism if isinstance(group.executor, Gpu) else None
        groups.append(
            Group(
                name,
                group.count,
                group.power,
                scenario.faults.of(name),
                group.hardware,
                law.rate if law else 0.0,
                law.difficulty if law else "near_tie",  # type: ignore[arg-type]
                getattr(law, "correlation", None),
                law.shared_noise if law else 0.0,
            )
        )
    return Case(
        tuple(groups),
        scenario.election.quorum,
        "propose" if scenario.consensus.result == "propose" else "certify",
        scenario.faults.behaviour,  # type: ignore[arg-type]  # drawn from those that votes know
        deviating[0].alternatives if deviating else 0.0,
        scenario.workload.requests_per_block,
        scenario.workload.tokens,
        deviating[0].per if deviating else "request",
        scenario.consensus.equivalent,
    )
