"""Broken protocols: each is found within 500 targeted schedules, by two honest replicas that decide differently."""

from __future__ import annotations

import pytest
from chains import explored
from mutants import (
    LowHotStuff,
    LowIcc,
    LowPbft,
    LowTendermint,
    OneChain,
    Unfaithful,
    Unlocked,
    Unprepared,
    Unproven,
)

from sim.analysis.explorer.explore import Search, explore
from sim.consensus.protocols.hotstuff import HotStuff
from sim.consensus.protocols.icc import Icc
from sim.consensus.protocols.machine import Machine
from sim.consensus.protocols.pbft import Pbft
from sim.consensus.protocols.tendermint import Tendermint

RESULTS = ["certify", "propose"]


MUTANTS: list[type[Machine]] = [LowPbft, LowTendermint, Unlocked, Unproven, Unprepared, LowHotStuff, OneChain, LowIcc]
PROTOCOL = {Pbft: "pbft", Tendermint: "tendermint", HotStuff: "hotstuff", Icc: "icc"}


@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize("n", [4, 7])
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_found_within_500_targeted_schedules(mutant: type[Machine], n: int, result: str) -> None:
    protocol = next(name for kind, name in PROTOCOL.items() if issubclass(mutant, kind))
    chain = explored(protocol, n, result)._replace(machine=mutant)
    found = explore(Search(chain, kind="targeted", invariants=("agreement",)), 500).counterexample
    assert found is not None
    assert len(found.steps) < found.length


@pytest.mark.parametrize("result", RESULTS)
def test_final_shares_for_one_of_two_blocks_are_found_with_four_nodes(result: str) -> None:
    chain = explored("icc", 4, result)._replace(machine=Unfaithful)
    found = explore(Search(chain, kind="targeted", invariants=("agreement",)), 500).counterexample
    assert found is not None
