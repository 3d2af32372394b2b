"""How a message chart names and colours what it shows."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING, Any

from sim.consensus.protocols import PROTOCOLS
from sim.plotting.style import COLOURS, GREY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sim.analysis.height import Moment

_BLUE, RED, _GREEN, _PINK, _ORANGE, _SKY, _BLACK, _MIDDLE = COLOURS
MESSAGES = (_BLACK, _BLUE, _GREEN, _PINK, _ORANGE, _MIDDLE, "#8C510A", "#6A3D9A", "#7A7A00", "#00868B")
ANSWERS = (_SKY, RED, _ORANGE, _PINK, _GREEN, _BLUE)
INK = "#222222"
_VOTED = re.compile(r"(?:^|, |or )(?:q|f\+1) |polka|notarization|three-chain|votes on|proof")


def protocol_told(name: str) -> tuple[dict[str, str], set[str]]:
    """What leads to each phase, and the types of votes; nothing of a protocol that is not there."""
    if name not in PROTOCOLS.names():
        return {}, set()
    machine = PROTOCOLS.load(name)
    events: dict[str, str] = {}
    for arrow in machine.transitions:
        events.setdefault(arrow.target, arrow.event)
    return events, {kind.name for kind in machine.ballots}


def letter(result: int) -> str:
    """Name of an answer: A is the one that most honest nodes computed.

    Examples
    --------
    >>> letter(0), letter(1), letter(26), letter(-1)
    ('A', 'B', '#27', 'forged')
    """
    if result < 0:
        return "forged"
    return string.ascii_uppercase[result] if result < 26 else f"#{result + 1}"


def tint(result: int) -> str:
    """Colour of an answer."""
    return INK if result < 0 else ANSWERS[result % len(ANSWERS)]


def named(about: Any, others: Sequence[Any]) -> str:
    """What a message is about, as told in the key."""
    if isinstance(about, int):
        return f"answer {letter(about)}" if about >= 0 else "a forged answer"
    if about[3] is not None:
        again = sum(isinstance(one, tuple) and one[3:] == about[3:] for one in others) > 1
        return named(about[3], ()) + (f" of {about[0]} in round {about[1]}" if again else "")
    proposer, round_, variant, _ = about
    again = sum(isinstance(one, tuple) and one[:2] == about[:2] for one in others) > 1
    return f"block of {proposer}{f', round {round_}' * bool(round_)}{f', {letter(variant).lower()}' * again}"


def ended(own: Sequence[Moment], names: dict[Any, str]) -> tuple[str, str]:
    """Where a node ended, and the colour to say it in."""
    certified = [moment.about for moment in own if moment.what == "certify"]
    if certified:
        result = certified[-1]
        return (f"certified {letter(result)}", INK) if isinstance(result, int) else ("certified nothing", RED)
    decided = [moment.about for moment in own if moment.what == "decide"]
    if decided:
        about = decided[-1]
        return f"decided {names.get(about) or named(about, ())}".replace("answer ", ""), INK
    phases = [moment.name for moment in own if moment.what == "phase"]
    last = phases[-1] if phases else ""
    return last if last in {"", "left", "stuck"} else f"last {last}", GREY


def merged(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Stretches that overlap, as one."""
    found: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def by_quorum(event: str) -> bool:
    """Whether votes of many lead to a phase, by the name of the event in a state diagram.

    Examples
    --------
    >>> by_quorum("q prepares"), by_quorum("proposal, or q prevotes"), by_quorum("no result can reach q")
    (True, True, False)
    """
    return bool(_VOTED.search(event))


def messages(number: int) -> str:
    """So many messages.

    Examples
    --------
    >>> messages(1), messages(1_200)
    ('1 message', '1,200 messages')
    """
    return f"{number:,} message{'s' * (number != 1)}"


def ordinal(number: int) -> str:
    """2nd, 3rd, 4th and so on; up to 20."""
    return {2: "2nd", 3: "3rd"}.get(number, f"{number}th")


def claims(moment: Moment) -> tuple[int, ...]:
    """Results that a node has, or claims, once it has executed."""
    return tuple(one for one in moment.about if one is not None) if isinstance(moment.about, tuple) else ()
