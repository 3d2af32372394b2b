"""A schedule in words: every step, and what honest machines make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.analysis.explorer.driver import Driver
from sim.analysis.explorer.invariants import told
from sim.analysis.explorer.steps import Deliver, Expire, Finish, Step
from sim.analysis.explorer.twin import Twin

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sim.analysis.explorer.chain import Chain
    from sim.analysis.explorer.circumstances import Circumstances
    from sim.analysis.explorer.driver import Actor
    from sim.consensus.protocols.effects import Certify, Decide, Enter
    from sim.consensus.protocols.messages import Message


class _Notes:
    """Keeps what honest machines decide in one step."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def sent(self, actor: Actor, message: Message, receivers: Sequence[int]) -> None:
        """What is sent shows when it arrives."""

    def decided(self, actor: Actor, effect: Decide, step: Step | None) -> None:
        """A decision."""
        del step
        self.notes.append(f"{actor.label} decides {told(effect.value)} at height {effect.height}")

    def certified(self, actor: Actor, effect: Certify) -> None:
        """A result, or none."""
        if effect.result is not None:
            self.notes.append(f"{actor.label} holds result {effect.result} of height {effect.height}")

    def entered(self, actor: Actor, effect: Enter) -> None:
        """Phases are not told."""

    def failed(self, height: int, error: Exception) -> None:
        """An error."""
        self.notes.append(f"{type(error).__name__} at height {height}")


def story(chain: Chain, circumstances: Circumstances, steps: Sequence[Step]) -> Iterator[str]:
    """Tell what happens, one line a step.

    Parameters
    ----------
    chain, circumstances, steps
        What is run.

    Yields
    ------
    str
        The step, and after an arrow what honest machines decide in it.
    """
    notes = _Notes()
    driver = Driver(chain, circumstances, (notes,))
    for step in steps:
        driver.take(step)
        yield "; ".join([_told(driver, step), *notes.notes]).replace("; ", " -> ", 1)
        notes.notes.clear()


def cast(chain: Chain, circumstances: Circumstances, heights: int) -> Iterator[str]:
    """Tell who the Byzantine machines are, who leads the first few heights, and what was computed."""
    twins = [actor for actor in Driver(chain, circumstances).actors if isinstance(actor.liar, Twin)]
    if twins:
        yield f"twins, two machines of one name each: {', '.join(actor.label for actor in twins)}"
        if circumstances.usurps:
            yield "a twin that leads proposes a block of its own even where it has to carry one over"
        if circumstances.supports:
            yield "twins cast all votes for every value that they hear of"
    elif chain.byzantine:
        yield f"Byzantine: {', '.join(map(str, sorted(chain.byzantine)))}, behaviour {chain.behaviour}"
    led = list(zip(circumstances.leaders, circumstances.answers, strict=True))
    for height, (leaders, answers) in enumerate(led[:heights], 1):
        results = "" if len(answers.power) < 2 else f"; results {', '.join(map(_result, answers.results))}"
        yield f"leaders of height {height}: {', '.join(map(str, leaders))}{results}"


def _result(result: int) -> str:
    return "-" if result < 0 else str(result)


def _told(driver: Driver, step: Step) -> str:
    actors = driver.actors
    match step:
        case Deliver(sender, receiver, message):
            text = f"{actors[receiver].label} hears {message.name} of {actors[sender].label}"
            carried = _carried(message)
            return f"{text}, height {message.height}, round {message.round}{carried and f': {carried}'}"
        case Expire(machine, timer, _):
            text = f"{actors[machine].label} waits no longer: timer {timer.kind}"
            return f"{text}, height {timer.height}, round {timer.round}"
        case Finish(machine, height):
            return f"{actors[machine].label} has executed, height {height}"
    return f"{actors[step.machine].label} restarts"


def _carried(message: Message) -> str:
    """What a message is about: a value, a certificate's value, or a result."""
    if hasattr(message, "value"):
        return told(message.value)
    for name in ("prepared", "result"):
        shown = getattr(message, name, None)
        if shown is not None:
            return told(getattr(shown, "value", shown))
    return ""
