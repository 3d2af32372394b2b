"""Clashes between fields are told like mistakes in one field, and all mistakes are told at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from scenario.command import FILE, KIND, edited, label, refuses

from sim.cli import execute

TWO = """\
nodes:
  a: {count: 4, hardware: x, executor: {kind: gpu, nondeterminism: {rate: 0.1}}}
  b: {count: 5, hardware: x, executor: {kind: gpu, nondeterminism: {rate: 0.1}}}
"""
LAW = "executor.nondeterminism"
SAME = "must be the same in all groups"

WITHIN_A_GROUP = [
    (
        "rate: 1e-4",
        "rate: 1e-4, shared_noise: 0.5, alternatives: 1",
        f"9:91: nodes.gpu.{LAW}.alternatives: | must be 0",
    ),
    (
        "rate: 1e-4",
        "rate: 0, shared_noise: 0.5, alternatives: .inf",
        f"9:88: nodes.gpu.{LAW}.alternatives: | (got .inf)",
    ),
    ("certify}", "certify, quorum: 6}", "10:75: consensus.quorum: | more than half of the 13 votes"),
    ("certify}", "certify, quorum: 14}", "10:75: consensus.quorum: | at most all of them (got 14)"),
    ("byzantine: 0", "byzantine: 14", "11:21: faults.byzantine: | must be at most the 13 nodes of group gpu (got 14)"),
    ("byzantine: 0", "byzantine: -1", "11:21: faults.byzantine: | must be at least 0 (got -1)"),
    (
        "byzantine: 0",
        "byzantine: {gpu: 14}",
        "11:27: faults.byzantine.gpu: | at most the 13 nodes of group gpu (got 14)",
    ),
    ("byzantine: 0", "byzantine: {gpu: -1}", "11:27: faults.byzantine.gpu: | must be at least 0 (got -1)"),
    ("byzantine: 0", "byzantine: {gpuu: 1}", "11:28: faults.byzantine.gpuu: | is no group; did you mean gpu?"),
    (KIND, "kind: recorded\n      outputs: [a, b]", "9:7: nodes.gpu.executor.outputs: | each of the 13 nodes (has 2)"),
]
BETWEEN_GROUPS = [
    ("rate: 0.1, alternatives: 1", f"alternatives: | {SAME} that can deviate (a has 0.0) (got 1.0)"),
    ("rate: 0.1, alternatives: .inf", f"alternatives: | {SAME} that can deviate (a has 0.0) (got .inf)"),
    ("rate: 0.1, per: token", f"per: | {SAME} that can deviate (a has request) (got 'token')"),
    ("rate: 0.1, shared_noise: 0.25", f"shared_noise: | {SAME} of hardware class x (a has 0) (got 0.25)"),
]
FAULTS = [
    ("2", ("4:21: faults.byzantine: | must be a mapping from group to number",)),
    ("{aa: 1}", ("4:26: faults.byzantine.aa: | is no group; did you mean a?",)),
    (
        "{zeta: 1, b: 6}",
        (
            "4:28: faults.byzantine.zeta: | is no group; known: a, b",
            "4:34: faults.byzantine.b: | must be at most the 5 nodes of group b (got 6)",
        ),
    ),
]
MANY = """\
nme: base
nodes:
  a: {count: 0, hardware: h, executor: {kind: gpu, nondeterminism: {rate: 0.7, shared_nose: 1}}}
  b: {count: 3, hardware: h, executor: {kind: gpu, nondeterminism: {rate: 0.1, alternatives: 1}}}
  c: {count: 4, hardware: h, executor: {kind: gpu, nondeterminism: {rate: 0.1, shared_noise: 1, per: token}}}
