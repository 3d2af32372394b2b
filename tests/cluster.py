"""Replicas that exchange messages in any order: no clock, no network, only a bag of messages and a list of timers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from sim.consensus.protocols import PROTOCOLS
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
from sim.consensus.protocols.setting import Setting
from sim.consensus.rules import Consensus
from sim.consensus.timeouts import Timeouts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sim.consensus.protocols.messages import Message, Value

ANSWER = (0,)
FLUSHING = 16
"""Heights after the last one that a pipelined replica begins at once; before each later one it waits a second."""


def messages_a_block(protocol: str, n: int, *, proposes: bool) -> int:
    """Messages of a block, by the protocol's formula."""
    formulas = {
        "pbft": (2 * n, 3 * n),
        "tendermint": (2 * n + 1, 3 * n + 1),
        "hotstuff": (2, 4),
        "icc": (4 * n + 1, 5 * n + 1),
    }
    return (n - 1) * formulas[protocol][not proposes]


@dataclass(frozen=True)
class Letter:
    """A message on its way."""

    receiver: int
    message: Message


@dataclass
class Cluster:
    """All replicas of a chain."""

    protocol: str
    n: int
    threshold: str = "1/3"
    proposes: bool = False
    rounds: int = 0
    silent: frozenset[int] = frozenset()
    answers: dict[int, tuple[int, ...]] = field(default_factory=dict)
    power: tuple[int, ...] = ()
    seed: int = 0
    timeouts: Timeouts = field(default_factory=Timeouts)
    checkpoint_interval: int = 100
    heights: int = 1
    """Heights to run; later ones are begun by pipelined replicas only, while these are open, and carry nothing."""
    leaders: tuple[int, ...] = ()
    holds: Callable[[Letter], bool] = lambda _: False
    """Letters that are not delivered for now."""
    loses: Callable[[Letter], bool] = lambda _: False
    """Letters that never arrive."""
    doubles: float = 0.0
    """Share of the letters that arrive a second time."""
    slow: float = 0.0
    """Share of the executions that take some seconds; the others take no time."""

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.power = self.power or (1,) * self.n
        rules = Consensus(fault_threshold=self.threshold)  # type: ignore[arg-type]
        votes = sum(self.power)
        self.quorum, self.faults = rules.quorum_of(votes), rules.faults_tolerated(votes)
        self.bag: list[Letter] = []
        self.todo: deque[tuple[int, Effect]] = deque()
        self.timers: dict[tuple[int, str, int], tuple[float, Timer]] = {}
        self.now = 0.0
        self.down: set[int] = set()
        self.decided: dict[int, dict[int, Value]] = {}
        self.certified: dict[int, dict[int, int | None]] = {}
        self.left: dict[int, set[int]] = {}
        self.reached: dict[int, int] = {}
        self.refused: dict[int, int] = {}
        self.sent: list[Message] = []
        self.sends = 0
        self.phases: dict[tuple[int, int], list[str]] = {}
        self.replicas: list[Any] = []
        make = PROTOCOLS.load(self.protocol)
        for node in range(self.n):
            setting = Setting(
                node,
                self.power,
                self.quorum,
                self.faults,
                self.proposes,
                self.rounds or self.n,
                self.timeouts,
                self.checkpoint_interval,
            )
            self.replicas.append(make(setting))

    def start(self) -> None:
        """Begin height 1 everywhere."""
        for node in range(self.n):
            self.reached[node] = 1
            self.enter(node, 1)

    def enter(self, node: int, height: int) -> None:
        """Let a replica begin a height."""
        replica = self.replicas[node]
        if height > self.heights and (not replica.pipelined or self.through()):
            self.refused[node] = height
        elif replica.height < height:
            self.apply(node, replica.enter(height, self.order(height), self.order(height + 1)[0]))

    def order(self, height: int) -> tuple[int, ...]:
        """Leaders of a height."""
        return self.leaders or tuple((height - 1 + round_) % self.n for round_ in range(self.n))

    def apply(self, node: int, effects: Sequence[Effect]) -> None:
        """Carry out what a replica asks for, and what follows from that, in order."""
        idle = not self.todo
        self.todo.extend((node, effect) for effect in effects)
        while idle and self.todo:
            node, effect = self.todo[0]
            self.do(node, effect)
            self.todo.popleft()

    def do(self, node: int, effect: Effect) -> None:
        """Carry out one effect."""
        match effect:
            case Broadcast(message):
                self.send(node, (other for other in range(self.n) if other != node), message)
            case Send(receivers, message):
                self.send(node, receivers, message)
            case SetTimer(timer, seconds, lane):
                self.timers[node, timer.kind, lane] = (self.now + seconds, timer)
            case Execute(height):
                if self.slow and height <= self.heights and self.random.random() < self.slow:
                    ready = self.now + self.random.choice((1, 5, 12))
                    self.timers[node, "execution", height] = (ready, Timer("execution", height, 0))
                else:
                    self.execute(node, height)
            case Enter(height, _, phase):
                self.phases.setdefault((node, height), []).append(phase)
            case Decide(height, _, value):
                self.decided.setdefault(height, {})[node] = value
            case Certify(height, result):
                self.certified.setdefault(height, {})[node] = result
            case Return(height):
                self.left[height].discard(node)
            case Leave(height):
                self.left.setdefault(height, set()).add(node)
            case Close(height):
                self.reached[node] = height
            case Advance(height):
                if height > self.heights + FLUSHING:
                    self.timers[node, "idle", height] = (self.now + 1, Timer("idle", height, 0))
                else:
                    self.enter(node, height)

    def execute(self, node: int, height: int) -> None:
        """End an execution."""
        answer = self.answers.get(node, ANSWER) if height <= self.heights else ANSWER
        self.apply(node, self.replicas[node].executed(height, answer))

    def send(self, node: int, receivers: Iterable[int], message: Message) -> None:
        """Put letters into the bag."""
        if node in self.silent or node in self.down:
            return
        self.sent.append(message)
        for receiver in receivers:
            self.sends += message.height <= self.heights
            letter = Letter(receiver, message)
            if receiver not in self.down and not self.loses(letter):
                self.bag.append(letter)

    def inject(self, message: Message, receivers: Iterable[int]) -> None:
        """Send a message that no replica made."""
        self.bag += [Letter(receiver, message) for receiver in receivers]

    def deliver_all(self) -> None:
        """Deliver what can be, in a random order, until nothing is left."""
        while ready := [index for index, letter in enumerate(self.bag) if not self.holds(letter)]:
            letter = self.bag.pop(self.random.choice(ready))
            if self.random.random() < self.doubles:
                self.bag.append(letter)
            if letter.receiver not in self.down:
                self.apply(letter.receiver, self.replicas[letter.receiver].receive(letter.message))

    def expire_next(self) -> bool:
        """Let the timer that is next run out; whether there was one."""
        waiting = {key: value for key, value in self.timers.items() if key[0] not in self.down | self.silent}
        if not waiting:
            return False
        key = min(waiting, key=lambda one: (waiting[one][0], one))
        self.now, timer = self.timers.pop(key)
        if timer.kind == "idle":
            self.enter(key[0], timer.height)
        elif timer.kind == "execution":
            self.execute(key[0], timer.height)
        else:
            self.apply(key[0], self.replicas[key[0]].expire(timer))
        return True

    def run(self, *, turns: int = 10_000, until: Callable[[], bool] | None = None) -> None:
        """Deliver everything, then let a timer run out, and so on, until all honest replicas are through."""
        finished = until or self.through
        for _ in range(turns):
            self.deliver_all()
            if finished() or not self.expire_next():
                return
        raise AssertionError(f"no end after {turns} timers, seed {self.seed}")

    def crash(self, node: int) -> None:
        """Stop a replica: its timers and the letters on their way to it are lost."""
        self.down.add(node)
        self.bag = [letter for letter in self.bag if letter.receiver != node]
        for key in [key for key in self.timers if key[0] == node and key[1] != "execution"]:
            del self.timers[key]

    def recover(self, node: int) -> None:
        """Let it work again."""
        self.down.discard(node)
        self.apply(node, self.replicas[node].resume())
        for other, height in sorted(self.refused.items()):
            self.enter(other, height)

    @property
    def honest(self) -> list[int]:
        """Replicas that work."""
        return [node for node in range(self.n) if node not in self.silent and node not in self.down]

    def through(self) -> bool:
        """Whether all honest replicas have closed the last height, or all have left it."""
        return all(self.reached[node] > self.heights for node in self.honest) or any(map(self.failed, self.left))

    def failed(self, height: int) -> bool:
        """Whether all honest replicas have left a height, and none has decided."""
        left = self.left.get(height, set())
        return all(node in left and node not in self.decided.get(height, {}) for node in self.honest)
