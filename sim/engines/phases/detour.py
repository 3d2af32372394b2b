"""Blocks that are run message by message, in a chain that has several in flight: from one cut to another.

Machines that stand right below a height begin it when the cut says, and go on until nothing is left of what went wrong:
at some later height, which all nodes began after that, in the plain way, right above the block before. All that the
heights below it bring about is waited for. What happens at that height and above meanwhile is *overlap*: it is worked
out again from the cut that is handed back, and counts nothing. If anything goes wrong in the overlap, a later height is
handed back. All draws are keyed, so that both ways give the same.

What is measured are blocks and messages of the heights below that one; those below the first height too, if they are
sent only now. A detour in which the chain ends has all of it.
"""

from __future__ import annotations

import math
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np

from sim.consensus.protocols.hotstuff_messages import Certification
from sim.consensus.protocols.icc_messages import BeaconShare
from sim.consensus.protocols.messages import ResultVote
from sim.consensus.protocols.pipelined import Pipelined
from sim.engines.events.clock import Delivery
from sim.engines.events.measures import Measures
from sim.engines.phases.cut import Cut
from sim.engines.phases.executions import Executions
from sim.engines.phases.takenup import TakenUp, check_memory
from sim.engines.phases.watch import Watch
from sim.network.keyed import KeyedUniforms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from sim.consensus.protocols.effects import Decide, Timer
    from sim.consensus.protocols.messages import Message
    from sim.engines.events.ledger import Block
    from sim.engines.events.node import Node
    from sim.engines.events.trace import Trace
    from sim.engines.timing import Cause
    from sim.network.links import Flight
    from sim.scenario.schema import Scenario

    Floats = NDArray[np.float64]

_KEPT_HEIGHTS = 64  # after which times that nobody will ask for are dropped
_RESULTS = (ResultVote, Certification)  # which matter to nothing but the results of their own height


