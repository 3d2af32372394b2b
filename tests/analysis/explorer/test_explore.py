"""The search itself: repeatable, minimal, interruptible, and what each invariant sees."""

from __future__ import annotations

import re
from typing import Any

import pytest
from chains import LAW, explored
from mutants import LowPbft, Unlocked

from sim import EngineError
from sim.analysis.explorer.chain import Chain
from sim.analysis.explorer.circumstances import Circumstances
from sim.analysis.explorer.draws import Draws
from sim.analysis.explorer.driver import Driver
from sim.analysis.explorer.explore import Exploration, Search, Stopped, again, explore, replayed
from sim.analysis.explorer.invariants import INVARIANTS, Invariant, Invariants
from sim.analysis.explorer.sometimes import EVENTS, applicable
from sim.analysis.explorer.steps import Deliver, Expire, Finish, Restart
from sim.analysis.explorer.story import cast, story
from sim.analysis.explorer.walk import Walk
from sim.consensus.attackers import Answers
from sim.consensus.protocols.effects import Timer
from sim.consensus.protocols.messages import Certificate, Value
from sim.consensus.protocols.pbft import Commit, Pbft, Prepare, PrePrepare, ViewChange
from sim.consensus.protocols.tendermint import Proposal, Tendermint

OVERLAPPING = {"three in flight", "two certified", "decided together"}
BLOCK = Value(0, 0, 0, None)


def plain(chain: Chain, **changed: Any) -> Circumstances:
    """One height, led by the nodes in their order, of which all compute the same."""
    n = len(chain.power)
    results = tuple(-1 if node in chain.byzantine else 0 for node in range(n))
    honest = len(chain.honest)
    answers = Answers(results, (honest,), (honest,))
    quiet = Circumstances((tuple(range(n)),), (answers,), twins=True, usurps=False, supports=False)
    return quiet._replace(**changed)


def test_the_same_seed_gives_the_same_search_and_another_seed_another() -> None:
    chain = explored("tendermint")
    search = Search(chain, 7)
    assert explore(search, 40) == explore(search, 40)
    assert explore(search, 40).steps != explore(Search(chain, 8), 40).steps


def test_a_longer_search_begins_with_the_shorter_one() -> None:
    search = Search(explored("pbft"))
    told: list[int] = []
    short, long = explore(search, 10, report=told.append), explore(search, 30)
    assert told == list(range(1, 11))
    assert short.steps < long.steps
    assert all(short.seen[event] <= long.seen[event] for event in short.seen)


def broken() -> tuple[Chain, Exploration]:
    chain = explored("tendermint")._replace(machine=Unlocked)
    return chain, explore(Search(chain, kind="targeted"), 500)


def test_what_is_left_of_a_schedule_breaks_the_invariant_and_no_step_can_be_left_out() -> None:
    chain, search = broken()
    found = search.counterexample
    assert found is not None
    taken, violation = replayed(chain, found.circumstances, found.steps)
    assert violation == found.violation
    assert taken == list(range(len(found.steps)))
    for place in range(len(found.steps)):
        fewer = [*found.steps[:place], *found.steps[place + 1 :]]
        _, other = replayed(chain, found.circumstances, fewer)
        assert other is None or other.invariant != found.violation.invariant
    assert again(Search(chain, kind="targeted"), found.schedule, found.kept) == found
    mended = Search(explored("tendermint"), kind="targeted")
    assert again(mended, found.schedule, found.kept) is None


def test_a_schedule_is_told_step_by_step_with_what_is_decided() -> None:
    chain, search = broken()
    found = search.counterexample
    assert found is not None
    lines = list(story(chain, found.circumstances, found.steps))
    assert len(lines) == len(found.steps)
    assert sum(" -> " in line and " decides block " in line for line in lines) >= 2
    assert " decides " in lines[-1]
    assert any("waits no longer: timer" in line for line in lines)
    assert any("hears proposal of" in line for line in lines)
    assert any(line.startswith("leaders of height 1: ") for line in cast(chain, found.circumstances, 1))


