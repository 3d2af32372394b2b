"""What Byzantine nodes claim, and to whom they say what."""

from __future__ import annotations

from typing import Any

import pytest

from sim.consensus.attackers import FABRICATED, Answers, Attacker
from sim.consensus.faults import Behaviour
from sim.consensus.protocols.effects import Broadcast, Send
from sim.consensus.protocols.messages import ResultVote, Value
from sim.consensus.protocols.pbft import Commit, Pbft, Prepare, PrePrepare, ViewChange
from sim.consensus.protocols.setting import Setting
from sim.consensus.timeouts import Timeouts

SPLIT = Answers((0, 0, 0, 1, 1, -1, -1), (3, 2), (3, 2))
HONEST = (0, 1, 2, 3, 4)


def attacker(behaviour: Behaviour, *, node: int = 6, proposes: bool = False) -> Attacker:
    setting = Setting(node, (1,) * 7, 5, 2, proposes, 7, Timeouts(), 100)
    machine = Pbft(setting)
    machine.enter(1, (node, 0, 1, 2, 3, 4, 5))
    return Attacker(machine, behaviour, HONEST)


@pytest.mark.parametrize(
    ("power", "behaviour", "claims"),
    [
        ((5, 2), "silent", (0,)),
        ((5, 2), "withhold", (0,)),
        ((5, 2), "random", (FABRICATED - 1 - 6,)),
        ((5, 2), "collude", (FABRICATED,)),
        ((5, 2), "amplify", (1,)),
        ((5,), "amplify", (FABRICATED,)),
        ((5, 2, 2), "amplify", (1, 2)),
        ((3, 3, 1), "amplify", (1, 0)),
        ((3, 3, 3), "amplify", (1, 0, 2)),
        ((5, 2, 1), "equivocate", (0, 1)),
        ((5, 2, 2), "equivocate", (0, 1, 2)),
        ((5,), "equivocate", (0,)),
    ],
)
def test_claims_are_those_of_the_vote_level_with_ties(
    power: tuple[int, ...], behaviour: Behaviour, claims: tuple[int, ...]
) -> None:
    assert Answers((), power, power).claims(behaviour, 6) == claims


def sent(attack: Attacker, message: Any) -> list[tuple[tuple[int, ...] | None, Any]]:
    """To whom (None: all) goes what, in place of a broadcast."""
    return [
        (effect.receivers if isinstance(effect, Send) else None, effect.message)
        for effect in attack.says(Broadcast(message), SPLIT)
        if not isinstance(effect, Send) or effect.receivers
    ]


def test_an_equivocating_leader_shows_two_blocks_and_votes_for_both() -> None:
    attack = attacker("equivocate")
    block = Value(6, 0, 0, None)
    other = block._replace(variant=1)
    first, second = (0, 1, 2, 5), (3, 4)
    assert sent(attack, PrePrepare(1, 0, 6, block)) == [
        (first, PrePrepare(1, 0, 6, block)),
        (second, PrePrepare(1, 0, 6, other)),
        (first, Prepare(1, 0, 6, block)),
        (first, Commit(1, 0, 6, block)),
        (second, Prepare(1, 0, 6, other)),
        (second, Commit(1, 0, 6, other)),
    ]
    assert not sent(attack, Prepare(1, 0, 6, block)), "it has voted"
    assert sent(attack, ViewChange(1, 1, 6, None)) == [(None, ViewChange(1, 1, 6, None))]


def test_its_fellows_vote_for_both_when_they_hear_of_it_and_once() -> None:
    fellow = attacker("equivocate", node=5)
    heard = PrePrepare(1, 0, 6, Value(6, 0, 0, None))
    said = list(fellow.hears(heard, SPLIT))
    assert {(type(effect.message), effect.receivers) for effect in said} == {
        (Prepare, (0, 1, 2, 6)),
        (Commit, (0, 1, 2, 6)),
        (Prepare, (3, 4)),
        (Commit, (3, 4)),
    }
    assert all(effect.message.sender == 5 for effect in said)
    assert not list(fellow.hears(heard, SPLIT))
    assert not list(fellow.hears(PrePrepare(2, 0, 0, Value(0, 0, 0, None)), SPLIT)), "an honest leader shows one block"


def test_results_go_to_those_who_computed_them() -> None:
    proposes = attacker("equivocate", proposes=True)
    sides = [(to, m.value.result) for to, m in sent(proposes, PrePrepare(1, 0, 6, Value(6, 0, 0, 0)))[:2]]
    assert sides == [((0, 1, 2, 5), 0), ((3, 4), 1)]
    votes = sent(attacker("equivocate"), ResultVote(1, 0, 6, 0))
    assert [(to, message.result) for to, message in votes] == [((0, 1, 2, 5), 0), ((3, 4), 1)]


def test_withholding_ends_with_round_0_and_silence_never() -> None:
    block = Value(6, 0, 0, None)
    messages = [PrePrepare(1, 0, 6, block), Prepare(1, 0, 6, block), Commit(1, 0, 6, block)]
    later = [Prepare(1, 1, 6, block), ViewChange(1, 1, 6, None), ResultVote(1, 0, 6, 0)]
    for message in messages:
        assert not sent(attacker("withhold"), message)
    for message in later:
        assert sent(attacker("withhold"), message) == [(None, message)]
    for message in [*messages, *later]:
        assert not sent(attacker("silent"), message)
        assert sent(attacker("collude"), message) == [(None, message)]
