"""What must have happened in some schedule: a check that all is well says little where nothing went wrong."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Literal, get_args

from sim.analysis.explorer.steps import Deliver
from sim.consensus.protocols.messages import Decision, ValueMessage
from sim.consensus.protocols.pipelined import Pipelined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim.analysis.explorer.chain import Chain
    from sim.analysis.explorer.circumstances import Circumstances
    from sim.analysis.explorer.driver import Actor
    from sim.analysis.explorer.steps import Step
    from sim.consensus.protocols.effects import Certify, Decide, Enter
    from sim.consensus.protocols.messages import Message, Value

Event = Literal[
    "decided",
    "round change",
    "second leader decided",
    "carried over",
    "carried and decided",
    "adopted by proof",
    "equivocation",
    "split answers",
    "three in flight",
    "two certified",
    "decided together",
]
EVENTS: tuple[Event, ...] = get_args(Event)
MEANING: dict[Event, str] = {
    "decided": "an honest replica decided a block",
    "round change": "an honest replica voted or proposed in a round after the first",
    "second leader decided": "a block was decided that a leader after the first had proposed",
    "carried over": "an honest leader proposed again what was prepared, locked or valid before",
    "carried and decided": "what was carried over was decided",
    "adopted by proof": "a replica that was behind took a decision over from another's proof",
    "equivocation": "a Byzantine leader showed two blocks in one round",
    "split answers": "a block was decided of which honest nodes computed different results",
    "three in flight": "an honest replica worked on a height while two below were open",
    "two certified": "two blocks of one height had certificates",
    "decided together": "an honest replica decided blocks of several heights at once",
}


def applicable(chain: Chain) -> list[Event]:
    """What can happen on a chain at all."""
    rounds = chain.rounds > 1
    possible: dict[Event, bool] = {
        "decided": True,
        "round change": rounds,
        "second leader decided": rounds,
        "carried over": rounds and chain.machine.carries_over,
        "carried and decided": rounds and chain.machine.carries_over,
        "adopted by proof": Decision in chain.replica(0).messages,
        "equivocation": bool(chain.byzantine),
        "split answers": chain.contested,
        "three in flight": chain.machine.pipelined,
        "two certified": chain.machine.pipelined and rounds,
        "decided together": chain.machine.pipelined,
    }
    return [event for event in EVENTS if possible[event]]


class Sometimes:
    """Watches a schedule, and keeps what has happened in it.

    Parameters
    ----------
    chain, circumstances
        What is explored.
    """

    def __init__(self, chain: Chain, circumstances: Circumstances) -> None:
        self._chain, self._circumstances = chain, circumstances
        self._votes = chain.machine.ballots + chain.machine.proposals
        self.seen: set[Event] = set()
        self._shown: dict[tuple[int, int, int], set[Value]] = defaultdict(set)
        self._certified: dict[int, set[Value]] = defaultdict(set)
        self._last: tuple[int, int] | None = None

    def sent(self, actor: Actor, message: Message, receivers: Sequence[int]) -> None:
        """Look at votes and proposals."""
        del receivers
        if isinstance(message, self._chain.machine.proposals):
            self._proposed(actor, message)
        if not actor.honest:
            return
        machine = actor.machine
        if isinstance(machine, Pipelined):
            self._overlaps(machine, message)
        if message.round and isinstance(message, self._votes):
            self.seen.add("round change")

    def _overlaps(self, machine: Pipelined, message: Message) -> None:
        """Look at what only happens where heights overlap."""
        if isinstance(message, self._votes) and machine.open + 2 <= message.height:
            self.seen.add("three in flight")
        for height, shown in machine.shows(message):
            self._certified[height].add(shown.value)
            if len(self._certified[height]) > 1:
                self.seen.add("two certified")

    def _proposed(self, actor: Actor, message: ValueMessage) -> None:
        if actor.honest:
            if message.value.round < message.round:
                self.seen.add("carried over")
            return
        shown = self._shown[message.sender, message.height, message.round]
        shown.add(message.value)
        if len(shown) > 1:
            self.seen.add("equivocation")

    def decided(self, actor: Actor, effect: Decide, step: Step | None) -> None:
        """Look at decisions."""
        self.seen.add("decided")
        now = (actor.number, id(step))
        if self._last == now and actor.machine.pipelined:
            self.seen.add("decided together")
        self._last = now
        if effect.value.round:
            self.seen.add("second leader decided")
        if effect.value.round < effect.round:
            self.seen.add("carried and decided")
        if len(self._circumstances.answers[effect.height - 1].power) > 1:
            self.seen.add("split answers")
        if isinstance(step, Deliver) and isinstance(step.message, Decision):
            self.seen.add("adopted by proof")

    def certified(self, actor: Actor, effect: Certify) -> None:
        """Nothing more is seen of results."""

    def entered(self, actor: Actor, effect: Enter) -> None:
        """Phases are not looked at."""

    def failed(self, height: int, error: Exception) -> None:
        """An error is no event."""
