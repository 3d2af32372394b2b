"""Draws what honest machines answer, for many blocks at once, and skips the decision points where nobody deviates.

A decision point is a *candidate* with a probability that bounds, panel by panel of hardness, the chance that anybody
deviates; only candidates are drawn. At a candidate, one uniform number both decides whether anybody deviates and who
does first: machines stand in a row, each with its hazard -log(1 - p), and the number picks a place in that row or falls
beyond its end. Those after the first deviate freely. Nothing is cut off or approximated: skipping leaves the
distribution as it is.

Machines are counted by unit, not one by one, and only groups that can still matter are kept: those of at least
`threshold` power. A row is one such group: the machines of a block that gave the same answers so far.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.inference.alternatives import seat
from sim.inference.binomial import BELOW_ONE
from sim.inference.noise import ClassNoise, Deviating
from sim.inference.quadrature import panel_edges
from sim.inference.replayed import Deal

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from sim.inference.population import Population

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_RESOLUTION = 0.025  # panels on which p changes little, so that few candidates are in vain


class Groups(NamedTuple):
    """Groups of honest machines with the same answers.

    Parameters
    ----------
    block
        Block of each group, shape (R,).
    prefix
        Groups of one prefix gave the same tokens of the current request, and meet the same hardness; shape (R,).
    machines
        How many machines of each unit, shape (R, T).
    """

    block: Integers
    prefix: Integers
    machines: Integers

    @property
    def divisible(self) -> NDArray[np.bool_]:
        """Whether a group has several machines: one alone stays a group of one whatever it answers."""
        several: NDArray[np.bool_] = self.machines.sum(axis=1) > 1
        return several

    def where(self, chosen: NDArray[np.bool_]) -> Groups:
        """Some of the groups."""
        return Groups(self.block[chosen], self.prefix[chosen], self.machines[chosen])

    @staticmethod
    def joined(parts: list[Groups]) -> Groups:
        """All groups of several parts."""
        return parts[0] if len(parts) == 1 else Groups(*(np.concatenate(column) for column in zip(*parts, strict=True)))


class PartitionSampler:
    """Draws the groups into which the answers of honest machines fall.

    Parameters
    ----------
    population
        Honest machines; any shared noise.
    threshold
        Groups of less power are left out.
    requests, tokens
        A block has `requests` times `tokens` decision points; within a request, machines whose answers differ meet
        independent hardness, and each request starts common again.
    """

    def __init__(self, population: Population, threshold: int, requests: int, tokens: int) -> None:
        self.population, self.threshold = population, threshold
        self.requests, self.tokens = requests, tokens
        self.power = np.array([unit.power for unit in population.units], dtype=np.int64)
        self.counts = np.array([unit.count for unit in population.units], dtype=np.int64)
        self._deal = None if population.replayed is None else Deal(population.replayed, population.units)
        self.point_rate = self._deal.chance if self._deal else self._prepared()
        self.request_rate = _any_of(self.point_rate, tokens)
        self.block_rate = _any_of(self.request_rate, requests)

    def _prepared(self) -> float:
        """Lay out units and panels; the chance that a decision point is a candidate."""
        population = self.population
        units = list(enumerate(population.units))
        self.own = [index for index, unit in units if unit.law and not unit.shared_noise]
        shared = {unit.hardware: unit.shared_noise for _, unit in units if unit.law and unit.shared_noise}
        self.classes = [
            ClassNoise(tuple(i for i, unit in units if unit.law and unit.hardware == name), r)
            for name, r in shared.items()
        ]
        edges = panel_edges(population.laws, _RESOLUTION)
        self.left, self.width = edges[:-1], np.diff(edges)
        self.envelope = np.minimum(-np.expm1(-self._hazard(self.left)), BELOW_ONE)
        self.cumulative = np.cumsum(self.width * self.envelope)
        return min(float(self.cumulative[-1]), BELOW_ONE)

    def _chances(self, hardness: Floats) -> Floats:
        """Deviation probability of each unit, shape (T, N)."""
        by_law = {law: law.deviation_probability(hardness) for law in self.population.laws}
        return np.array(
            [by_law[unit.law] * unit.kept if unit.law else np.zeros(len(hardness)) for unit in self.population.units]
        ).reshape(len(self.population.units), len(hardness))

    def _hazard(self, hardness: Floats) -> Floats:
        """Hazard that anybody of the whole population deviates."""
        chances = self._chances(hardness)
        everyone = np.broadcast_to(self.counts[:, None], chances.shape)
        total = np.zeros(len(hardness))
        for noise in self.classes:
            total += -np.log1p(-noise.chance(chances, everyone))
        for unit in self.own:
            total += self.counts[unit] * -np.log1p(-chances[unit])
        return total

    def draw(self, stream: Generator, blocks: int) -> Groups:
        """Draw blocks that have at least one candidate.

        Parameters
        ----------
        stream
            Source of randomness.
        blocks
            Number of blocks.

        Returns
        -------
        Groups
            Those of at least `threshold` power; a block may have none.
        """
        everyone = np.arange(blocks)
        groups = Groups(everyone, everyone, np.tile(self.counts, (blocks, 1)))
        if self.requests == 1:
            return self._request(stream, groups)
        busy = self.busy(stream, blocks)
        done: list[Groups] = []
        for turn in range(int(busy.max(initial=0))):
            meets = (busy[groups.block] > turn) & groups.divisible
            done.append(groups.where(~meets))
            if not meets.any():
                break
            groups = self._request(stream, groups.where(meets))
        else:
            done.append(groups)
        return Groups.joined(done)

    def draw_requests(self, stream: Generator, number: int) -> Groups:
        """Draw requests with at least one candidate, each by itself.

        Parameters
        ----------
        stream
            Source of randomness.
        number
            Number of requests.

        Returns
        -------
        Groups
            Of each request, whose number stands for a block's.
        """
        everyone = np.arange(number)
        return self._request(stream, Groups(everyone, everyone, np.tile(self.counts, (number, 1))))

    def busy(self, stream: Generator, blocks: int) -> Integers:
        """Number of requests with a candidate in each of the blocks that have one, shape (blocks,)."""
        first = _truncated_geometric(stream, self.request_rate, self.requests, blocks)
        busy: Integers = 1 + stream.binomial(self.requests - first, self.request_rate)
        return busy

    def _request(self, stream: Generator, groups: Groups) -> Groups:
        """One request with at least one candidate in every block; all groups of a block start with the same prefix."""
        starts, prefix = np.unique(groups.block, return_inverse=True)
        order = np.argsort(prefix, kind="stable")
        groups = Groups(groups.block[order], prefix[order], groups.machines[order])
        if self.tokens == 1:
            return self._split(stream, groups, len(starts))[0]
        position = _truncated_geometric(stream, self.point_rate, self.tokens, len(starts)).astype(float)
        finished: list[Groups] = []
        while len(groups.block):
            groups, parent = self._split(stream, groups, len(position))
            labels, first, prefix = np.unique(groups.prefix, return_index=True, return_inverse=True)
            wait = np.floor(np.log1p(-stream.random(len(labels))) / math.log1p(-self.point_rate)) + 1
            position = position[parent[first]] + wait
            going = position <= self.tokens
            order = np.argsort(prefix, kind="stable")
            groups = Groups(groups.block[order], prefix[order], groups.machines[order])
            goes = going[groups.prefix] & groups.divisible
            finished.append(groups.where(~goes))
            renumbered = np.cumsum(going) - 1
            groups = groups.where(goes)
            groups = groups._replace(prefix=renumbered[groups.prefix])
            position = position[going]
        return Groups.joined([*finished, groups])

    def _split(self, stream: Generator, groups: Groups, prefixes: int) -> tuple[Groups, Integers]:
        """One candidate in every prefix; groups are sorted by prefix.

        Returns
        -------
        groups, parent
            The groups that are left, and the prefix that each comes from.
        """
        if self._deal:
            return self._dealt(stream, groups, prefixes, self._deal)
        panel = np.searchsorted(self.cumulative, stream.random(prefixes) * self.cumulative[-1], side="right")
        panel = np.minimum(panel, len(self.left) - 1)
        hardness = self.left[panel] + self.width[panel] * stream.random(prefixes)
        aim = -np.log1p(-self.envelope[panel] * stream.random(prefixes))
        deviating = self._deviating(stream, groups, self._chances(hardness), aim)
        if self.population.equivalent:
            deviating = self._counted(stream, groups.prefix, deviating, prefixes)
        staying = groups.machines - deviating
        strong = staying @ self.power >= self.threshold
        parts = [groups._replace(machines=staying).where(strong)]
        parents = [parts[0].prefix]
        moves = deviating @ self.power >= self.threshold
        if moves.any():
            movers = groups._replace(machines=deviating).where(moves)
            children, parent = self._choose(stream, movers, prefixes)
            strong = children.machines @ self.power >= self.threshold
            parts.append(children.where(strong))
            parents.append(parent[strong])
        return Groups.joined(parts), np.concatenate(parents)

    def _dealt(self, stream: Generator, groups: Groups, prefixes: int, deal: Deal) -> tuple[Groups, Integers]:
        """One recorded prompt in every prefix (see `_split`)."""
        dealt = deal.draw(stream, groups.prefix, groups.machines, prefixes)
        rows, answers = np.nonzero((dealt @ self.power >= self.threshold) & dealt.any(axis=2))
        children = Groups(groups.block[rows], groups.prefix[rows] * deal.groups + answers, dealt[rows, answers])
        return children, groups.prefix[rows]

    def _deviating(self, stream: Generator, groups: Groups, chances: Floats, aim: Floats) -> Integers:
        """How many machines of each group and unit deviate, shape (R, T)."""
        deviating = np.zeros_like(groups.machines)
        filled = Deviating(groups.prefix, groups.machines, deviating)
        used = np.zeros(len(aim))  # hazard of those who stood before
        for noise in self.classes:
            used = noise.deviate(stream, filled, chances, aim, used)
        rank = np.arange(len(groups.prefix)) - np.searchsorted(groups.prefix, groups.prefix)
        for turn in range(int(rank.max(initial=-1)) + 1):
            rows = np.flatnonzero(rank == turn)
            prefix = groups.prefix[rows]
            for unit in self.own:
                machines, chance = groups.machines[rows, unit], chances[unit, prefix]
                hazard = -np.log1p(-chance)
                start = used[prefix]
                end = start + machines * hazard
                hit = (start <= aim[prefix]) & (aim[prefix] < end)
                place = np.where(hit, (aim[prefix] - start) / np.where(hit, hazard, 1.0), 0.0).astype(np.int64)
                left = np.where(aim[prefix] < start, machines, np.where(hit, machines - 1 - place, 0))
                deviating[rows, unit] = hit + stream.binomial(np.maximum(left, 0), chance)
                used[prefix] = end
        return deviating

    def _counted(self, stream: Generator, prefix: Integers, deviating: Integers, prefixes: int) -> Integers:
        """Leave out those whose wrong answer is equivalent to the reference output: they stay with the others."""
        population = self.population
        if population.equivalents:
            chance = stream.beta(population.alternatives, population.equivalents, size=prefixes)
        else:
            chance = (stream.random(prefixes) >= population.equivalent).astype(float)
        kept = np.zeros_like(deviating)
        for noise in self.classes:
            members = list(noise.units)
            if noise.shared == 1:  # one customer
                counts = stream.random(prefixes) < chance
                kept[:, members] = deviating[:, members] * counts[prefix, None]
            else:
                kept[:, members] = stream.binomial(deviating[:, members], chance[prefix, None])
        kept[:, self.own] = stream.binomial(deviating[:, self.own], chance[prefix, None])
        return kept

    def _choose(
        self, stream: Generator, movers: Groups, prefixes: int, seats: Integers | None = None
    ) -> tuple[Groups, Integers]:
        """Let deviating machines choose among wrong answers: the new groups, and the prefix that each comes from.

        `seats` has the table of each class at each prefix, shape (classes, prefixes), where classes have chosen before.
        """
        alpha = self.population.alternatives
        if alpha == 0:  # one wrong answer
            return movers._replace(prefix=movers.prefix + prefixes), movers.prefix
        rows, units, numbers, customers = self._customers(movers)
        restaurant = np.zeros(int(customers.max(initial=-1)) + 1, dtype=np.int64)
        restaurant[customers] = movers.prefix[rows]
        order = np.argsort(restaurant, kind="stable")
        known = None if seats is None else self._known(units, customers, restaurant, seats)[order]
        table = np.empty_like(order)
        table[order] = order[seat(stream, restaurant[order], alpha, known)]
        key = table[customers] * len(movers.block) + rows
        _, first, child = np.unique(key, return_index=True, return_inverse=True)
        machines = np.zeros((len(first), movers.machines.shape[1]), dtype=np.int64)
        np.add.at(machines, (child, units), numbers)
        row = rows[first]
        return Groups(movers.block[row], prefixes + table[customers][first], machines), movers.prefix[row]

    def _known(self, units: Integers, customers: Integers, restaurant: Integers, seats: Integers) -> Integers:
        """The place, among all in the order of restaurants, of who first took each customer's table; -1 where new."""
        number = np.full(len(self.power), -1)
        for index, noise in enumerate(self.classes):
            number[list(noise.units)] = index
        which = np.full(len(restaurant), -1)
        which[customers] = number[units]
        chosen = np.flatnonzero(which >= 0)
        label = restaurant[chosen] * len(self.classes) + seats[which[chosen], restaurant[chosen]]
        _, first, same = np.unique(label, return_index=True, return_inverse=True)
        place = np.empty_like(restaurant)
        place[np.argsort(restaurant, kind="stable")] = np.arange(len(restaurant))
        known = np.full(len(restaurant), -1)
        known[chosen] = place[chosen[first[same]]]
        return known

    def _customers(self, movers: Groups) -> tuple[Integers, Integers, Integers, Integers]:
        """List who chooses: row, unit, number of machines and customer; a class with wholly shared noise is one."""
        rows, units, numbers, customers = [], [], [], []
        total = 0
        for noise in self.classes:
            members = movers.machines[:, noise.units]
            row, member = np.nonzero(members)
            _, customer = np.unique(movers.prefix[row], return_inverse=True)
            rows.append(row)
            units.append(np.array(noise.units)[member])
            numbers.append(members[row, member])
            customers.append(total + customer)
            total += int(customer.max(initial=-1)) + 1
        for unit in self.own:
            row = np.repeat(np.arange(len(movers.block)), movers.machines[:, unit])
            rows.append(row)
            units.append(np.full(len(row), unit))
            numbers.append(np.ones(len(row), dtype=np.int64))
            customers.append(total + np.arange(len(row)))
            total += len(row)
        return np.concatenate(rows), np.concatenate(units), np.concatenate(numbers), np.concatenate(customers)


def _any_of(chance: float, times: int) -> float:
    """Chance that something happens at least once in a number of independent tries."""
    return min(-math.expm1(times * math.log1p(-chance)), BELOW_ONE)


def _truncated_geometric(stream: Generator, chance: float, last: int, size: int) -> Integers:
    """Try at which something happens first, given that it does within `last` tries; 1..last."""
    if last == 1:
        return np.ones(size, dtype=np.int64)
    aim = np.log1p(-stream.random(size) * _any_of(chance, last))
    first = np.floor(aim / math.log1p(-chance)) + 1
    place: Integers = np.clip(first, 1, last).astype(np.int64)
    return place
