"""What a matching rule lets pass, once it is put to the vote: honest answers, and those of attackers.

Exact where noise is Gaussian, and for recorded answers and margins; else drawn, with draws that depend on the seed
alone, so that two rules meet the same answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sim.consensus.matching import Margin, Median
from sim.consensus.tally import Outcome
from sim.engines import margin_exact, number_exact, replay
from sim.engines.number_draws import NumberDraws
from sim.engines.result import Estimate
from sim.statistics.streams import CONTENTS, cell_stream, named_key

if TYPE_CHECKING:
    from sim.scenario.schema import Scenario

_WORK_PER_CELL = 1_000_000


class Passing(NamedTuple):
    """Probabilities in a block, all attackers being against it.

    Parameters
    ----------
    false_accept
        That the attackers' answer is certified, once it is put to the vote.
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
        return _checked(attacked)
    exact = number_exact.obstacle(attacked) is None and number_exact.obstacle(silent) is None
    if not exact:
        return _drawn(attacked, silent, blocks)
    if isinstance(rule, Median):
        law, alone = number_exact.vote_on_median(attacked), number_exact.vote_on_median(silent)
        return Passing(Estimate.exact(law.wrong), Estimate.exact(alone.refused))
    chances = number_exact.passes(attacked)
    return Passing(Estimate.exact(chances.slanted), Estimate.exact(chances.refused))


def _checked(attacked: Scenario) -> Passing:
    """Posted tokens: those of an honest node, and those of a cheaper model."""
    election, honest = attacked.election, attacked.honest_nodes
    cheaper = 0.0
    if attacked.faults.noise is not None:
        law = margin_exact.checked(attacked, honest, election.quorum - election.byzantine, attacked.faults.noise)
        cheaper = float(law.mass.sum())
    refused = margin_exact.checked(attacked, honest - 1, election.quorum - 1).lost
    return Passing(Estimate.exact(cheaper), Estimate.exact(refused))


def _drawn(attacked: Scenario, silent: Scenario, blocks: int) -> Passing:
    """Draw numbers, and vote on the same ones with and without an attack."""
    hostile, honest = NumberDraws(attacked), NumberDraws(silent)
    size = max(1, _WORK_PER_CELL // max(hostile.work, honest.work, 1))
    key = named_key("price", attacked.run.seed)
    accepted = refused = done = cell = 0
    while done < blocks:
        number = min(size, blocks - done)
        accepted += int(hostile.led(cell_stream(key, cell, CONTENTS), number, hostile=True).accepted.sum())
        ended = honest.led(cell_stream(key, cell, CONTENTS), number, hostile=False)
        refused += int(np.count_nonzero(ended.outcome != Outcome.agreed))
        done, cell = done + number, cell + 1
    return Passing(Estimate.of(accepted, blocks), Estimate.of(refused, blocks))