def test_ctrl_c_keeps_what_was_explored() -> None:
    def interrupt(done: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(Stopped) as stop:
        explore(Search(explored("pbft")), 40, report=interrupt)
    assert stop.value.found == explore(Search(explored("pbft")), 5)


def test_what_cannot_happen_is_not_asked_for() -> None:
    assert applicable(explored("pbft")) == [event for event in EVENTS if event not in OVERLAPPING]
    assert set(applicable(explored("icc"))) >= OVERLAPPING
    one = explored(
        "pbft",
        consensus={"max_rounds": 1},
        faults={"byzantine": 0},
        nodes={"a": {"count": 4, "executor": {"kind": "cpu"}}},
    )
    assert applicable(one) == ["decided", "adopted by proof"]
    assert explore(Search(one), 60).missing == []
    assert explore(Search(explored("pbft")), 1).missing


def test_what_cannot_be_run_message_by_message_is_refused() -> None:
    with pytest.raises(EngineError, match="41 nodes, more than 40"):
        explored("pbft", 41)
    with pytest.raises(EngineError, match="no node is honest"):
        explored("pbft", 4, faults={"byzantine": 4})


def test_nodes_of_one_machine_answer_alike() -> None:
    alike = {"kind": "gpu", "nondeterminism": {"rate": 0.1, "shared_noise": 1.0}}
    chain = explored(
        "pbft",
        7,
        nodes={"a": {"count": 4, "executor": alike}, "b": {"count": 3, "executor": LAW}},
        faults={"byzantine": {"b": 1}},
    )
    assert chain.deviating == ((0, 1, 2, 3), (4,), (5,))
    seen = {Circumstances.drawn(chain, Draws(1, schedule)).answers[0].results for schedule in range(200)}
    assert all(len(set(results[:4])) == 1 and results[6] < 0 for results in seen)
    assert len(seen) == 4, "the four alike, and each of the two others with them or not"


def test_recorded_answers_are_taken_as_they_are() -> None:
    recorded = {"kind": "recorded", "outputs": ["x", "y", "x", "x"]}
    chain = explored("pbft", 4, nodes={"a": {"count": 4, "executor": recorded}}, faults={"byzantine": 0})
    assert chain.contested
    assert Circumstances.drawn(chain, Draws(1, 1)).answers[0].results == (0, 1, 0, 0)


# The driver.


def test_a_step_that_is_not_possible_does_nothing() -> None:
    chain = explored("pbft")
    driver = Driver(chain, plain(chain))
    letter = next(step for step in driver.fresh if isinstance(step, Deliver) and step.receiver == 1)
    assert (letter.sender, letter.message) == (0, PrePrepare(1, 0, 0, BLOCK))
    assert driver.take(letter)
    assert driver.take(letter), "a second time, it has arrived twice"
    assert not driver.take(letter._replace(message=Prepare(1, 0, 0, BLOCK))), "nobody sent that"
    assert not driver.take(letter._replace(receiver=0)), "nor that to whom"
    assert not driver.take(Finish(1, 1)), "nothing is decided"
    assert not driver.take(Expire(1, Timer("view", 1, 1))), "no such timer"
    assert driver.take(Expire(1, Timer("view", 1, 0)))
    assert not driver.take(Expire(1, Timer("view", 1, 0))), "it has run out"


def test_a_restart_takes_the_timers_and_sets_them_again() -> None:
    chain = explored("pbft")
    driver = Driver(chain, plain(chain))
    driver.fresh.clear()
    assert driver.take(Restart(2))
    assert driver.timers[2, "view", 0][1] == Timer("view", 1, 0)
    assert {step.message.name for step in driver.fresh if isinstance(step, Deliver)} == {"fetch"}


def test_twins_are_two_machines_of_one_name_that_hear_what_is_said_to_it() -> None:
    chain = explored("pbft", 4)
    driver = Driver(chain, plain(chain, leaders=((3, 0, 1, 2),)))
    assert [(actor.label, actor.node, actor.honest) for actor in driver.actors[2:]] == [
        ("2", 2, True),
        ("3a", 3, False),
        ("3b", 3, False),
    ]
    shown = {(step.sender, step.message) for step in driver.fresh if isinstance(step, Deliver)}
    assert shown == {(3 + twin, PrePrepare(1, 0, 3, Value(3, 0, twin, None))) for twin in (0, 1)}
    assert {step.receiver for step in driver.fresh if isinstance(step, Deliver)} == {0, 1, 2}, "never each other"
    for step in list(driver.fresh):
        driver.take(step)
    heard = [step.receiver for step in driver.fresh if isinstance(step, Deliver) and step.message.sender == 0]
    assert {3, 4} <= set(heard)


def test_twins_that_support_vote_for_whatever_is_proposed() -> None:
    chain = explored("pbft", 4)
    for supports in (False, True):
        driver = Driver(chain, plain(chain, supports=supports))
        first = next(step for step in driver.fresh if isinstance(step, Deliver) and step.receiver == 3)
        driver.fresh.clear()
        driver.take(first)
        names = [step.message.name for step in driver.fresh if isinstance(step, Deliver) and step.receiver == 1]
        assert names == (["prepare", "commit", "prepare"] if supports else ["prepare"])


def test_a_twin_that_usurps_proposes_its_own_block_as_one_that_knows_of_none() -> None:
    chain = explored("tendermint", 4)
    for usurps, value, polka in ((False, BLOCK, 0), (True, Value(3, 1, 0, None), -1)):
        driver = Driver(chain, plain(chain, leaders=((0, 3, 1, 2),), usurps=usurps))
        carried = Proposal(1, 1, 3, BLOCK, 0)
        liar = driver.actors[3].liar
        assert liar is not None
        from sim.consensus.protocols.effects import Broadcast

        (said,) = liar.says(Broadcast(carried), plain(chain).answers[0])
        assert isinstance(said.message, Proposal)
        assert (said.message.value, said.message.valid_round) == (value, polka)


def test_a_height_that_all_have_left_is_closed() -> None:
    chain = explored("pbft", 4, consensus={"max_rounds": 1})
    driver = Driver(chain, plain(chain))
    for number in (0, 1, 2):
        assert not driver.finished
        driver.take(Expire(number, Timer("view", 1, 0)))
    assert driver.finished


def test_random_schedules_lose_repeat_and_reorder_letters() -> None:
    chain = explored("pbft", 4)
    arrivals: list[list[Deliver]] = []
    for schedule in range(60):
        draws = Draws(1, schedule)
        driver = Driver(chain, Circumstances.drawn(chain, draws))
        walk, letters = Walk(driver, draws, "random"), list[Deliver]()
        while (step := walk.next()) is not None:
            driver.take(step)
            if isinstance(step, Deliver):
                letters.append(step)
        arrivals.append(letters)
    assert any(len(set(letters)) < len(letters) for letters in arrivals), "twice"
    early = Commit, Prepare
    assert any(
        isinstance(one.message, early)
        and not any(isinstance(m.message, PrePrepare) and m.receiver == one.receiver for m in letters[:place])
        for letters in arrivals
        for place, one in enumerate(letters[:20])
    ), "before its phase"


# The invariants: each can break.


class Chatty(Pbft):
    """Prepares a block of its own, too."""

    def _prepare(self) -> None:
        super()._prepare()
        if self.leader != self.node and self.node == 1:
            self._broadcast(Prepare(self.height, self.round, self.node, Value(self.node, 0, 0, None)))


class Boastful(Pbft):
    """Shows a certificate that it does not have."""

    def _change_view(self, view: int) -> None:
        super()._change_view(view)
        self._broadcast(ViewChange(self.height, view, self.node, Certificate(0, BLOCK, (0, 1, 2))))


class Inventive(Pbft):
    """Decides what nobody has proposed."""

    def _begin(self) -> None:
        super()._begin()
        for voter in range(len(self.power)):
            self.commits[0].add(voter, Value(2, 1, 0, None))
        self._check_committed(1)


class TwoFaced(Tendermint):
    """Votes for two results."""

    def _vote_on_result(self, result: int) -> None:
        super()._vote_on_result(result)
        super()._vote_on_result(result + 1)


class Forger(Pbft):
    """Decides on whatever is proposed, before anybody has voted."""

    def _prepare(self) -> None:
        assert self.value is not None
        self._decide(self.round, self.value, self.commits[self.round])


class Clumsy(Pbft):
    """Knows only two leaders."""

    def _change_view(self, view: int) -> None:
        super()._change_view(view)
        _ = self.leaders[:2][view]


class Stillborn(Pbft):
    """Does not even begin."""

    def _begin(self) -> None:
        raise ValueError("a\nb")


@pytest.mark.parametrize(
    ("machine", "invariant"),
    [
        (Clumsy, "no error"),
        (Chatty, "no double vote"),
        (TwoFaced, "no double vote"),
        (Boastful, "certificates"),
        (Forger, "certificates"),
        (LowPbft, "certificates"),
        (LowPbft, "agreement"),
    ],
)
def test_each_invariant_can_break(machine: type[Pbft], invariant: Invariant) -> None:
    protocol = "pbft" if issubclass(machine, Pbft) else "tendermint"
    chain = explored(protocol)._replace(machine=machine)
    found = explore(Search(chain, invariants=(invariant,)), 100).counterexample
    assert found is not None
    assert found.violation.invariant == invariant


def test_an_error_is_told_with_its_place_and_shrunk_to_nothing_where_no_step_is_needed() -> None:
    chain = explored("pbft")._replace(machine=Stillborn)
    found = explore(Search(chain), 10).counterexample
    assert found is not None
    assert re.fullmatch(r"ValueError: a\\nb \(test_explore.py, line \d+\)", found.violation.text)
    assert found.steps == ()


def test_a_fabricated_result_is_not_valid() -> None:
    chain = explored("pbft", 4, faults={"byzantine": 3, "behaviour": "collude"})
    found = explore(Search(chain, invariants=("validity",)), 100).counterexample
    assert found is not None
    assert "no honest node computed" in found.violation.text


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        (BLOCK, True),
        (Value(1, 1, 0, None), True),
        (Value(0, 1, 0, None), False),
        (Value(0, 0, 1, None), False),
        (Value(9, 9, 0, None), False),
    ],
)
def test_only_what_the_leader_of_a_round_has_proposed_is_valid(value: Value, valid: bool) -> None:
    from sim.consensus.protocols.effects import Decide

    chain = explored("pbft")
    watch = Invariants(chain, plain(chain), ["validity"])
    actors = Driver(chain, plain(chain)).actors
    for proposed in (BLOCK, Value(1, 1, 0, None), Value(0, 1, 0, None)):
        sender = proposed.proposer
        watch.sent(actors[sender], PrePrepare(1, proposed.round, sender, proposed), ())
    watch.decided(actors[2], Decide(1, 0, value), None)
    assert (watch.violation is None) == valid


def test_votes_of_liars_may_contradict_each_other_and_count_once() -> None:
    from sim.consensus.protocols.effects import Decide

    chain = explored("pbft")
    actors = Driver(chain, plain(chain)).actors
    other = BLOCK._replace(variant=1)
    watch = Invariants(chain, plain(chain))
    watch.sent(actors[0], PrePrepare(1, 0, 0, BLOCK), ())
    for twin in (3, 4):
        for value in (BLOCK, other):
            watch.sent(actors[twin], Commit(1, 0, 3, value), ())
    watch.sent(actors[0], Commit(1, 0, 0, BLOCK), ())
    assert watch.violation is None
    watch.decided(actors[0], Decide(1, 0, BLOCK), None)
    assert watch.violation is not None
    assert watch.violation.text.endswith("for which only 0, 3 ever voted")


def test_all_invariants_are_looked_at_by_default() -> None:
    chain = explored("pbft")._replace(machine=LowPbft)
    found = explore(Search(chain), 50).counterexample
    assert found is not None
    assert found.violation.invariant in INVARIANTS
