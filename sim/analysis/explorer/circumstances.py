"""What a schedule fixes before it begins: leaders, answers, and what the Byzantine replicas are up to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sim.engines.events.draws import answers_from

if TYPE_CHECKING:
    from sim.analysis.explorer.chain import Chain
    from sim.analysis.explorer.draws import Draws
    from sim.consensus.attackers import Answers

_HEIGHTS_MAX = 3
_IDLE_HEIGHTS = 5


class Circumstances(NamedTuple):
    """What a schedule fixes before it begins.

    Parameters
    ----------
    leaders
        Of every height, from 1: the leader of each round.
    answers
        Of every height, from 1: what the nodes compute.
    twins
        Whether each Byzantine replica is two machines; otherwise it does what the scenario says.
    usurps
        Whether a twin that leads proposes a block of its own even where it has to carry one over.
    supports
        Whether a twin casts all votes for every value that it hears of.
    idle
        Heights at the end that carry nothing, and let those before them be decided where heights overlap.
    """

    leaders: tuple[tuple[int, ...], ...]
    answers: tuple[Answers, ...]
    twins: bool
    usurps: bool
    supports: bool
    idle: int = 0

    @property
    def heights(self) -> int:
        """Heights that are run; later ones are not begun."""
        return len(self.leaders) - self.idle

    @classmethod
    def drawn(cls, chain: Chain, draws: Draws) -> Circumstances:
        """Draw them: Byzantine replicas lead more often than their share, and answers are split more often than not."""
        heights = 1 + draws.below(_HEIGHTS_MAX)
        idle = _IDLE_HEIGHTS if chain.machine.pipelined else 0
        leaders = tuple(_leaders(chain, draws) for _ in range(heights + idle))
        answers = tuple(_answers(chain, draws) for _ in range(heights)) + (_unanimous(chain),) * idle
        twins = draws.chance(0.8)
        return cls(leaders, answers, twins, draws.chance(0.5), draws.chance(0.3), idle)


def _leaders(chain: Chain, draws: Draws) -> tuple[int, ...]:
    order = draws.shuffled(range(len(chain.power)))
    if draws.chance(0.5):  # the first few rounds are those that schedules reach
        order.sort(key=lambda node: node not in chain.byzantine)
        if draws.chance(0.5):
            order[0], order[-1] = order[-1], order[0]
    return tuple(order[: chain.rounds])


def _unanimous(chain: Chain) -> Answers:
    return answers_from([None if node in chain.byzantine else 0 for node in range(len(chain.power))], chain.power)


def _answers(chain: Chain, draws: Draws) -> Answers:
    if chain.recorded is not None:
        return chain.recorded
    label: list[int | None] = [None if node in chain.byzantine else 0 for node in range(len(chain.power))]
    if draws.chance(0.5):
        for alike in chain.deviating:
            answer = draws.below(2)
            for node in alike:
                label[node] = answer
    return answers_from(label, chain.power)
