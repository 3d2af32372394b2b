"""Tendermint: locks, valid values, and rounds."""

from __future__ import annotations

from cluster import Cluster, Letter

from sim.consensus.protocols.effects import Broadcast, SetTimer, Timer
from sim.consensus.protocols.messages import Value
from sim.consensus.protocols.tendermint import Precommit, Prevote, Proposal, Tendermint
from sim.consensus.timeouts import Timeouts

ORDER = (0, 1, 2, 3)
BLOCK, OTHER = Value(0, 0, 0, None), Value(1, 1, 0, None)
QUICK = Timeouts(commit=0)


def replica(cluster: Cluster, node: int) -> Tendermint:
    machine = cluster.replicas[node]
    assert isinstance(machine, Tendermint)
    return machine


def prevotes_of(cluster: Cluster, round_: int) -> dict[int, Value | None]:
    return {m.sender: m.value for m in cluster.sent if isinstance(m, Prevote) and m.round == round_}


def test_a_valid_value_is_proposed_again_with_the_round_of_its_polka() -> None:
    def lost(letter: Letter) -> bool:
        message = letter.message
        unlocked = message.name == "proposal" and message.round == 0 and letter.receiver == 3
        return unlocked or (message.name == "precommit" and message.sender == 0)

    cluster = Cluster("tendermint", 4, leaders=ORDER, timeouts=QUICK, loses=lost)
    cluster.start()
    cluster.run(until=lambda: BLOCK in {replica(cluster, node).locked for node in (1, 2)})
    cluster.crash(0)
    cluster.run()
    proposals = {m.round: m for m in cluster.sent if isinstance(m, Proposal)}
    assert (proposals[1].sender, proposals[1].value, proposals[1].valid_round) == (1, BLOCK, 0)
    assert {value for node, value in cluster.decided[1].items() if node} == {BLOCK}


def test_a_locked_replica_prevotes_nil_for_another_value_until_it_has_a_later_polka() -> None:
    machine = replica(Cluster("tendermint", 4, leaders=ORDER), 3)
    machine.enter(1, ORDER)
    machine.receive(Proposal(1, 0, 0, BLOCK, -1))
    for sender in (0, 1):
        machine.receive(Prevote(1, 0, sender, BLOCK))
    assert (machine.locked, machine.locked_round) == (BLOCK, 0)
    for sender in (0, 1):
        machine.receive(Precommit(1, 1, sender, None))
    assert machine.round == 1, "two of four are more than f = 1"
    machine.receive(Proposal(1, 1, 1, OTHER, -1))
    assert machine.prevotes[1].choice[3] is None
    for sender in (0, 1):
        machine.receive(Prevote(1, 1, sender, OTHER))
        machine.receive(Precommit(1, 2, sender, None))
    assert machine.round == 2
    machine.receive(Proposal(1, 2, 2, OTHER, 1))
    assert 3 not in machine.prevotes[2].choice, "it has not seen the polka that the proposer claims"
    machine.receive(Prevote(1, 1, 2, OTHER))
    assert machine.locked == BLOCK
    assert machine.prevotes[2].choice[3] == OTHER, "a polka of a later round than its lock frees it"


def test_a_proposal_that_claims_a_polka_waits_for_its_prevotes() -> None:
    machine = replica(Cluster("tendermint", 4, leaders=ORDER), 3)
    machine.enter(1, ORDER)
    for sender in (0, 1):
        machine.receive(Precommit(1, 1, sender, None))
    machine.receive(Proposal(1, 1, 1, BLOCK, 0))
    assert 3 not in machine.prevotes[1].choice
    for sender in (0, 1, 2):
        machine.receive(Prevote(1, 0, sender, BLOCK))
    assert machine.prevotes[1].choice[3] == BLOCK


def test_a_carried_result_that_differs_from_the_proposers_own_is_proposed_but_not_voted_for() -> None:
    cluster = Cluster("tendermint", 5, "1/4", proposes=True, rounds=2, leaders=(0, 1, 2, 3, 4), answers={1: (7,)})
    cluster.loses = lambda letter: (
        letter.message.name == "precommit"
        and letter.message.round == 0
        and (letter.message.sender == 0 or (letter.message.sender, letter.receiver) == (2, 0))
    )
    cluster.start()
    cluster.run()
    proposals = {m.round: m for m in cluster.sent if isinstance(m, Proposal)}
    assert (proposals[1].sender, proposals[1].value) == (1, Value(0, 0, 0, 0))
    assert prevotes_of(cluster, 1) == dict.fromkeys((0, 2, 3, 4), Value(0, 0, 0, 0)) | {1: None}
    assert set(cluster.decided[1].values()) == {Value(0, 0, 0, 0)}


