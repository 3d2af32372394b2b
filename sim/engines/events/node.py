"""A node: a consensus machine, its timers, and an executor with devices."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from simpy import Resource

from sim.consensus.attackers import Attacker
from sim.consensus.protocols.effects import (
    Advance,
    Broadcast,
    Certify,
    Close,
    Decide,
    Effect,
    Enter,
    Execute,
    Leave,
    Return,
    Send,
    SetTimer,
    Timer,
)
from sim.network.keyed import Address

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from simpy import Event
    from simpy.resources.resource import Request

    from sim.consensus.protocols.machine import Machine
    from sim.consensus.protocols.messages import Message
    from sim.engines.events.ledger import Block
    from sim.engines.events.world import World
    from sim.scenario.schema import NodeGroup

Lane = tuple[str, int]


class Node:
    """An honest node.

    Parameters
    ----------
    world
        Where it lives.
    machine
        Its replica of the protocol.
    group
        What it is made of.
    """

    honest = True
    speaks = True
    """Whether it ever says anything: a silent one needs no machine that runs."""

    def __init__(self, world: World, machine: Machine, group: NodeGroup) -> None:
        self.world, self.machine, self.number = world, machine, machine.node
        self.up = True
        self._law, self._devices = group.executor.seconds_per_request, group.devices or 1
        self._slowed = group.executor.slowed
        self._resource = Resource(world.clock, self._devices)
        self._epoch = 0
        self._executing: set[int] = set()
        self._next: deque[tuple[Callable[[int], None], int]] = deque()
        self._busy = False
        self.worked_until = 0.0
        self._timers: dict[Lane, tuple[float, Timer]] = {}
        self._waking: dict[Lane, float] = {}
        self._do: dict[type[Effect], Callable[..., None]] = {
            Broadcast: self._broadcast,
            Send: self._send,
            SetTimer: self._set_timer,
            Execute: self._execute,
            Enter: self._note_phase,
            Decide: self._note_decision,
            Certify: self._note_certified,
            Leave: self._note_leaving,
            Return: self._note_return,
            Close: self._close,
            Advance: self._advance,
        }

    def executes(self, height: int) -> bool:
        """Whether it still executes a height's block."""
        return height in self._executing

    @property
    def executing(self) -> frozenset[int]:
        """Heights whose blocks it executes, or did when it crashed."""
        return frozenset(self._executing)

    def become(self, machine: Machine, executing: Iterable[int]) -> None:
        """Be what a node was just before it crashed."""
        self.machine, self._executing = machine, set(executing)
        self.world.working += len(self._executing)

    def device(self) -> Request:
        """Ask for one of its devices."""
        return self._resource.request()

    # What comes in.

    @property
    def take(self) -> Callable[[Message], Sequence[Effect]]:
        """What takes a message, and gives the effects: the machine itself."""
        return self.machine.receive

    def enter(self, height: int, leaders: Sequence[int], successor: int) -> None:
        """Begin a height."""
        self.carry_out(self.machine.enter(height, leaders, successor))

    def skip(self, height: int) -> None:
        """Pass over a height that has failed for everybody, or begin the first one."""
        self.carry_out((Close(height + 1), Advance(height + 1)))

    def close(self, height: int) -> None:
        """Close a height that has failed for everybody."""
        self.carry_out(self.machine.close(height))

    def wait(self) -> None:
        """Be through with a height: its timers, and those that late messages would set, mean nothing any more."""
        self._timers.clear()
        self._do[SetTimer] = lambda _: None

    def crash(self) -> None:
        """Stop: timers and running executions are lost."""
        self.up = False
        self._epoch += 1
        self._timers.clear()
        self.world.working -= len(self._executing)
        self._resource = Resource(self.world.clock, self._devices)

    def recover(self, height: int | None = None) -> None:
        """Work again, with all that the machine knew; or with the state before a height, fetched from others."""
        again, self._executing = self._executing, set()
        if height is not None:
            again = set()
            self.carry_out((Close(height), Advance(height)))
        if self.machine.height == 0:
            self.skip(0)
            return
        self.carry_out(self.machine.resume())
        self.carry_out([Execute(height) for height in sorted(again)])

    # What goes out.

    def carry_out(self, effects: Sequence[Effect]) -> None:
        """Do what the machine asks for, and after it what that has made possible."""
        do = self._do
        for effect in effects:
            do[type(effect)](effect)
        if self._next and not self._busy:
            self._busy = True
            while self._next:
                action, height = self._next.popleft()
                action(height)
            self._busy = False

    def _broadcast(self, effect: Broadcast) -> None:
        self.world.broadcast(self.number, effect.message, effect.copy)

    def _send(self, effect: Send) -> None:
        self.world.send(self.number, effect.receivers, effect.message, effect.copy)

    def _close(self, effect: Close) -> None:
        self.world.closed(self, effect.height)

    def _advance(self, effect: Advance) -> None:
        self._next.append((self._begin, effect.height))

    def _begin(self, height: int) -> None:
        self.world.begin(self, height)

    # Timers: one pending event for each kind and lane, moved on when it turns out to be early.

    def _set_timer(self, effect: SetTimer) -> None:
        deadline = self.world.clock.now + effect.seconds
        lane = (effect.timer.kind, effect.lane)
        self._timers[lane] = (deadline, effect.timer)
        if self._waking.get(lane, deadline + 1) > deadline:
            self._wake_at(lane, deadline)

    def _wake_at(self, lane: Lane, deadline: float) -> None:
        self._waking[lane] = deadline
        self.world.clock.call_at(deadline, lambda _: self._wake(lane, deadline))

    def _wake(self, lane: Lane, moment: float) -> None:
        if self._waking.get(lane) != moment:
            return
        del self._waking[lane]
        if lane not in self._timers or self.world.finished:
            return
        deadline, timer = self._timers[lane]
        if deadline > moment:
            self._wake_at(lane, deadline)
            return
        del self._timers[lane]
        effects = self.machine.expire(timer)
        if effects:
            self.world.timed_out(self.number, timer)
        self.carry_out(effects)

    # Execution: every request of a block takes a device for a while.

    def _execute(self, effect: Execute) -> None:
        if self._law is None or effect.height > self.world.blocks:
            self._next.append((self._executed, effect.height))
            return
        self._executing.add(effect.height)
        self.world.worked(self.number, effect.height)
        self.world.clock.process(self._work(effect.height, self._epoch))

    def _work(self, height: int, epoch: int) -> Generator[Event]:
        clock = self.world.clock
        requests = range(self.world.scenario.workload.requests_per_block)
        yield clock.all_of([clock.process(self._request(height, request)) for request in requests])
        if epoch == self._epoch:  # otherwise it was lost in a crash
            self._executing.discard(height)
            self._executed(height)
            self.world.rested(height)

    def _request(self, height: int, request: int) -> Generator[Event]:
        assert self._law is not None  # noqa: S101 -- there is work only with a law
        seconds = self._law.constant
        if seconds is None:
            uniforms = self.world.execution_draws.row(Address(height, request, 0), 0)
            seconds = float(self._law.quantile(uniforms[self.number : self.number + 1])[0])
        with self.device() as device:
            yield device
            yield self.world.clock.timeout(seconds * self._slowed)
            self.worked_until = self.world.clock.now

    def _executed(self, height: int) -> None:
        results = self._results(height) if height <= self.world.blocks else (0,)
        if self.world.trace:
            self.world.trace.executed(self.world.clock.now, self.number, height, results)
        self.carry_out(self.machine.executed(height, results))

    def _results(self, height: int) -> tuple[int, ...]:
        return (self.world.answers(height).results[self.number],)

    # What the ledger and the trace hear.

    def _note_phase(self, effect: Enter) -> None:
        if self.world.trace:
            self.world.trace.phase(self.world.clock.now, self.number, effect.height, effect.round, effect.phase)

    def _note_decision(self, effect: Decide) -> None:
        self.world.decided(self.number, effect)
        block = self._block(effect.height)
        if block is not None:
            self.world.ledger.decided(self.number, block, effect.value, effect.round)
            if effect.value.result is not None:
                self.world.ledger.holds(self.number, block, effect.value.result, self.world.clock.now)
            self.world.ledger.judge(self.number, block, self.world.clock.now)

    def _note_certified(self, effect: Certify) -> None:
        if self.world.trace:
            self.world.trace.certified(self.world.clock.now, self.number, effect.height, effect.result)
        block = self._block(effect.height)
        if block is not None and effect.result is not None:
            self.world.ledger.holds(self.number, block, effect.result, self.world.clock.now)
            self.world.ledger.judge(self.number, block, self.world.clock.now)

    def _note_leaving(self, effect: Leave) -> None:
        self.world.leave(self, effect.height)

    def _note_return(self, effect: Return) -> None:
        block = self._block(effect.height)
        if block is not None:
            block.left.discard(self.number)

    def _block(self, height: int) -> Block | None:
        return self.world.ledger.blocks.get(height)


