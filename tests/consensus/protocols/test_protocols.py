"""What every protocol must hold, whatever its phases."""

from __future__ import annotations

from itertools import pairwise

import pytest
from cluster import ANSWER, Cluster, Letter, messages_a_block
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.consensus.protocols import PROTOCOLS
from sim.consensus.protocols.effects import SetTimer
from sim.consensus.timeouts import Timeouts

SEQUENTIAL = ["pbft", "tendermint"]
ALL = [*SEQUENTIAL, "hotstuff", "icc"]
RESULTS = [False, True]
AT_ONCE = Timeouts(commit=0, notary=0)
"""Nobody waits for anything but messages."""
FAULTY = [(4, "1/3"), (7, "1/3"), (13, "1/3"), (5, "1/4"), (9, "1/4"), (13, "1/4")]


def agrees(cluster: Cluster) -> None:
    """No two honest replicas decide differently, and what they decide was proposed by the leader of its round."""
    for height, decided in cluster.decided.items():
        values = {value for node, value in decided.items() if node not in cluster.silent}
        assert len(values) <= 1, f"height {height}, seed {cluster.seed}"
        for value in values:
            assert value.proposer == cluster.order(height)[value.round]
    for results in cluster.certified.values():
        assert len({result for result in results.values() if result is not None}) <= 1


def finished(cluster: Cluster) -> None:
    """Every honest replica has decided every height, and certified a result where results are voted on."""
    agrees(cluster)
    assert all(cluster.reached[node] > cluster.heights for node in cluster.honest)
    for height in range(1, cluster.heights + 1):
        assert set(cluster.honest) <= set(cluster.decided[height]) | _jumped(cluster, height)
        if not cluster.proposes:
            assert ANSWER[0] in cluster.certified[height].values()


def _jumped(cluster: Cluster, height: int) -> set[int]:
    """Replicas that took over a later decision or a result, and with it this height."""
    later = {node for above, decided in cluster.decided.items() if above > height for node in decided}
    results = {above: found for above, found in cluster.certified.items() if above >= height}
    return later | {node for found in results.values() for node, result in found.items() if result is not None}


@pytest.mark.parametrize("proposes", RESULTS)
@pytest.mark.parametrize("protocol", ALL)
@given(n=st.integers(1, 9), seed=st.integers(0, 2**32), doubles=st.sampled_from([0.0, 0.3]))
@settings(max_examples=25, deadline=None)
def test_any_order_and_repetition_decides_and_costs_the_protocols_messages(
    protocol: str, proposes: bool, n: int, seed: int, doubles: float
) -> None:
    cluster = Cluster(protocol, n, proposes=proposes, seed=seed, doubles=doubles, heights=2)
    cluster.start()
    cluster.run()
    finished(cluster)
    assert cluster.decided[1].keys() == set(range(n))
    assert cluster.sends == 2 * messages_a_block(protocol, n, proposes=proposes)


@pytest.mark.parametrize("proposes", RESULTS)
@pytest.mark.parametrize("protocol", ALL)
@pytest.mark.parametrize(("n", "threshold"), FAULTY)
def test_f_silent_replicas_do_not_stop_it(protocol: str, proposes: bool, n: int, threshold: str) -> None:
    faults = Cluster(protocol, n, threshold).faults
    for silent in (range(faults), range(1, 1 + faults)):
        cluster = Cluster(protocol, n, threshold, proposes, rounds=n, silent=frozenset(silent), heights=n)
        cluster.start()
        cluster.run()
        finished(cluster)
        led = {value.proposer for decided in cluster.decided.values() for value in decided.values()}
        assert not led & cluster.silent
        assert any(value.round for decided in cluster.decided.values() for value in decided.values())


@pytest.mark.parametrize("proposes", RESULTS)
@pytest.mark.parametrize("protocol", ALL)
@pytest.mark.parametrize(("n", "threshold"), FAULTY)
def test_one_more_silent_replica_stops_it(protocol: str, proposes: bool, n: int, threshold: str) -> None:
    faults = Cluster(protocol, n, threshold).faults
    cluster = Cluster(protocol, n, threshold, proposes, silent=frozenset(range(faults + 1)))
    cluster.start()
    cluster.run()
    assert cluster.failed(1)
    assert not cluster.decided


@pytest.mark.parametrize("proposes", RESULTS)
@pytest.mark.parametrize("protocol", ALL)
def test_a_partition_stops_the_smaller_side_until_it_heals(protocol: str, proposes: bool) -> None:
    def crosses(letter: Letter) -> bool:
        return cluster.now < 20 and (letter.receiver >= 5) != (letter.message.sender >= 5)

    cluster = Cluster(protocol, 7, proposes=proposes, rounds=7, heights=6, leaders=tuple(range(7)), loses=crosses)
    cluster.start()
    cluster.run(until=lambda: cluster.reached[0] >= 7)
    assert cluster.reached[5] == cluster.reached[6] == 1
    assert cluster.now < 20
    cluster.run()
    assert cluster.now >= 20
    finished(cluster)


