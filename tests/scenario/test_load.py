"""A scenario file and its overrides mean exactly what they say."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenario.command import BASE, FILE, KIND, edited

from sim import Beta, Gpu, Independent, NearTie, Recorded, Scenario, load_scenario
from sim.base.document import parse_document
from sim.base.errors import ScenarioError
from sim.scenario.load import validated

SMALLEST = "nodes: {a: {count: 4, executor: {kind: cpu}}}\n"


def read(text: str, *overrides: str) -> Scenario:
    Path(FILE).write_text(text, encoding="utf-8")
    return load_scenario(FILE, overrides)


def law(scenario: Scenario, group: str = "gpu") -> NearTie | Independent | Beta:
    executor = scenario.nodes[group].executor
    assert isinstance(executor, Gpu)
    assert isinstance(executor.nondeterminism, NearTie | Independent | Beta)
    return executor.nondeterminism


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1/3", Fraction(1, 3)),
        ("1 / 3", Fraction(1, 3)),
        ("'1/3'", Fraction(1, 3)),
        ("1.5/4.5", Fraction(1, 3)),
        ("33 %", Fraction(33, 100)),
        ("33%", Fraction(33, 100)),
        ("33.3 %", Fraction(333, 1000)),
        ("0.25", Fraction(1, 4)),
        (".25", Fraction(1, 4)),
        ("+0.25", Fraction(1, 4)),
        ("2.5e-1", Fraction(1, 4)),
        ("1e-30", Fraction(1, 10**30)),
        ("0.1", Fraction(1, 10)),
        ("0.333333333333333333333", Fraction(333333333333333333333, 10**21)),
        ("'0.333333333333333333333'", Fraction(333333333333333333333, 10**21)),
        ("0.49999999999999999999999", Fraction(49999999999999999999999, 10**23)),
    ],
)
def test_a_threshold_is_read_exactly(written: str, meant: Fraction) -> None:
    assert read(edited("1/3", written)).consensus.fault_threshold == meant
    assert read(BASE, f"consensus.fault_threshold={written}").consensus.fault_threshold == meant


@given(st.integers(1, 49), st.integers(1, 2_000))
def test_a_threshold_in_percent_tolerates_strictly_fewer_than_its_share(percent: int, votes: int) -> None:
    scenario = validated(parse_document(f"{SMALLEST}consensus: {{fault_threshold: {percent} %}}\n", "test"))
    tolerated = scenario.consensus.faults_tolerated(votes)
    assert 100 * tolerated < percent * votes <= 100 * (tolerated + 1)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("1e-4", 1e-4), ("1E-4", 1e-4), ("1.e-4", 1e-4), ("+1e-4", 1e-4), (".0001", 1e-4), ("0", 0.0), ("1e-290", 1e-290)],
)
def test_a_rate_is_read_as_yaml_1_2_does(written: str, meant: float) -> None:
    assert law(read(edited("1e-4", written))).rate == meant


@pytest.mark.parametrize(("written", "meant"), [("0x0d", 13), ("0o15", 13), ("+13", 13), ("013", 13)])
def test_a_count_is_read_as_yaml_1_2_does(written: str, meant: int) -> None:
    assert read(edited("count: 13", f"count: {written}")).nodes["gpu"].count == meant


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "1:30", "2020-01-01", "0b11x", "1e", "=", "y"])
def test_words_that_only_yaml_1_1_takes_for_something_else_are_texts(word: str) -> None:
    assert read(edited("name: base", f"name: {word}")).name == word


@pytest.mark.parametrize("written", ["1e9", "1.0e9", "1000000000"])
def test_blocks_may_be_written_in_powers_of_ten(written: str) -> None:
    assert read(BASE, f"run.blocks={written}").run.blocks == 10**9


def test_every_key_has_its_documented_default() -> None:
    scenario = read(SMALLEST)
    assert (scenario.name, scenario.description, scenario.sweep) == ("unnamed", "", None)
    assert (scenario.consensus.protocol, scenario.consensus.result) == ("pbft", "certify")
    assert (scenario.consensus.fault_threshold, scenario.consensus.quorum) == (Fraction(1, 3), None)
    assert (scenario.faults.byzantine, scenario.faults.behaviour) == (0, "silent")
    assert (scenario.workload.requests_per_block, scenario.workload.tokens) == (1, 1)
    assert (scenario.run.engine, scenario.run.blocks, scenario.run.seed) == ("auto", 10_000, 1)
    assert (scenario.nodes["a"].power, scenario.nodes["a"].hardware) == (1, "a")


@pytest.mark.parametrize(
    ("written", "alternatives"),
    [
        ("rate: 0.1", 0),
        ("difficulty: near_tie, rate: 0.1, shared_noise: 1", 0),
        ("difficulty: independent, rate: 0.1", math.inf),
        ("difficulty: independent, rate: 0.1, shared_noise: 0.5", 0),
        ("difficulty: independent, rate: 0.1, shared_noise: 1", 0),
        ("difficulty: beta, rate: 0.1, correlation: 0.5", 1),
        ("difficulty: beta, rate: 0.1, correlation: 0.5, shared_noise: 0.5", 0),
        ("difficulty: beta, rate: 0.1, correlation: 0.5, shared_noise: 1", 1),
        ("difficulty: beta, rate: 0.1, correlation: 0.5, alternatives: .inf", math.inf),
    ],
)
def test_alternatives_default_to_what_suits_the_difficulty_and_the_sharing(written: str, alternatives: float) -> None:
    scenario = read(f"nodes: {{gpu: {{count: 4, executor: {{kind: gpu, nondeterminism: {{{written}}}}}}}}}\n")
    assert law(scenario).alternatives == alternatives
    assert law(scenario).per == "request"


def test_the_default_difficulty_is_near_tie() -> None:
    assert isinstance(law(read(edited("difficulty: near_tie, ", ""))), NearTie)


def test_an_override_replaces_one_value_and_leaves_its_neighbours() -> None:
    scenario = read(BASE, "nodes.gpu.count=40", "nodes.gpu.executor.nondeterminism.rate=0.2")
    assert scenario.nodes["gpu"].count == 40
    assert law(scenario).rate == 0.2
    assert (scenario.nodes["gpu"].hardware, scenario.run.seed) == ("h100", 1)


def test_an_override_may_be_a_whole_mapping() -> None:
    scenario = read(BASE, "nodes.gpu.executor={kind: gpu, nondeterminism: {difficulty: independent, rate: 0.3}}")
    assert isinstance(law(scenario), Independent)
    assert law(scenario).rate == 0.3


def test_an_override_makes_the_sections_that_are_missing() -> None:
    scenario = read(SMALLEST, "consensus.result=propose", "nodes.b.count=2", "nodes.b.executor.kind=cpu")
    assert scenario.consensus.result == "propose"
    assert {name: group.count for name, group in scenario.nodes.items()} == {"a": 4, "b": 2}


def test_the_last_of_several_overrides_wins_and_mends_what_was_wrong() -> None:
    assert read(edited("13", "many"), "nodes.gpu.count=0", "nodes.gpu.count=7").nodes["gpu"].count == 7


def test_an_override_sets_a_list_entry_and_no_other() -> None:
    text = edited("count: 13", "count: 3", edited(KIND, "kind: recorded\n      outputs: [x, y, z]"))
    executor = read(text, "nodes.gpu.executor.outputs.1=w").nodes["gpu"].executor
    assert isinstance(executor, Recorded)
    assert executor.outputs == ("x", "w", "z")


def test_an_override_of_one_alias_leaves_the_other() -> None:
    text = "nodes:\n  a: &g {count: 3, executor: {kind: cpu}}\n  b: *g\n"
    scenario = read(text, "nodes.a.count=5")
    assert (scenario.nodes["a"].count, scenario.nodes["b"].count) == (5, 3)


def test_a_value_may_hold_an_equals_sign() -> None:
    assert read(BASE, "name=a=b").name == "a=b"


def test_flags_override_the_run_block_and_overrides_of_it() -> None:
    Path(FILE).write_text(BASE, encoding="utf-8")
    flags = {"run.seed": ("--seed 7", 7), "run.engine": ("--engine exact", "exact")}
    run = load_scenario(FILE, ["run.seed=5", "run.blocks=50"], flags).run
    assert (run.seed, run.engine, run.blocks) == (7, "exact", 50)


def test_a_path_may_be_an_object_or_a_text() -> None:
    Path(FILE).write_text(BASE, encoding="utf-8")
    assert load_scenario(Path(FILE)) == load_scenario(FILE)


def test_mistakes_come_as_values_with_path_value_and_place() -> None:
    with pytest.raises(ScenarioError) as caught:
        read(edited("13", "0"))
    (problem,) = caught.value.problems
    assert (problem.path, problem.value, problem.where) == ("nodes.gpu.count", 0, f"{FILE}:5:12")
    assert str(problem) == str(caught.value)
