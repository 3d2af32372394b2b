"""The steps that a schedule is made of, and how they are told."""

from __future__ import annotations

from typing import NamedTuple

from sim.consensus.protocols.effects import Timer
from sim.consensus.protocols.messages import Message


class Deliver(NamedTuple):
    """A letter arrives: a message, from one machine to another. Any number of times, once it was sent."""

    sender: int
    receiver: int
    message: Message


class Expire(NamedTuple):
    """A machine's timer runs out."""

    machine: int
    timer: Timer
    lane: int = 0


class Finish(NamedTuple):
    """A machine has executed the block of a height."""

    machine: int
    height: int


class Restart(NamedTuple):
    """A machine stops and starts again, with all that it knew but without its timers."""

    machine: int


Step = Deliver | Expire | Finish | Restart


def machine_of(step: Step) -> int:
    """The machine to which it happens."""
    return step.receiver if isinstance(step, Deliver) else step.machine


def place_of(step: Step) -> tuple[str, int, int]:
    """What kind of step it is, and to which height and round it belongs."""
    match step:
        case Deliver(message=message):
            return message.name, message.height, message.round
        case Expire(timer=timer):
            return timer
        case Finish(height=height):
            return "executed", height, 0
        case Restart():
            return "restart", 0, 0
