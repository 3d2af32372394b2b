"""What is explored: the chain of a scenario, without its clock and its network."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sim.base.errors import EngineError
from sim.consensus.protocols import PROTOCOLS
from sim.consensus.protocols.setting import Setting
from sim.consensus.timeouts import Timeouts
from sim.engines.events.draws import answers_of, deviating, powers
from sim.engines.events.engine import refusal
from sim.engines.events.world import CHECKPOINT_INTERVAL

if TYPE_CHECKING:
    from sim.consensus.attackers import Answers
    from sim.consensus.faults import Behaviour
    from sim.consensus.protocols.machine import Machine
    from sim.scenario.schema import Scenario

NODES_MAX = 40
"""Nodes of a chain: what goes wrong with more of them does with fewer, and n^2 messages take their time."""


class Chain(NamedTuple):
    """A chain whose schedules are explored.

    Parameters
    ----------
    machine
        The protocol.
    power
        Voting power of every node.
    quorum, faults
        q and f, in voting power.
    proposes
        Whether results are proposed by the leader.
    rounds
        Rounds of a height.
    timeouts, checkpoint_interval
        As in `Setting`.
    byzantine
        Nodes that are, and
    behaviour
        what they do in those schedules in which they are no twins.
    deviating
        Honest nodes that may compute something else, in lists of those that always answer alike.
    recorded
        Answers to every block, where they are given.
    watched
        Whether machines tell of every phase that they enter.
    """

    machine: type[Machine]
    power: tuple[int, ...]
    quorum: int
    faults: int
    proposes: bool
    rounds: int
    timeouts: Timeouts
    checkpoint_interval: int
    byzantine: frozenset[int]
    behaviour: Behaviour
    deviating: tuple[tuple[int, ...], ...]
    recorded: Answers | None
    watched: bool = False

    @property
    def honest(self) -> list[int]:
        """Nodes that follow the protocol."""
        return [node for node in range(len(self.power)) if node not in self.byzantine]

    @property
    def contested(self) -> bool:
        """Whether honest nodes may compute different results."""
        return bool(self.deviating) or (self.recorded is not None and len(self.recorded.power) > 1)

    def replica(self, node: int, variant: int = 0) -> Machine:
        """Make a node's machine; twins differ in which block they propose."""
        return self.machine(
            Setting(
                node,
                self.power,
                self.quorum,
                self.faults,
                self.proposes,
                self.rounds,
                self.timeouts,
                self.checkpoint_interval,
                watched=self.watched,
                variant=variant,
            )
        )


def chain_of(scenario: Scenario) -> Chain:
    """Take from a scenario what its schedules need.

    Raises
    ------
    EngineError
        It cannot be run message by message, or is too large.
    """
    reason = refusal(scenario)
    if scenario.node_count > NODES_MAX:
        reason = f"it has {scenario.node_count:,} nodes, more than {NODES_MAX}"
    if reason:
        raise EngineError(f"schedules of this cannot be explored: {reason}")
    consensus = scenario.consensus
    lying = {name: scenario.faults.of(name) for name in scenario.nodes}
    byzantine = (node for name, group in scenario.numbering.items() for node in group[len(group) - lying[name] :])
    return Chain(
        PROTOCOLS.load(consensus.protocol),
        powers(scenario),
        scenario.election.quorum,
        scenario.faults_tolerated,
        consensus.result == "propose",
        consensus.rounds_of(scenario.node_count),
        consensus.timeouts or Timeouts(),
        consensus.checkpoint_interval or CHECKPOINT_INTERVAL,
        frozenset(byzantine),
        scenario.faults.behaviour,
        () if scenario.recorded else tuple(map(tuple, deviating(scenario))),
        answers_of(scenario)(1) if scenario.recorded else None,
    )