@pytest.mark.parametrize("protocol", ALL)
def test_no_side_with_a_quorum_decides_nothing_until_it_heals(protocol: str) -> None:
    def crosses(letter: Letter) -> bool:
        return cluster.now < 8 and (letter.receiver >= 4) != (letter.message.sender >= 4)

    cluster = Cluster(protocol, 8, heights=2, loses=crosses)
    cluster.start()
    cluster.run(until=lambda: bool(cluster.decided))
    assert cluster.now >= 8
    cluster.run()
    finished(cluster)


@pytest.mark.parametrize("proposes", RESULTS)
@pytest.mark.parametrize("protocol", ALL)
def test_a_crashed_replica_catches_up(protocol: str, proposes: bool) -> None:
    cluster = Cluster(protocol, 4, proposes=proposes, heights=12, leaders=(0, 1, 2, 3), checkpoint_interval=1000)
    cluster.start()
    cluster.crash(3)
    cluster.run(until=lambda: cluster.reached[0] >= 8)
    assert cluster.reached[3] == 1
    cluster.recover(3)
    cluster.run()
    finished(cluster)
    assert 3 in set(cluster.decided[12]) | _jumped(cluster, 12)
    assert any(message.name == "fetch" and message.sender == 3 for message in cluster.sent)


@pytest.mark.parametrize("protocol", ALL)
def test_a_replica_that_is_two_heights_behind_asks(protocol: str) -> None:
    cluster = Cluster(protocol, 4, proposes=True, heights=6, leaders=(0, 1, 2, 3), timeouts=AT_ONCE)
    cluster.loses = lambda letter: letter.receiver == 3 and letter.message.height <= 2 and cluster.reached[0] <= 2
    cluster.start()
    cluster.run(until=lambda: cluster.reached[3] > 2)
    grace = 0.75 if protocol == "hotstuff" else 0  # in which a certificate may be overtaken by the next one
    assert cluster.now == grace, "no other timer was needed"
    cluster.run()
    finished(cluster)


@pytest.mark.parametrize("protocol", SEQUENTIAL)
def test_a_replica_that_is_one_height_behind_for_a_while_asks_before_its_timer(protocol: str) -> None:
    cluster = Cluster(protocol, 4, heights=2, leaders=(0, 1, 2, 3), timeouts=Timeouts(result=8, commit=0))
    cluster.loses = lambda letter: letter.receiver == 3 and letter.message.name == "result"
    cluster.start()
    cluster.run(until=lambda: cluster.reached[3] == 3)
    assert cluster.now == 2, "a quarter of the result timeout"
    assert cluster.certified[2][3] == ANSWER[0]


@pytest.mark.parametrize("protocol", SEQUENTIAL)
def test_a_forged_decision_is_not_believed(protocol: str) -> None:
    from sim.consensus.protocols.messages import Decision, Value

    cluster = Cluster(protocol, 4, proposes=True)
    cluster.start()
    false = Value(3, 0, 0, 9)
    for voters in ((3,), (3, 3, 3), (2, 3)):
        cluster.inject(Decision(1, 0, 3, false, voters, None, (), closed=True), [0])
    cluster.run()
    assert false not in cluster.decided[1].values()


@pytest.mark.parametrize("protocol", SEQUENTIAL)
def test_a_result_is_adopted_only_with_its_votes(protocol: str) -> None:
    from sim.consensus.protocols.messages import Decision, Value

    for backers, adopted in (((0, 1, 2), True), ((0, 1), False), ((2, 2, 2), False)):
        replica = Cluster(protocol, 4).replicas[3]
        replica.enter(1, (0, 1, 2, 3))
        replica.receive(Decision(1, 0, 0, Value(0, 0, 0, None), (0, 1, 2), 5, backers, closed=True))
        assert replica.done == adopted


@pytest.mark.parametrize("protocol", ALL)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_lost_late_and_repeated_messages_never_break_agreement(protocol: str, seed: int) -> None:
    from random import Random

    draw = Random(seed)
    n, threshold = draw.choice([4, 5, 7, 9]), draw.choice(["1/3", "1/4"])
    cluster = Cluster(protocol, n, threshold, proposes=draw.random() < 0.5, rounds=n, heights=3, seed=seed)
    cluster.silent = frozenset(draw.sample(range(n), draw.randint(0, cluster.faults)))
    cluster.doubles = draw.choice([0, 0.2])
    share, chance = draw.random() * 0.6, Random(seed + 1)
    if draw.random() < 0.5:
        cluster.loses = lambda _: cluster.now < 60 and chance.random() < share
    else:
        cluster.holds = lambda _: cluster.now < 30 and chance.random() < share
    answers = draw.choice([(0,) * n, tuple(draw.choice([0, 0, 0, 1]) for _ in range(n))])
    cluster.answers = {node: (answer,) for node, answer in enumerate(answers)}
    cluster.start()
    cluster.run(until=lambda: cluster.through() or cluster.now > 1000)
    agrees(cluster)


