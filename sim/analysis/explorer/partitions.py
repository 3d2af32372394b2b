"""Who hears whom: how the machines of a chain are split, anew in chosen rounds or phases of rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from sim.consensus.protocols.messages import Decision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim.analysis.explorer.draws import Draws
    from sim.analysis.explorer.driver import Driver
    from sim.analysis.explorer.steps import Deliver

Shape = Literal["whole", "split", "alone", "deaf"]
_SHAPES: tuple[Shape, ...] = ("whole", "whole", "whole", "split", "split", "split", "alone", "deaf")


class _Cut(NamedTuple):
    """The side of each machine; where `deaf`, one side hears everybody and the other nobody."""

    side: tuple[int, ...]
    deaf: bool = False

    def passes(self, letter: Deliver) -> bool:
        """Whether a letter gets through."""
        if self.deaf:
            return self.side[letter.receiver] == 0
        return self.side[letter.sender] == self.side[letter.receiver]


class RandomCuts:
    """Splits of the network by height, round and phase, drawn when they are first met.

    Parameters
    ----------
    driver, draws
        The machines, and chance.

    Notes
    -----
    One split is kept for the whole schedule, so that sides can go different ways for long; twins of one node stand on
    different sides of it. In each place the network is whole, or split that way, or one honest machine is alone, or
    only some machines hear anything.
    """

    def __init__(self, driver: Driver, draws: Draws) -> None:
        self._draws, self._actors = draws, driver.actors
        self._by_phase = draws.chance(0.6)
        self._cuts: dict[tuple[object, ...], _Cut] = {}
        self._sides = tuple(draws.below(2) if actor.honest else actor.machine.setting.variant for actor in self._actors)

    def passes(self, letter: Deliver) -> bool:
        """Whether a letter gets through at the time when it is sent."""
        message = letter.message
        place: tuple[object, ...] = (message.height, message.round)
        if self._by_phase:
            place = (*place, type(message))
        cut = self._cuts.get(place)
        if cut is None:
            cut = self._cuts[place] = self._cut()
        return cut.passes(letter)

    def _cut(self) -> _Cut:
        shape = self._draws.choice(_SHAPES)
        nobody = (0,) * len(self._actors)
        if shape == "split":
            return _Cut(self._sides)
        if shape == "alone":
            chosen = self._draws.choice([actor.number for actor in self._actors if actor.honest])
            return _Cut(tuple(int(actor.number == chosen) for actor in self._actors))
        if shape == "deaf":
            return _Cut(tuple(self._draws.below(2) for _ in self._actors), deaf=True)
        return _Cut(nobody)


class LoneDecision:
    """In one round of one height a few honest machines alone can decide, and then nobody hears of them again.

    Until that round, nobody hears final votes. In it, one twin of each pair is with those few, and the other has not
    heard the proposal; final votes reach the few, and do not leave them. So the others must come to the same decision
    by what they have locked, prepared or otherwise kept, whoever leads them next.

    Parameters
    ----------
    driver, draws
        The machines, and chance.
    """

    def __init__(self, driver: Driver, draws: Draws) -> None:
        machine = driver.chain.machine
        self._final, self._proposals, self._votes = machine.ballots[-1], machine.proposals, machine.ballots
        self._height = 1 + draws.below(driver.heights)
        self._round = draws.below(min(2, driver.chain.rounds))
        few = draws.shuffled(driver.honest)[: 1 if draws.chance(0.7) else 2]
        lying = [actor for actor in driver.actors if not actor.honest]
        self._ignorant = frozenset(actor.number for actor in lying if actor.machine.setting.variant)
        self._few = frozenset(few) | {actor.number for actor in lying if actor.number + 1 in self._ignorant}
        self._others_vote = draws.chance(0.6)

    def passes(self, letter: Deliver) -> bool:
        """Whether a letter gets through at the time when it is sent."""
        message, receiver = letter.message, letter.receiver
        before = (message.height, message.round) < (self._height, self._round)
        if before or (message.height, message.round) > (self._height, self._round):
            hidden = message.height == self._height and isinstance(message, self._final)
            return not hidden if before else not self._involves_few(letter)
        if isinstance(message, self._proposals):
            return receiver not in self._ignorant
        if isinstance(message, self._final):
            return receiver in self._few or (self._others_vote and letter.sender not in self._few)
        return isinstance(message, self._votes) or not self._involves_few(letter)

    def _involves_few(self, letter: Deliver) -> bool:
        return letter.receiver in self._few or letter.sender in self._few


class TwoCertificates:
    """In one height the first leader's block comes late, and votes come later, to two sides; then one decides alone.

    So replicas vote for the blocks of several leaders of that height, as they may where final votes are apart. One
    side, which with the Byzantine nodes is just a quorum, hears of the votes for the first leader's block, the other
    side of all others; and final votes reach one machine of the first side, and nobody else. What builds on the first
    leader's block is lost.

    Parameters
    ----------
    driver, draws
        The machines, and chance.
    """

    def __init__(self, driver: Driver, draws: Draws) -> None:
        machine, chain = driver.chain.machine, driver.chain
        self._machine, self._final, self._votes = machine, machine.ballots[-1], machine.ballots[:-1]
        self._height = 1 + draws.below(driver.heights)
        order = draws.shuffled(driver.honest)
        self._alone = order[0]
        power = sum(chain.power[node] for node in chain.byzantine)
        self._first: set[int] = set()
        for number in order:
            if power < chain.quorum:
                self._first.add(number)
                power += chain.power[driver.actors[number].node]
        self._twins = {actor.number: actor.machine.setting.variant for actor in driver.actors if not actor.honest}

    def passes(self, letter: Deliver) -> bool:
        """Whether a letter gets through at the time when it is sent."""
        message = letter.message
        if message.height != self._height:
            return not any(height == self._height and not shown.round for height, shown in self._machine.shows(message))
        if isinstance(message, (self._final, Decision)):
            return isinstance(message, self._final) and letter.receiver == self._alone
        if isinstance(message, self._machine.proposals):
            return bool(message.round)
        return not self._proves(letter)

    def keeps(self, letter: Deliver) -> bool:
        """Whether one that does not get through arrives later."""
        if self._proves(letter):
            first = letter.receiver in self._first or self._twins.get(letter.receiver) == 0
            return first == (letter.message.round == 0)
        return letter.message.height == self._height and not isinstance(letter.message, (self._final, Decision))

    def first(self, held: Sequence[Deliver]) -> list[Deliver]:
        """Which of the letters that were kept arrive first: blocks, then all others."""
        return [letter for letter in held if isinstance(letter.message, self._machine.proposals)] or list(held)

    def _proves(self, letter: Deliver) -> bool:
        """Whether it is a vote of that height, or has a certificate of it."""
        message = letter.message
        shown = self._machine.shows(message)
        return isinstance(message, self._votes) or any(height == self._height for height, _ in shown)