def test_an_equivocating_proposer_gets_no_two_blocks_decided() -> None:
    for seed in range(30):
        cluster = Cluster("tendermint", 4, leaders=ORDER, silent=frozenset({0}), seed=seed, timeouts=QUICK)
        cluster.start()
        blocks = [BLOCK, Value(0, 0, 1, None)]
        for block, receivers in zip(blocks, ([1, 2], [3]), strict=True):
            cluster.inject(Proposal(1, 0, 0, block, -1), receivers)
            if seed % 2:
                for vote in Tendermint.support(1, 0, 0, block):
                    cluster.inject(vote, receivers)
        cluster.run()
        decided = {value for node, value in cluster.decided[1].items() if node}
        assert decided == ({BLOCK} if seed % 2 else {OTHER}), seed


def test_a_replica_that_is_left_behind_joins_a_later_round() -> None:
    machine = replica(Cluster("tendermint", 4, leaders=ORDER), 3)
    machine.enter(1, ORDER)
    machine.receive(Prevote(1, 2, 0, None))
    assert machine.round == 0
    machine.receive(Precommit(1, 2, 0, None))
    assert machine.round == 0, "one replica alone is at most f"
    machine.receive(Precommit(1, 2, 1, None))
    assert machine.round == 2


def test_timeouts_grow_with_every_round() -> None:
    timeouts = Timeouts(propose=3, growth=0.5)
    machine = replica(Cluster("tendermint", 4, leaders=ORDER, timeouts=timeouts), 3)
    waits = []
    machine.enter(1, ORDER)
    for round_ in (1, 2):
        effects = machine.receive(Precommit(1, round_, 0, None))
        effects = [*effects, *machine.receive(Precommit(1, round_, 1, None))]
        waits += [e.seconds for e in effects if isinstance(e, SetTimer) and e.timer.kind == "propose"]
    assert waits == [3.5, 4.0]


def test_nil_prevotes_start_the_prevote_timer_and_a_quorum_of_nil_ends_the_step() -> None:
    machine = replica(Cluster("tendermint", 4, leaders=ORDER), 3)
    machine.enter(1, ORDER)
    machine.receive(Proposal(1, 0, 0, BLOCK, -1))
    machine.receive(Prevote(1, 0, 0, BLOCK))
    effects = machine.receive(Prevote(1, 0, 1, None))
    assert [e.timer.kind for e in effects if isinstance(e, SetTimer)] == ["prevote"]
    other = replica(Cluster("tendermint", 4, leaders=ORDER), 3)
    other.enter(1, ORDER)
    other.receive(Proposal(1, 0, 0, BLOCK, -1))
    for sender in (0, 1, 2):
        other.receive(Prevote(1, 0, sender, None))
    assert other.precommits[0].choice[3] is None


def test_a_proposal_in_work_is_waited_for_and_a_missing_one_is_not() -> None:
    machine = replica(Cluster("tendermint", 4, leaders=ORDER, proposes=True), 3)
    (timer,) = [e.timer for e in machine.enter(1, ORDER) if isinstance(e, SetTimer) and e.timer.kind == "propose"]
    machine.receive(Proposal(1, 0, 0, Value(0, 0, 0, 5), -1))
    assert machine.executing
    assert not machine.expire(timer)
    machine.executed(1, (5,))
    assert machine.prevotes[0].choice[3] == Value(0, 0, 0, 5)
    late = replica(Cluster("tendermint", 4, leaders=ORDER, proposes=True), 3)
    late.enter(1, ORDER)
    late.expire(timer)
    assert late.prevotes[0].choice[3] is None


def test_lost_votes_are_repeated() -> None:
    def lost(letter: Letter) -> bool:
        return letter.message.name == "prevote" and cluster.now < 5

    cluster = Cluster("tendermint", 4, leaders=ORDER, loses=lost)
    cluster.start()
    cluster.run()
    assert set(cluster.decided[1].values()) == {BLOCK}
    assert {value.round for value in cluster.decided[1].values()} == {0}


def test_commit_timeout_lies_between_a_decision_and_the_next_height() -> None:
    cluster = Cluster("tendermint", 4, leaders=ORDER, heights=3, proposes=True, timeouts=Timeouts(commit=2))
    cluster.start()
    cluster.run()
    assert cluster.now == 6


def test_a_replica_that_has_left_does_not_vote_again() -> None:
    machine = replica(Cluster("tendermint", 4, leaders=ORDER, rounds=2), 3)
    machine.enter(1, ORDER)
    for sender in (0, 1):
        machine.receive(Precommit(1, 1, sender, None))
    machine.receive(Proposal(1, 1, 1, BLOCK, 0))
    machine.receive(Precommit(1, 1, 2, None))
    machine.expire(Timer("precommit", 1, 1))
    assert machine.left
    effects = [e for sender in (0, 1, 2) for e in machine.receive(Prevote(1, 0, sender, BLOCK))]
    assert not any(isinstance(effect, Broadcast) for effect in effects)
