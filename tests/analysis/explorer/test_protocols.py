"""No schedule that is tried breaks a protocol, and what must happen sometimes does."""

from __future__ import annotations

import pytest
from chains import explored

from sim.analysis.explorer.explore import Search, explore
from sim.analysis.explorer.walk import Kind
from sim.consensus.protocols import PROTOCOLS

RESULTS = ["certify", "propose"]


@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize("n", [4, 7])
@pytest.mark.parametrize("protocol", list(PROTOCOLS.builtin))
def test_no_violation_in_300_schedules(protocol: str, n: int, result: str) -> None:
    found = explore(Search(explored(protocol, n, result)), 300)
    assert found.counterexample is None
    assert not found.missing
    assert found.schedules == 300


@pytest.mark.parametrize("behaviour", ["silent", "withhold", "collude", "amplify", "random"])
@pytest.mark.parametrize("protocol", list(PROTOCOLS.builtin))
def test_nor_with_any_other_attack(protocol: str, behaviour: str) -> None:
    chain = explored(protocol, 5, "propose", consensus={"fault_threshold": "1/4"}, faults={"behaviour": behaviour})
    found = explore(Search(chain), 100)
    assert found.counterexample is None
    assert found.seen["decided"] > 50


@pytest.mark.parametrize("kind", ["random", "targeted"])
@pytest.mark.parametrize("protocol", list(PROTOCOLS.builtin))
def test_voting_power_counts_not_the_number_of_nodes(protocol: str, kind: Kind) -> None:
    nodes = {"a": {"count": 4, "executor": {"kind": "cpu"}}, "b": {"count": 3, "power": 3, "executor": {"kind": "cpu"}}}
    chain = explored(protocol, 7, nodes=nodes, faults={"byzantine": {"a": 4}}, consensus={"fault_threshold": "2/5"})
    assert (chain.faults, chain.quorum, sorted(chain.byzantine)) == (5, 8, [0, 1, 2, 3])
    chain = chain._replace(quorum=9, faults=4)
    assert explore(Search(chain, kind=kind), 150).counterexample is None, "any two quorums share a node of b"
    assert explore(Search(chain._replace(quorum=7), kind="targeted"), 300).counterexample is not None


@pytest.mark.parametrize("protocol", list(PROTOCOLS.builtin))
def test_more_attackers_than_are_tolerated_fork_the_chain(protocol: str) -> None:
    chain = explored(protocol, 7, consensus={"fault_threshold": "45 %"}, faults={"byzantine": 3})
    found = explore(Search(chain), 100).counterexample
    assert found is not None
    assert found.violation.invariant == "agreement"
