"""What Byzantine nodes do, message by message.

They run the protocol's own machine, and bend what it is told and what it says: they know all honest answers, act
together, and speak only for themselves. What each behaviour means for votes is told in `sim.consensus.faults`; on top
of that

- `silent` says nothing at all;
- `random`, `collude` and `amplify` follow the protocol while blocks are ordered, and lie about results;
- `equivocate` proposes one value to some nodes and another to the rest, and votes for both at once, each before those
  who were sent it: under `propose` the two most common results, each to the nodes that computed it, otherwise two
  blocks, each to half of the honest nodes; its results go the same way;
- `withhold` says nothing in round 0 that would help it along, to force a view change, and follows the protocol from
  then on;
- `delay` follows the protocol, late.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sim.consensus.protocols.effects import Broadcast, Send
from sim.consensus.protocols.messages import Message, ResultVote, Value, ValueMessage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sim.consensus.faults import Behaviour
    from sim.consensus.protocols.machine import Machine

FABRICATED = -1
"""The result that nobody computed and that colluding nodes claim; those of `random` nodes lie below it."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What all nodes computed for one block.

    Parameters
    ----------
    results
        Result of every node; `FABRICATED` for Byzantine ones, which do not compute.
    power
        Voting power of the honest nodes behind each result; result 0 has most, 1 second most, and so on.
    nodes
        Number of honest nodes behind each result.
    """

    results: tuple[int, ...]
    power: tuple[int, ...]
    nodes: tuple[int, ...]

    def claims(self, behaviour: Behaviour, node: int) -> tuple[int, ...]:
        """Results for which a node of that behaviour votes; the first is the one that it proposes or claims."""
        if behaviour == "random":
            return (FABRICATED - 1 - node,)
        if behaviour == "collude":
            return (FABRICATED,)
        if behaviour == "amplify":
            second = 1 if len(self.power) > 1 else FABRICATED
            return (second, *(x for x, rank in self._ranks() if rank <= 1 and x != second and self._has_rival(x)))
        if behaviour == "equivocate":
            return tuple(x for x, rank in self._ranks() if rank <= 1) or (FABRICATED,)
        return (0,)

    def _ranks(self) -> Iterator[tuple[int, int]]:
        """Each result, with the number of those that have more power."""
        for result, power in enumerate(self.power):
            yield result, sum(other > power for other in self.power)

    def _has_rival(self, result: int) -> bool:
        return sum(other >= self.power[result] for other in self.power) > 1

    def holders(self, result: int) -> tuple[int, ...]:
        """Nodes that computed a result."""
        return tuple(node for node, own in enumerate(self.results) if own == result)


class Attacker:
    """One Byzantine node: bends what its machine says.

    Parameters
    ----------
    machine
        Its replica.
    behaviour
        What it does.
    honest
        The honest nodes.
    """

    def __init__(self, machine: Machine, behaviour: Behaviour, honest: Sequence[int]) -> None:
        self.machine, self.behaviour = machine, behaviour
        self.node, self.proposes = machine.node, machine.setting.proposes
        self.honest = tuple(honest)
        self.fellows = tuple(node for node in range(len(machine.power)) if node not in set(honest))
        self._split: set[tuple[int, int]] = set()

    def says(self, effect: Broadcast | Send, answers: Answers) -> Iterator[Broadcast | Send]:
        """What it sends in place of a message."""
        message = effect.message
        if self.behaviour == "equivocate":
            yield from self._equivocated(effect, message, answers)
        elif self.behaviour != "silent" and not (self.behaviour == "withhold" and self._helps(message)):
            yield effect

    def hears(self, message: Message, answers: Answers) -> Iterator[Send]:
        """What it sends on hearing a message, besides what its machine does."""
        if self.behaviour == "equivocate" and isinstance(message, self.machine.proposals):
            yield from self._votes_for_both(message, answers)

    def _helps(self, message: Message) -> bool:
        return message.round == 0 and isinstance(message, (*self.machine.proposals, *self.machine.ballots))

    def _equivocated(self, effect: Broadcast | Send, message: Message, answers: Answers) -> Iterator[Broadcast | Send]:
        if isinstance(message, ResultVote):
            collector = effect.receivers if isinstance(effect, Send) else ()
            told = (*self.fellows, *collector)  # one thing: fellows to keep in step, a collector since it tells all
            most = dict.fromkeys((*answers.holders(0), *told))
            rest = tuple(node for node in answers.holders(1) if node not in most)
            for result, receivers in enumerate((tuple(most), rest)):
                yield Send(self._others(receivers), replace(message, result=result), effect.copy)
        elif isinstance(message, self.machine.proposals) and (sides := self._sides(message, answers)):
            (first, mine), (second, theirs) = sides
            yield Send(self._others(mine), replace(message, value=first), effect.copy)
            yield Send(self._others(theirs), replace(message, value=second), effect.copy)
            yield from self._votes_for_both(message, answers)
        elif not (isinstance(message, self.machine.ballots) and (message.height, message.round) in self._split):
            yield effect

    def _votes_for_both(self, message: ValueMessage, answers: Answers) -> Iterator[Send]:
        """All votes for each of the two values that a Byzantine leader put to the vote, to those who were sent it."""
        place = (message.height, message.round)
        sides = self._sides(message, answers) if message.sender in self.fellows and place not in self._split else ()
        if not sides:
            return
        self._split = {kept for kept in self._split if kept[0] >= message.height - 1} | {place}
        for value, receivers in sides:
            for vote in self.machine.support(*place, self.node, value):
                yield Send(self._others(receivers), vote)

    def _sides(
        self, message: ValueMessage, answers: Answers
    ) -> tuple[tuple[Value, tuple[int, ...]], tuple[Value, tuple[int, ...]]] | tuple[()]:
        """The two values that its leader proposes in a round, and to whom; nothing if it has no choice."""
        value = message.value
        if value.round != message.round or value.proposer != message.sender:
            return ()  # carried over from an earlier round
        if not self.proposes:
            half = (len(self.honest) + 1) // 2
            mine, theirs = (*self.honest[:half], *self.fellows), self.honest[half:]
            return (value._replace(variant=0), mine), (value._replace(variant=1), theirs)
        second = answers.holders(1)
        rest = tuple(node for node in range(len(answers.results)) if node not in set(second))
        return (value._replace(result=0), rest), (value._replace(result=1), second)

    def _others(self, nodes: Sequence[int]) -> tuple[int, ...]:
        return tuple(node for node in nodes if node != self.node)
