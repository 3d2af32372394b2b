"""Numbers that are brought together before the vote: the median of reports, and approximate agreement.

Byzantine nodes know all honest numbers. Silent ones report nothing; random ones report numbers far off, half of them
above and half below; colluding ones all report their forged number. Those that amplify or equivocate report what does
most harm: far above all others to the one who takes the median; in approximate agreement, far below to nodes below the
middle and far above to the rest, which keeps them apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.consensus import numbers as tally
from sim.consensus.numbers import Ended, Numbers, weighted_median
from sim.consensus.tally import BOOSTED, Election, Outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_FAR = 10.0  # times the range of the honest numbers


def median(election: Election, numbers: Numbers, leader: Integers | None) -> Ended:
    """Tally blocks in which the median of all reports is put to the vote.

    Parameters
    ----------
    election, numbers
        Who votes, and what they computed.
    leader
        Who takes the median, as in `numbers.propose`; None: everybody does, of all reports. A Byzantine leader says
        nothing if it is silent or random, and otherwise takes just a quorum of reports, the most slanted ones.

    Returns
    -------
    Ended
        A median does harm, whoever gave that number, where a node with the honest median would not accept it. Byzantine
        nodes vote for one that does, or is theirs (and to equivocate, for every one).
    """
    blocks, honest = numbers.values.shape
    weights = np.broadcast_to(numbers.power, (blocks, honest))
    led = np.zeros(blocks, dtype=np.bool_)
    if leader is not None and honest:
        led = leader >= int(numbers.power.sum())
        weights = np.where(led[:, None], _slanted(election, numbers), weights)
    extra, votes = _reports(election, numbers)
    reports = np.concatenate([numbers.values, np.broadcast_to(extra, (blocks, len(extra)))], axis=1)
    counted = np.concatenate([weights, np.broadcast_to(votes, (blocks, len(votes)))], axis=1)
    result = weighted_median(reports, counted) if counted.shape[1] else np.full(blocks, np.inf)
    accepts = numbers.accepts(result)
    harmless = numbers.harmless(result) if honest else np.zeros(blocks, dtype=np.bool_)
    hostile = election.behaviour in {"collude", *BOOSTED}
    theirs = (result == numbers.forged) & (election.behaviour == "collude")
    helps = ~harmless | theirs | (election.behaviour == "equivocate")
    won = accepts @ numbers.power + np.where(helps & hostile, election.byzantine, 0) >= election.quorum
    won &= ~led | hostile
    outcome = np.where(won, np.where(harmless, Outcome.agreed, Outcome.wrong_result), Outcome.no_quorum)
    return Ended(outcome, accepts & (won & harmless)[:, None], won & theirs)


def _reports(election: Election, numbers: Numbers) -> tuple[Floats, Integers]:
    """What Byzantine nodes report, and the power behind each number."""
    b = election.byzantine
    if not b or election.behaviour == "silent":
        return np.empty(0), np.empty(0, dtype=np.int64)
    if election.behaviour == "random":
        return np.array([-np.inf, np.inf]), np.array([b // 2, b - b // 2])
    return np.array([numbers.forged if election.behaviour == "collude" else np.inf]), np.array([b])


def _slanted(election: Election, numbers: Numbers) -> Integers:
    """Power of the honest reports that a Byzantine leader takes, so many that with its own they are a quorum."""
    upwards = election.behaviour != "collude" or (numbers.forged >= numbers.middle)
    order = np.argsort(np.where(np.reshape(upwards, (-1, 1)), -numbers.values, numbers.values), axis=1, kind="stable")
    power = numbers.power[order]
    before = power.cumsum(axis=1) - power
    taken = np.where(before < election.quorum - election.byzantine, power, 0)
    weights = np.empty_like(taken)
    np.put_along_axis(weights, order, taken, axis=1)
    return weights


def approximate(election: Election, numbers: Numbers, faults: int, rounds: int) -> Ended:
    """Tally blocks in which nodes average over rounds before they vote.

    Parameters
    ----------
    election, numbers
        Who votes, each node with a power of 1, and what they computed.
    faults
        Faults f that are tolerated, n > 3 f.
    rounds
        Rounds of averaging.

    Returns
    -------
    Ended
        What is agreed lies within the range of the honest numbers, or the bound of it; what does not is wrong.
    """
    if not numbers.values.shape[1]:
        return tally.certify(election, numbers)
    values = numbers.values
    for _ in range(rounds):
        values = averaged(values, _heard(election, values, numbers.forged), faults)
    final = Numbers(values, numbers.power, numbers.rule, numbers.forged)
    low, high = numbers.values.min(axis=1, keepdims=True), numbers.values.max(axis=1, keepdims=True)
    nearest = np.clip(values, low, high)
    valid = numbers.rule.alike(nearest, values)
    ended = tally.certify(election, final)
    wrong = (ended.outcome == Outcome.agreed) & ~(ended.matched & valid).any(axis=1)
    return Ended(np.where(wrong, Outcome.wrong_result, ended.outcome), ended.matched & ~wrong[:, None], ended.accepted)


def _heard(election: Election, values: Floats, forged: float) -> Floats:
    """What each honest node hears from Byzantine ones, shape (B, h, b); its own number where it hears nothing."""
    blocks, honest = values.shape
    b = election.byzantine
    low, high = values.min(axis=1), values.max(axis=1)
    far = _FAR * (high - low) + 1.0
    heard = np.empty((blocks, honest, b))
    if election.behaviour == "silent":
        heard[:] = values[:, :, None]
    elif election.behaviour == "random":
        heard[:, :, : b // 2], heard[:, :, b // 2 :] = (low - far)[:, None, None], (high + far)[:, None, None]
    elif election.behaviour == "collude":
        heard[:] = np.where(np.isfinite(forged), forged, high + far)[:, None, None]
    else:
        below = values <= ((low + high) / 2)[:, None]
        heard[:] = np.where(below, (low - far)[:, None], (high + far)[:, None])[:, :, None]
    return heard


def averaged(values: Floats, heard: Floats, faults: int) -> Floats:
    """One round of approximate agreement.

    Parameters
    ----------
    values
        Numbers of the honest nodes, shape (B, h).
    heard
        What each of them hears from Byzantine nodes, shape (B, h, b).
    faults
        Faults f that are tolerated.

    Returns
    -------
    Floats
        Their numbers after the round, shape (B, h): the mean of every f-th of what is left, once the f lowest and the f
        highest are left out.
    """
    blocks, honest = values.shape
    everyone = np.broadcast_to(values[:, None, :], (blocks, honest, honest))
    ordered = np.sort(np.concatenate([everyone, heard], axis=2), axis=2)
    kept = ordered[:, :, faults : ordered.shape[2] - faults : max(faults, 1)]
    mean: Floats = kept.mean(axis=2)
    return mean


def convergence(nodes: int, faults: int) -> float:
    """Factor by which one round brings honest numbers closer, at least; infinite without faults.

    Examples
    --------
    >>> convergence(4, 1), convergence(13, 4), convergence(13, 1)
    (2, 2, 11)
    """
    return (nodes - 2 * faults - 1) // faults + 1 if faults else np.inf
