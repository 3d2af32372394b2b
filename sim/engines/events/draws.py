"""What is drawn for each height: the order of its leaders, and what every node computes."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from sim.consensus.attackers import FABRICATED, Answers
from sim.inference.executors import Recorded
from sim.inference.population import unit_of
from sim.inference.sampler import PartitionSampler
from sim.statistics.streams import BY_NODE, cell_stream, named_key, stream_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    from sim.inference.sampler import Groups
    from sim.scenario.schema import Scenario

    Integers = NDArray[np.int64]

_CELL = 256  # heights whose answers are drawn together
_LEADERS_PER_CELL = 65_536


class Leaders:
    """The order of leaders of every height: drawn without replacement, in proportion to power, keyed (seed, height).

    Parameters
    ----------
    power
        Voting power of every node.
    seed
        The user's seed.
    rounds
        Leaders wanted of each height.
    """

    def __init__(self, power: tuple[int, ...], seed: int, rounds: int) -> None:
        self._power, self._rounds = np.array(power, dtype=float), rounds
        self._key = named_key("leaders", seed)
        self._heights = max(1, _LEADERS_PER_CELL // len(power))
        self._cell = lru_cache(maxsize=4)(self._drawn)

    def of(self, height: int) -> list[int]:
        """Leaders of a height's rounds, from 0."""
        cell, place = divmod(height, self._heights)
        leaders: list[int] = self._cell(cell)[place]
        return leaders

    def _drawn(self, cell: int) -> list[list[int]]:
        """Race exponential clocks as fast as the powers: the order they ring in (Efraimidis and Spirakis 2006)."""
        stream = cell_stream(self._key, cell)
        ringing = stream.standard_exponential((self._heights, len(self._power))) / self._power
        order: list[list[int]] = np.argsort(ringing, axis=1, kind="stable")[:, : self._rounds].tolist()
        return order


def among(answers: Answers, absent: frozenset[int], power: tuple[int, ...]) -> Answers:
    """Number results anew where some nodes are away: their answers stay, but count for nothing."""
    label = [None if result == FABRICATED else result for result in answers.results]
    return _ranked(label, power, absent)


def unanimous(honest: Sequence[int], power: tuple[int, ...]) -> Answers:
    """The same answer of all honest nodes."""
    return answers_from([0 if node in set(honest) else None for node in range(len(power))], power)


def answers_of(scenario: Scenario) -> Callable[[int], Answers]:
    """Make the function that gives every node's answer to the block of a height."""
    if scenario.recorded:
        fixed = _recorded(scenario)
        return lambda _: fixed
    return _Drawn(scenario).of


def _recorded(scenario: Scenario) -> Answers:
    label: list[str | None] = [None] * scenario.node_count
    for name, group in scenario.nodes.items():
        if isinstance(group.executor, Recorded):
            honest = group.count - scenario.faults.of(name)
            for node, text in zip(scenario.numbering[name][:honest], group.executor.outputs, strict=False):
                label[node] = text
    return _ranked(label, powers(scenario))


def powers(scenario: Scenario) -> tuple[int, ...]:
    """Voting power of every node."""
    return tuple(group.power for _, group in sorted(scenario.nodes.items()) for _ in range(group.count))


def _ranked(
    label: list[str | None] | list[int | None], power: tuple[int, ...], absent: frozenset[int] = frozenset()
) -> Answers:
    """Number results by falling power (then number of nodes): what nodes hold, None for those that are Byzantine."""
    strength: dict[object, tuple[int, int]] = {}
    for node, (own, weight) in enumerate(zip(label, power, strict=True)):
        if own is not None:
            votes, nodes = strength.get(own, (0, 0))
            strength[own] = (votes, nodes) if node in absent else (votes + weight, nodes + 1)
    order = sorted(strength, key=lambda result: strength[result], reverse=True)
    rank = {result: number for number, result in enumerate(order)}
    return Answers(
        tuple(FABRICATED if own is None else rank[own] for own in label),
        tuple(strength[result][0] for result in order),
        tuple(strength[result][1] for result in order),
    )


class _Drawn:
    """Answers drawn by the same sampler as the Monte Carlo engine's, and dealt to single nodes."""

    def __init__(self, scenario: Scenario) -> None:
        self._power = powers(scenario)
        self._key = stream_key(scenario.scenario_id, scenario.run.seed)
        requests = scenario.workload.requests_per_block
        self._sampler = PartitionSampler(scenario.population, 1, requests, scenario.points_per_request)
        self._machines = _machines(scenario)
        honest = {node for unit in self._machines for machine in unit for node in machine}
        alike = [0 if node in honest else None for node in range(scenario.node_count)]
        self._quiet = _ranked(alike, self._power)
        self._cell = lru_cache(maxsize=4)(self._drawn)

    def of(self, height: int) -> Answers:
        """Answers to the block of a height."""
        cell, place = divmod(height, _CELL)
        return self._cell(cell).get(place, self._quiet)

    def _drawn(self, cell: int) -> dict[int, Answers]:
        """Answers of those heights of a cell in which anybody may deviate."""
        stream = cell_stream(self._key, cell, BY_NODE)
        active = int(stream.binomial(_CELL, self._sampler.block_rate))
        places = stream.choice(_CELL, size=active, replace=False)
        groups = self._sampler.draw(stream, active)
        return {int(place): self._dealt(stream, groups, block) for block, place in enumerate(places)}

    def _dealt(self, stream: Generator, groups: Groups, block: int) -> Answers:
        """Deal the machines of a block's groups to nodes: which machine of a unit is in which group is a fair draw."""
        label: list[int | None] = [None] * len(self._power)
        rows = groups.machines[groups.block == block]
        for unit, machines in enumerate(self._machines):
            results = stream.permutation(np.repeat(np.arange(len(rows)), rows[:, unit]))
            for nodes, result in zip(machines, results.tolist(), strict=True):
                for node in nodes:
                    label[node] = result
        return _ranked(label, self._power)


def _machines(scenario: Scenario) -> list[list[list[int]]]:
    """Nodes of each machine of each unit of the population."""
    units: list[list[list[int]]] = [[] for _ in scenario.population.units]
    groups = scenario.honest_groups
    units_of = unit_of(groups, scenario.consensus.equivalent)
    for numbers, group, unit in zip(scenario.numbering.values(), groups, units_of, strict=True):
        if unit is None:
            continue
        nodes = list(numbers[: group.count])
        if scenario.population.units[unit].nodes == 1 and scenario.population.units[unit].law is not None:
            units[unit] += [[node] for node in nodes]
        elif units[unit]:
            units[unit][0] += nodes
        else:
            units[unit].append(nodes)
    return units


def deviating(scenario: Scenario) -> list[list[int]]:
    """Honest nodes that may answer differently from others, in lists of those that always answer alike."""
    pairs = zip(scenario.population.units, _machines(scenario), strict=True)
    return [nodes for unit, machines in pairs if unit.law is not None for nodes in machines]


def answers_from(label: list[int | None], power: tuple[int, ...]) -> Answers:
    """Answers that are chosen node by node; None for Byzantine ones."""
    return _ranked(label, power)