class ByzantineNode(Node):
    """A node that bends what its machine is told and what it says."""

    honest = False

    def __init__(self, world: World, machine: Machine, group: NodeGroup) -> None:
        super().__init__(world, machine, group)
        faults = world.scenario.faults
        self._attacker = Attacker(machine, faults.behaviour, world.honest)
        self.speaks = faults.behaviour != "silent"
        self._late = faults.delay
        self._law = None

    @property
    def take(self) -> Callable[[Message], Sequence[Effect]]:
        """What takes a message: those of fellows may be a sign to act."""
        return self._hear

    def _hear(self, message: Message) -> Sequence[Effect]:
        for effect in self._attacker.hears(message, self.world.answers(message.height)):
            self._send_bent(effect)
        return self.machine.receive(message)

    def _broadcast(self, effect: Broadcast) -> None:
        self._bend(effect)

    def _send(self, effect: Send) -> None:
        self._bend(effect)

    def _bend(self, effect: Broadcast | Send) -> None:
        for bent in self._attacker.says(effect, self.world.answers(effect.message.height)):
            self._send_bent(bent)

    def _send_bent(self, effect: Broadcast | Send) -> None:
        late = self._lateness(effect.message)
        if late:
            clock = self.world.clock
            clock.call_at(clock.now + late, lambda _: self._say(effect))
        else:
            self._say(effect)

    def _say(self, effect: Broadcast | Send) -> None:
        if not self.up or self.world.finished:
            return
        if isinstance(effect, Broadcast):
            super()._broadcast(effect)
        else:
            super()._send(effect)

    def _lateness(self, message: Message) -> float:
        if self._late is None:
            return 0.0
        if self._late.constant is not None:
            return self._late.constant
        uniforms = self.world.lateness_draws.row(self.world.address(message), 0)
        return float(self._late.quantile(uniforms[self.number : self.number + 1])[0])

    def _results(self, height: int) -> tuple[int, ...]:
        behaviour = self.world.scenario.faults.behaviour
        return self.world.answers(height).claims(behaviour, self.number)

    def _note_decision(self, effect: Decide) -> None:
        """Nobody asks a Byzantine node what it decided."""

    def _note_certified(self, effect: Certify) -> None:
        """Nor what it certified."""

    def _note_leaving(self, effect: Leave) -> None:
        """Nor whether it has given up."""

    def _note_return(self, effect: Return) -> None:
        """Nor whether it is back."""
