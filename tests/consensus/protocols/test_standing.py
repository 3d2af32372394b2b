"""Replicas that begin a chain in the middle."""

from __future__ import annotations

import pytest

from sim.consensus.protocols.effects import Broadcast, Decide, Effect, SetTimer, Timer
from sim.consensus.protocols.hotstuff import HotStuff
from sim.consensus.protocols.hotstuff_messages import Proposal as HotStuffProposal
from sim.consensus.protocols.icc import Icc
from sim.consensus.protocols.icc_messages import BeaconShare, Notarization, Parent, Proposal
from sim.consensus.protocols.messages import Certificate, Value
from sim.consensus.protocols.pipelined import DEPTH, Pipelined
from sim.consensus.protocols.setting import Setting
from sim.consensus.timeouts import Timeouts

ALL = (0, 1, 2, 3)


def replica(kind: type[Pipelined], node: int) -> Pipelined:
    return kind(Setting(node, (1,) * 4, 3, 1, False, 4, Timeouts(), 100, watched=False))  # noqa: FBT003 -- a tuple


def said(effects: list[Effect]) -> list[object]:
    return [effect.message for effect in effects if isinstance(effect, Broadcast)]


def test_a_leader_of_hotstuff_builds_on_the_block_at_which_all_stand() -> None:
    leader, other = replica(HotStuff, 1), replica(HotStuff, 2)
    for one in (leader, other):
        one.stand_at(4)
    (proposal,) = said([*leader.enter(5, ALL[1:], 2)])
    assert isinstance(proposal, HotStuffProposal)
    assert proposal.justify.view == (4, 0)
    assert proposal.weight == 2  # a certificate is in it
    other.enter(5, ALL[1:], 2)
    other.receive(proposal)
    assert other.voted == (5, 0)  # type: ignore[attr-defined]


def finished() -> tuple[Pipelined, list[Effect]]:
    """One that stood at height 4, and has finished height 5."""
    one, value = replica(Icc, 1), Value(0, 0, 0, None, (4, 0))
    one.stand_at(4)
    for sender in (2, 3):
        one.receive(BeaconShare(4, 0, sender))
    one.enter(5, ALL)
    one.receive(Proposal(5, 0, 0, value, Parent(4, Certificate(0, Value(0, 0, 0, None), ALL))))
    return one, [*one.receive(Notarization(5, 0, 0, value, ALL))]


def test_a_replica_of_icc_goes_on_from_where_it_stands_and_looks_at_nothing_below() -> None:
    before = replica(Icc, 1)
    before.stand_at(4)
    assert before.looks_below(5)
    one, effects = finished()
    assert SetTimer(Timer("final", 5, 0), 3.0) in effects
    assert one.carries_nothing
    assert not one.looks_below(5)
    assert one.looks_below(6)
    assert not any(isinstance(effect, Decide) for effect in effects)


def test_copies_are_numbered_on_from_where_they_were() -> None:
    one, _ = finished()
    assert one.copies is None
    one.expire(Timer("final", 5, 0))
    assert one.copies == (1, {})
    again = replica(Icc, 1)
    again.stand_at(7, one.copies)
    assert again.copies == (1, {})


@pytest.mark.parametrize("waiting", [DEPTH - 1, DEPTH])
def test_flow_control_counts_what_waits_below_until_it_is_closed(waiting: int) -> None:
    one = replica(Icc, 1)
    one.stand_at(40)
    for height in range(41 - waiting, 41):
        one.decided_below(height)
    one._go_to(41)
    held = not one._flush()
    assert held == (waiting == DEPTH) == bool(one.held)
    assert bool(one.close_below(41 - waiting)) == held