consensus: {fault_threshold: 2/3}
faults: {byzantine: {b: 4, cc: 1}, behaviour: nasty}
workload: {tokens: many}
run: {seed: -1, blocks: 0}
sweep: {x: 1}
"""


@pytest.mark.parametrize(("old", "new", "line"), WITHIN_A_GROUP, ids=label)
def test_a_clash_within_a_group_is_told_at_the_value(
    old: str, new: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refuses(edited(old, new), (line,), capsys)


@pytest.mark.parametrize(("law", "line"), BETWEEN_GROUPS, ids=label)
def test_groups_that_disagree_are_told_at_the_second(law: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    first, last = TWO.splitlines(keepends=True)[:2], TWO.splitlines(keepends=True)[2]
    column = last.index("rate") + len("rate: 0.1, ") + line.index(":") + 3
    refuses("".join(first) + edited("rate: 0.1", law, last), (f"3:{column}: nodes.b.{LAW}.{line}",), capsys)


def test_groups_that_never_deviate_may_disagree(capsys: pytest.CaptureFixture[str]) -> None:
    text = TWO.replace("rate: 0.1}", "rate: 0, per: token, alternatives: 5, shared_noise: 1}", 1)
    Path(FILE).write_text(text, encoding="utf-8")
    assert execute(["run", FILE]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("byzantine", "lines"), FAULTS, ids=label)
def test_byzantine_nodes_must_be_of_the_groups_there_are(
    byzantine: str, lines: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    refuses(f"{TWO}faults: {{byzantine: {byzantine}}}\n", lines, capsys)


def test_all_groups_together_have_at_most_100000_nodes(capsys: pytest.CaptureFixture[str]) -> None:
    text = edited("count: 5", "count: 40001", edited("count: 4", "count: 60000", TWO))
    refuses(text, ("1:1: nodes: | must have at most 100000 nodes in all groups together (has 100001)",), capsys)


def test_recorded_groups_do_not_mix_with_others(capsys: pytest.CaptureFixture[str]) -> None:
    text = TWO.replace("kind: gpu, nondeterminism: {rate: 0.1}", "kind: recorded, outputs: [x, x, x, y]", 1)
    refuses(text, ("2:47: nodes.a.executor.kind: | recorded does not mix with cpu or gpu groups",), capsys)


def test_a_quorum_is_held_against_power_not_nodes(capsys: pytest.CaptureFixture[str]) -> None:
    text = edited("count: 5", "count: 5, power: 10", TWO) + "consensus: {quorum: 27}\n"
    refuses(text, ("4:21: consensus.quorum: | must be more than half of the 54 votes",), capsys)


def test_every_mistake_is_told_at_once_whether_in_one_field_or_between_several(
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected = (
        "1:1: nme: | did you mean name?",
        "3:14: nodes.a.count: | must be at least 1 (got 0)",
        "3:75: nodes.a.executor.nondeterminism.rate: | must be less than 0.5 (got 0.7)",
        "3:80: nodes.a.executor.nondeterminism.shared_nose: | did you mean shared_noise?",
        "5:52: nodes.c.executor.nondeterminism.alternatives: | (b has 1.0) (got 0.0)",
        "5:94: nodes.c.executor.nondeterminism.shared_noise: | of hardware class h (b has 0) (got 1.0)",
        "5:102: nodes.c.executor.nondeterminism.per: | (b has request) (got 'token')",
        "6:30: consensus.fault_threshold: | (got '2/3')",
        "7:25: faults.byzantine.b: | must be at most the 3 nodes of group b (got 4)",
        "7:32: faults.byzantine.cc: | is no group; did you mean c?",
        "7:47: faults.behaviour: | (got 'nasty')",
        "8:20: workload.tokens: | must be a whole number (got 'many')",
        "9:13: run.seed: | must be at least 0 (got -1)",
        "9:25: run.blocks: | must be at least 1 (got 0)",
        "10:12: sweep.x: | must be a mapping",
        "--set oops: | must be PATH=VALUE",
    )
    refuses(MANY, expected, capsys, ("--set", "oops"))


def test_mistakes_are_told_in_the_same_order_whatever_the_hash_seed() -> None:
    groups = ", ".join(f"g{i}: 1" for i in range(12))
    Path(FILE).write_text(f"{TWO}faults: {{byzantine: {{{groups}}}}}\n", encoding="utf-8")
    said = {_stderr(hash_seed) for hash_seed in ("1", "2", "3")}
    assert len(said) == 1


def _stderr(hash_seed: str) -> str:
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-m", "sim", "run", FILE]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stderr


NUMBERS = """\
nodes:
  a: {count: 7, executor: {kind: numeric, node_noise: 0.1}}
consensus: {matching: {kind: tolerance, absolute: 1}}
"""
CLASHES = [
    (
        "kind: numeric, node_noise: 0.1}}",
        "kind: numeric}}\n  b: {count: 1, executor: {kind: cpu}}",
        "2:34: nodes.a.executor.kind: | numeric does not mix with cpu or gpu groups",
    ),
    ("kind: tolerance, absolute: 1", "kind: equivalence", "3:30: consensus.matching.kind: | does not compare numbers"),
    ("numeric, node_noise: 0.1", "cpu", "3:30: consensus.matching.kind: | needs recorded answers; those"),
    (
        "tolerance, absolute: 1}}",
        "exact}}\nfaults: {behaviour: collude, answer: x}",
        "4:38: faults.answer: | needs recorded answers",
    ),
    (
        "absolute: 1}}",
        "absolute: 1}}\nworkload: {requests_per_block: 2}",
        "4:32: workload.requests_per_block: | must be 1 where answers are numbers",
    ),
    (
        "absolute: 1}}",
        "absolute: 1}}\nverification: {kind: spot_check}",
        "4:22: verification.kind: | must be replicate where answers are recorded, or numbers",
    ),
    ("node_noise: 0.1", "node_noise: -1", "2:55: nodes.a.executor.node_noise: | must be at least 0 (got -1)"),
    (
        "node_noise: 0.1",
        "noise: cauchy",
        "2:50: nodes.a.executor.noise: | must be one of gaussian, laplace, uniform (got 'cauchy')",
    ),
    (
        "tolerance, absolute: 1}",
        "approximate}, fault_threshold: 49 %",
        "3:61: consensus.fault_threshold: | must be at most 1/3: approximate agreement of 7 nodes tolerates 3 faults",
    ),
    (
        "absolute: 1}}",
        "absolute: 1}}\nfaults: {behaviour: silent, shift: 1}",
        "4:36: faults.shift: | goes with behaviour collude (it is silent)",
    ),
]


@pytest.mark.parametrize(("old", "new", "told"), CLASHES)
def test_what_does_not_go_with_numbers_is_told(
    old: str, new: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refuses(edited(old, new, NUMBERS), (told,), capsys)


def test_settings_of_numbers_need_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    text = TWO + "workload: {true_value: 3}\nfaults: {behaviour: collude, shift: 3}\n"
    told = ("4:24: workload.true_value: | needs numeric executors", "5:37: faults.shift: | needs numeric executors")
    refuses(text, told, capsys)


def test_approximate_agreement_is_for_equal_votes(capsys: pytest.CaptureFixture[str]) -> None:
    text = edited("count: 7", "count: 7, power: 2", edited("tolerance, absolute: 1", "approximate", NUMBERS))
    refuses(text, ("2:24: nodes.a.power: | must be 1 in approximate agreement (got 2)",), capsys)


MARGIN = """\
nodes:
  a: {count: 4, executor: {kind: gpu, nondeterminism: {rate: 0.1}}}
