"""A schedule as a trace, for a message chart: a step takes a second, and what does not arrive is left out."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sim.analysis.explorer.driver import Driver
from sim.analysis.explorer.steps import Deliver, Expire, Finish, Restart, Step
from sim.consensus.tally import Outcome
from sim.engines.events.ledger import Block
from sim.engines.events.trace import opened

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from sim.analysis.explorer.chain import Chain
    from sim.analysis.explorer.driver import Actor
    from sim.analysis.explorer.explore import Counterexample
    from sim.consensus.protocols.effects import Certify, Decide, Enter
    from sim.consensus.protocols.messages import Message
    from sim.engines.events.trace import Trace
    from sim.scenario.schema import Scenario


def trace_schedule(path: str | PathLike[str], scenario: Scenario, chain: Chain, found: Counterexample) -> None:
    """Write a schedule as `sim run --trace` writes a run; twins are one node.

    Parameters
    ----------
    path
        The file; missing folders are made.
    scenario, chain, found
        Whose schedule, and which.

    Raises
    ------
    ScenarioError
        The file cannot be written.
    """
    with opened(path, scenario, schedule=found.schedule) as trace:
        assert trace is not None  # noqa: S101 -- there is a path
        teller = _Teller(trace, found, [actor.node for actor in Driver(chain, found.circumstances).actors])
        driver = Driver(chain._replace(watched=True), found.circumstances, (teller,))
        for step in found.steps:
            teller.begin(step, driver)
            driver.take(step)
        teller.end()


class _Teller:
    """Writes what happens in each step."""

    def __init__(self, trace: Trace, found: Counterexample, nodes: Sequence[int]) -> None:
        self._trace, self._nodes, self._now = trace, nodes, 0
        self._arrivals: dict[Deliver, list[int]] = defaultdict(list)
        for time, step in enumerate(found.steps, 1):
            if isinstance(step, Deliver):
                self._arrivals[step].append(time)
        leaders, answers = found.circumstances.leaders, found.circumstances.answers
        numbered = enumerate(zip(leaders, answers, strict=True), 1)
        self._blocks = {height: Block(height, order, computed, 0) for height, (order, computed) in numbered}
        for block in self._blocks.values():
            trace.block(0, block)

    def begin(self, step: Step, driver: Driver) -> None:
        """Go on to the next step."""
        self._now += 1
        match step:
            case Expire(machine, timer, _):
                self._trace.timeout(self._now, driver.actors[machine].node, timer)
            case Finish(machine, height):
                actor = driver.actors[machine]
                self._trace.executed(self._now, actor.node, height, driver.results(actor, height))
            case Restart(machine):
                for event in ("crash", "recover"):
                    self._trace.changed(self._now, event, driver.actors[machine].node)

    def sent(self, actor: Actor, message: Message, receivers: Sequence[int]) -> None:
        """A message, if any copy of it arrives."""
        copies = [
            (self._nodes[receiver], time)
            for receiver in receivers
            for time in self._arrivals.pop(Deliver(actor.number, receiver, message), ())
        ]
        if copies:
            nodes, times = zip(*copies, strict=True)
            self._trace.sent(self._now, message, nodes, times)

    def decided(self, actor: Actor, effect: Decide, step: Step | None) -> None:
        """A decision."""
        del step
        self._blocks[effect.height].decided.add(effect.value)
        self._trace.decided(self._now, actor.node, *effect)

    def certified(self, actor: Actor, effect: Certify) -> None:
        """A result, or none."""
        if effect.result is not None:
            self._blocks[effect.height].certified.add(effect.result)
        self._trace.certified(self._now, actor.node, *effect)

    def entered(self, actor: Actor, effect: Enter) -> None:
        """A phase."""
        self._trace.phase(self._now, actor.node, *effect)

    def failed(self, height: int, error: Exception) -> None:
        """An error ends the trace."""

    def end(self) -> None:
        """Tell which heights have forked."""
        for block in self._blocks.values():
            if block.outcome == Outcome.forked:
                self._trace.over(self._now, block, None)
