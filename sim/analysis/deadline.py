"""How often a block misses a deadline, down to probabilities that no simulation of whole blocks would ever see.

Importance splitting for a state without time (subset simulation: Au and Beck 2001; multilevel splitting of a static
state: Botev and Kroese 2012). The state is all that decides a block's latency: the uniforms behind its delays and
execution times, and those of the block before it, which spreads the moments at which nodes begin. Levels of latency are
laid up to the deadline so that about a fifth of the states that reach one reach the next. The states that reach a level
are drawn from anew and moved, a little each time, by steps that keep their law and stay above the level: so they tell
what share goes on to the next. The product of the shares is the probability. Levels are laid in a run of its own, so
that the estimate of each of the runs that follow is unbiased; their scatter gives the interval.

A block that fails, or whose leader is silent, misses every deadline. The deadline must lie below every timeout: up to
then no timer runs out, and the phases are all that happens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.base.errors import EngineError, Problem, ScenarioError
from sim.consensus.protocols import PROTOCOLS
from sim.consensus.timeouts import Timeouts
from sim.engines.phases.chain import Chain
from sim.engines.phases.engine import refusal
from sim.statistics.streams import cell_stream, named_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator
    from numpy.typing import NDArray

    from sim.engines.phases.chain import Voters
    from sim.network.keyed import Address
    from sim.scenario.schema import Scenario

    Floats = NDArray[np.float64]

STATES, RUNS = 100, 10
_SHARE = 0.2  # of the states that reach a level, how many reach the next, about
_MOVES = 6  # steps of each state at each level
_LEVELS_MAX = 100
_FIRST_STEP = 0.5
_MADE = 0.3  # share of steps that stay above the level: fewer, and steps get shorter
_NO_TIMERS = frozenset({"growth", "commit"})


@dataclass(frozen=True, slots=True)
class Misses:
    """How often a block misses a deadline.

    Parameters
    ----------
    deadline_s
        Seconds from the moment at which its leader begins a block until enough replicas have its result.
    probability
        That it takes longer, or fails.
    low, high
        A 95 % interval, from the scatter of independent runs.
    levels
        Latencies in seconds between which states were split; the last is the deadline.
    blocks
        Blocks that were worked out.
    """

    deadline_s: float
    probability: float
    low: float
    high: float
    levels: tuple[float, ...]
    blocks: int


class _Source:
    """Uniforms that can be moved: normals by what is asked for, drawn when they are first needed."""

    def __init__(self, name: str, n: int) -> None:
        self._name, self._n = name, n
        self.stream: Generator
        self.normals: dict[tuple[object, ...], Floats] = {}

    def _drawn(self, place: tuple[object, ...], shape: tuple[int, ...]) -> Floats:
        from scipy.special import ndtr

        place = (self._name, *place)
        if place not in self.normals:
            self.normals[place] = self.stream.standard_normal(shape)
        uniform: Floats = np.clip(ndtr(self.normals[place]), 2.0**-53, 1 - 2.0**-53)
        return uniform

    def row(self, address: Address, sender: int) -> Floats:
        """Those of one sender (see `Uniforms`)."""
        return self._drawn((address, sender), (self._n,))

    def matrix(self, address: Address) -> Floats:
        """Those of all senders (see `Uniforms`)."""
        return self._drawn((address,), (self._n, self._n))

    def column(self, address: Address, receiver: int) -> Floats:
        """Those to one receiver (see `Uniforms`)."""
        return self.matrix(address)[:, receiver].copy()

    def line(self, address: Address, count: int) -> Floats:
        """Those of the address alone (see `Uniforms`)."""
        return self._drawn((address, count), (count,))


@dataclass(slots=True)
class _Point:
    """A state: who takes part in its block and in the one before (None: it fails), its normals, and its latency."""

    voters: tuple[Voters | None, Voters | None]
    normals: dict[tuple[object, ...], Floats]
    latency: float


class _Blocks:
    """Blocks whose draws are at hand."""

    def __init__(self, scenario: Scenario, deadline_s: float, shortest_s: float) -> None:
        self._sources: list[_Source] = []
        self._nodes, self._latest = scenario.node_count, shortest_s - deadline_s
        self._chain = Chain(scenario, self._source)
        self._key, self._height = named_key("deadline", scenario.run.seed), 0
        self.stream = cell_stream(self._key, 0)
        self.worked_out = 0

    def _source(self, key: int) -> _Source:
        source = _Source(f"{key}", self._nodes)
        self._sources.append(source)
        return source

    def begin(self, run: int) -> None:
        """Draw what follows from the stream of a run."""
        self.stream = cell_stream(self._key, run)

    def _latency(self, point: _Point) -> float:
        """Seconds that a block takes after one that went well."""
        for source in self._sources:
            source.normals, source.stream = point.normals, self.stream
        self.worked_out += 1
        before, voters = point.voters
        state = self._chain.start()
        if voters is None:
            return math.inf
        begun = state if before is None else self._chain.race(state, before)[1]._replace(height=2)
        if float(begun.begun[voters.leader]) - begun.first > self._latest:
            raise EngineError("a leader may begin so late that the others' timers run out before the deadline")
        return self._chain.race(begun, voters)[0]

    def fresh(self) -> _Point:
        """A state drawn from its law."""
        self._height += 2
        state = self._chain.start()
        before, voters = (self._chain.voters(state._replace(height=self._height - ago)) for ago in (1, 0))
        point = _Point((before, voters), {}, 0.0)
        point.latency = self._latency(point)
        return point

    def moved(self, point: _Point, step: float, level: float) -> _Point:
        """A state a step away, if that is above a level, else the same (Crank-Nicolson: the normal law stays)."""
        keep = math.sqrt(1 - step * step)
        normals = {
            place: keep * values + step * self.stream.standard_normal(values.shape)
            for place, values in point.normals.items()
        }
        there = _Point(point.voters, normals, 0.0)
        there.latency = self._latency(there)
        return there if there.latency > level else point

    def spread(self, alive: list[_Point], count: int, step: float, level: float) -> tuple[list[_Point], float]:
        """As many states as wanted, drawn from those above a level and moved; and the share of steps that were made."""
        points, made = [], 0
        for start in self.stream.integers(len(alive), size=count):
            point = alive[start]
            for _ in range(_MOVES):
                there = self.moved(point, step, level)
                made += there is not point
                point = there
            points.append(point)
        return points, made / (count * _MOVES)


class _Level(NamedTuple):
    """A latency in seconds, and how far states are moved above it."""

    latency: float
    step: float


def misses(
    scenario: Scenario,
    deadline_s: float,
    *,
    states: int = STATES,
    runs: int = RUNS,
    report: Callable[[float], None] | None = None,
) -> Misses:
    """Estimate how often a block misses a deadline.

    Parameters
    ----------
    scenario
        One that the phases engine can answer; its seed counts.
    deadline_s
        In seconds.
    states
        States of a run.
    runs
        Independent runs, 3 to 30.
    report
        Called with the share that is done.

    Raises
    ------
    EngineError
        The phases engine cannot answer it, or timers may run out before the deadline.
    ScenarioError
        The deadline is not below every timeout.
    """
    refused = refusal(scenario)
    if refused:
        raise EngineError(f"deadlines need the phases engine: {refused}")
    protocol = scenario.consensus.protocol
    if PROTOCOLS.load(protocol).pipelined:
        raise EngineError(f"deadlines need one block after the other (protocol pbft or tendermint, not {protocol})")
    shortest = _shortest_timeout(scenario)
    if not 0 < deadline_s < shortest:
        message = f"must be above 0 and below the shortest timeout ({shortest:g} s)"
        raise ScenarioError([Problem("", message, deadline_s, "the deadline")])
    blocks = _Blocks(scenario, deadline_s, shortest)
    levels = _laid(blocks, deadline_s, states)
    found = []
    for run in range(1, runs + 1):
        blocks.begin(run)
        found.append(_share(blocks, levels, states))
        if report:
            report(run / runs)
    mean, half = float(np.mean(found)), _quantile(runs) * float(np.std(found, ddof=1)) / math.sqrt(runs)
    told = tuple(level.latency for level in levels)
    return Misses(deadline_s, mean, max(mean - half, 0.0), min(mean + half, 1.0), told, blocks.worked_out)


def _shortest_timeout(scenario: Scenario) -> float:
    consensus = scenario.consensus
    timeouts = (consensus.timeouts or Timeouts()).model_dump()
    used = {name for name in PROTOCOLS.load(consensus.protocol).timeouts if name not in _NO_TIMERS}
    return float(min(timeouts[name] for name in (used | {"result"} if consensus.result == "certify" else used)))


def _laid(blocks: _Blocks, deadline_s: float, states: int) -> list[_Level]:
    """Lay levels up to the deadline, each where about a fifth of the states above the one before get."""
    levels: list[_Level] = []
    points, step = [blocks.fresh() for _ in range(states)], _FIRST_STEP
    while len(levels) < _LEVELS_MAX:
        latency = sorted(point.latency for point in points)[int((1 - _SHARE) * states)]
        if latency >= deadline_s or latency <= (levels[-1].latency if levels else 0.0):
            break
        levels.append(_Level(latency, step))
        alive = [point for point in points if point.latency > latency]
        if not alive:
            break
        points, made = blocks.spread(alive, states, step, latency)
        step = min(step * 1.5, 1.0) if made > _MADE else step / 1.5
    return [*levels, _Level(deadline_s, step)]


def _share(blocks: _Blocks, levels: list[_Level], states: int) -> float:
    """The share of blocks that take longer than the last level, level by level."""
    points, share = [blocks.fresh() for _ in range(states)], 1.0
    for level in levels:
        alive = [point for point in points if point.latency > level.latency]
        share *= len(alive) / states
        if not alive or level is levels[-1]:
            break
        points, _ = blocks.spread(alive, states, level.step, level.latency)
    return share


def _quantile(runs: int) -> float:
    """Student's 97.5 % quantile for the mean of so many runs."""
    from scipy.special import stdtrit

    return float(stdtrit(runs - 1, 0.975))
