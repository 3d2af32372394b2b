"""Broken protocols: each is found within 500 targeted schedules, by two honest replicas that decide differently."""

from __future__ import annotations

import pytest
from chains import explored
from mutants import LowPbft, LowTendermint, Unlocked, Unprepared, Unproven

from sim.analysis.explorer.explore import Search, explore
from sim.consensus.protocols.pbft import Pbft
from sim.consensus.protocols.replica import Replica

RESULTS = ["certify", "propose"]


MUTANTS: list[type[Replica]] = [LowPbft, LowTendermint, Unlocked, Unproven, Unprepared]


@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize("n", [4, 7])
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_found_within_500_targeted_schedules(mutant: type[Replica], n: int, result: str) -> None:
    protocol = "pbft" if issubclass(mutant, Pbft) else "tendermint"
    chain = explored(protocol, n, result)._replace(machine=mutant)
    found = explore(Search(chain, kind="targeted", invariants=("agreement",)), 500).counterexample
    assert found is not None
    assert len(found.steps) < found.length
