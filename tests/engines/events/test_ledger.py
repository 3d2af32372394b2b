"""What the ledger makes of what replicas do, and why blocks fail."""

from __future__ import annotations

import pytest

from sim.consensus.attackers import Answers
from sim.consensus.protocols.messages import Value
from sim.consensus.tally import Election, Outcome
from sim.engines.events.causes import Circumstances
from sim.engines.events.ledger import Block, Ledger, Over
from sim.network.schema import Partition

ALIKE = Answers((0, 0, 0, 0), (4,), (4,))
SPLIT = Answers((0, 0, 1, 1), (2, 2), (2, 2))
THREE = Answers((0, 0, 0, 1), (3, 1), (3, 1))
VALUE = Value(0, 0, 0, None)


def ledger(over: list[Over] | None = None) -> Ledger:
    return Ledger((1, 1, 1, 1), range(4), 3, 1, (over if over is not None else []).append)


def begun(book: Ledger, height: int = 1, answers: Answers = ALIKE) -> Block:
    book.blocks[height] = block = Block(height, (2, 0, 1, 3), answers, 10.0)
    return block


def test_a_block_starts_when_its_leader_begins_it() -> None:
    book = ledger()
    block = begun(book)
    for node, now in ((0, 11.0), (2, 12.0), (1, 13.0)):
        book.entered(node, block, now)
    assert block.started == 12


def test_a_result_is_known_once_more_than_f_replicas_hold_it() -> None:
    book = ledger()
    block = begun(book)
    book.holds(0, block, 0, 11.0)
    assert block.known_at is None
    book.holds(1, block, 0, 12.0)
    book.holds(2, block, 0, 13.0)
    assert block.known_at == 12


def test_a_height_is_over_when_all_live_nodes_have_closed_it() -> None:
    over: list[Over] = []
    book = ledger(over)
    begun(book)
    for node in (0, 1, 2):
        book.advanced(node, 2, 11.0)
    assert not over
    book.down(3, 12.0)
    assert [(end.block.height, end.time) for end in over] == [(1, 12.0)]
    assert book.first == 2


def test_a_node_that_is_behind_holds_the_heights_open() -> None:
    over: list[Over] = []
    book = ledger(over)
    begun(book)
    begun(book, 2)
    for node in (0, 1, 2):
        book.advanced(node, 3, 11.0)
    assert not over
    book.advanced(3, 3, 12.0)
    assert [end.block.height for end in over] == [1, 2]


def test_a_height_is_hopeless_when_all_have_left_and_nobody_who_may_come_back_has_decided() -> None:
    book = ledger()
    block = begun(book)
    for node in (0, 1, 2):
        book.left(node, block)
    assert not book.hopeless(1), "node 3 still works on it"
    book.left(3, block)
    assert book.hopeless(1)
    book.decided(3, block, VALUE, 0)
    assert not book.hopeless(1)
    book.down(3, 11.0)
    assert not book.hopeless(1), "it may come back, and prove its decision"
    book.gone.add(3)
    assert book.hopeless(1)


def test_those_who_are_alone_at_a_height_do_not_end_it() -> None:
    book = ledger()
    begun(book)
    block = begun(book, 2)
    book.advanced(0, 2, 11.0)
    book.left(0, block)
    assert not book.hopeless(2), "one of four is not enough to keep the others from deciding"
    book.advanced(1, 2, 11.0)
    book.left(1, block)
    assert book.hopeless(2), "two of four are"


@pytest.mark.parametrize(
    ("values", "results", "outcome"),
    [
        ({}, {}, Outcome.no_quorum),
        ({0: VALUE}, {}, Outcome.no_quorum),
        ({}, {0: 0, 1: 0}, Outcome.agreed),
        ({}, {0: 1}, Outcome.wrong_result),
        ({}, {0: -1}, Outcome.wrong_result),
        ({}, {0: 0, 1: 1}, Outcome.forked),
        ({0: VALUE, 1: VALUE._replace(variant=1)}, {0: 0, 1: 0}, Outcome.forked),
    ],
)
def test_outcomes(values: dict[int, Value], results: dict[int, int], outcome: Outcome) -> None:
    book = ledger()
    block = begun(book, answers=THREE)
    for node, value in values.items():
        book.decided(node, block, value, 0)
    for node, result in results.items():
        book.holds(node, block, result, 11.0)
        book.judge(node, block, 11.0)
    assert block.outcome == outcome
    unsafe = outcome == Outcome.forked or -1 in results.values()
    assert (book.violation is not None) == unsafe


def circumstances(*, proposes: bool = False, honest: int = 4) -> Circumstances:
    times = (Partition(start=20.0, end=30.0, apart=({"a": 1},)),)
    byzantine = 4 - honest
    election = Election(4, 3, byzantine, min(byzantine, 1), "silent")
    return Circumstances((1, 1, 1, 1), election, frozenset(range(honest)), proposes, times)


@pytest.mark.parametrize(
    ("answers", "setting", "started", "now", "cause"),
    [
        (SPLIT, circumstances(), 0, 5, "divergence"),
        (ALIKE, circumstances(), 0, 5, "timeout"),
        (ALIKE, circumstances(), 0, 25, "partition"),
        (ALIKE, circumstances(), 29, 35, "partition"),
        (ALIKE, circumstances(), 30, 35, "timeout"),
        (THREE, circumstances(proposes=True), 0, 5, "timeout"),
        (Answers((0, 0, 1, -1), (2, 1), (2, 1)), circumstances(honest=3), 0, 5, "divergence"),
        (Answers((0, 0, -1, -1), (2,), (2,)), circumstances(honest=2), 0, 5, "attack"),
    ],
)
def test_causes(answers: Answers, setting: Circumstances, started: float, now: float, cause: str) -> None:
    assert setting.cause(Block(1, (3, 0), answers, started), now) == cause


def test_a_block_diverged_only_if_no_leader_had_enough_behind_it() -> None:
    block = Block(1, (3, 0), THREE, 0.0)
    assert circumstances(proposes=True).cause(block, 5.0) == "timeout"
    assert circumstances(proposes=True).cause(Block(1, (3,), THREE, 0.0), 5.0) == "divergence"
    byzantine = circumstances(proposes=True, honest=3)
    assert byzantine.cause(Block(1, (3,), Answers((0, 0, 0, -1), (3,), (3,)), 0.0), 5.0) == "attack"