@pytest.mark.parametrize("protocol", ALL)
def test_a_diverged_replica_adopts_the_result_and_never_votes_for_it(protocol: str) -> None:
    cluster = Cluster(protocol, 4, proposes=True, answers={3: (1,)}, leaders=(0, 1, 2, 3))
    cluster.start()
    cluster.run()
    finished(cluster)
    assert cluster.decided[1][3].result == 0
    ballots = cluster.replicas[3].ballots
    if protocol == "icc":
        ballots = ballots[:1]  # a finalization share tells only that one has supported no other block
    votes = [m for m in cluster.sent if m.sender == 3 and isinstance(m, ballots) and m.height == 1]
    assert all(getattr(vote, "value") is None for vote in votes)  # noqa: B009 -- ballots have a value
    assert bool(votes) == (protocol == "tendermint"), "a vote for nil"


@pytest.mark.parametrize("protocol", ALL)
def test_certify_leaves_when_no_result_can_reach_the_quorum(protocol: str) -> None:
    cluster = Cluster(protocol, 4, answers={0: (0,), 1: (0,), 2: (1,), 3: (1,)}, timeouts=AT_ONCE)
    cluster.start()
    cluster.run()
    assert cluster.now == 0, "no result timer was needed"
    assert cluster.certified[1] == dict.fromkeys(range(4))


@pytest.mark.parametrize("protocol", ALL)
def test_certify_waits_for_missing_votes_until_its_timer(protocol: str) -> None:
    cluster = Cluster(protocol, 4, answers={1: (1,)}, timeouts=Timeouts(result=5, commit=0, notary=0))
    cluster.loses = lambda letter: letter.message.name in {"result", "certificate"} and letter.message.sender == 3
    cluster.start()
    cluster.run()
    assert cluster.certified[1] == {0: None, 1: None, 2: None, 3: 0}
    assert cluster.now == (10 if protocol == "hotstuff" else 5), "HotStuff's first one makes them send to all"


@pytest.mark.parametrize("protocol", ALL)
def test_power_decides_not_the_number_of_replicas(protocol: str) -> None:
    cluster = Cluster(protocol, 5, power=(6, 1, 1, 1, 1), silent=frozenset({1, 2, 3}), leaders=(0, 1, 2, 3, 4))
    assert cluster.quorum == 7
    cluster.start()
    cluster.run()
    finished(cluster)


@pytest.mark.parametrize("protocol", ALL)
def test_the_state_diagram_has_every_step_that_is_taken_and_no_other(protocol: str) -> None:
    machine = PROTOCOLS.load(protocol)
    declared = {(arrow.source, arrow.target) for arrow in machine.transitions}
    taken: set[tuple[str, str]] = set()
    for seed in range(4000):
        if seed > 300 and declared <= taken:
            break
        for steps in _eventful(protocol, seed).phases.values():
            assert steps[0] in {machine.transitions[0].source, "decided", "certified"}, (
                "a later height's proof may come first"
            )
            taken |= set(pairwise(steps))
    assert taken <= declared
    assert declared <= taken


def _eventful(protocol: str, seed: int) -> Cluster:
    from random import Random

    draw = Random(seed)
    n = draw.choice([4, 5, 7])
    timeouts = Timeouts(commit=draw.choice([0, 1]), view=Random(seed + 3).choice([1, 4]))
    cluster = Cluster(
        protocol,
        n,
        proposes=draw.random() < 0.6,
        rounds=draw.choice([1, 2, n]),
        heights=draw.choice([1, 5]),
        seed=seed,
        timeouts=timeouts,
        checkpoint_interval=draw.choice([2, 100]),
        slow=Random(seed + 2).choice([0.0, 0.5]),
    )
    cluster.silent = frozenset(draw.sample(range(n), draw.choice([0, 1, 1, 2])))
    if draw.random() < 0.5:
        cluster.answers = {node: (draw.choice([0, 0, 0, 1]),) for node in range(n)}
    share, chance, end = draw.choice([0, 0.2, 0.5, 1]), Random(seed + 1), draw.choice([5, 30, 100, 300])
    alone = draw.choice([None, 1])
    cluster.loses = lambda letter: (
        cluster.now < end and (chance.random() < share or alone in {letter.receiver, letter.message.sender})
    )
    cluster.start()
    if draw.random() < 0.5:
        cluster.crash(0)
        cluster.run(until=lambda: cluster.through() or max(cluster.reached.values()) > draw.choice([1, 2, 4]))
        cluster.recover(0)
    cluster.run(until=lambda: min(cluster.reached.values()) > cluster.heights or cluster.now > 600)
    return cluster


@pytest.mark.parametrize("protocol", ALL)
def test_a_replica_that_comes_back_waits_for_results_no_longer_than_its_timer(protocol: str) -> None:
    cluster = Cluster(protocol, 4, timeouts=AT_ONCE)
    cluster.loses = lambda letter: letter.message.name in {"result", "decision"}
    cluster.start()
    cluster.deliver_all()
    effects = cluster.replicas[0].resume()
    assert any(isinstance(effect, SetTimer) and effect.timer.kind == "result" for effect in effects)