class Detour(TakenUp):
    """Some blocks of a chain, from a cut on.

    Parameters
    ----------
    scenario
        Whose blocks; no node crashes at a given time, and uplinks have no bandwidth.
    cut
        Where they begin.
    blocks
        How many at least.
    measures
        An empty one, for all that happens; `seen` has what counts.
    failures
        End at that many failing blocks.
    trace
        Where everything that happens is written, the overlap too.

    Attributes
    ----------
    left : Cut or None
        Where the chain can go on by whole phases; None if it has ended.
    """

    def __init__(
        self,
        scenario: Scenario,
        cut: Cut,
        blocks: int,
        measures: Measures,
        failures: int | None = None,
        trace: Trace | None = None,
    ) -> None:
        self._cut, self.first, self.starts = cut, cut.height, cut.first
        self._watch = Watch(len(cut.begun), cut.height + max(blocks, 1))
        self._sure, self._kept = measures.fresh(), dict[int, Measures]()
        self._overs: dict[int, float] = {}
        self._asked: list[list[tuple[float, int]]] = [[] for _ in cut.begun]
        self._executions = Executions(scenario, lambda key: KeyedUniforms(key, len(cut.begun)))
        self._free = cut.devices
        self._held: dict[int, int] = {}
        self._shared: dict[int, Floats] = {}
        self._closed = {height: closed for height, (_, closed) in cut.backlog.items()}
        self._decided = {height: decided for height, (decided, _) in cut.backlog.items()}
        self._open = dict.fromkeys(range(len(cut.begun)), cut.height)
        self._odd = False
        self.left: Cut | None = None
        super().__init__(scenario, trace, failures=failures, measures=measures)

    # Taking the chain up.

    def _plan(self) -> None:
        """Let machines stand right below the first height, and every node begin when it does (see `World`)."""
        cut = self._cut
        self.ledger.start_at(cut.height)
        self.clock.call_at(self.starts, lambda _: self._check_able())
        self._machines = {node.number: node.machine for node in self.nodes if isinstance(node.machine, Pipelined)}
        self._speaking = [node.number for node in self.nodes if node.speaks]
        if cut.height > 1:
            for number in self._speaking:
                self._machines[number].stand_at(cut.height - 1, cut.counted.get(number))
                self._occupy(self.nodes[number], cut.devices[number].tolist())
                self._close_below(self.nodes[number])
        if cut.shared is not None:
            self._share_beacon(cut.height - 1, cut.shared)
        for number in self._speaking:
            if math.isfinite(cut.begun[number]):
                self.clock.call_at(cut.begun[number], self._later(self.begin, self.nodes[number], cut.height))

    def _close_below(self, node: Node) -> None:
        """Let a node close the heights below when it does, and count the decided ones until then."""
        machine, number = self._machines[node.number], node.number
        for height, (decided, closed) in sorted(self._cut.backlog.items()):
            if self.starts < closed[number] and decided[number] < closed[number]:
                self._at(decided[number], machine.decided_below, height)
            self._at(closed[number], self._close_one, node, height)
        if self._cut.height - 1 not in self._cut.backlog:
            machine.close_below(self._cut.height - 1)

    def _at(self, moment: float, action: Callable[..., None], *arguments: object) -> None:
        """Do something at a moment; at once, if that is past."""
        if moment <= self.starts:
            action(*arguments)
        else:
            self.clock.call_at(float(moment), self._later(action, *arguments))

    def _close_one(self, node: Node, height: int) -> None:
        node.carry_out(self._machines[node.number].close_below(height))

    def _share_beacon(self, height: int, sent: Floats) -> None:
        """Let the shares of the first height's beacon arrive: those that have done so by now, at once."""
        for sender in np.flatnonzero(np.isfinite(sent)).tolist():
            share = BeaconShare(height, 0, sender)
            self._machines[sender].receive(share)
            receivers, times, _ = self.links.broadcast(float(sent[sender]), sender, self.address(share), 0)
            there = int(np.searchsorted(times, self.starts, side="right"))
            for receiver in receivers[:there]:
                self.inbox[receiver](share)
            if there < len(receivers):
                self._watch.starts(height)
                self.flying += 1
                Delivery(self.clock, share, receivers[there:], times[there:], self)

    # What happens, by height.

    def _of(self, height: int) -> Measures:
        """What a height has shown."""
        if height < self._watch.lowest:
            return self._sure
        if height not in self._kept:
            self._kept[height] = self.measures.fresh()
        return self._kept[height]

    def _start(self, node: Node, height: int) -> None:
        machine = self._machines[node.number]
        before = machine.height
        plain = before == height - 1 and machine.carries_nothing
        if height not in self._held:
            self._held[height] = self._times_held
        super()._start(node, height)
        if before < height <= machine.height:
            self._watch.begins(node.number, height, self.clock.now, plain=plain)

    def broadcast(self, sender: int, message: Message, copy: int) -> None:
        """Send a message to all others (see `World`)."""
        self._odd = self._unusual(message, copy)
        if isinstance(message, BeaconShare) and not copy:
            self._mark(self._shared, message.height, sender)
        super().broadcast(sender, message, copy)

    def send(self, sender: int, receivers: Sequence[int], message: Message, copy: int) -> None:
        """Send a message to some (see `World`)."""
        self._odd = self._unusual(message, copy)
        super().send(sender, receivers, message, copy)

    def _unusual(self, message: Message, copy: int) -> bool:
        """Whether a message is sent only where something goes wrong."""
        return copy > 0 or message.round > 0 or type(message) not in self._machines[message.sender].usual

    def _fly(self, message: Message, flight: Flight, size: int) -> None:
        super()._fly(message, flight, size)
        height = message.height
        self._of(height).sent(type(message), flight.transmissions, size, empty=height > self.blocks)
        last = flight.times[-1] if flight.times else self.clock.now
        if flight.receivers:
            self._watch.starts(height)
        if self._odd:
            self._watch.goes_wrong(height, last)
        elif not isinstance(message, _RESULTS):
            self._watch.arrives(height, last)

    def landed(self, message: Message) -> None:
        """The last copy of a message has arrived (see `World`)."""
        super().landed(message)
        if self._watch.ends(message.height):
            self._look()

    def worked(self, number: int, height: int) -> None:
        """A node has a block to execute (see `World`)."""
        super().worked(number, height)
        self._watch.starts(height)
        self._asked[number].append((self.clock.now, height))

    def rested(self, height: int) -> None:
        """A node has executed a block (see `World`)."""
        super().rested(height)
        if self._watch.ends(height):
            self._look()

    def timed_out(self, number: int, timer: Timer) -> None:
        """A timer of a node has run out, and has an effect (see `World`)."""
        super().timed_out(number, timer)
        if not self._machines[number].routine(timer):
            self._watch.goes_wrong(timer.height, self.clock.now)

    def closed(self, node: Node, height: int) -> None:
        """A node has closed all heights below one (see `World`)."""
        for below in range(self._open[node.number], height):
            self._mark(self._closed, below, node.number)
        self._open[node.number] = max(height, self._open[node.number])
        super().closed(node, height)

    def decided(self, number: int, decision: Decide) -> None:
        """An honest node has seen q final votes (see `World`)."""
        super().decided(number, decision)
        self._mark(self._decided, decision.height, number)

    def _mark(self, times: dict[int, Floats], height: int, number: int) -> None:
        """A node does something for the first time at a height, now."""
        if height not in times:
            times[height] = np.full(self.n, math.inf)
        times[height][number] = min(times[height][number], self.clock.now)

    def leave(self, node: Node, height: int) -> None:
        """An honest node has left the last round of a height (see `World`)."""
        self._watch.goes_wrong(height, self.clock.now)
        super().leave(node, height)

    def _count(self, block: Block, cause: Cause | None) -> None:
        super()._count(block, cause)
        self._of(block.height).over(block, cause)
        self._overs[block.height] = self.clock.now

    # Handing it back.

    def _look(self) -> None:
        """Stop if the lowest height that is untouched can be handed back."""
        if self._stop.triggered or self.finished:
            return
        watch = self._watch
        while watch.touched(watch.lowest):
            self._pass_over(watch.lowest)
        if watch.lowest <= self.blocks and self._all_over(watch.lowest):
            if self._in_order(watch.lowest) and self._follows(watch.lowest):
                self.left = self._cut_at(watch.lowest)
                self._stop.succeed()
            else:
                self._pass_over(watch.lowest)

    def _pass_over(self, height: int) -> None:
        kept = self._kept.pop(height, None)
        if kept is not None:
            self._sure.absorb(kept)
        self._held.pop(height, None)
        for times in (self._shared, self._closed, self._decided):
            times.pop(height - _KEPT_HEIGHTS, None)
        self._watch.pass_over()
        if height % _KEPT_HEIGHTS == 0:
            self._free, self._asked = self._executed_below(height)

    def _all_over(self, height: int) -> bool:
        """Whether all has happened that heights below one bring about, and every node has begun it.

        A node may close a height by others' proof before it decides it, and then say its result.
        """
        if self.ledger.first < height or not self._watch.quiet_below(height) or height - 1 not in self._decided:
            return False
        moments = self._watch.begun(height) + self._decided[height - 1]
        return bool(np.isfinite(moments[self._speaking]).all()) and not any(
            self._machines[number].looks_below(height) for number in self._speaking
        )

    def _in_order(self, height: int) -> bool:
        """Whether nodes have executed all below a height before anything else."""
        for executions in self._asked:
            above = [one >= height for _, one in executions]
            if above != sorted(above):
                return False
        return True

    @property
    def _times_held(self) -> int:
        return sum(self._machines[number].held for number in self._speaking)

    def _follows(self, height: int) -> bool:
        """Whether all that flow control does from a height on follows from when those below are decided and closed.

        Where a node decides and wants to go on at the same moment, it matters which is first.
        """
        if self._times_held == self._held[height]:
            return True
        first = self._watch.begun(height).min()
        apart = self._machines[self._speaking[0]].decides_apart
        for below, decided in self._decided.items():
            if below < height and (late := np.isfinite(decided) & (decided > first)).any():
                above = self._decided.get(below + 1)
                if not apart or (above is not None and (decided == above)[late].any()):
                    return False
        return True

    def _executed_below(self, height: int) -> tuple[Floats, list[list[tuple[float, int]]]]:
        """When each device is free after the executions below a height that come first, and the others."""
        below = [list(takewhile(lambda one: one[1] < height, executions)) for executions in self._asked]
        rest = [executions[len(first) :] for first, executions in zip(below, self._asked, strict=True)]
        return self._executions.after(below, self._free), rest

    def _cut_at(self, height: int) -> Cut:
        counted = {number: self._machines[number].copies for number in self._speaking}
        kept = {number: copies for number, copies in counted.items() if copies is not None}
        begun, devices = self._watch.begun(height), self._executed_below(height)[0]
        backlog = self._backlog(height, float(begun.min()))
        return Cut(height, begun, devices, self._shared.get(height - 1), kept, backlog)

    def _backlog(self, height: int, first: float) -> dict[int, tuple[Floats, Floats]]:
        """When nodes decide and close heights below one that some close only after a moment (see `Cut`)."""
        never = np.full(self.n, math.inf)
        return {
            below: (self._decided.get(below, never), self._closed[below])
            for below in sorted(self._closed)
            if below < height and (self._closed[below][self._speaking] > first).any()
        }

    @property
    def seen(self) -> Measures:
        """What counts: what the heights have shown that are below the one handed back, or all."""
        return self.measures if self.left is None else self._sure

    @property
    def over_at(self) -> float:
        """When the last block that counts was over."""
        if self.left is None:
            return self.ended
        return max(time for height, time in self._overs.items() if height < self.left.height)


def run_detour(scenario: Scenario, cut: Cut, blocks: int, failures: int | None, measures: Measures) -> Detour:
    """Run blocks message by message until the chain can go on by whole phases, or has ended.

    Parameters
    ----------
    scenario
        Whose blocks.
    cut
        Where they begin.
    blocks
        How many at least.
    failures
        End at that many failing blocks.
    measures
        Those of the run; `seen` of what is returned is to be absorbed.

    Returns
    -------
    Detour
        `seen` has what it counts, `left` the cut at which the chain can go on, `over_at` when its last block was over.

    Raises
    ------
    EngineError
        There is not enough memory.
    """
    check_memory(scenario, cut.height)
    detour = Detour(scenario, cut, blocks, measures.fresh(), failures)
    detour.run()
    return detour
