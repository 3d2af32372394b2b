"""Details of the sampler that outcomes of blocks hardly show."""

from __future__ import annotations

import numpy as np
import pytest

from sim import Gpu, NearTie
from sim.inference.noise import _row_of
from sim.inference.population import HonestGroup, Population
from sim.inference.sampler import Groups, PartitionSampler


def test_a_machine_is_chosen_uniformly_among_all_groups_of_its_prefix() -> None:
    rounds = 20_000
    prefix = np.repeat(np.arange(rounds), 2)
    machines = np.tile([[2], [6]], (rounds, 1))
    row = _row_of(np.random.default_rng(1), prefix, machines, np.zeros(rounds, dtype=int), np.ones(rounds, dtype=bool))
    assert (row // 2 == np.arange(rounds)).all()
    assert (row % 2).mean() == pytest.approx(0.75, abs=0.015)


@pytest.mark.parametrize("alternatives", [1e-9, 1e9])
def test_machines_that_chose_the_same_answer_share_the_new_prefix(alternatives: float) -> None:
    law = NearTie(rate=0.2, alternatives=alternatives)
    population = Population.of([HonestGroup(8, 1, "x", Gpu(nondeterminism=law))])
    sampler = PartitionSampler(population, 1, 2, 3)
    movers = Groups(np.array([0, 0, 1]), np.array([0, 0, 1]), np.array([[2], [3], [2]]))
    children, parent = sampler._choose(np.random.default_rng(2), movers, 2)
    if alternatives < 1:  # one table for each prefix: two groups of the first block then share a prefix
        assert children.machines.ravel().tolist() == [2, 3, 2]
        assert children.prefix[0] == children.prefix[1] != children.prefix[2]
    else:
        assert children.machines.ravel().tolist() == [1] * 7
        assert len(set(children.prefix.tolist())) == 7
    assert (children.prefix >= 2).all()
    assert (parent == children.block).all()


def test_a_block_with_a_candidate_keeps_all_machines_above_a_threshold_of_one() -> None:
    law = NearTie(rate=0.2, per="token")
    population = Population.of([HonestGroup(8, 1, "x", Gpu(nondeterminism=law))])
    groups = PartitionSampler(population, 1, 3, 4).draw(np.random.default_rng(3), 500)
    assert (np.bincount(groups.block, weights=groups.machines.sum(axis=1), minlength=500) == 8).all()
    assert len(groups.block) > 600
