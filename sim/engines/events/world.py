"""The world that replicas live in: a clock, a network, and nodes that carry out what their machines ask for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sim.base.members import numbers
from sim.consensus.protocols import PROTOCOLS
from sim.consensus.protocols.machine import NOTHING
from sim.consensus.protocols.setting import Setting
from sim.consensus.tally import Outcome
from sim.consensus.timeouts import Timeouts
from sim.engines.chains.measures import batch_of
from sim.engines.events.causes import Circumstances
from sim.engines.events.clock import Clock, Delivery
from sim.engines.events.course import Course
from sim.engines.events.draws import Leaders, among, answers_of, powers, unanimous
from sim.engines.events.ledger import Block, Ledger, Over
from sim.engines.events.measures import Measures
from sim.engines.events.node import ByzantineNode, Node
from sim.network.keyed import Address, KeyedUniforms
from sim.network.links import Links
from sim.network.schema import Network
from sim.statistics.counts import Task
from sim.statistics.streams import named_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simpy import Event

    from sim.consensus.attackers import Answers
    from sim.consensus.protocols.effects import Decide, Effect, Timer
    from sim.consensus.protocols.messages import Message
    from sim.engines.events.trace import Trace
    from sim.engines.timing import Cause
    from sim.network.links import Flight
    from sim.scenario.schema import Scenario

ENGINE = "events"
CHECKPOINT_INTERVAL = 100
FLUSHING = 16  # heights after the last block that are begun at once
IDLE_S = 1.0  # pause before each of those that come after, for whoever may hold the last blocks open
_RETOLD_MAX = 256  # heights of which is kept who was away; answers to them may be asked for later


class World:
    """A chain that runs, message by message.

    Parameters
    ----------
    scenario
        A validated scenario for which the engine's `refusal` is None.
    trace
        Where everything that happens is written.
    report
        Called after every block that is over.
    failures
        End at that many failing blocks; None, after `run.blocks` only.
    measures
        What earlier chains have shown, to which this one's is added.
    """

    first = 1
    """The height that it begins with."""
    starts = 0.0
    """When it begins, in seconds."""

    def __init__(
        self,
        scenario: Scenario,
        trace: Trace | None = None,
        report: Callable[[Measures], None] | None = None,
        failures: int | None = None,
        measures: Measures | None = None,
    ) -> None:
        self.scenario, self.trace, self._report, self._failures = scenario, trace, report, failures
        self.clock, self.network = Clock(self.starts), scenario.network or Network()
        self.power = powers(scenario)
        self.n, self.blocks = len(self.power), scenario.run.blocks
        seed = scenario.run.seed
        self.links = Links(self.network, regions_of(scenario), scenario.numbering, seed)
        lying = [scenario.faults.of(name) for name in scenario.numbering]
        numbering = list(scenario.numbering.values())
        self.honest = [node for group, b in zip(numbering, lying, strict=True) for node in group[: len(group) - b]]
        self.measures = measures or Measures(Task(scenario.scenario_id, ENGINE, seed))
        self._before = self.measures.blocks
        consensus, election = scenario.consensus, scenario.election
        self.proposes, self.quorum = consensus.result == "propose", election.quorum
        self.rounds = scenario.rounds
        self.ledger = Ledger(self.power, self.honest, self.quorum, scenario.faults_tolerated, self._over)
        self.circumstances = Circumstances(
            self.power, election, frozenset(self.honest), self.proposes, self.network.partitions
        )
        self._leaders, self._answers = Leaders(self.power, seed, self.rounds), answers_of(scenario)
        self._unanimous = unanimous(self.honest, self.power)
        self._retold: dict[int, Answers] = {}
        self.course = Course(self, batch_of(scenario)) if scenario.chained else None
        self._make_nodes(scenario.faults_tolerated)
        self._able = {node.number for node in self.nodes if node.speaks}
        self.execution_draws = KeyedUniforms(named_key("execution", seed), self.n)
        self.lateness_draws = KeyedUniforms(named_key("lateness", seed), self.n)
        self._gone: set[int] = set()
        self._crashes: Counter[int] = Counter()
        self.flying = self.working = 0
        self.ended = 0.0
        self._stop = self.clock.event()
        self._plan()

    def _make_nodes(self, faults: int) -> None:
        consensus = self.scenario.consensus
        make = PROTOCOLS.load(consensus.protocol)
        honest = set(self.honest)
        self.nodes: list[Node] = []
        for name, group in self.scenario.numbering.items():
            for number in group:
                setting = Setting(
                    number,
                    self.power,
                    self.quorum,
                    faults,
                    self.proposes,
                    self.rounds,
                    consensus.timeouts or Timeouts(),
                    consensus.checkpoint_interval or CHECKPOINT_INTERVAL,
                    self.trace is not None,
                )
                kind = Node if number in honest else ByzantineNode
                self.nodes.append(kind(self, make(setting), self.scenario.nodes[name]))
        phases = self.nodes[0].machine.messages
        self._phase = {kind: index for index, kind in enumerate(phases)}
        self.inbox = [node.take if node.speaks else _drop for node in self.nodes]

    def _plan(self) -> None:
        """Put what happens at given times on the calendar: crashes, recoveries, splits for good, and the start."""
        for crash in self.scenario.faults.crashes or ():
            for number in numbers(crash.nodes, self.scenario.numbering):
                self.clock.call_at(crash.at, self._later(self._crash, number, crash.until is None))
                if crash.until is not None:
                    self.clock.call_at(crash.until, self._later(self._recover, number))
        for partition in self.network.partitions:
            if partition.end is None:
                self.clock.call_at(partition.start, self._later(self._separate))
        self.clock.call_at(0.0, lambda _: self._check_able())
        for node in self.nodes:
            if node.speaks:
                self.clock.call_at(0.0, self._later(self.begin, node, 1))

    @staticmethod
    def _later(action: Callable[..., None], *arguments: object) -> Callable[[Event], None]:
        return lambda _: action(*arguments)

    def run(self) -> None:
        """Run until all blocks are over."""
        if not self.finished:
            self.clock.run(until=self._stop)

    # What nodes ask for.

    def broadcast(self, sender: int, message: Message, copy: int) -> None:
        """Send a message to all others."""
        now = self.clock.now
        size = self._size(message)
        self._fly(message, self.links.broadcast(now, sender, self.address(message, copy), size), size)

    def send(self, sender: int, receivers: Sequence[int], message: Message, copy: int) -> None:
        """Send a message to some."""
        if not receivers:
            return
        now = self.clock.now
        size = self._size(message)
        self._fly(message, self.links.send(now, sender, receivers, self.address(message, copy), size), size)

    def address(self, message: Message, copy: int = 0) -> Address:
        """What decides, with sender and receiver, how long a message takes."""
        return Address(message.height, message.round, self._phase[type(message)], copy)

    def _size(self, message: Message) -> int:
        return self.network.vote_bytes * message.weight + (self.network.block_bytes if message.block else 0)

    def _fly(self, message: Message, flight: Flight, size: int) -> None:
        self.measures.sent(type(message), flight.transmissions, size, empty=message.height > self.blocks)
        if self.trace:
            self.trace.sent(self.clock.now, message, flight.receivers, flight.times)
        if flight.receivers:
            self.flying += 1
            Delivery(self.clock, message, flight.receivers, flight.times, self)

    @property
    def done(self) -> int:
        """Blocks that are over."""
        return self.measures.blocks - self._before

    @property
    def tried(self) -> int:
        """Blocks that are over, with those before the first."""
        return self.first - 1 + self.done

    @property
    def finished(self) -> bool:
        """Whether all blocks are over; what is on its way still arrives, but no timer runs out any more."""
        return self.tried >= self.blocks

    def landed(self, message: Message) -> None:  # noqa: ARG002 -- some worlds keep books by height
        """The last copy of a message has arrived."""
        self.flying -= 1
        if self.finished:
            self._end()

    def worked(self, number: int, height: int) -> None:  # noqa: ARG002 -- the same
        """A node has a block to execute."""
        self.working += 1

    def rested(self, height: int) -> None:  # noqa: ARG002 -- the same
        """A node has executed a block."""
        self.working -= 1
        if self.finished:
            self._end()

    def timed_out(self, number: int, timer: Timer) -> None:
        """A timer of a node has run out, and has an effect."""
        if self.trace:
            self.trace.timeout(self.clock.now, number, timer)

    def decided(self, number: int, decision: Decide) -> None:
        """An honest node has seen q final votes."""
        if self.trace:
            self.trace.decided(self.clock.now, number, decision.height, decision.round, decision.value)

    def answers(self, height: int) -> Answers:
        """What all nodes compute for a height's block; after the last one there is nothing to disagree about."""
        if height > self.blocks:
            return self._unanimous
        block = self.ledger.blocks.get(height)
        return block.answers if block else self._retold.get(height) or self._answers(height)

    def closed(self, node: Node, height: int) -> None:
        """A node has closed all heights below one."""
        if node.honest:
            self.ledger.advanced(node.number, height, self.clock.now)
            if self.course:
                self.course.closes(node.number)

    def begin(self, node: Node, height: int) -> None:
        """A node begins a height, if there is anything to do; long after the last block it does so at leisure."""
        if height > self.blocks + FLUSHING:
            self.clock.call_at(self.clock.now + IDLE_S, self._later(self._start, node, height))
        else:
            self._start(node, height)

    def _start(self, node: Node, height: int) -> None:
        machine = node.machine
        needed = height <= self.blocks or (machine.pipelined and not self.finished)
        if not needed or not node.up or machine.height >= height:
            return
        if height in self.ledger.failed and not machine.pipelined:
            node.skip(height)
            return
        leaders = self._leaders.of(height)
        if self.ledger.first <= height <= self.blocks:
            if machine.pipelined:  # which may pass over heights, all together
                for passed in range(self.ledger.first, height):
                    self._block(passed, self._leaders.of(passed))
            self.ledger.entered(node.number, self._block(height, leaders), self.clock.now)
        node.enter(height, leaders, self._leaders.of(height + 1)[0])
        if height in self.ledger.failed:
            node.close(height)

    def _block(self, height: int, leaders: Sequence[int]) -> Block:
        block = self.ledger.blocks.get(height)
        if block is None:
            absent = self.course.begins(height) if self.course else frozenset()
            counter = self._leaders.of(height + 1)[0] if self.nodes[0].machine.collected else None
            block = Block(height, leaders, self._answered(height, absent), self.clock.now, absent, counter)
            self.ledger.blocks[height] = block
            if self.trace:
                self.trace.block(self.clock.now, block)
        return block

    def _answered(self, height: int, absent: frozenset[int]) -> Answers:
        """What all nodes compute for a block that begins; some are away."""
        answers = self._answers(height)
        if absent:
            answers = self._retold[height] = among(answers, absent, self.power)
            while len(self._retold) > _RETOLD_MAX:
                del self._retold[next(iter(self._retold))]
        return answers

    def leave(self, node: Node, height: int) -> None:
        """An honest node has left the last round of a height."""
        block = self.ledger.blocks.get(height)
        if block is not None:
            self.ledger.left(node.number, block)
            self._check_hopeless(height)

    def _check_hopeless(self, height: int) -> None:
        if self.ledger.hopeless(height):
            self.ledger.failed.add(height)
            self.clock.call_at(self.clock.now, self._later(self._close, height))

    def _close(self, height: int) -> None:
        """Close a height that has failed for everybody."""
        if self._stop.triggered:
            return
        for node in self.nodes:
            if node.up and node.speaks:
                node.close(height)

    def _over(self, over: Over) -> None:
        if self._stop.triggered or self.finished:
            return
        block = over.block
        self.ended = over.time
        cause = None if block.outcome == Outcome.agreed else self.circumstances.cause(block, over.time)
        self._count(block, cause)
        if self.trace:
            self.trace.over(over.time, block, cause)
        if self.course:
            self.course.over(block, cause)
            if self.course.chronicle.over:
                self.blocks = self.tried
        if self._report:
            self._report(self.measures)
        if self._failures is not None and self.measures.failures >= self._failures:
            self.blocks = self.tried
        if self.finished:
            self._end()

    def _count(self, block: Block, cause: Cause | None) -> None:
        """Count a block that is over; it failed if there is a cause."""
        self.measures.over(block, cause)

    def _end(self) -> None:
        """Stop once no message is on its way and nobody executes: late votes belong to the last block too."""
        if not self.flying and not self.working and not self._stop.triggered:
            self._stop.succeed()

    # What happens to nodes.

    def lose(self, number: int, *, lasting: bool) -> None:
        """A node goes away because its answer lost; where that is lasting, nobody waits for what it has decided."""
        if lasting:
            self.ledger.gone.add(number)
        self._crash(number, self.scenario.recovery is not None and bool(self.scenario.recovery.never), "diverge")

    def bring_back(self, number: int) -> None:
        """It has the state that others have reached, and takes part again."""
        if number not in self._gone:
            self.ledger.gone.discard(number)
        self._recover(number, "return")

    def _crash(self, number: int, forever: bool, why: str = "crash") -> None:  # noqa: FBT001 -- called by the calendar
        node = self.nodes[number]
        self._crashes[number] += 1
        if forever:
            self._gone.add(number)
            self.ledger.gone.add(number)
        if node.up:
            self._note(why, number)
            node.crash()
            self.inbox[number] = _drop
            self.links.down.add(number)
            if node.honest:
                self.ledger.down(number, self.clock.now)
        if forever:
            self._separate()
        self._check_all()
        if self.finished:
            self._end()

    def _recover(self, number: int, why: str = "recover") -> None:
        self._crashes[number] -= 1
        node = self.nodes[number]
        if self._crashes[number]:
            return
        self._note(why, number)
        self.links.down.discard(number)
        node.up = True
        if not node.speaks:
            return
        self.inbox[number] = node.take
        if node.honest and number in self._able:
            self.ledger.up(number)
        node.recover(self.ledger.reached if why == "return" else None)
        for height in sorted(self.ledger.failed):
            node.close(height)

    def _separate(self) -> None:
        """Some nodes are gone, or the network is split, for good: only the strongest part goes on."""
        parts = self.links.parts(self.clock.now, self._gone)
        strongest = max(
            parts, key=lambda part: sum(self.power[node] for node in part if node in self._able), default=()
        )
        for number in sorted(self._able - set(strongest)):
            self._able.discard(number)
            self.ledger.gone.add(number)
            if number not in self._gone:
                self._note("cut", number)
            if self.nodes[number].honest:
                self.ledger.down(number, self.clock.now)
        self._check_able()
        self._check_all()

    def _note(self, event: str, number: int) -> None:
        if self.trace:
            self.trace.changed(self.clock.now, event, number)

    def _check_all(self) -> None:
        for block in self.ledger.pending():
            self._check_hopeless(block.height)

    def _check_able(self) -> None:
        """End the run if no quorum can ever vote again: all that is not decided fails."""
        able = sum(self.power[number] for number in self._able) >= self.quorum
        if (able and self._able & self.circumstances.honest) or self._stop.triggered:
            return
        height = self.tried + 1
        for block in self.ledger.pending():
            if block.results and block.height == self.tried + 1:
                self._over(Over(block, self.clock.now))
                height = block.height + 1
        rest = self.blocks - height + 1
        if self.course and rest > 0:
            rest = self.course.stalls(rest)
        self.ended = self.clock.now
        if self.trace and rest and self.first == 1:
            self.trace.stalled(self.clock.now, height, rest)
        if rest:
            self.measures.failed(height, Outcome.no_quorum, "stall", rest)
        if not self._stop.triggered:
            self._stop.succeed()


def _drop(_: Message) -> tuple[Effect, ...]:
    """What arrives at a node that is down."""
    return NOTHING


def regions_of(scenario: Scenario) -> list[str]:
    """Region of every node."""
    return [scenario.nodes[name].region or "" for name, group in scenario.numbering.items() for _ in group]
