"""One block of a long run, as it is in the whole run.

Answers, leaders and delays are functions of the seed and the height, so a block needs none of those before it, if
nothing else is carried from one to the next: then all nodes begin it at one time, as they do in the whole run, and only
the clock differs. `carried_over` tells where that does not hold. There the run goes through the blocks before, and on
until nobody has anything more to say about this one; only what belongs to it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.base.errors import Problem, ScenarioError
from sim.consensus.protocols.replica import WINDOW
from sim.consensus.tally import Outcome
from sim.consensus.timeouts import Timeouts
from sim.engines.events.trace import opened
from sim.engines.events.world import World
from sim.network.schema import Network
from sim.network.topology import Complete

if TYPE_CHECKING:
    from os import PathLike
    from typing import IO

    from sim.engines.events.ledger import Over
    from sim.engines.events.node import Node
    from sim.engines.events.trace import Trace
    from sim.engines.timing import Cause
    from sim.scenario.schema import Scenario

ONE_BY_ONE = frozenset({"pbft", "tendermint"})
"""Protocols whose replicas close a height before they begin the next."""
_IN_STEP = frozenset({"silent", "random", "collude", "amplify"})
_FAR = 8 * WINDOW  # heights behind which even replicas with several in flight say nothing more
_PATIENCE = 10  # times a message's way: shorter timers may run out on some nodes only


@dataclass(frozen=True, slots=True)
class SingleBlock:
    """How one block of a run ended.

    Parameters
    ----------
    height, blocks
        Which block, and of how many.
    outcome, cause
        What became of it, and why it failed; the cause is None if it did not.
    first
        The block that the run began with: itself, or 1.
    reason
        Why that one.
    """

    height: int
    blocks: int
    outcome: str
    cause: Cause | None
    first: int
    reason: str


def carried_over(scenario: Scenario) -> str | None:
    """Why a block cannot be run without those before it; None if it can."""
    return next(_dependences(scenario), None)


def _dependences(scenario: Scenario) -> Iterator[str]:
    if scenario.chained:
        yield "who is away, and whether the chain goes on, depends on the blocks before"
    if scenario.consensus.protocol not in ONE_BY_ONE:
        yield f"{scenario.consensus.protocol} works on several heights at a time"
    yield from _of_the_network(scenario.network or Network())
    yield from _of_the_nodes(scenario)


def _of_the_network(network: Network) -> Iterator[str]:
    seconds: float | None = getattr(network.latency, "constant", None)
    if seconds is None or seconds <= 0:
        yield "latency is drawn, or zero: nodes begin a block one after the other, depending on the block before"
    if not isinstance(network.topology, Complete) or network.bandwidth is not None:
        yield "messages share links: nodes begin a block one after the other, depending on the block before"
    if network.loss or network.duplication or network.reordering or network.gst or network.partitions:
        yield "what goes wrong in the network at a time depends on the blocks before"


def _of_the_nodes(scenario: Scenario) -> Iterator[str]:
    faults = scenario.faults
    if faults.crashes:
        yield "which nodes are down depends on the time, and so on the blocks before"
    if scenario.election.byzantine and faults.behaviour not in _IN_STEP:
        yield f"attackers that {faults.behaviour} make honest nodes begin blocks at different times"
    if len({group.power for group in scenario.nodes.values()}) > 1 or scenario.node_count < 4:
        yield "a few nodes may decide sooner than others, and begin the next block sooner"
    if any(group.executor.seconds_per_request is not None for group in scenario.nodes.values()):
        yield "devices may still be busy with the block before"
    seconds: float = getattr((scenario.network or Network()).latency, "constant", None) or 0.0
    if _soonest(scenario) < _PATIENCE * seconds:
        yield "timeouts are not much longer than messages take"


def _soonest(scenario: Scenario) -> float:
    """The shortest of the timeouts for which nodes wait."""
    timeouts = scenario.consensus.timeouts or Timeouts()
    return min(timeouts.view, timeouts.propose, timeouts.prevote, timeouts.precommit, timeouts.result)


class _SingleWorld(World):
    """A chain that begins with one block, or ends when nothing more can happen to it."""

    def __init__(
        self, scenario: Scenario, height: int, first: int, trace: Trace | None, report: Callable[[float], None] | None
    ) -> None:
        self.height, self.first, self._progress = height, first, report
        self.outcome: str = Outcome.no_quorum.name
        self.cause: Cause | None = "stall"  # where nothing else is heard of the block
        super().__init__(scenario, trace)
        self.ledger.start_at(first)
        slow = scenario.faults.behaviour == "delay" and bool(scenario.election.byzantine)
        margin = 1 if scenario.consensus.protocol in ONE_BY_ONE else _FAR
        self._beyond = None if slow else height + margin

    def begin(self, node: Node, height: int) -> None:
        """A node begins a height (see `World`); not where nobody even begins the first."""
        if self.first == 1 or not self._stop.triggered:
            super().begin(node, max(height, self.first))

    def _over(self, over: Over) -> None:
        if self._stop.triggered:
            return
        super()._over(over)
        height = over.block.height
        if height == self.height:
            failed = over.block.outcome != Outcome.agreed
            self.outcome = over.block.outcome.name
            self.cause = self.circumstances.cause(over.block, over.time) if failed else None
        if self._progress:
            self._progress(min(height / self.height, 1.0))
        if height > self.height and self._settled and not self._stop.triggered:
            self._stop.succeed()

    @property
    def _settled(self) -> bool:
        """Whether nobody will say anything more about the block."""
        speaking = [node for node in self.nodes if node.speaks and node.number not in self._gone]
        return self._beyond is not None and all(
            node.machine.height > self._beyond and not node.executes(self.height) for node in speaking
        )


def run_block(
    scenario: Scenario,
    height: int,
    *,
    trace: str | PathLike[str] | IO[str] | None = None,
    report: Callable[[float], None] | None = None,
) -> SingleBlock:
    """Run one block of a scenario that the events engine can answer.

    Parameters
    ----------
    scenario
        A validated scenario; its `run.blocks` is the length of the run.
    height
        Which block, from 1.
    trace
        A file for what happens at that height. Where the run begins with the block itself, its times count from there;
        otherwise they are those of the whole run.
    report
        Called with the share of the blocks before it that is done.

    Raises
    ------
    ScenarioError
        The run has no such block, has several chains, or ends before it; or the trace cannot be written.
    """
    if (scenario.run.chains or 1) > 1:
        raise ScenarioError([Problem("", "is a block of one chain (set run.chains to 1)", height, "--block")])
    if not 1 <= height <= scenario.run.blocks:
        message = f"must be from 1 to {scenario.run.blocks:,}, the blocks of the run"
        raise ScenarioError([Problem("", message, height, "--block")])
    reason = carried_over(scenario)
    first = height if reason is None else 1
    with opened(trace, scenario, height) as written:
        world = _SingleWorld(scenario, height, first, written, report)
        world.run()
    if world.tried < height:
        message = f"the chain is over after {world.tried:,} blocks, before it comes to this one"
        raise ScenarioError([Problem("", message, height, "--block")])
    told = reason or "nothing is carried over from the blocks before"
    return SingleBlock(height, scenario.run.blocks, world.outcome, world.cause, first, told)
