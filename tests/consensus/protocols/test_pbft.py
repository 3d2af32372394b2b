"""PBFT: what a new view carries over, and what it checks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cluster import Cluster, Letter

from sim.consensus.protocols.messages import Certificate, Value
from sim.consensus.protocols.pbft import NewView, Prepare, PrePrepare, ViewChange
from sim.consensus.timeouts import Timeouts

ORDER = (0, 1, 2, 3)


def prepared_then_silenced(**more: object) -> Cluster:
    """Replicas that have prepared the first primary's value, whose commits and whose primary then vanish."""
    cluster = Cluster("pbft", 4, leaders=ORDER, **more)  # type: ignore[arg-type]

    def lost(letter: Letter) -> bool:
        message = letter.message
        return message.round == 0 and (message.name == "commit" or (message.name == "prepare" and letter.receiver == 3))

    cluster.loses = lost
    cluster.start()
    cluster.deliver_all()
    assert cluster.phases[2, 1][-1] == "prepared"
    assert not cluster.decided
    cluster.crash(0)
    return cluster


def test_a_prepared_block_is_carried_into_the_next_view() -> None:
    cluster = prepared_then_silenced()
    cluster.run()
    assert {value for node, value in cluster.decided[1].items() if node} == {Value(0, 0, 0, None)}
    (opened,) = [message for message in cluster.sent if isinstance(message, NewView)]
    assert opened.sender == 1
    assert opened.value.proposer == 0


def test_a_primary_carries_a_result_that_differs_from_its_own_and_does_not_vote_for_it() -> None:
    cluster = Cluster("pbft", 5, "1/4", proposes=True, rounds=2, leaders=(0, 1, 2, 3, 4), answers={1: (7,)})
    cluster.loses = lambda letter: letter.message.name == "commit" and letter.message.round == 0
    cluster.start()
    cluster.run()
    assert set(cluster.decided[1].values()) == {Value(0, 0, 0, 0)}
    (opened,) = [message for message in cluster.sent if isinstance(message, NewView)]
    assert (opened.sender, opened.votes) == (1, False)
    assert not [m for m in cluster.sent if m.sender == 1 and isinstance(m, Prepare)]
    assert cluster.replicas[2].prepares[1].choice.keys() == {0, 2, 3, 4}


@pytest.mark.parametrize("wrong", ["too few", "other value", "other view", "not the primary", "thin certificate"])
def test_a_new_view_that_is_not_proven_is_refused(wrong: str) -> None:
    cluster = prepared_then_silenced()
    value = Value(0, 0, 0, None)
    certificate = Certificate(0, value, (0, 1, 2))
    proof = tuple(ViewChange(1, 1, node, certificate if node == 1 else None) for node in (1, 2, 3))
    good = NewView(1, 1, 1, value, proof, votes=True)
    bad = {
        "too few": replace(good, proof=proof[:1] * 3),
        "other value": replace(good, value=Value(1, 1, 0, None)),
        "other view": replace(good, round=2, sender=2),
        "not the primary": replace(good, sender=2),
        "thin certificate": replace(
            good,
            value=Value(3, 0, 0, None),
            proof=(replace(proof[0], prepared=Certificate(0, Value(3, 0, 0, None), (3, 3, 3))), *proof[1:]),
        ),
    }[wrong]
    replica = cluster.replicas[3]
    assert not replica.receive(bad)
    assert replica.round == 0
    assert replica.receive(good)
    assert (replica.round, replica.value) == (1, value)


def test_a_pre_prepare_counts_only_in_view_0_and_from_its_primary() -> None:
    cluster = Cluster("pbft", 4, leaders=ORDER, silent=frozenset({0, 1}))
    cluster.start()
    for message in (PrePrepare(1, 0, 1, Value(1, 0, 0, None)), PrePrepare(1, 1, 1, Value(1, 1, 0, None))):
        assert not cluster.replicas[2].receive(message)
    assert cluster.replicas[2].receive(PrePrepare(1, 0, 0, Value(0, 0, 0, None)))


