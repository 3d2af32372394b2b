"""What a matching rule lets pass, once it is put to the vote: honest answers, and those of attackers.

Exact where noise is Gaussian, and for recorded answers and margins; else drawn, with draws that depend on the seed
alone, so that two rules meet the same answers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.consensus.matching import Margin, Median
from sim.consensus.tally import Outcome
from sim.engines import margin_exact, number_exact, replay
from sim.engines.margin_draws import MarginDraws
from sim.engines.number_draws import NumberDraws
from sim.engines.result import Estimate
from sim.inference.forcing import accepting, told_apart
from sim.statistics.streams import CONTENTS, cell_stream, named_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.random import Generator

    from sim.scenario.schema import Scenario

_WORK_PER_CELL = 1_000_000


class Passing(NamedTuple):
    """Probabilities in a block, all attackers being against it.

    Parameters
    ----------
    false_accept
        That the attackers' answer is certified, once it is put to the vote, and no honest node gives it.
    false_reject
        That honest nodes, on whom attackers keep silent, certify nothing, or several things; with a leader, where that
        is an honest node.
    """

    false_accept: Estimate
    false_reject: Estimate


def passing(attacked: Scenario, silent: Scenario, blocks: int) -> Passing:
    """Work out what passes.

    Parameters
    ----------
    attacked
        A scenario whose Byzantine nodes collude on an answer.
    silent
        The same, where they are silent.
    blocks
        Blocks to draw where it has to be simulated.
    """
    rule = attacked.consensus.matching
    if attacked.recorded:
        return Passing(*(Estimate.exact(chance) for chance in replay.passing(attacked, silent)))
    if isinstance(rule, Margin):
        return _checked(attacked, blocks)
    if not has_law(attacked, silent):
        return _drawn(attacked, silent, blocks)
    if isinstance(rule, Median):
        law, alone = number_exact.vote_on_median(attacked), number_exact.vote_on_median(silent)
        return Passing(Estimate.exact(law.forged), Estimate.exact(alone.refused))
    led = number_exact.proposed(attacked)
    return Passing(Estimate.exact(0.0 if _given(attacked) else led.slanted), Estimate.exact(led.refused))


def _given(attacked: Scenario) -> bool:
    """Whether honest nodes without noise give the forged number too."""
    still = any(
        not math.hypot(group.executor.class_noise, group.executor.node_noise) for group in attacked.number_groups
    )
    return still and attacked.faults.shift == 0


def has_law(attacked: Scenario, silent: Scenario) -> bool:
    """Whether what passes is computed, not drawn."""
    if attacked.recorded:
        return True
    if isinstance(attacked.consensus.matching, Margin):
        return margin_exact.obstacle(attacked) is None
    return number_exact.obstacle(attacked) is None and number_exact.obstacle(silent) is None


def _checked(attacked: Scenario, blocks: int) -> Passing:
    """Posted tokens: those of an honest node, and those of a cheaper model."""
    refused = accepting(margin_exact.check(attacked, attacked.honest_nodes - 1, attacked.election.quorum - 1)).lost
    if attacked.faults.noise is None:
        passed = Estimate.exact(0.0)
    elif margin_exact.obstacle(attacked) is None:
        passed = Estimate.exact(float(told_apart(margin_exact.cheaper(attacked)).mass[:, 0].sum()))
    else:
        draws = MarginDraws(attacked)
        wrong = sum(
            int(np.count_nonzero(draws.draw(stream, number, hostile=True)[0] == Outcome.wrong_result))
            for stream, number in _streams(attacked, draws.work, blocks)
        )
        passed = Estimate.of(wrong, blocks)
    return Passing(passed, Estimate.exact(refused))


def _drawn(attacked: Scenario, silent: Scenario, blocks: int) -> Passing:
    """Draw numbers, and vote on the same ones with and without an attack."""
    hostile, honest = NumberDraws(attacked), NumberDraws(silent)
    work, accepted, refused = max(hostile.work, honest.work), 0, 0
    for stream, number in _streams(attacked, work, blocks):
        accepted += 0 if _given(attacked) else int(hostile.led(stream, number, hostile=True).accepted.sum())
    for stream, number in _streams(attacked, work, blocks):
        refused += int(np.count_nonzero(honest.led(stream, number, hostile=False).outcome != Outcome.agreed))
    return Passing(Estimate.of(accepted, blocks), Estimate.of(refused, blocks))


def _streams(scenario: Scenario, work: float, blocks: int) -> Iterator[tuple[Generator, int]]:
    """Yield streams that only the seed decides, and how many blocks to draw from each."""
    size, key = max(1, int(_WORK_PER_CELL // max(work, 1))), named_key("price", scenario.run.seed)
    for cell in range(math.ceil(blocks / size)):
        yield cell_stream(key, cell, CONTENTS), min(size, blocks - cell * size)
