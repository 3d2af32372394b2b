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
NOTARY_S = 0.1
PATIENT = {"view": 100.0, "propose": 100.0, "rank": 100.0, "notary": NOTARY_S}
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
        self.faults = scenario.faults_tolerated
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

    def sequential(self, protocol: str, heights: int) -> list[Times]:
        """When each node decides each height, if heights follow each other."""
        begun, found = np.zeros(self.n), []
        for height in range(1, heights + 1):
            decided, begun = getattr(self, protocol)(height, begun, self.leader(height))
            found.append(decided)
        return found

    def leader(self, height: int) -> int:
        """The first leader of a height."""
        return self.world._leaders.of(height)[0]

    def pipelined(self, heights: int) -> list[Times]:
        """The same for HotStuff, where a block is decided once those of three heights are certified."""
        known: list[Times] = []
        free, start = np.zeros(self.n), 0.0
        for height in range(1, heights + 4):
            leader, execution = self.leader(height), 0.0 if self.certify or height > heights else self.execution
            proposed = max(start, free[leader]) + execution if execution else start
            arrived = self.arrivals(height, "proposal", np.full(self.n, proposed))[leader]
            if height > 1:
                arrived_certificate = arrived.copy()
                arrived_certificate[leader] = start
                known.append(arrived_certificate)
            voted = np.maximum(arrived, free) + execution if execution else arrived
            voted[leader] = proposed
            free = voted if execution else free
            votes = self.arrivals(height, "vote", voted)[:, self.leader(height + 1)]
            start = float(np.sort(votes)[self.quorum - 1])
        return [np.maximum.reduce(known[: first + 3]) for first in range(heights)]

    def ranked(self, heights: int) -> list[Times]:
        """The same for ICC, where a height is begun once the one below is notarized, and its beacon is known."""
        begun, start, free = np.zeros(self.n), np.zeros(self.n), np.zeros(self.n)
        proposal, found = self.arrivals(1, "proposal", start + self.executing(1, heights))[self.leader(1)], []
        for height in range(1, heights + 4):
            leader, executing = self.leader(height), self.executing(height, heights)
            seen = np.maximum(begun, proposal)
            seen[leader] = start[leader]
            ready = free = np.maximum(seen, free) + executing if executing else np.maximum(seen, proposal)
            notarized, before = np.full(self.n, np.inf), None
            while before is None or (notarized != before).any():
                before = notarized
                shared = np.maximum(ready, np.minimum(start + NOTARY_S, notarized))
                shares = self.quorum_of(self.arrivals(height, "notarization share", shared))
                relayed = self.arrivals(height, "notarization", notarized).min(axis=0)
                beacon = self.arrivals(height, "beacon share", np.minimum(start, notarized))
                following = np.maximum(notarized, np.sort(beacon, axis=0)[self.faults])
                proposed = self.proposed(height + 1, heights, following, free)
                notarized = np.maximum(seen, np.minimum.reduce([shares, relayed, proposed]))
                notarized = np.maximum(notarized, proposal)
            final = self.quorum_of(self.arrivals(height, "finalization share", notarized))
            found.append(np.maximum(notarized, final))
            begun, start, proposal = notarized, following, proposed
        return [np.minimum.reduce(found[first:]) for first in range(heights)]

    def proposed(self, height: int, heights: int, start: Times, free: Times) -> Times:
        """When the block of the first maker of a height arrives, with the notarization of the one below."""
        leader, executing = self.leader(height), self.executing(height, heights)
        sent = max(start[leader], free[leader]) + executing if executing else start[leader]
        arrived: Times = self.arrivals(height, "proposal", np.full(self.n, sent))[leader]
        return arrived

    def executing(self, height: int, heights: int) -> float:
        """Seconds for which a block is executed before the first vote."""
        return 0.0 if self.certify or height > heights else self.execution


