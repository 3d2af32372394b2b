"""Who looks at one executor's result: nodes drawn at random, some of them Byzantine, who may look or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.inference.binomial import binomial_law, log_choose

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.consensus.verification import Panel

    Floats = NDArray[np.float64]


def lookers(panel: Panel, honest: int, byzantine: int) -> tuple[Floats, Floats]:
    """Law of the number of honest nodes that look, without and with a Byzantine node in the panel.

    Parameters
    ----------
    panel
        How it is drawn.
    honest, byzantine
        Nodes beside the executor.

    Returns
    -------
    alone, watched : Floats
        P(l look and no Byzantine node is drawn), P(l look and some are); l = 0..honest. They sum to 1 together.
    """
    alone, watched = np.zeros(honest + 1), np.zeros(honest + 1)
    hostile = hypergeometric(honest, byzantine, panel.drawn)
    for number in np.flatnonzero(hostile):
        sizes = _binomial(panel.drawn - int(number), panel.looks)
        (watched if number else alone)[: len(sizes)] += panel.chance * hostile[number] * sizes
    alone[0] += 1 - panel.chance
    return alone, watched


def _binomial(n: int, chance: float) -> Floats:
    if chance < 1:
        return np.asarray(binomial_law(n, np.array([chance]))[0])
    everyone = np.zeros(n + 1)
    everyone[-1] = 1.0
    return everyone


def hypergeometric(plain: int, marked: int, drawn: int) -> Floats:
    """P(j of the drawn are marked), j = 0..min(marked, drawn).

    Examples
    --------
    >>> hypergeometric(2, 1, 1).round(12)
    array([0.66666667, 0.33333333])
    """
    number = np.arange(min(marked, drawn) + 1)
    possible = drawn - number <= plain
    logs = np.full(len(number), -np.inf)
    logs[possible] = (
        log_choose(marked)[number[possible]]
        + log_choose(plain)[drawn - number[possible]]
        - log_choose(plain + marked)[drawn]
    )
    law: Floats = np.exp(logs)
    return law
