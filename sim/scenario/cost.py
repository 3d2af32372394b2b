"""What one answer costs: the work of all machines, against that of one server.

Replication is charged: n machines do the work of one, and more machines do not make it faster. With one executor the
work is that of the executor, of whoever proves or runs the model again, and of every node that verifies. Where
committees vote, the work is that of the first one; appeals are rare, and not counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.consensus.verification import Optimistic, Proof, SpotCheck, Tee

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.scenario.schema import NodeGroup, Scenario


SECONDS_MIN = 1e-9
"""Times of an execution below it count as none."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Work of one answer, expected, where no node is faulty.

    Parameters
    ----------
    machine_seconds
        Work of all machines together, in seconds.
    one_server_s
        Seconds that one server takes: the fastest machine of the chain, on native kernels.
    race_s
        Seconds until the first prover has proved a block, or the time is out; 0 where nothing is proved.
    cost_usd
        Price of the machine-seconds in US dollars; None where a machine that works has no price.
    """

    machine_seconds: float
    one_server_s: float
    race_s: float
    cost_usd: float | None

    @property
    def cost_vs_one_server(self) -> float:
        """How many times the work of one server this is."""
        return self.machine_seconds / self.one_server_s

    def to_dict(self) -> dict[str, float | None]:
        """Plain values of one answer."""
        return {
            "machine_seconds": self.machine_seconds,
            "cost_vs_one_server": self.cost_vs_one_server,
            "cost_usd": self.cost_usd,
        }


def cost_of(scenario: Scenario) -> Cost | None:
    """Work out what an answer costs.

    Parameters
    ----------
    scenario
        A validated scenario.

    Returns
    -------
    Cost or None
        None where a group does not say how long a request takes (`executor.seconds_per_request`), or it takes no time.
    """
    one_server, verification = one_server_s(scenario), scenario.verification
    if one_server is None:
        return None
    proving, race = proving_time(scenario), 0.0
    if isinstance(verification, Proof) and proving is not None:
        race = race_time(verification, proving)
    work = {}
    for name, group in scenario.nodes.items():
        work[name] = _executions(scenario, name) * (_seconds(group) or 0.0) * group.executor.slowed
        if isinstance(verification, Proof):
            work[name] += _provers(scenario, verification, name) * race / block_rounds(scenario)
        if isinstance(verification, Proof | Tee):
            work[name] += group.count * verification.verify_s
    return Cost(sum(work.values()), one_server, race, _price(scenario.nodes, work))


def one_server_s(scenario: Scenario) -> float | None:
    """Seconds of a request on the fastest machine, on native kernels; None where a group does not say."""
    known = [_seconds(group) for group in scenario.nodes.values()]
    fastest = min((seconds for seconds in known if seconds is not None), default=0.0)
    return None if None in known or fastest < SECONDS_MIN else fastest


def block_rounds(scenario: Scenario) -> int:
    """Requests of a block that a device works on one after another; one executor has as many devices as the next."""
    devices = min(group.devices or 1 for group in scenario.nodes.values())
    return math.ceil(scenario.workload.requests_per_block / devices)


def proving_time(scenario: Scenario) -> float | None:
    """Median seconds in which a prover proves a block: as given, or the ratio times one server's; None if not known."""
    verification = scenario.verification
    if not isinstance(verification, Proof):
        return None
    one_server = one_server_s(scenario)
    each = verification.prove_s or (None if one_server is None else verification.prover_ratio * one_server)
    return None if each is None else each * block_rounds(scenario)


def execution_s(scenario: Scenario) -> float:
    """Mean seconds of an execution by the one executor, drawn by power; every group must say how long it takes."""
    verification = scenario.verification
    slower = verification.slowdown if isinstance(verification, Tee) else 1.0
    votes = scenario.election.votes
    return slower * sum(
        group.count * group.power / votes * (_seconds(group) or 0.0) * group.executor.slowed
        for group in scenario.nodes.values()
    )


def _seconds(group: NodeGroup) -> float | None:
    law = group.executor.seconds_per_request
    return None if law is None else law.expected


def _executions(scenario: Scenario, name: str) -> float:
    """Expected number of times that the nodes of a group run the model, re-execution counted by its cost."""
    group, verification = scenario.nodes[name], scenario.verification
    if isinstance(verification, Proof):
        return _provers(scenario, verification, name)
    executes = group.count * group.power / scenario.election.votes
    if isinstance(verification, Tee):
        return executes * verification.slowdown
    if not isinstance(verification, Optimistic | SpotCheck):
        appeal = scenario.consensus.appeal
        drawn = appeal.sizes(scenario.node_count)[0] / scenario.node_count if appeal else 1.0
        return group.count * drawn
    others = scenario.node_count - 1
    again = verification.panel(others).expected * verification.recheck_ratio
    return executes + (again * (group.count - executes) / others if others else 0.0)


def _provers(scenario: Scenario, proof: Proof, name: str) -> float:
    """Expected number of provers in a group: one is drawn by power, several by node."""
    group = scenario.nodes[name]
    if proof.provers == 1:
        return group.count * group.power / scenario.election.votes
    return proof.provers * group.count / scenario.node_count


def race_time(proof: Proof, median_s: float) -> float:
    """Expected seconds until the first of several provers delivers, or the time is out.

    With F the lognormal law of one prover's time and c its chance never to deliver, the race goes on at time t with
    probability (1 - (1 - c) F(t))^k, whose integral up to the timeout is the mean.

    Parameters
    ----------
    proof
        Who races, and how long.
    median_s
        Median seconds of one prover.
    """
    end = float("inf") if proof.timeout_s is None else proof.timeout_s
    if not proof.varies:
        delivered = 1 - proof.failure**proof.provers
        if median_s >= end:
            return end
        return median_s * delivered + (end * (1 - delivered) if delivered < 1 else 0.0)
    import numpy as np
    from scipy.special import ndtr

    top = proof.spread + 9.0  # whoever delivers at all has delivered by then
    if proof.timeout_s is not None:
        top = min(top, deviations(proof, median_s))
    z = np.linspace(min(-9.0, top - 1.0), top, 20_001)
    seconds = median_s * np.exp(proof.spread * z)
    goes_on = (1 - (1 - proof.failure) * ndtr(z)) ** proof.provers
    rest = 0.0 if proof.timeout_s is None else max(proof.timeout_s - seconds[-1], 0.0) * proof.failure**proof.provers
    return float(seconds[0] + np.trapezoid(goes_on, seconds) + rest)


def deviations(proof: Proof, median_s: float) -> float:
    """How many standard deviations, in the logarithm, the timeout lies above the median time."""
    return (math.log(proof.timeout_s or math.inf) - math.log(median_s)) / proof.spread


def _price(nodes: Mapping[str, NodeGroup], work: Mapping[str, float]) -> float | None:
    dollars = 0.0
    for name, seconds in work.items():
        if seconds:
            price = nodes[name].price_per_hour
            if price is None:
                return None
            dollars += seconds / 3600 * price
    return dollars