@pytest.mark.parametrize("latency", LATENCIES, ids=str)
@pytest.mark.parametrize("n", [1, 4, 7, 16])
@pytest.mark.parametrize("result", ["certify", "propose"])
@pytest.mark.parametrize("protocol", ["pbft", "tendermint", "hotstuff", "icc"])
def test_decisions_come_when_the_order_statistics_say(protocol: str, result: str, n: int, latency: Any) -> None:
    scenario = chain(
        n,
        executor={"seconds_per_request": EXECUTION_S},
        consensus={"protocol": protocol, "result": result, "timeouts": PATIENT},
        network={"latency": latency},
        run={"blocks": 6, "seed": 5},
    )
    _, lines = traced(scenario)
    expected = Expected(scenario)
    pipelined = {"hotstuff": expected.pipelined, "icc": expected.ranked}
    decisions = pipelined[protocol](6) if protocol in pipelined else expected.sequential(protocol, 6)
    for height, decided in enumerate(decisions, start=1):
        found = {line["node"]: line["t"] for line in of(lines, "decide", height=height)}
        assert [found[node] for node in range(n)] == pytest.approx(decided.tolist(), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("result", ["certify", "propose"])
def test_hotstuff_on_equal_delays_takes_seven_of_them_to_commit_and_two_for_each_block(result: str) -> None:
    delay, blocks = 0.05, 30
    scenario = chain(
        7,
        executor={"seconds_per_request": 0.02},
        consensus={"protocol": "hotstuff", "result": result},
        network={"latency": delay},
        run={"blocks": blocks, "seed": 3},
    )
    done, lines = traced(scenario)
    view = 2 * delay + (2 * 0.02 if result == "propose" else 0)  # the leader executes, then the others do
    for height in range(1, blocks - 2):
        begun = (height - 1) * view
        decided = sorted(line["t"] for line in of(lines, "decide", height=height))
        assert decided[0] == pytest.approx(begun + 3 * view), "the fourth leader"
        next_execution = 0.02 if result == "propose" else 0
        assert decided[1:] == pytest.approx([begun + 3 * view + next_execution + delay] * 6)
        if result == "certify":
            certified = sorted(line["t"] for line in of(lines, "certify", height=height))
            assert certified == pytest.approx([decided[1] + 0.02 + delay] + [decided[1] + 0.02 + 2 * delay] * 6)
    assert done.timing is not None
    assert done.timing.latency_s is not None
    latency = 7 * delay + (7 * 0.02 if result == "propose" else 0.02 + 2 * delay)
    assert done.timing.latency_s["p50"] == pytest.approx(latency)


@pytest.mark.parametrize("result", ["certify", "propose"])
def test_icc_on_equal_delays_takes_three_of_them_to_be_final_and_two_for_each_block(result: str) -> None:
    delay, execution, blocks = 0.05, 0.02, 30
    scenario = chain(
        7,
        executor={"seconds_per_request": execution},
        consensus={"protocol": "icc", "result": result, "timeouts": {"notary": 0.0}},
        network={"latency": delay},
        run={"blocks": blocks, "seed": 3},
    )
    done, lines = traced(scenario)
    period = 2 * delay + (2 * execution if result == "propose" else 0)  # the maker executes, then the others do
    for height in range(1, blocks + 1):
        final = height * period + delay
        decided = [line["t"] for line in of(lines, "decide", height=height)]
        assert decided == pytest.approx([final] * 7)
        if result == "certify":
            certified = [line["t"] for line in of(lines, "certify", height=height)]
            assert certified == pytest.approx([final + execution + delay] * 7)
    assert done.timing is not None
    assert done.timing.latency_s is not None
    assert done.timing.latency_s["p50"] == pytest.approx(
        period + delay + (0 if result == "propose" else execution + delay)
    )


def test_the_notary_delay_is_between_two_blocks_where_it_is_longer_than_the_way_of_a_block() -> None:
    for notary in (0.02, 0.3):
        consensus = {"protocol": "icc", "timeouts": {"notary": notary}}
        _, lines = traced(chain(4, consensus=consensus, network={"latency": 0.05}, run={"blocks": 20}))
        for height in range(1, 21):
            decided = [line["t"] for line in of(lines, "decide", height=height)]
            assert decided == pytest.approx([height * (max(notary, 0.05) + 0.05) + 0.05] * 4)
