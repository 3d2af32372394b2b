"""Blocks that are run message by message, from the state that those before them left.

Nodes that are through with them wait before the next block, so that the phases can go on from there; where waiting
would have made a difference, the stretch is run again, and is twice as long. All draws are keyed, so that the blocks
come out as in a run that is message by message from the start: but for who is first of several that do something at the
same instant, to the last bit, which can only happen where latencies are constant.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sim.base.members import numbers
from sim.consensus.protocols.messages import ResultVote
from sim.consensus.protocols.pbft import Checkpoint
from sim.consensus.protocols.replica import Replica
from sim.engines.events.measures import Measures
from sim.engines.phases.asleep import Asleep
from sim.engines.phases.state import State
from sim.engines.phases.takenup import TakenUp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from sim.consensus.protocols.messages import Message
    from sim.engines.events.node import Node
    from sim.engines.phases.chain import Chain
    from sim.network.links import Flight

    Floats = NDArray[np.float64]

_SLACK_S = 1e-9


class Stretch(TakenUp):
    """Some blocks of a chain; nodes that are through with them wait before the next.

    Parameters
    ----------
    chain
        Whose blocks.
    state
        Where it stands.
    blocks
        How many.
    measures
        An empty one, for what they show.
    failures
        End at that many failing blocks.
    """

    def __init__(self, chain: Chain, state: State, blocks: int, measures: Measures, failures: int | None) -> None:
        self._chain, self._state = chain, state
        self.first, self.starts = state.height, state.first
        self._until = min(state.height + blocks, chain.scenario.run.blocks + 1)
        self._reached: dict[int, float] = {}
        self._last: dict[int, float] = {}
        self._out: set[int] = set()
        self._down: dict[int, float] = {}
        self._torn = False
        self._spoke, self._asked = np.full(chain.n, -math.inf), np.full(chain.n, -math.inf)
        self._usual = (chain.course.proposal, *chain.course.ballots, ResultVote, Checkpoint)
        self.late = False
        """Whether it began too late: a node would have had to know more of the blocks before."""
        super().__init__(chain.scenario, failures=failures, measures=measures)
        self._leaders, self._answers = chain.leaders, chain.answers  # which it has drawn

    def _plan(self) -> None:
        """Put on the calendar what is still to come, and let every node begin when it does (see `World`)."""
        height, now = self._state.height, self.starts
        self.ledger.start_at(height - 1)
        self.ledger.failed = set(self._state.failed)
        self.links.free = self._state.free.tolist()
        for number, asleep in self._state.asleep.items():
            self.nodes[number].become(asleep.copy().machine, asleep.executing)
            self.ledger.put_at(number, asleep.height)
            self._out.add(number)
        for crash in self.scenario.faults.crashes or ():
            for number in numbers(crash.nodes, self.scenario.numbering):
                if crash.until is None or crash.until >= now:
                    self.clock.call_at(max(crash.at, now), self._later(self._crash, number, crash.until is None))
                if crash.until is not None and crash.until >= now:
                    self.clock.call_at(crash.until, self._later(self._recover, number))
        self.clock.call_at(now, lambda _: self._check_able())
        for number, begun in enumerate(self._state.begun.tolist()):
            node = self.nodes[number]
            if node.speaks and isinstance(node.machine, Replica) and number not in self._state.asleep:
                node.machine.stand_at(height - 1)
                self._occupy(node, self._state.devices[number].tolist())
                if math.isfinite(begun):
                    self.clock.call_at(begun, self._later(self._set_out, node, height))

    def _crash(self, number: int, forever: bool, why: str = "crash") -> None:  # noqa: FBT001 -- as in `World`
        node, now = self.nodes[number], self.clock.now
        waits = now < self._state.begun[number] < math.inf and self.first > 1
        self.late = self.late or (waits and not forever)  # its machine knows nothing of the block before
        if node.up and node.speaks:
            self._down[number] = now
            self._torn = self._torn or (number in self._reached and bool(node.executing))
        super()._crash(number, forever, why)
        self._rest()

    def _recover(self, number: int, why: str = "recover") -> None:
        if self._crashes[number] == 1:
            self._down.pop(number, None)
        super()._recover(number, why)

    def closed(self, node: Node, height: int) -> None:
        """A node has closed all heights below one (see `World`); not before it began, by what others have proved."""
        if node.number in self._out:
            super().closed(node, height)
            return
        self._begin_earlier()

    def _begin_earlier(self) -> None:
        """Stop: a node would have had to know more of the blocks before."""
        self.late = True
        if not self._stop.triggered:
            self._stop.succeed()

    def _set_out(self, node: Node, height: int) -> None:
        self._out.add(node.number)
        if not node.up:
            return
        self.late = self.late or node.machine.height >= height
        self.closed(node, height)
        self.begin(node, height)

    def begin(self, node: Node, height: int) -> None:
        """A node begins a height; not the one after the last (see `World`)."""
        if height < self._until:
            if height == self._until - 1:
                self._last.setdefault(node.number, self.clock.now)
            super().begin(node, height)
        elif node.up and node.number not in self._reached:
            self._reached[node.number] = self.clock.now
            if height <= self.blocks:  # after the last block nobody begins another
                node.wait()
            ahead = sum(self.power[number] for number in self._reached) - self.scenario.faults_tolerated
            if 0 < ahead <= self.power[node.number]:
                too_late = self._chain.too_late(self.clock.now) + self._chain.pause + _SLACK_S
                self.clock.call_at(too_late, self._later(self._give_up))
            self._rest()

    def landed(self, message: Message) -> None:
        """The last copy of a message has arrived (see `World`)."""
        super().landed(message)
        self._rest()

    def rested(self, height: int) -> None:
        """A node has executed a block (see `World`)."""
        super().rested(height)
        self._rest()

    def _rest(self) -> None:
        """Stop once all nodes wait before the next block, and nothing is under way."""
        if self.flying or self.working or self._stop.triggered or self._until > self.blocks:
            return
        coming = {node.number for node in self.nodes if node.speaks and node.up}
        if coming and coming <= self._reached.keys():
            self._stop.succeed()

    def broadcast(self, sender: int, message: Message, copy: int) -> None:
        """Send a message to all others (see `World`)."""
        self._note_spoken(sender, message)
        super().broadcast(sender, message, copy)

    def send(self, sender: int, receivers: Sequence[int], message: Message, copy: int) -> None:
        """Send a message to some (see `World`)."""
        self._note_spoken(sender, message)
        super().send(sender, receivers, message, copy)

    def _note_spoken(self, sender: int, message: Message) -> None:
        self.late = self.late or (message.height < self.first and sender not in self._state.asleep)
        if self._chain.wire.bandwidth is not None or isinstance(message, self._chain.course.ballots):
            self._spoke[sender] = self.clock.now

    def _fly(self, message: Message, flight: Flight, size: int) -> None:
        super()._fly(message, flight, size)
        if not isinstance(message, self._usual):  # it may be answered, even by those who have gone on
            self._asked[flight.receivers] = np.maximum(self._asked[flight.receivers], flight.times)
        if message.height < self.first and any(self._forgets(number) for number in flight.receivers):
            self._begin_earlier()

    def _forgets(self, number: int) -> bool:
        """Whether a node could have proved to others what was decided, but has begun here without the proof."""
        return bool(np.isfinite(self._state.begun[number])) and not self._proved(number)

    def _proved(self, number: int) -> int:
        """The last height of which a node can prove here what was decided."""
        machine = self.nodes[number].machine
        return machine.proves if isinstance(machine, Replica) else 0

    def _give_up(self) -> None:
        """Stop once those who have gone on would have made others ask who are still behind."""
        if self._stop.triggered or self._until > self.blocks:
            return
        if any(node.speaks and node.up and node.number not in self._reached for node in self.nodes):
            self._torn = True
            self._stop.succeed()

    # What comes after.

    @property
    def over(self) -> bool:
        """Whether the chain has come to its end."""
        return self.finished

    @property
    def cut_short(self) -> bool:
        """Whether it ended, at the last failure wanted, while some nodes were kept from going on."""
        return self.finished and self._until <= self._chain.scenario.run.blocks and bool(self._reached)

    def left(self) -> State | None:
        """Where the chain stands now; None if the nodes would not have waited as they did."""
        chain, begun = self._chain, np.full(self._chain.n, math.inf)
        begun[list(self._reached)] = list(self._reached.values())
        free, devices, asleep = np.array(self.links.free), self._devices(), self._asleep()
        failed = frozenset(
            height for height in self.ledger.failed if any(height >= node.height for node in asleep.values())
        )
        owed = np.full(chain.n, -math.inf)
        after = State(self._until, begun, free, devices, owed, asleep, failed)
        pending = bool((np.maximum(self._spoke, self._asked) > begun).any())
        missing = any(since > after.first for number, since in self._down.items() if number not in self._reached)
        disturbed = pending or missing or self._torn or chain.turning(after.first, after.last)
        if disturbed or self._asks(after) or self._unclear(after) or not self._answers_those(asleep):
            return None
        return after

    def _answers_those(self, asleep: Mapping[int, Asleep]) -> bool:
        """Whether all could prove what was decided to those who are asleep; who fell asleep too soon, from earlier."""
        if self.first > 1 and any(node.height < self.first for node in asleep.values()):
            self.late = any(self._forgets(number) for number in asleep)
        able = all(self._proved(number) == self._until - 1 for number in self._reached)
        return not self.late and (able or not asleep)

    def _asks(self, after: State) -> bool:
        """Whether nodes that went on would have made one that was still behind ask what it has missed."""
        chain = self._chain
        closed = after.last - chain.pause + _SLACK_S
        last = max(self._last.get(number, math.inf) for number in np.flatnonzero(np.isfinite(after.begun)).tolist())
        ahead = chain.soonest(after.begun)
        return last >= ahead or closed >= chain.too_late(ahead)

    @staticmethod
    def _unclear(after: State) -> bool:
        """Whether it is not known which of several devices still work on blocks before."""
        devices = np.where(np.isfinite(after.devices), after.devices, -math.inf)
        return devices.shape[1] > 1 and bool((devices.max(axis=1) > after.begun).any())

    def _asleep(self) -> dict[int, Asleep]:
        away = self._down.keys() - self._reached.keys() - self._gone
        return {
            number: Asleep(node.machine, node.executing, self.ledger.height_of(number))
            for number, node in enumerate(self.nodes)
            if number in away and isinstance(node.machine, Replica)
        }

    def _devices(self) -> Floats:
        devices = self._state.devices.copy()
        for number, node in enumerate(self.nodes):
            owned = np.isfinite(devices[number])
            devices[number, owned] = np.maximum(devices[number, owned], node.worked_until)
        return devices


def run_stretch(
    chain: Chain, state: State, blocks: int, failures: int | None, measures: Measures
) -> tuple[Stretch, State | None]:
    """Run blocks message by message; more of them, until nodes begin the next as if nothing had kept them waiting.

    Returns
    -------
    stretch, state
        What was run, and where the chain stands; None if it has come to its end.
    """
    while True:
        stretch = Stretch(chain, state, blocks, measures.fresh(), failures)
        stretch.run()
        if stretch.late:
            return stretch, None
        if stretch.over and not stretch.cut_short:
            return stretch, None
        left = None if stretch.over else stretch.left()
        if left is not None or stretch.late:
            return stretch, left
        blocks *= 2
