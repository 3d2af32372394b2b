"""What one answer costs: the work of all machines, against that of one server.

Replication is charged: n machines do the work of one, and more machines do not make it faster. With one executor the
work is that of the executor, of whoever proves or runs the model again, and of every node that verifies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.consensus.verification import Optimistic, Proof, SpotCheck, Tee

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.scenario.schema import NodeGroup, Scenario


@dataclass(frozen=True, slots=True)
class Cost:
    """Work of one answer, expected, where no node is faulty.

    Parameters
    ----------
    machine_seconds
        Of all machines together.
    one_server_s
        Seconds that one server takes: the fastest machine of the chain, on native kernels.
    prove_s
        Seconds that a prover takes, the median; None where nothing is proved.
    race_s
        Seconds until the first proof is there, or the time is out; 0 where nothing is proved.
    cost_usd
        Price of the machine-seconds in US dollars; None where a machine that works has no price.
    """

    machine_seconds: float
    one_server_s: float
    prove_s: float | None
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
    native = {name: _seconds(group) for name, group in scenario.nodes.items()}
    known = {name: seconds for name, seconds in native.items() if seconds is not None}
    one_server = min(known.values(), default=0.0)
    if len(known) < len(native) or not one_server:
        return None
    verification, nodes = scenario.verification, scenario.node_count
    share = {name: group.count / nodes for name, group in scenario.nodes.items()}
    prove_s = proving_time(scenario, one_server)
    race = 0.0
    if isinstance(verification, Proof) and prove_s is not None:
        race = race_time(verification, prove_s)
    work = {
        name: _executions(scenario, name) * known[name] * group.executor.slowed
        for name, group in scenario.nodes.items()
    }
    if isinstance(verification, Proof | Tee):
        provers = verification.provers if isinstance(verification, Proof) else 0
        for name, group in scenario.nodes.items():
            work[name] += provers * share[name] * race + group.count * verification.verify_s
    return Cost(sum(work.values()), one_server, prove_s, race, _price(scenario.nodes, work))


def proving_time(scenario: Scenario, one_server_s: float | None) -> float | None:
    """Median seconds of a prover: as given, or the ratio times what one server takes; None if not known."""
    verification = scenario.verification
    if not isinstance(verification, Proof):
        return None
    if verification.prove_s is not None:
        return verification.prove_s
    return None if one_server_s is None else verification.prover_ratio * one_server_s


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
    if not isinstance(verification, Proof | Tee | Optimistic | SpotCheck):
        return float(group.count)
    executes = group.count * group.power / scenario.election.votes
    if isinstance(verification, Tee):
        return executes * verification.slowdown
    if isinstance(verification, Proof):
        return executes
    others = scenario.node_count - 1
    again = verification.panel(others).expected * verification.recheck_ratio
    return executes + (again * (group.count - executes) / others if others else 0.0)


def race_time(proof: Proof, prove_s: float) -> float:
    """Expected seconds until the first of several provers delivers, or the time is out.

    With F the lognormal law of one prover's time and c its chance never to deliver, the race goes on at time t with
    probability (1 - (1 - c) F(t))^k, whose integral up to the timeout is the mean.
    """
    end = float("inf") if proof.timeout_s is None else proof.timeout_s
    if not proof.spread or not prove_s:
        delivered = 1 - proof.failure**proof.provers
        if prove_s >= end:
            return end
        return prove_s * delivered + (end * (1 - delivered) if delivered < 1 else 0.0)
    import numpy as np
    from scipy.special import ndtr

    top = proof.spread + 9.0 if proof.timeout_s is None else np.log(proof.timeout_s / prove_s) / proof.spread
    z = np.linspace(min(-9.0, top), top, 20_001)
    seconds = prove_s * np.exp(proof.spread * z)
    goes_on = (1 - (1 - proof.failure) * ndtr(z)) ** proof.provers
    return float(seconds[0] + np.trapezoid(goes_on, seconds))


def _price(nodes: Mapping[str, NodeGroup], work: Mapping[str, float]) -> float | None:
    dollars = 0.0
    for name, seconds in work.items():
        if seconds:
            price = nodes[name].price_per_hour
            if price is None:
                return None
            dollars += seconds / 3600 * price
    return dollars