def test_an_equivocating_primary_gets_no_two_blocks_decided() -> None:
    for seed in range(30):
        cluster = Cluster("pbft", 4, leaders=ORDER, silent=frozenset({0}), seed=seed)
        cluster.start()
        blocks = [Value(0, 0, variant, None) for variant in (0, 1)]
        for block, receivers in zip(blocks, ([1, 2], [3]), strict=True):
            cluster.inject(PrePrepare(1, 0, 0, block), receivers)
            if seed % 2:
                for vote in type(cluster.replicas[0]).support(1, 0, 0, block):
                    cluster.inject(vote, receivers)
        cluster.run()
        decided = {value for node, value in cluster.decided[1].items() if node}
        assert decided == {blocks[0]}, seed  # its pre-prepare was a prepare: two more made a certificate
        assert any(isinstance(message, NewView) for message in cluster.sent) or seed % 2


def test_more_than_f_view_changes_pull_a_replica_along() -> None:
    cluster = Cluster("pbft", 4, leaders=ORDER)
    replica = cluster.replicas[3]
    replica.enter(1, ORDER)
    assert not replica.receive(ViewChange(1, 2, 0, None))
    assert replica.round == 0
    assert replica.receive(ViewChange(1, 1, 1, None))
    assert replica.round == 1


def test_a_lost_view_change_is_sent_again() -> None:
    cluster = Cluster("pbft", 4, leaders=ORDER, silent=frozenset({0}))
    cluster.loses = lambda letter: letter.message.name == "view-change" and cluster.now < 10
    cluster.start()
    cluster.run()
    changes = [message for message in cluster.sent if isinstance(message, ViewChange)]
    assert len(changes) > len(set(changes))
    assert all(value.round for value in cluster.decided[1].values())


def test_timers_double_with_every_view() -> None:
    cluster = Cluster("pbft", 7, leaders=tuple(range(7)), silent=frozenset({0, 1}), timeouts=Timeouts(view=1))
    cluster.start()
    cluster.run()
    assert cluster.now == 1 + 2
    assert {value.proposer for value in cluster.decided[1].values()} == {2}


def test_q_checkpoints_bring_a_replica_up_to_date() -> None:
    cluster = Cluster("pbft", 4, leaders=ORDER, heights=5, proposes=True, checkpoint_interval=4)
    cluster.loses = lambda letter: letter.receiver == 3 and letter.message.name != "checkpoint"
    cluster.start()
    cluster.run(until=lambda: cluster.reached[0] == 6)
    assert cluster.reached[3] == 5
    assert 3 in cluster.decided[4]


def test_a_replica_without_the_block_decides_at_its_timer_on_the_commits_that_it_has() -> None:
    cluster = Cluster("pbft", 4, leaders=ORDER)
    cluster.loses = lambda letter: letter.receiver == 3 and letter.message.name in {"pre-prepare", "decision"}
    cluster.start()
    cluster.deliver_all()
    assert 3 not in cluster.decided[1]
    cluster.run()
    assert cluster.decided[1][3] == Value(0, 0, 0, None)


def test_a_new_view_carries_what_was_prepared_latest() -> None:
    old, new = Value(0, 0, 0, None), Value(1, 1, 0, None)
    proof = (
        ViewChange(1, 2, 0, Certificate(0, old, (0, 1, 2))),
        ViewChange(1, 2, 1, Certificate(1, new, (0, 1, 2))),
        ViewChange(1, 2, 2, None),
    )
    for value, believed in ((old, False), (new, True)):
        replica = Cluster("pbft", 4, leaders=ORDER).replicas[3]
        replica.enter(1, ORDER)
        assert bool(replica.receive(NewView(1, 2, 2, value, proof, votes=True))) == believed


def test_a_replica_whose_result_differs_still_carries_the_certificate() -> None:
    cluster = Cluster("pbft", 4, proposes=True, rounds=2, leaders=ORDER, answers={3: (7,)})
    cluster.loses = lambda letter: letter.message.name == "commit"
    cluster.start()
    cluster.run(until=lambda: cluster.now > 0)
    changes = {message.sender: message for message in cluster.sent if isinstance(message, ViewChange)}
    cluster.run(until=lambda: len(cluster.left) > 0 or cluster.now > 10)
    changes = {message.sender: message for message in cluster.sent if isinstance(message, ViewChange)}
    assert changes[3].prepared is not None
    assert changes[3].prepared.value == Value(0, 0, 0, 0)
