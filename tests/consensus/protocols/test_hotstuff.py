"""HotStuff: three-chains, locks, views, and results that are brought to a collector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cluster import ANSWER, Cluster, Letter, messages_a_block

from sim.consensus.protocols.effects import Broadcast, Certify, Decide, Send, SetTimer, Timer
from sim.consensus.protocols.hotstuff import HotStuff
from sim.consensus.protocols.hotstuff_chain import Chain
from sim.consensus.protocols.hotstuff_messages import (
    GENESIS,
    Announce,
    Certification,
    NewView,
    Proposal,
    Qc,
    Vote,
)
from sim.consensus.protocols.messages import Fetch, ResultVote, Value
from sim.consensus.timeouts import Timeouts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim.consensus.protocols.effects import Effect

ORDER = (0, 1, 2, 3)
ALL_BUT_ME = (0, 1, 2)


def replica(cluster: Cluster, node: int) -> HotStuff:
    machine = cluster.replicas[node]
    assert isinstance(machine, HotStuff)
    return machine


def begun(height: int = 1) -> HotStuff:
    """Replica 3 of 4, which has entered the first heights; 0 leads every round 0."""
    machine = replica(Cluster("hotstuff", 4, leaders=ORDER), 3)
    for one in range(1, height + 1):
        machine.enter(one, ORDER, 0)
    return machine


def block(height: int, round_: int = 0, parent: tuple[int, int] | None = None) -> Value:
    return Value(round_, round_, 0, None, parent or (height - 1, 0))


def qc(height: int, round_: int = 0, parent: tuple[int, int] | None = None) -> Qc:
    if height == 0:
        return GENESIS
    return Qc(height, round_, block(height, round_, parent), ALL_BUT_ME)


def proposal(height: int, round_: int = 0, justify: Qc | None = None, proof: tuple[int, ...] = ()) -> Proposal:
    justify = justify or qc(height - 1)
    return Proposal(height, round_, round_, block(height, round_, justify.view), justify, proof)


def votes(effects: Sequence[Effect]) -> list[tuple[tuple[int, ...], int, int]]:
    """Receivers, height and round of the votes among some effects."""
    sends = [effect for effect in effects if isinstance(effect, Send) and isinstance(effect.message, Vote)]
    return [(send.receivers, send.message.height, send.message.round) for send in sends]


def decided(effects: Sequence[Effect]) -> list[int]:
    return [effect.height for effect in effects if isinstance(effect, Decide)]


def test_a_block_is_committed_by_a_three_chain_with_all_before_it() -> None:
    chain = Chain()
    assert chain.add(qc(1)) == []
    assert chain.add(qc(2)) == []
    assert chain.lock == (1, 0), "a two-chain locks"
    assert chain.add(qc(4, parent=(2, 0))) == [], "3 has failed, so that 4 does not follow directly"
    assert chain.add(qc(5)) == []
    assert chain.lock == (4, 0)
    assert [one.height for one in chain.add(qc(6))] == [1, 2, 4]
    assert [one.height for one in chain.add(qc(7))] == [5]


def test_blocks_one_round_apart_make_no_three_chain() -> None:
    chain = Chain()
    chain.add(qc(1))
    chain.add(qc(2, 1))
    assert chain.add(qc(3, parent=(2, 1))) == []
    assert chain.add(qc(4, 1)) == []
    assert chain.add(qc(5, parent=(4, 1))) == []
    assert [one.view for one in chain.add(qc(6))] == [(1, 0), (2, 1), (3, 0), (4, 1)]


def test_certificates_may_come_in_any_order() -> None:
    chain = Chain()
    assert [one.height for height in (4, 3, 5) for one in chain.add(qc(height))] == [3]
    assert chain.add(qc(1)) == []
    assert [one.height for one in chain.add(qc(2))] == [1, 2], "the parents of what is committed"


def test_votes_go_to_the_next_leader_alone_and_once() -> None:
    machine = begun()
    assert votes(machine.receive(proposal(1))) == [((0,), 1, 0)]
    assert votes(machine.receive(proposal(1))) == []
    other = Proposal(1, 0, 0, block(1)._replace(variant=1), GENESIS, ())
    assert votes(machine.receive(other)) == [], "its second block in this view"


def test_a_proposal_that_comes_early_waits_for_its_height() -> None:
    machine = begun()
    effects = machine.receive(proposal(2))
    assert votes(effects) == []
    assert votes(machine.enter(2, ORDER, 0)) == [((0,), 2, 0)]
    assert votes(machine.receive(proposal(1))) == [((0,), 1, 0)], "others have voted; this is heard late"


def test_a_locked_replica_refuses_what_builds_on_an_older_block_and_takes_what_is_newer() -> None:
    machine = begun()
    machine.receive(proposal(1))
    for height in (2, 3):
        machine.receive(proposal(height))
        machine.enter(height, ORDER, 0)
    assert (machine.chain.lock, machine.voted) == ((1, 0), (3, 0))
    assert votes(machine.receive(proposal(3, 1, GENESIS, ALL_BUT_ME))) == []
    assert votes(machine.receive(proposal(3, 2, qc(1), ALL_BUT_ME))) == [((2,), 3, 2)], (
        "its lock, and that leader counts"
    )


def test_a_replica_that_has_voted_in_between_gives_no_direct_vote() -> None:
    for parent, voted in (((1, 0), False), ((1, 1), True)):
        machine = begun()
        assert votes(machine.receive(proposal(1)))
        assert votes(machine.receive(proposal(1, 1, GENESIS, ALL_BUT_ME))) == [((1,), 1, 1)]
        machine.receive(proposal(2, 0, qc(*parent, parent=(0, 0))))
        assert bool(votes(machine.enter(2, ORDER, 0))) == voted, parent


def test_what_lacks_a_quorum_proves_nothing() -> None:
    machine = begun()
    weak = qc(1)._replace(voters=(0, 1))
    machine.receive(Announce(1, 0, 1, weak))
    machine.receive(proposal(2, justify=weak))
    assert machine.chain.high == GENESIS
    assert votes(machine.receive(proposal(1, 1, GENESIS, (0, 1)))) == [], "nobody has shown that view 1 may begin"
    assert machine.view == (1, 0)
    assert votes(machine.receive(proposal(1, 1, GENESIS, (0, 0, 1)))) == [], "nor by naming one twice"
    assert votes(machine.receive(proposal(1, 1, GENESIS, (0, 1, 2)))) == [((1,), 1, 1)]


def test_a_leader_proposes_with_the_highest_certificate_that_a_quorum_brings() -> None:
    machine = begun()
    sent: list[Effect] = [*machine.receive(NewView(1, 3, 0, GENESIS)), *machine.receive(NewView(1, 3, 1, GENESIS))]
    assert machine.view == (1, 3), "more than f others are there"
    proposals = [e.message for e in sent if isinstance(e, Broadcast) and isinstance(e.message, Proposal)]
    assert [(one.round, one.justify, set(one.proof)) for one in proposals] == [(3, GENESIS, {0, 1, 3})]
    machine.receive(NewView(2, 3, 0, qc(1)))
    machine.enter(2, ORDER, 0)
    sent = [*machine.receive(NewView(2, 3, 1, GENESIS))]
    proposals = [e.message for e in sent if isinstance(e, Broadcast) and isinstance(e.message, Proposal)]
    assert [(one.round, one.justify.view) for one in proposals] == [(3, (1, 0))]


def test_timers_double_with_views_that_fail_and_start_again_after_one_that_succeeds() -> None:
    def waits(effects: Sequence[Effect]) -> list[float]:
        return [e.seconds for e in effects if isinstance(e, SetTimer) and e.timer.kind == "view"]

    machine = replica(Cluster("hotstuff", 4, leaders=ORDER, timeouts=Timeouts(view=3)), 3)
    seen = waits(machine.enter(1, ORDER, 0))
    for round_ in range(3):
        seen += waits(machine.expire(Timer("view", 1, round_)))
    assert seen == [3, 6, 12, 24]
    assert machine.expire(Timer("view", 1, 0)) == [], "that view is over"
    machine.receive(proposal(2))
    assert waits(machine.enter(2, ORDER, 0)) == [3]
    for round_ in range(4):
        machine.expire(Timer("view", 2, round_))
    machine.enter(3, ORDER, 0)
    machine.expire(Timer("view", 3, 0))
    machine.receive(proposal(4, justify=qc(3)))
    assert waits(machine.enter(4, ORDER, 0)) == [6], "eight have failed, and nothing has been committed"


def test_new_views_go_to_their_leader_and_to_all_when_two_have_failed() -> None:
    machine = begun()
    told = []
    for round_ in range(3):
        effects = machine.expire(Timer("view", 1, round_))
        told += [e for e in effects if isinstance(e, (Send, Broadcast)) and isinstance(e.message, NewView)]
    assert [isinstance(effect, Send) for effect in told] == [True, False, False]
    assert [effect.receivers for effect in told if isinstance(effect, Send)] == [(1,)]
    assert [effect.message.round for effect in told] == [1, 2, 3]


@pytest.mark.parametrize("proposes", [False, True])
def test_a_certified_block_that_a_faulty_leader_shows_to_one_is_carried_over(proposes: bool) -> None:
    def lost(letter: Letter) -> bool:
        return letter.message.sender == 1 and letter.message.name == "proposal" and letter.receiver != 2

    cluster = Cluster("hotstuff", 4, proposes=proposes, rounds=4, heights=2, loses=lost)
    cluster.start()
    cluster.run(until=lambda: replica(cluster, 2).chain.high.height == 1)
    cluster.crash(1)
    cluster.run()
    result = ANSWER[0] if proposes else None
    assert {cluster.decided[1][node] for node in (0, 2, 3)} == {Value(0, 0, 0, result, (0, 0))}
    assert any(isinstance(message, NewView) and message.high.height == 1 for message in cluster.sent)
    assert cluster.now > 4, "timers had to run out"


def test_three_heights_and_more_are_in_flight() -> None:
    cluster = Cluster("hotstuff", 4, heights=20)
    in_flight = []

    def watch() -> bool:
        in_flight.append([machine.height - machine.open + 1 for machine in cluster.replicas])
        return cluster.through()

    cluster.holds = lambda letter: letter.message.name in {"result", "certificate"} and cluster.now < 1
    cluster.start()
    cluster.run(until=watch)
    assert min(in_flight[0]) >= 16, "ordering goes on while results are voted on, but not without end"
    assert max(in_flight[0]) <= 16 + 4
    proposals = [message.height for message in cluster.sent if isinstance(message, Proposal)]
    first = next(index for index, message in enumerate(cluster.sent) if isinstance(message, ResultVote))
    before = {message.height for message in cluster.sent[:first] if isinstance(message, Proposal)}
    assert before >= {1, 2, 3}
    assert proposals == sorted(proposals)


@pytest.mark.parametrize("seed", range(10))
def test_a_diverged_view_fails_without_a_timer_and_delays_the_three_chain_only(seed: int) -> None:
    cluster = Cluster("hotstuff", 4, proposes=True, rounds=1, heights=6, seed=seed)
    cluster.failed = lambda height: height < 0  # type: ignore[method-assign]  # the last blocks are still to be flushed
    normal = cluster.execute
    cluster.execute = lambda node, height: (  # type: ignore[method-assign]
        cluster.apply(node, cluster.replicas[node].executed(height, (node % 2,)))
        if height in {2, 4}
        else normal(node, height)
    )
    cluster.start()
    cluster.run(until=lambda: min(cluster.reached.values()) > 6)
    assert cluster.now == 0
    assert set(cluster.decided) & set(range(1, 7)) == {1, 3, 5, 6}
    assert all(len(cluster.decided[height]) == 4 for height in (1, 3, 5, 6))


def test_a_faulty_collector_costs_time_and_no_result() -> None:
    cluster = Cluster("hotstuff", 4, heights=1, timeouts=Timeouts(result=5))
    cluster.loses = lambda letter: letter.message.name == "certificate" and letter.message.sender == 3
    cluster.start()
    cluster.run()
    assert cluster.certified[1] == dict.fromkeys(range(4), ANSWER[0])
    assert cluster.now == 5
    assert cluster.sends > messages_a_block("hotstuff", 4, proposes=False)


def test_the_collector_is_the_leader_whose_proposal_carried_the_commit() -> None:
    cluster = Cluster("hotstuff", 7, heights=5)
    cluster.start()
    cluster.run()
    shown = {message.height: message.sender for message in cluster.sent if isinstance(message, Certification)}
    assert {height: shown[height] for height in range(1, 6)} == {height: (height + 2) % 7 for height in range(1, 6)}


def test_a_result_is_believed_with_its_votes_alone() -> None:
    for voters, believed in (((0, 1), False), ((0, 1, 2), True)):
        machine = begun()
        effects = machine.receive(Certification(1, 0, 0, tuple((voter, 5) for voter in voters)))
        assert [e.result for e in effects if isinstance(e, Certify)] == ([5] if believed else [])


def test_q_votes_in_a_certificate_count_whatever_their_voters_have_told_oneself() -> None:
    machine = begun()
    machine.receive(ResultVote(1, 0, 2, 6))
    effects = machine.receive(Certification(1, 0, 0, tuple((voter, 5) for voter in ALL_BUT_ME)))
    assert [e.result for e in effects if isinstance(e, Certify)] == [5]


def test_an_equivocating_leader_gets_no_two_blocks_certified() -> None:
    for seed in range(30):
        cluster = Cluster("hotstuff", 4, silent=frozenset({0}), seed=seed)
        cluster.start()
        blocks = [Value(0, 0, variant, None, (0, 0)) for variant in (0, 1)]
        for value, receivers in zip(blocks, ([1, 2], [3]), strict=True):
            cluster.inject(Proposal(1, 0, 0, value, GENESIS, ()), receivers)
            if seed % 2:
                for vote in HotStuff.support(1, 0, 0, value):
                    cluster.inject(vote, receivers)
        cluster.run()
        found = {value for node, value in cluster.decided[1].items() if node}
        assert len(found) == 1, seed
        assert (found == {blocks[0]}) == bool(seed % 2), seed


def test_a_certificate_that_was_lost_is_asked_for() -> None:
    machine = begun(2)
    effects = machine.receive(proposal(3))
    timers = [e for e in effects if isinstance(e, SetTimer) and e.timer.kind == "missing"]
    assert timers == [SetTimer(Timer("missing", 1, 0), 0.75, 1)]
    assert [type(e) for e in machine.expire(timers[0].timer)] == [Send, SetTimer], "who brought the next one is asked"
    effects = machine.expire(timers[0].timer)
    assert Broadcast(Fetch(1, 0, 3), 2) in effects, "then all"
    assert [e.seconds for e in effects if isinstance(e, SetTimer)] == [3.0]
    machine.receive(Announce(1, 0, 0, qc(1)))
    assert machine.expire(timers[0].timer) == []
    answer = machine.receive(Fetch(1, 0, 2))
    assert Send((2,), Announce(1, 0, 3, qc(1)), 1) in answer


def test_a_replica_that_has_missed_a_proposal_decides_in_order_and_votes_on_the_result() -> None:
    cluster = Cluster("hotstuff", 4, answers={1: (1,)}, timeouts=Timeouts(view=50, result=8))
    cluster.loses = lambda letter: (
        letter.receiver == 3
        and ((letter.message.name, letter.message.height) == ("proposal", 2) or letter.message.name == "certificate")
        and cluster.now < 2
    )
    cluster.start()
    cluster.run()
    assert cluster.certified[1] == dict.fromkeys(range(4), 0), "its vote is needed"
    assert [height for height, found in cluster.decided.items() if 3 in found][:2] == [1, 2]
    assert cluster.now == 2, "a quarter of the result timeout"


def test_a_returning_replica_is_told_again_what_was_lost() -> None:
    machine = begun()
    machine.receive(Announce(3, 0, 0, qc(3)))
    copies = []
    for _ in range(3):
        effects = machine.receive(NewView(1, 1, 2, GENESIS))
        copies += [e.copy for e in effects if isinstance(e, Send) and isinstance(e.message, Announce)]
    assert copies == [1, 2, 3], "a delay and a loss are drawn for each"
