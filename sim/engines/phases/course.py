"""The normal course of a protocol, read off its phases as data: what is sent when, and what it waits for.

Nothing of a protocol is written down here a second time: a leader proposes, whoever accepts casts the first ballot, a
quorum of each ballot leads to the next, and that of the last one to the decision. What differs between protocols is
found in their arrows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sim.consensus.protocols.machine import Machine
    from sim.consensus.protocols.messages import Message, ValueMessage

_SAME = {"polka": "q prevotes"}  # Tendermint's name for it


class Course(NamedTuple):
    """What happens to a block while no timer runs out.

    Parameters
    ----------
    proposal
        The leader's message.
    proposal_votes
        Whether it is the leader's first ballot too.
    ballots
        The votes, in their order.
    phases
        The phase in which each ballot is sent.
    own_first
        Whether a replica decides only once it has cast the last ballot itself.
    nil
        Whether replicas that computed something else vote for nothing, rather than not at all.
    """

    proposal: type[ValueMessage]
    proposal_votes: bool
    ballots: tuple[type[Message], ...]
    phases: tuple[str, ...]
    own_first: bool
    nil: bool


class Phases:
    """A protocol's arrows, one event each.

    Parameters
    ----------
    protocol
        Whose transitions.
    """

    def __init__(self, protocol: type[Machine]) -> None:
        self._name = protocol.__name__
        self.arrows = [
            (arrow.source, _SAME.get(event, event), arrow.target)
            for arrow in protocol.transitions
            for event in re.split(r", or | or |, ", arrow.event)
        ]

    def led_to(self, source: str, event: str) -> str:
        """The phase that an event leads to.

        Raises
        ------
        ValueError
            It leads nowhere.
        """
        for start, what, target in self.arrows:
            if (start, what) == (source, event):
                return target
        raise ValueError(f"{self._name} has no way from {source} on {event}")


def course_of(protocol: type[Machine]) -> Course:
    """Read the course off a protocol's transitions.

    Raises
    ------
    ValueError
        There is no way from the first phase to a decision.
    """
    phases = Phases(protocol)
    phase = phases.led_to(protocol.transitions[0].source, protocol.proposals[0].name)
    accepted, reached = phase, [phase]
    for ballot in protocol.ballots[:-1]:
        phase = phases.led_to(phase, f"q {ballot.name}s")
        reached.append(phase)
    last = f"q {protocol.ballots[-1].name}s"
    if phases.led_to(phase, last) != "decided":
        raise ValueError(f"{protocol.__name__} does not decide on {last}")
    return Course(
        protocol.proposals[0],
        protocol.proposal_votes,
        protocol.ballots,
        tuple(reached),
        (accepted, last, "decided") not in phases.arrows,
        not any(event == "own result differs" for _, event, _ in phases.arrows),
    )
