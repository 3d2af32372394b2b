"""Internet Computer Consensus: the beacon, ranks and their delays, notarization and finality."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cluster import Cluster, Letter

from sim.consensus.protocols.effects import Broadcast, Effect, Leave, Send, SetTimer, Timer
from sim.consensus.protocols.icc import Icc
from sim.consensus.protocols.icc_messages import (
    BeaconShare,
    Echo,
    FinalizationShare,
    Notarization,
    NotarizationShare,
    Parent,
    Proposal,
)
from sim.consensus.protocols.messages import Certificate, Decision, Fetch, Message, ResultVote, Value
from sim.consensus.timeouts import Timeouts

if TYPE_CHECKING:
    from collections.abc import Sequence

ORDER = (0, 1, 2, 3)
BLOCK, TWIN, SECOND = Value(0, 0, 0, None), Value(0, 0, 1, None), Value(1, 1, 0, None)
QUICK = Timeouts(notary=0)


def replica(node: int = 3, n: int = 4, **parts: object) -> Icc:
    machine = Cluster("icc", n, leaders=tuple(range(n)), **parts).replicas[node]  # type: ignore[arg-type]
    assert isinstance(machine, Icc)
    return machine


def said(effects: Sequence[Effect]) -> list[Message]:
    return [effect.message for effect in effects if isinstance(effect, Broadcast)]


def shares(effects: Sequence[Effect]) -> list[Value]:
    return [message.value for message in said(effects) if isinstance(message, NotarizationShare)]


def turn(machine: Icc, rank: int) -> list[Effect]:
    """Let the notary delays of all ranks up to one run out."""
    at = machine._newest
    return [effect for _ in range(at.turn, rank) for effect in machine.expire(Timer("rank", machine.height, at.round))]


def proposal(value: Value, height: int = 1, parent: Parent | None = None) -> Proposal:
    return Proposal(height, value.round, value.proposer, value, parent)


def notarize(machine: Icc, value: Value, height: int = 1) -> list[Effect]:
    """The shares of replicas 0, 1 and 2 for a block."""
    return [
        effect
        for sender in (0, 1, 2)
        for effect in machine.receive(NotarizationShare(height, value.round, sender, value))
    ]


# The beacon.


@pytest.mark.parametrize(("n", "needed"), [(4, 2), (7, 3), (13, 5)])
def test_a_height_is_begun_with_more_than_f_beacon_shares(n: int, needed: int) -> None:
    machine = replica(node=0, n=n)
    order = tuple(range(n))
    machine.enter(1, order)
    effects = list(machine.enter(2, order))
    assert not machine._newest.started
    for sender in range(1, needed):
        assert not any(isinstance(message, Proposal) for message in said(effects)), sender
        effects += machine.receive(BeaconShare(1, 0, sender))
        effects += machine.receive(BeaconShare(1, 0, sender))
    assert machine._newest.started, "with its own share these are f + 1"
    assert [m.height for m in said(effects) if isinstance(m, BeaconShare)] == [2], "shares are given a height ahead"


def test_beacon_shares_count_by_power() -> None:
    machine = replica(node=1, n=5, power=(6, 1, 1, 1, 1))
    order = tuple(range(5))
    machine.enter(1, order)
    machine.enter(2, order)
    for sender in (2, 3):
        machine.receive(BeaconShare(1, 0, sender))
    assert not machine._newest.started, "three of ten are at most f"
    machine.receive(BeaconShare(1, 0, 4))
    assert machine._newest.started


def test_without_the_beacon_nothing_is_proposed_and_the_height_is_left() -> None:
    cluster = Cluster("icc", 4, heights=2, leaders=ORDER, loses=lambda letter: letter.message.name == "beacon share")
    cluster.start()
    cluster.run()
    assert cluster.left[2] == {0, 1, 2, 3}
    assert {m.height for m in cluster.sent if isinstance(m, Proposal)} == {1}


# Ranks and their delays.


def test_a_block_gets_its_share_when_the_notary_delay_of_its_rank_is_over() -> None:
    machine = replica()
    effects = machine.enter(1, ORDER)
    assert [e.seconds for e in effects if isinstance(e, SetTimer) and e.timer.kind == "rank"] == [0.3]
    assert not shares(machine.receive(proposal(SECOND)))
    assert not shares(turn(machine, 0)), "the turn of rank 0"
    assert shares(turn(machine, 1)) == [SECOND]


def test_makers_wait_for_the_turn_of_their_rank_unless_they_have_a_better_block() -> None:
    for rank in (1, 2, 3):
        machine = replica(node=rank)
        effects = machine.enter(1, ORDER)
        (timer,) = [e for e in effects if isinstance(e, SetTimer) and e.timer.kind == "propose"]
        assert timer.seconds == rank
        assert any(isinstance(m, Proposal) for m in said(machine.expire(timer.timer)))
        other = replica(node=rank)
        other.enter(1, ORDER)
        other.receive(proposal(BLOCK))
        assert not any(isinstance(m, Proposal) for m in said(other.expire(timer.timer)))


def test_a_better_block_keeps_worse_ones_from_a_share_until_its_rank_is_disqualified() -> None:
    machine = replica(node=1)
    machine.enter(1, ORDER)
    machine.receive(proposal(BLOCK))
    assert shares(turn(machine, 0)) == [BLOCK]
    machine.expire(Timer("propose", 1, 0))
    assert not shares(turn(machine, 1))
    effects = machine.receive(proposal(TWIN))
    assert [m.proposal.value for m in said(effects) if isinstance(m, Echo)][-1:] == [TWIN], "so that others see it too"
    assert [m.value for m in said(effects) if isinstance(m, Proposal)] == [SECOND], "its own turn had come"
    assert shares(effects) == [SECOND]


def test_a_replica_with_a_block_of_the_best_rank_gives_no_share_to_a_worse_one() -> None:
    machine = replica()
    machine.enter(1, ORDER)
    assert not shares([*machine.receive(proposal(SECOND)), *machine.receive(proposal(BLOCK))])
    assert shares(turn(machine, 3)) == [BLOCK]


def test_a_maker_that_shows_each_replica_one_block_is_found_out_and_the_next_rank_decides() -> None:
    for seed in range(30):
        cluster = Cluster("icc", 4, leaders=ORDER, silent=frozenset({0}), seed=seed)
        cluster.start()
        for block, receivers in ((BLOCK, [1, 2]), (TWIN, [3])):
            cluster.inject(proposal(block), receivers)
            if seed % 2:
                for vote in Icc.support(1, 0, 0, block):
                    cluster.inject(vote, receivers)
        cluster.run()
        decided = {value for node, value in cluster.decided[1].items() if node}
        assert decided == ({BLOCK} if seed % 2 else {SECOND}), seed


def test_only_the_maker_of_a_rank_is_heard() -> None:
    machine = replica()
    machine.enter(1, ORDER)
    turn(machine, 2)
    for value in (Value(1, 0, 0, None), Value(2, 1, 0, None), Value(0, 7, 0, None)):
        assert not shares(machine.receive(proposal(value)))
    foreign = Proposal(1, 0, 2, BLOCK, None)
    assert not shares(machine.receive(foreign)), "its sender is not who it says made it"
    assert shares(machine.receive(proposal(BLOCK))) == [BLOCK]


def test_the_last_rank_waits_for_what_is_being_executed() -> None:
    cluster = Cluster("icc", 4, proposes=True, rounds=1, leaders=ORDER)
    machine = cluster.replicas[3]
    machine.enter(1, ORDER)
    machine.receive(proposal(BLOCK._replace(result=5)))
    turn(machine, 0)
    for _ in range(5):
        assert not any(isinstance(e, Leave) for e in machine.expire(Timer("rank", 1, 0)))
    assert shares(machine.executed(1, (5,))) == [BLOCK._replace(result=5)]
    assert any(isinstance(effect, Leave) for effect in turn(machine, 1))


# Notarization, and what blocks extend.


def test_a_height_is_passed_with_the_block_and_its_notarization_in_any_order() -> None:
    machine = replica()
    machine.enter(1, ORDER)
    assert not said(notarize(machine, BLOCK)), "the block is not there"
    effects = machine.receive(proposal(BLOCK))
    told = [type(message) for message in said(effects)]
    assert told == [NotarizationShare, Notarization, FinalizationShare], "its share is given before its turn came"
    other = replica()
    other.enter(1, ORDER)
    other.receive(proposal(BLOCK))
    other.receive(Notarization(1, 0, 2, BLOCK, (0, 1)))
    other.receive(Notarization(1, 0, 2, BLOCK, (0, 1, 1, 1)))
    assert other._newest.finished is None, "two of four are no quorum"
    other.receive(Notarization(1, 0, 2, BLOCK, (0, 1, 2)))
    assert other._newest.finished == BLOCK


def test_a_block_must_extend_a_notarized_one() -> None:
    machine = replica()
    machine.enter(1, ORDER)
    machine.receive(proposal(BLOCK))
    notarize(machine, BLOCK)
    machine.enter(2, ORDER)
    machine.receive(BeaconShare(1, 0, 0))
    turn(machine, 0)
    assert machine._newest.turn == 0
    false = Parent(1, Certificate(1, SECOND, (0, 1)))
    for parent, named in ((None, None), (false, (1, 1)), (Parent(2, false.notarization), (2, 1))):
        assert not shares(machine.receive(proposal(BLOCK._replace(parent=named), 2, parent)))
    good = Parent(1, Certificate(0, BLOCK, (0, 1, 2)))
    assert shares(machine.receive(proposal(BLOCK._replace(parent=(1, 0), variant=1), 2, good)))


def test_who_has_supported_two_blocks_of_a_height_sends_no_finalization_share_for_either() -> None:
    for first, second in ((SECOND, BLOCK), (BLOCK, SECOND)):
        machine = replica()
        machine.enter(1, ORDER)
        turn(machine, 1)
        assert shares(machine.receive(proposal(SECOND))) == [SECOND]
        assert shares(machine.receive(proposal(BLOCK))) == [BLOCK], "a better one that came late"
        effects = notarize(machine, first)
        assert machine._pending[1].finished == first  # type: ignore[attr-defined]
        assert not any(isinstance(message, FinalizationShare) for message in said(effects))
        assert not said(notarize(machine, second)), "the height is over"


def test_a_block_is_decided_by_a_quorum_of_finalization_shares_for_it_and_not_by_fewer() -> None:
    for values, decided in (([BLOCK, BLOCK], False), ([BLOCK, BLOCK, SECOND], False), ([BLOCK, BLOCK, BLOCK], True)):
        machine = replica(proposes=True)
        block, *_ = result = [value._replace(result=5) for value in values]
        machine.enter(1, ORDER)
        machine.receive(proposal(block))
        machine.executed(1, (7,))
        notarize(machine, block)
        at = machine._at(1)
        at.finals = type(at.finals)(machine.power)  # its own share apart
        for sender, value in enumerate(result):
            machine.receive(FinalizationShare(1, value.round, sender, value))
        assert (machine.open == 2) == decided


def test_who_goes_on_before_it_has_executed_gives_its_share_afterwards_if_its_result_allows() -> None:
    block = BLOCK._replace(result=5)
    for own, given in ((5, [block]), (6, [])):
        machine = replica(proposes=True)
        machine.enter(1, ORDER)
        machine.receive(proposal(block))
        assert not shares(notarize(machine, block))
        assert machine._newest.finished == block
        machine.enter(2, ORDER)
        assert shares(machine.executed(1, (own,))) == given


def own_block(machine: Icc) -> Proposal:
    """What the first maker of height 2 proposes when its beacon is there."""
    effects = [effect for sender in range(3) for effect in machine.receive(BeaconShare(1, 0, sender))]
    (made,) = [message for message in said(effects) if isinstance(message, Proposal)]
    return made


def test_the_next_block_extends_what_is_decided_and_not_what_failed_for_everybody() -> None:
    for case, extended in (("notarized", SECOND), ("decided", BLOCK), ("failed", None)):
        machine = replica()
        machine.enter(1, ORDER)
        turn(machine, 1)
        machine.receive(proposal(SECOND))
        notarize(machine, SECOND)
        machine.enter(2, (3, 0, 1, 2))
        if case == "decided":
            machine.receive(Decision(1, 0, 0, BLOCK, (0, 1, 2), None, (), closed=False))
        elif case == "failed":
            machine.close(1)
        parent = own_block(machine).parent
        assert (parent.notarization.value if parent else None) == extended


def two_ranks(seed: int) -> Cluster:
    """Rank 0 is so slow that the others support rank 1 first; then all shares arrive, in a random order."""

    def given(rank: int) -> bool:
        return all(rank in cluster.replicas[node]._at(1).given for node in (1, 2, 3))

    def is_share(letter: Letter) -> bool:
        return letter.message.name == "notarization share"

    cluster = Cluster("icc", 4, leaders=ORDER, heights=3, seed=seed)
    cluster.holds = lambda letter: is_share(letter) or (letter.message.sender == 0 and letter.message.height == 1)
    cluster.start()
    cluster.run(until=lambda: given(1))
    cluster.holds = is_share
    cluster.run(until=lambda: given(0))
    assert given(0)
    assert cluster.now < 3
    cluster.holds = lambda _: False
    return cluster


def test_two_ranks_are_notarized_in_one_height_and_the_next_one_decides_which() -> None:
    chosen = set()
    divided = 0
    for seed in range(40):
        cluster = two_ranks(seed)
        cluster.run()
        told = {m.value for m in cluster.sent if isinstance(m, Notarization) and m.height == 1}
        divided += told == {BLOCK, SECOND}
        assert not any(isinstance(m, FinalizationShare) and m.height == 1 and m.sender for m in cluster.sent)
        (value,) = set(cluster.decided[1].values())
        (child,) = set(cluster.decided[2].values())
        assert child.parent == (1, value.round)
        assert cluster.reached == dict.fromkeys(range(4), max(cluster.reached.values()))
        chosen.add(value)
    assert divided, "replicas went on with different blocks"
    assert chosen == {BLOCK, SECOND}


def test_a_notarized_block_is_carried_over_by_the_next_rank_of_a_height_whose_first_maker_fails() -> None:
    cluster = Cluster("icc", 4, heights=2, silent=frozenset({1}))
    cluster.loses = lambda letter: letter.message.height == 1 and letter.message.name in {"finalization share", "fetch"}
    cluster.start()
    cluster.run(until=lambda: cluster.now > 1)
    assert not cluster.decided
    cluster.run()
    carrying = [cluster.decided[2][node] for node in cluster.honest]
    assert [(value.proposer, value.round, value.parent) for value in carrying] == [(2, 1, (1, 0))] * 3
    assert [cluster.decided[1][node] for node in cluster.honest] == [BLOCK] * 3


# What is lost.


@pytest.mark.parametrize("lost", ["proposal", "notarization share", "notarization", "finalization share", "result"])
def test_what_was_lost_is_told_again(lost: str) -> None:
    cluster = Cluster("icc", 4, leaders=ORDER, rounds=1, heights=2, timeouts=Timeouts(result=20, notary=0))
    cluster.loses = lambda letter: (
        cluster.now < 3 and letter.message.name == lost and (letter.receiver != 1 or lost == "finalization share")
    )
    cluster.start()
    cluster.run(until=lambda: cluster.now > 300)
    for height in (1, 2):
        if lost == "result":
            assert cluster.certified[height][1] == 0
        else:
            assert cluster.decided[height].keys() == {0, 1, 2, 3}


def test_whoever_asks_is_told_what_proves_most_of_a_height() -> None:
    machine = replica()
    machine.enter(1, ORDER)
    turn(machine, 0)
    machine.receive(proposal(BLOCK))

    def told() -> list[type[Message]]:
        effects = machine.receive(Fetch(1, 0, 1))
        assert all(isinstance(effect, Send) and effect.receivers == (1,) for effect in effects)
        return [type(effect.message) for effect in effects if isinstance(effect, Send)]

    assert told() == [NotarizationShare, BeaconShare]
    notarize(machine, BLOCK)
    assert told() == [Echo, FinalizationShare, BeaconShare]
    for sender in (0, 1):
        machine.receive(FinalizationShare(1, 0, sender, BLOCK))
    assert told() == [Decision, BeaconShare]


def test_a_false_decision_is_not_believed_and_a_proven_one_closes_all_before() -> None:
    false = Value(3, 0, 0, 9)
    for voters in ((3,), (3, 3, 3), (2, 3)):
        machine = replica(proposes=True)
        machine.enter(1, ORDER)
        machine.receive(Decision(5, 0, 0, false, voters, None, (), closed=True))
        assert machine.open == 1
    machine = replica(proposes=True)
    machine.enter(1, ORDER)
    machine.receive(Decision(5, 0, 0, false, (0, 1, 2), None, (), closed=True))
    assert machine.open == 6


def test_a_result_is_adopted_only_with_its_votes() -> None:
    for backers, adopted in (((0, 1, 2), True), ((0, 1), False), ((2, 2, 2), False)):
        machine = replica()
        machine.enter(1, ORDER)
        machine.receive(Decision(1, 0, 0, BLOCK, (0, 1, 2), 5, backers, closed=True))
        assert (machine.open == 2) == adopted


def test_heights_are_begun_before_those_below_are_decided_or_certified() -> None:
    cluster = Cluster("icc", 4, heights=4, leaders=ORDER, timeouts=QUICK)
    cluster.loses = lambda letter: letter.message.name in {"finalization share", "result", "fetch"}
    cluster.start()
    cluster.deliver_all()
    assert not cluster.decided
    assert min(machine.height for machine in cluster.replicas) > 4
    cluster.loses = lambda letter: letter.message.name == "result"
    cluster.run(until=lambda: 4 in cluster.decided)
    assert set(cluster.reached.values()) == {1}, "no block is certified yet"


def test_votes_that_come_late_are_not_kept() -> None:
    machine = replica(proposes=True)
    machine.enter(1, ORDER)
    machine.receive(Decision(5, 0, 0, Value(3, 0, 0, 9), (0, 1, 2), None, (), closed=True))
    for message in (ResultVote(2, 0, 1, 0), FinalizationShare(2, 0, 1, BLOCK), NotarizationShare(2, 0, 1, BLOCK)):
        machine.receive(message)
    at = machine._at(2)
    assert at.result_votes.total == at.finals.total == len(at.shares) == 0


def test_closed_heights_keep_no_blocks_votes_or_messages() -> None:
    cluster = Cluster("icc", 4, heights=4)
    cluster.start()
    cluster.run()
    for machine in cluster.replicas:
        at = machine._at(1)
        assert at.decided is not None
        assert not any((at.blocks, at.shares, at.notarized, at.said, at.result_votes.total, at.finals.total, at.final))
