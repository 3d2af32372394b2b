"""While no timer runs out, every phase is an order statistic: commit times computed with NumPy, without any event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from timed import chain, of, traced

from sim.engines.events.world import World
from sim.network.keyed import Address

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim import Scenario

    Times = NDArray[np.float64]

EXECUTION_S = 0.7
LATENCIES = [
    0.05,
    {"kind": "uniform", "low": 0.0, "high": 0.3},
    {"kind": "lognormal", "median": 0.05, "sigma": 0.6},
]


class Expected:
    """Times of one chain, height by height."""

    def __init__(self, scenario: Scenario) -> None:
        self.world = World(scenario)
        self.n, self.quorum = scenario.node_count, scenario.election.quorum
        self.phase = {kind.name: index for kind, index in self.world._phase.items()}
        self.execution = EXECUTION_S
        self.certify = scenario.consensus.result == "certify"

    def arrivals(self, height: int, message: str, sent: Times) -> Times:
        """When each message arrives, by sender and receiver; one's own at once."""
        delays = self.world.links.delays(Address(height, 0, self.phase[message]))
        return sent[:, np.newaxis] + delays

    def quorum_of(self, arrivals: Times) -> Times:
        """When each node has q of them."""
        times: Times = np.sort(arrivals, axis=0)[self.quorum - 1]
        return times

    def voted_on(self, height: int, decided: Times) -> Times:
        """When each node has a certified result."""
        votes = self.arrivals(height, "result", decided + self.execution)
        return np.maximum(decided, self.quorum_of(votes))

    def pbft(self, height: int, begun: Times, leader: int) -> tuple[Times, Times]:
        """When each node decides, and closes the height."""
        first = begun[leader] + (0 if self.certify else self.execution)
        proposal = self.arrivals(height, "pre-prepare", np.full(self.n, first))[leader]
        accepted = np.maximum(begun, proposal)
        ready = accepted + (0 if self.certify else self.execution)
        ready[leader] = first
        prepares = self.arrivals(height, "prepare", ready)
        prepares[leader] = accepted  # the pre-prepare is the primary's prepare
        prepared = np.maximum(ready, self.quorum_of(prepares))
        decided = np.maximum(prepared, self.quorum_of(self.arrivals(height, "commit", prepared)))
        return decided, self.voted_on(height, decided) if self.certify else decided

    def tendermint(self, height: int, begun: Times, leader: int) -> tuple[Times, Times]:
        """The same; the next height is begun a second later."""
        first = begun[leader] + (0 if self.certify else self.execution)
        proposal = np.maximum(begun, self.arrivals(height, "proposal", np.full(self.n, first))[leader])
        prevoted = proposal + (0 if self.certify else self.execution)
        prevoted[leader] = first
        precommitted = np.maximum(prevoted, self.quorum_of(self.arrivals(height, "prevote", prevoted)))
        decided = np.maximum(proposal, self.quorum_of(self.arrivals(height, "precommit", precommitted)))
        closed = self.voted_on(height, decided) if self.certify else decided
        return decided, closed + 1.0


@pytest.mark.parametrize("latency", LATENCIES, ids=str)
@pytest.mark.parametrize("n", [1, 4, 7, 16])
@pytest.mark.parametrize("result", ["certify", "propose"])
@pytest.mark.parametrize("protocol", ["pbft", "tendermint"])
def test_decisions_come_when_the_order_statistics_say(protocol: str, result: str, n: int, latency: Any) -> None:
    scenario = chain(
        n,
        executor={"seconds_per_request": EXECUTION_S},
        consensus={"protocol": protocol, "result": result, "timeouts": {"view": 100.0, "propose": 100.0}},
        network={"latency": latency},
        run={"blocks": 6, "seed": 5},
    )
    _, lines = traced(scenario)
    expected = Expected(scenario)
    begun = np.zeros(n)
    for height in range(1, 7):
        leader = of(lines, "height", height=height)[0]["leaders"][0]
        decided, begun = getattr(expected, protocol)(height, begun, leader)
        found = {line["node"]: line["t"] for line in of(lines, "decide", height=height)}
        assert [found[node] for node in range(n)] == pytest.approx(decided.tolist(), rel=1e-12, abs=1e-12)
