"""Units: who can be told apart, and who cannot."""

from __future__ import annotations

from sim import Cpu, Gpu, NearTie
from sim.inference.population import HonestGroup, Population

OWN = Gpu(nondeterminism=NearTie(rate=1e-4))
SHARED = Gpu(nondeterminism=NearTie(rate=1e-4, shared_noise=1.0))
PARTLY = Gpu(nondeterminism=NearTie(rate=1e-4, shared_noise=0.5))
NEVER = Gpu(nondeterminism=NearTie(rate=0.0))


def test_all_that_never_deviate_are_one_unit() -> None:
    groups = [HonestGroup(3, 2, "a", Cpu()), HonestGroup(4, 1, "b", NEVER), HonestGroup(0, 1, "c", OWN)]
    (unit,) = Population.of(groups).units
    assert (unit.count, unit.power, unit.nodes, unit.law) == (1, 10, 7, None)


def test_a_class_with_wholly_shared_noise_is_one_unit_a_law() -> None:
    (unit,) = Population.of([HonestGroup(3, 2, "a", SHARED), HonestGroup(4, 1, "a", SHARED)]).units
    assert (unit.count, unit.power, unit.nodes) == (1, 10, 7)
    assert len(Population.of([HonestGroup(3, 2, "a", SHARED), HonestGroup(4, 1, "b", SHARED)]).units) == 2


def test_nodes_with_own_noise_are_counted_together_whatever_their_class() -> None:
    (unit,) = Population.of([HonestGroup(3, 1, "a", OWN), HonestGroup(4, 1, "b", OWN)]).units
    assert (unit.count, unit.power, unit.nodes) == (7, 1, 1)
    assert len(Population.of([HonestGroup(3, 1, "a", OWN), HonestGroup(4, 2, "b", OWN)]).units) == 2


def test_partly_shared_noise_keeps_classes_apart() -> None:
    assert len(Population.of([HonestGroup(3, 1, "a", PARTLY), HonestGroup(4, 1, "b", PARTLY)]).units) == 2
    assert len(Population.of([HonestGroup(3, 1, "a", PARTLY), HonestGroup(4, 1, "a", PARTLY)]).units) == 1


def test_power_and_nodes_add_up() -> None:
    population = Population.of([HonestGroup(3, 2, "a", Cpu()), HonestGroup(4, 5, "b", OWN)])
    assert (population.power, population.nodes) == (26, 7)
