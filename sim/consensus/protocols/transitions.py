"""The phases of a protocol as data: what its state diagram is drawn from, and its runs are checked against."""

from __future__ import annotations

from typing import NamedTuple


class Transition(NamedTuple):
    """An arrow of a state diagram: in phase `source`, on `event`, to phase `target`."""

    source: str
    event: str
    target: str


RESULT_TRANSITIONS = (
    Transition("decided", "executed the block", "voted"),
    Transition("decided", "q equal results, or another's proof", "certified"),
    Transition("voted", "q equal results, or another's proof", "certified"),
    Transition("decided", "no result can reach q, timer, or others went on", "uncertified"),
    Transition("voted", "no result can reach q, timer, or others went on", "uncertified"),
)
"""The phases that `certify` adds to every protocol."""