consensus: {result: propose, matching: {kind: margin, gap: 1}}
"""
WHERE = "must be gpu with near ties, a rate, noise of its own and one wrong answer, where matching is margin"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("propose", "certify", "3:21: consensus.result: | must be propose where matching is margin (got 'certify')"),
        ("rate: 0.1", "rate: 0", f"2:17: nodes.a.executor: | {WHERE}"),
        ("rate: 0.1", "rate: 0.1, shared_noise: 1", f"2:17: nodes.a.executor: | {WHERE}"),
        ("rate: 0.1", "rate: 0.1, difficulty: independent", f"2:17: nodes.a.executor: | {WHERE}"),
        ("count: 4", "count: 4, power: 2", "2:24: nodes.a.power: | must be 1 where matching is margin (got 2)"),
        (
            "consensus:",
            "  b: {count: 1, executor: {kind: gpu, nondeterminism: {rate: 0.2}}}\nconsensus:",
            "3:39: nodes.b.executor.nondeterminism: | must be the same in all groups where matching is margin",
        ),
        (
            "kind: margin, gap: 1}}",
            "kind: exact}}\nfaults: {behaviour: collude, noise: 3}",
            "4:37: faults.noise: | needs consensus.matching of kind margin (got 3.0)",
        ),
        (
            "gap: 1}}",
            "gap: 1}}\nverification: {kind: proof}",
            "3:47: consensus.matching.kind: | goes with verification replicate (got 'margin')",
        ),
        (
            "gap: 1}}",
            "gap: 1}}\nfaults: {behaviour: equivocate}",
            "4:21: faults.behaviour: | must be silent, random or collude where matching is margin",
        ),
        ("gap: 1", "gap: -1", "3:60: consensus.matching.gap: | must be at least 0 (got -1)"),
    ],
)
def test_what_does_not_go_with_margins_is_told(
    old: str, new: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refuses(edited(old, new, MARGIN), (told,), capsys)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            edited("consensus: {", "consensus: {result: endorse, ", NUMBERS),
            "3:21: consensus.result: | where answers are numbers",
        ),
        (
            edited("consensus: {", "consensus: {appeal: {rounds: 1}, ", NUMBERS),
            "3:13: consensus.appeal: | left out where",
        ),
        (
            TWO + "consensus: {appeal: {rounds: 1}, matching: {kind: equivalence, share: 0.5}}\n",
            "4:13: consensus.appeal: | must be left out where matching is equivalence",
        ),
    ],
)
def test_other_mechanisms_need_votes_on_what_nodes_computed(
    text: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refuses(text, (told,), capsys)


OVER_TIME = """\
nodes:
  a: {count: 4, executor: {kind: gpu, nondeterminism: {rate: 0.1}}}
recovery: {blocks: 20}
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "{blocks: 20}",
            "{}",
            "3:1: recovery: | exactly one of blocks, seconds, law, every, never (has none)",
        ),
        ("blocks: 20", "blocks: 20, every: 5", "3:1: recovery: | exactly one of blocks, seconds, law, every, never"),
        ("blocks: 20", "law: geometric", "3:1: recovery.mean_blocks: | is required with law, and only there"),
        ("blocks: 20", "blocks: 20, sigma: 1", "3:31: recovery.sigma: | goes with law lognormal (got 1)"),
        ("blocks: 20", "never: false", "3:19: recovery.never: | must be true, or left out"),
        (
            "{blocks: 20}",
            "{blocks: 20}\non_failure: stop",
            "4:13: on_failure: | one of halt, retry, next_leader, skip",
        ),
        (
            "{blocks: 20}",
            "{blocks: 20}\nmax_retries: 3",
            "4:14: max_retries: | goes with on_failure retry or next_leader",
        ),
        ("{blocks: 20}", "{blocks: 20}\nrun: {chains: 0}", "4:15: run.chains: | must be at least 1 (got 0)"),
    ],
)
def test_what_is_wrong_over_time_is_told(old: str, new: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    refuses(edited(old, new, OVER_TIME), (told,), capsys)
