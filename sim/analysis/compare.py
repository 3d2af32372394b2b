"""The ways out of GPU nondeterminism, side by side: what each gives, and what it costs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sim.base.errors import Problem, ScenarioError
from sim.consensus.matching import Margin
from sim.consensus.tally import BOOSTED
from sim.consensus.verification import Optimistic, Proof, SpotCheck, Tee
from sim.engines.result import Estimate
from sim.engines.select import run
from sim.inference.executors import Gpu
from sim.network.latency import Regions
from sim.network.schema import Network
from sim.scenario.cost import block_rounds, execution_s

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sim.catalog.catalog import Catalog
    from sim.consensus.faults import Behaviour
    from sim.engines.result import Result
    from sim.scenario.schema import Scenario

ATTACKS: tuple[Behaviour, ...] = ("silent", "collude", "amplify", "equivocate")
"""What attackers try; the worst counts, for failing blocks and for wrong results."""
UNTIMED = "must say how long a request takes: executor.seconds_per_request, or workload.model and hardware, everywhere"
"""What is wrong with a scenario that cannot be compared."""
_DELAYS = 3  # messages that follow one another until a block is decided, with PBFT, Tendermint and ICC alike


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """What a chain gives, and what an answer costs.

    A probability that was simulated has the upper end of its 95 % interval beside it, which is what counts in
    comparisons: that nothing was seen does not mean that nothing happens. An exact one stands there twice.

    Parameters
    ----------
    scenario
        Name of the scenario.
    way
        How it comes to one answer: verification, and arithmetic where nodes have GPUs.
    nodes
        Number of nodes.
    block_failure, block_failure_high
        Probability that a block fails, as the scenario has it, and the upper end of its interval.
    attackers
        Nodes that the chain tolerates as Byzantine.
    failure_under_attack, failure_under_attack_high
        Probability that a block fails, with that many attackers and the attack that is worst for it, and the upper
        end of its interval.
    wrong_result_risk, wrong_result_high
        Probability that a wrong result is certified, or two are, with the attack that is worst for that, and the
        upper end of its interval.
    answer_s
        Seconds until the chain accepts a result.
    finality_s
        Seconds until it can no longer be taken back.
    machine_seconds
        Work of all machines for one answer.
    cost_vs_one_server
        That work, as a multiple of what one server does.
    cost_usd
        Price of that work in US dollars; None where a machine has no price.
    proof_bytes
        Size of the proof or attestation of an answer, which every node receives; 0 where there is none.
    pareto
        Whether none of those compared is at least as good in block failure, risk and work, and better in one.
    """

    scenario: str
    way: str
    nodes: int
    block_failure: float
    block_failure_high: float
    attackers: int
    failure_under_attack: float
    failure_under_attack_high: float
    wrong_result_risk: float
    wrong_result_high: float
    answer_s: float
    finality_s: float
    machine_seconds: float
    cost_vs_one_server: float
    cost_usd: float | None
    proof_bytes: float = 0.0
    pareto: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


class Worst(NamedTuple):
    """Worst that attackers do, each with the upper end of its interval."""

    failure: float
    failure_high: float
    wrong: float
    wrong_high: float


def compare(scenarios: Iterable[Scenario], catalog: Catalog) -> list[Tradeoff]:
    """Compare scenarios.

    Parameters
    ----------
    scenarios
        Validated; every group says how long a request takes (`executor.seconds_per_request`, or a model and hardware).
    catalog
        Has the block times of platforms that scenarios name.

    Returns
    -------
    list of Tradeoff
        In the order given.

    Raises
    ------
    ScenarioError
        A scenario does not say how long a request takes.
    EngineError
        No engine can answer a scenario.
    """
    return with_front([tradeoff_of(scenario, catalog) for scenario in scenarios])


def with_front(rows: Sequence[Tradeoff]) -> list[Tradeoff]:
    """Mark those that no other one beats, by the upper ends of what was simulated."""
    best = pareto([(row.block_failure_high, row.wrong_result_high, row.machine_seconds) for row in rows])
    return [replace(row, pareto=one) for row, one in zip(rows, best, strict=True)]


def pareto(points: Sequence[tuple[float, ...]]) -> list[bool]:
    """Tell which points no other one beats: at most as large everywhere, and smaller somewhere.

    Examples
    --------
    >>> pareto([(1.0, 1.0), (0.0, 2.0), (0.5, 2.0), (0.0, 3.0)])
    [True, True, False, False]
    """
    return [
        not any(other != point and all(a <= b for a, b in zip(other, point, strict=True)) for other in points)
        for point in points
    ]


def tradeoff_of(scenario: Scenario, catalog: Catalog) -> Tradeoff:
    """What one scenario gives and costs (see `compare`)."""
    cost = scenario.cost
    if cost is None:
        raise ScenarioError([Problem("nodes", UNTIMED)])
    answer, finality = times(scenario, catalog)
    attackers = attacked(scenario)
    failure, worst = run(scenario).block_failure, worst_of(scenario, attackers)
    return Tradeoff(
        scenario=scenario.name,
        way=way(scenario),
        nodes=scenario.node_count,
        block_failure=failure.probability,
        block_failure_high=failure.high,
        attackers=sum(attackers.values()),
        failure_under_attack=max(worst.failure, failure.probability),
        failure_under_attack_high=max(worst.failure_high, failure.high),
        wrong_result_risk=worst.wrong,
        wrong_result_high=worst.wrong_high,
        answer_s=answer,
        finality_s=finality,
        machine_seconds=cost.machine_seconds,
        cost_vs_one_server=cost.cost_vs_one_server,
        cost_usd=cost.cost_usd,
        proof_bytes=scenario.verification.proof_bytes if isinstance(scenario.verification, Proof | Tee) else 0.0,
    )


def way(scenario: Scenario) -> str:
    """How a chain comes to one answer, in a few words: verification, kernels, matching rule."""
    kind = scenario.verification.kind if scenario.verification else "replicate"
    kernels = {
        group.executor.arithmetic or "native" for group in scenario.nodes.values() if isinstance(group.executor, Gpu)
    }
    rule = scenario.consensus.matching
    return ", ".join([kind, *sorted(kernels), *([rule.kind] if rule else [])])


def attacked(scenario: Scenario) -> dict[str, int]:
    """Place as many attackers as the chain tolerates, largest groups first."""
    left, placed = scenario.faults_tolerated, {}
    for name, group in sorted(scenario.nodes.items(), key=lambda item: (-item[1].count * item[1].power, item[0])):
        placed[name] = min(group.count, left // group.power)
        left -= placed[name] * group.power
    return placed


def worst_of(scenario: Scenario, attackers: dict[str, int]) -> Worst:
    """Run every attack, with the engine that suits it, and take the worst for failing blocks and for wrong results."""
    found = []
    for scenario_attacked in attacks(scenario, attackers) if any(attackers.values()) else ():
        result = run(scenario_attacked)
        failure, wrong = result.block_failure, certified_wrong(result)
        found.append(Worst(failure.probability, failure.high, wrong.probability, wrong.high))
    return Worst(*(max(column) for column in zip(*found, strict=True))) if found else Worst(0.0, 0.0, 0.0, 0.0)


def attacks(scenario: Scenario, attackers: dict[str, int]) -> Iterator[Scenario]:
    """Yield a scenario with each attack that goes with it, for the engine that suits it; answers stay as they are."""
    plain = scenario.model_dump(mode="json", exclude_none=True)
    crashes = {key: value for key, value in plain["faults"].items() if key == "crashes"}
    slanted = {key: value for key, value in plain["faults"].items() if key in {"answer", "shift", "noise"}}
    plain["run"]["engine"] = "auto"
    posted = isinstance(scenario.consensus.matching, Margin)
    for behaviour in [one for one in ATTACKS if not (posted and one in BOOSTED)]:
        faults = crashes | {"byzantine": attackers, "behaviour": behaviour}
        faults |= slanted if behaviour == "collude" else {}
        yield type(scenario).model_validate(plain | {"faults": faults})


def certified_wrong(result: Result) -> Estimate:
    """Probability that a wrong result is certified, or two results are."""
    wrong, forked = (result.outcomes[name] for name in ("wrong_result", "forked"))
    if result.blocks is not None and wrong.count is not None and forked.count is not None:
        return Estimate.of(wrong.count + forked.count, result.blocks)
    return Estimate.exact(wrong.probability + forked.probability)


def times(scenario: Scenario, catalog: Catalog) -> tuple[float, float]:
    """Seconds until a result is accepted, and until it can't be taken back; the time to agree comes on top of the work.

    Agreement takes what the platform's blocks take, or three message delays of the network.
    """
    platform = catalog.platforms.get(scenario.platform or "")
    delay = _DELAYS * _message_delay(scenario)
    block = platform.block_s.value if platform and platform.block_s else delay
    final = platform.finality_s.value if platform and platform.finality_s else max(block, delay)
    verification = scenario.verification
    if scenario.replicated or verification is None:
        work = _until_quorum(scenario)
        return work + block, work + final
    rounds = block_rounds(scenario)
    seconds = execution_s(scenario)
    if isinstance(verification, Proof | Tee):
        race = scenario.cost.race_s if scenario.cost else 0.0
        work = rounds * seconds + race + scenario.workload.requests_per_block * verification.verify_s
        return work + block, work + final
    if isinstance(verification, SpotCheck):
        work = rounds * seconds * (1 + verification.probability * verification.recheck_ratio)
        return work + block, work + final
    assert isinstance(verification, Optimistic)  # noqa: S101 -- the last of the kinds
    work = rounds * seconds
    return work + block, work + max(final, block + verification.window_s)


def _until_quorum(scenario: Scenario) -> float:
    """Seconds until nodes with a quorum have executed every request of a block."""
    finished = []
    for name, group in scenario.nodes.items():
        law = group.executor.seconds_per_request
        each = law.expected * group.executor.slowed if law else 0.0
        finished.append((_rounds(scenario, name) * each, group.count * group.power))
    votes = 0
    for seconds, power in sorted(finished):
        votes += power
        if votes >= scenario.election.quorum:
            return seconds
    return max(seconds for seconds, _ in finished)


def _rounds(scenario: Scenario, name: str) -> int:
    """Requests that a device of a group executes one after another."""
    return math.ceil(scenario.workload.requests_per_block / (scenario.nodes[name].devices or 1))


def _message_delay(scenario: Scenario) -> float:
    latency = (scenario.network or Network()).latency
    if isinstance(latency, Regions):
        pairs = [latency.law(one, other).expected for one in latency.names for other in latency.names]
        return sum(pairs) / len(pairs)
    return latency.expected
