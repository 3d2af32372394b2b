"""Who makes a schedule: it chooses the next step among those that are possible, as an adversary would.

Two kinds. *Random* schedules lose each letter with some probability, deliver the rest in any order, and let timers run
out at any moment. *Targeted* ones cut the network at chosen rounds or phases (`partitions`) and let timers run out when
nothing else can happen, which takes them deep into the protocol: through rounds, locks and new leaders, along one cut.
Both may deliver letters twice, hold some back until much later, restart machines, and heal after a while.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sim.analysis.explorer.partitions import LoneDecision, RandomCuts, TwoCertificates
from sim.analysis.explorer.steps import Deliver, Expire, Finish, Restart, Step

if TYPE_CHECKING:
    from sim.analysis.explorer.draws import Draws
    from sim.analysis.explorer.driver import Driver

Kind = Literal["mixed", "random", "targeted"]
STEPS_PER_NODE = 100
"""Steps of a schedule, for each machine: enough for all heights where messages arrive."""
_EXPIRED_PER_MACHINE = 16


class Walk:
    """Chooses the steps of one schedule.

    Parameters
    ----------
    driver, draws
        The machines, and chance.
    kind
        `mixed` takes one of the others by chance.
    """

    def __init__(self, driver: Driver, draws: Draws, kind: Kind = "mixed") -> None:
        self._driver, self._draws = driver, draws
        machines = len(driver.actors)
        self._targeted = draws.chance(0.7) if kind == "mixed" else kind == "targeted"
        cuts: type[LoneDecision | RandomCuts | TwoCertificates] = LoneDecision if draws.chance(0.4) else RandomCuts
        if driver.chain.machine.pipelined and len(driver.chain.machine.ballots) > 1 and draws.chance(0.7):
            cuts = TwoCertificates
        self._partitions = cuts(driver, draws)
        self._loss = draws.choice((0.0, 0.1, 0.3))
        self._expiry = 0.0 if self._targeted else draws.choice((0.0, 0.003, 0.01, 0.05))
        self._twice = draws.choice((0.0, 0.0, 0.03))
        self._restarts = draws.choice((0.0, 0.0, 0.002))
        self._forgets = draws.chance(0.5)
        self._in_order = draws.chance(0.6)
        self._newest_first = draws.chance(0.15)
        pipelined = driver.chain.machine.pipelined
        self._steps_left = STEPS_PER_NODE * machines * (2 if pipelined else 1)
        late = isinstance(self._partitions, TwoCertificates)
        self._heals_at = draws.below(self._steps_left // 4 if late else self._steps_left)
        self._expiries_left = _EXPIRED_PER_MACHINE * machines * (2 if pipelined else 1)
        self._patience = 0.4 / machines if late else 0.2  # a late block arrives when the next leader has had time
        self._ready: list[Deliver | Finish] = []
        self._held: list[Deliver] = []

    def next(self) -> Step | None:
        """Choose the next step; None at the end of the schedule."""
        driver, draws = self._driver, self._draws
        self._sort()
        if driver.finished or not self._steps_left:
            return None
        self._steps_left -= 1
        if self._steps_left == self._heals_at:
            self._release()
        if self._restarts and draws.chance(self._restarts):
            return Restart(draws.choice(driver.honest))
        if self._expiry and draws.chance(self._expiry) and driver.timers:
            return self._expired()
        if not self._ready and self._held and draws.chance(self._patience):
            self._release()
        if self._ready:
            return self._delivered()
        return self._expired() if driver.timers else None

    @property
    def _healed(self) -> bool:
        return self._steps_left <= self._heals_at

    def _sort(self) -> None:
        """Sort what has become possible: what may happen at once, what is held back, what is lost."""
        for step in self._driver.fresh:
            if isinstance(step, Finish) or self._healed or self._passes(step):
                self._ready.append(step)
            elif self._keeps(step):
                self._held.append(step)
        self._driver.fresh.clear()

    def _passes(self, letter: Deliver) -> bool:
        return self._partitions.passes(letter) if self._targeted else not self._draws.chance(self._loss)

    def _keeps(self, letter: Deliver) -> bool:
        """Whether a letter that does not get through arrives later."""
        if self._targeted and isinstance(self._partitions, TwoCertificates):
            return self._partitions.keeps(letter)
        return not self._forgets

    def _release(self) -> None:
        """Let letters arrive that were kept."""
        now = self._held
        self._patience = max(self._patience, 0.2)
        if self._targeted and isinstance(self._partitions, TwoCertificates) and not self._healed:
            now = self._partitions.first(self._held)
        kept = set(now)
        self._held = [letter for letter in self._held if letter not in kept]
        self._ready += now

    def _delivered(self) -> Step:
        if self._newest_first:
            return self._ready.pop()
        step = self._draws.take(self._ready)
        if self._twice and isinstance(step, Deliver) and self._draws.chance(self._twice):
            self._ready.append(step)
        return step

    def _expired(self) -> Step | None:
        """Let a timer run out: the one that is due next, or any."""
        if not self._expiries_left:
            return None
        self._expiries_left -= 1
        timers = self._driver.timers
        next_due = min(timers, key=lambda one: (timers[one][0], one))
        key = next_due if self._in_order else self._draws.choice(list(timers))
        return Expire(key[0], timers[key][1], key[2])
