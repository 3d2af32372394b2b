"""Byzantine replicas as twins: several machines under one name, each of which takes itself for the only one.

Bano, Sonnino, Chursin, Perelman, Li, Ching and Malkhi, *Twins: BFT systems made robust* (OPODIS 2021): two honest
machines with one identity, in different parts of a split network, equivocate, forget what the other has voted for, and
so on, and all that without a line of an attacker's code. What they can't do is to say what no machine would say; so
here they may also propose a block of their own where they had to carry one over, and cast every vote that there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.consensus.protocols.effects import Broadcast, Send
from sim.consensus.protocols.messages import Value, ValueMessage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sim.analysis.explorer.circumstances import Circumstances
    from sim.consensus.attackers import Answers
    from sim.consensus.protocols.machine import Machine
    from sim.consensus.protocols.messages import Message


class Twin:
    """Bends what a twin's machine says, as `sim.consensus.attackers.Attacker` does for its kind.

    Parameters
    ----------
    machine
        Its replica.
    circumstances
        What twins do.
    """

    def __init__(self, machine: Machine, circumstances: Circumstances) -> None:
        self.machine, self._circumstances = machine, circumstances
        self._supported: set[tuple[int, int, Value]] = set()

    def claims(self, answers: Answers) -> tuple[int, ...]:
        """Results that it says to have computed: all that honest nodes have, one twin this first, the other that."""
        results = tuple(range(len(answers.power)))
        first = self.machine.setting.variant % len(results)
        return results[first:] + results[:first]

    def says(self, effect: Broadcast | Send, answers: Answers) -> Iterator[Broadcast | Send]:
        """What it sends in place of a message."""
        message = effect.message
        if isinstance(message, self.machine.proposals):
            if self._circumstances.usurps and message.value.round < message.round:
                message = self.machine.proposes_anew(message, self._own(message, answers))
                effect = effect._replace(message=message)
            yield effect
            yield from self._votes_for(message)
        else:
            yield effect

    def hears(self, message: Message, answers: Answers) -> Iterator[Broadcast | Send]:
        """What it sends on hearing a message, besides what its machine does."""
        del answers
        if isinstance(message, self.machine.proposals):
            yield from self._votes_for(message)

    def _own(self, message: ValueMessage, answers: Answers) -> Value:
        result = self.claims(answers)[0] if self.machine.setting.proposes else None
        return Value(self.machine.node, message.round, self.machine.setting.variant, result)

    def _votes_for(self, message: ValueMessage) -> Iterator[Broadcast]:
        place = (message.height, message.round, message.value)
        if self._circumstances.supports and place not in self._supported:
            self._supported.add(place)
            for vote in self.machine.support(message.height, message.round, self.machine.node, message.value):
                yield Broadcast(vote)
