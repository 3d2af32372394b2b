"""All machines of a chain, and all that is pending: letters, timers, executions. It carries out the steps it is told.

The driver decides nothing: each step is possible or not, and what follows from it is carried out at once and in order.
So the same steps always give the same run, and any part of a list of steps is a list of steps.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, NamedTuple, Protocol

from sim.analysis.explorer.steps import Deliver, Expire, Finish, Restart, Step, machine_of
from sim.analysis.explorer.twin import Twin
from sim.consensus.attackers import Answers, Attacker
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

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sim.analysis.explorer.chain import Chain
    from sim.analysis.explorer.circumstances import Circumstances
    from sim.consensus.protocols.machine import Machine
    from sim.consensus.protocols.messages import Message

_TWINS = 2


class Actor(NamedTuple):
    """One machine: several may go by the name of one Byzantine node.

    Parameters
    ----------
    number
        Its own number.
    node
        Whose name it speaks in.
    machine
        Its replica.
    liar
        What bends its words; None where it is honest.
    """

    number: int
    node: int
    machine: Machine
    liar: Attacker | Twin | None

    @property
    def honest(self) -> bool:
        """Whether it follows the protocol."""
        return self.liar is None

    @property
    def label(self) -> str:
        """Its name: twins are told apart by a letter."""
        return f"{self.node}{'ab'[self.machine.setting.variant]}" if isinstance(self.liar, Twin) else str(self.node)


class Watcher(Protocol):
    """Who wants to know what happens."""

    def sent(self, actor: Actor, message: Message, receivers: Sequence[int]) -> None:
        """A machine has sent a message, to some machines."""

    def decided(self, actor: Actor, effect: Decide, step: Step | None) -> None:
        """A machine has decided, in some step."""

    def certified(self, actor: Actor, effect: Certify) -> None:
        """A machine has left the vote on results."""

    def entered(self, actor: Actor, effect: Enter) -> None:
        """A machine has entered a phase, where the chain is watched."""

    def failed(self, height: int, error: Exception) -> None:
        """A machine has raised an error, at some height."""


class Driver:
    """All machines of a chain, in one schedule.

    Parameters
    ----------
    chain, circumstances
        What is explored, and what the schedule has fixed.
    watchers
        Who is told.
    """

    def __init__(self, chain: Chain, circumstances: Circumstances, watchers: Sequence[Watcher] = ()) -> None:
        self.chain, self._circumstances, self._watchers = chain, circumstances, watchers
        self.actors = _actors(chain, circumstances)
        self.heights = circumstances.heights
        self.honest = [actor.number for actor in self.actors if actor.honest]
        self._of: dict[int, list[int]] = defaultdict(list)
        for actor in self.actors:
            self._of[actor.node].append(actor.number)
        self._peers = [[other.number for other in self.actors if other.node != actor.node] for actor in self.actors]
        self.fresh: list[Deliver | Finish] = []
        """What has become possible in the last steps, for whoever chooses the next one; to be taken away."""
        self.timers: dict[tuple[int, str, int], tuple[float, Timer]] = {}
        self.reached = [1 for _ in self.actors]
        self.now = 0.0
        self._letters: set[Deliver] = set()
        self._executing: set[Finish] = set()
        self._left: dict[int, set[int]] = defaultdict(set)
        self._decided: set[int] = set()
        self._todo: deque[tuple[int, Effect]] = deque()
        self._step: Step | None = None
        try:
            for actor in self.actors:
                self._enter(actor, 1)
        except Exception as error:  # noqa: BLE001 -- of a protocol that may be anybody's
            self._fail(1, error)

    # Steps.

    def take(self, step: Step) -> bool:
        """Carry out a step, if it is possible; tell whether it was."""
        self._step = step
        try:
            return self._take(step)
        except Exception as error:  # noqa: BLE001 -- of a protocol that may be anybody's
            self._fail(self.actors[machine_of(step)].machine.height, error)
            return True

    def _fail(self, height: int, error: Exception) -> None:
        self._todo.clear()
        for watcher in self._watchers:
            watcher.failed(height, error)

    def _take(self, step: Step) -> bool:
        match step:
            case Deliver():
                return self._deliver(step)
            case Expire(number, timer, lane):
                due, pending = self.timers.get((number, timer.kind, lane), (0.0, None))
                if pending != timer:
                    return False
                del self.timers[number, timer.kind, lane]
                self.now = max(self.now, due)
                self._carry_out(number, self.actors[number].machine.expire(timer))
            case Finish(number, height):
                if step not in self._executing:
                    return False
                self._executing.discard(step)
                actor = self.actors[number]
                self._carry_out(number, actor.machine.executed(height, self.results(actor, height)))
            case Restart(number):
                for key in [key for key in self.timers if key[0] == number]:
                    del self.timers[key]
                self._carry_out(number, self.actors[number].machine.resume())
        return True

    def _deliver(self, step: Deliver) -> bool:
        if step not in self._letters:
            return False
        actor, message = self.actors[step.receiver], step.message
        if actor.liar is not None:
            self._carry_out(step.receiver, tuple(actor.liar.hears(message, self._answers(message.height))), bent=True)
        self._carry_out(step.receiver, actor.machine.receive(message))
        return True

    @property
    def finished(self) -> bool:
        """Whether every honest machine has closed the last height."""
        return all(self.reached[number] > self.heights for number in self.honest)

    # What machines ask for.

    def _carry_out(self, number: int, effects: Iterable[Effect], *, bent: bool = False) -> None:
        """Carry out what a machine asks for, and what follows from that, in order."""
        idle = not self._todo
        if not bent and self.actors[number].liar is not None:
            effects = self._bent(number, effects)
        self._todo.extend((number, effect) for effect in effects)
        while idle and self._todo:
            self._do(*self._todo[0])
            self._todo.popleft()

    def _bent(self, number: int, effects: Iterable[Effect]) -> Iterable[Effect]:
        liar = self.actors[number].liar
        assert liar is not None  # noqa: S101 -- asked of liars only
        for effect in effects:
            if isinstance(effect, Broadcast | Send):
                yield from liar.says(effect, self._answers(effect.message.height))
            else:
                yield effect

    def _do(self, number: int, effect: Effect) -> None:
        actor = self.actors[number]
        match effect:
            case Broadcast(message):
                self._send(actor, self._peers[number], message)
            case Send(receivers, message):
                self._send(actor, [one for node in receivers for one in self._of[node]], message)
            case SetTimer(timer, seconds, lane):
                self.timers[number, timer.kind, lane] = (self.now + seconds, timer)
            case Execute(height):
                finish = Finish(number, height)
                self._executing.add(finish)
                self.fresh.append(finish)
            case Close(height):
                self.reached[number] = max(height, self.reached[number])
            case Advance(height):
                self._enter(actor, height)
            case _ if actor.honest:
                self._tell(actor, effect)

    def _tell(self, actor: Actor, effect: Effect) -> None:
        """What an honest machine says about itself."""
        match effect:
            case Decide(height):
                self._decided.add(height)
                for watcher in self._watchers:
                    watcher.decided(actor, effect, self._step)
            case Certify():
                for watcher in self._watchers:
                    watcher.certified(actor, effect)
            case Enter():
                for watcher in self._watchers:
                    watcher.entered(actor, effect)
            case Leave(height):
                self._left[height].add(actor.number)
                self._close_if_hopeless(height)
            case Return(height):
                self._left[height].discard(actor.number)

    def _send(self, actor: Actor, receivers: Sequence[int], message: Message) -> None:
        for watcher in self._watchers:
            watcher.sent(actor, message, receivers)
        letters = [Deliver(actor.number, receiver, message) for receiver in receivers]
        self._letters.update(letters)
        self.fresh += letters

    def _enter(self, actor: Actor, height: int) -> None:
        leaders = self._circumstances.leaders
        if actor.machine.height < height <= len(leaders):
            successor = leaders[height % len(leaders)][0]
            self._carry_out(actor.number, actor.machine.enter(height, leaders[height - 1], successor))

    def _close_if_hopeless(self, height: int) -> None:
        """Close a height that all honest machines have left and none has decided, as the events engine does."""
        if height not in self._decided and self._left[height].issuperset(self.honest):
            for actor in self.actors:
                self._carry_out(actor.number, actor.machine.close(height))

    def results(self, actor: Actor, height: int) -> tuple[int, ...]:
        """What a machine has computed, or says so."""
        answers = self._answers(height)
        if isinstance(actor.liar, Twin):
            return actor.liar.claims(answers)
        return answers.claims(self.chain.behaviour, actor.node) if actor.liar else (answers.results[actor.node],)

    def _answers(self, height: int) -> Answers:
        answers = self._circumstances.answers
        return answers[min(height, len(answers)) - 1]


def _actors(chain: Chain, circumstances: Circumstances) -> list[Actor]:
    """Make all machines; a node that is silent needs none."""
    actors: list[Actor] = []
    for node in range(len(chain.power)):
        if node not in chain.byzantine:
            actors.append(Actor(len(actors), node, chain.replica(node), None))
        elif circumstances.twins:
            for variant in range(_TWINS):
                twin = chain.replica(node, variant)
                actors.append(Actor(len(actors), node, twin, Twin(twin, circumstances)))
        elif chain.behaviour != "silent":
            machine = chain.replica(node)
            actors.append(Actor(len(actors), node, machine, Attacker(machine, chain.behaviour, chain.honest)))
    return actors
