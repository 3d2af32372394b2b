"""Mistakes in overrides, flags and the command line itself are told like those in the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenario.command import BASE, FILE, edited, hold, label, refused, refuses

SHAPE = "must be PATH=VALUE, such as nodes.gpu.count=40"
RECORDED = "nodes: {a: {count: 2, executor: {kind: recorded, outputs: [x, y]}}}\n"
OUTPUTS = "nodes.a.executor.outputs"
PARTLY = edited("rate: 1e-4", "rate: 1e-4, shared_noise: 0.5")
CANNOT = "the exact engine cannot answer this: noise is partly shared (shared_noise between 0 and 1); montecarlo can"

OVERRIDES = [
    ("oops", f"| {SHAPE}"),
    ("nodes.gpu.count", f"| {SHAPE}"),
    ("=1", f"| {SHAPE}"),
    (" =1", f"| {SHAPE}"),
    (".a=1", f"| {SHAPE}"),
    ("nodes..count=1", f"| {SHAPE}"),
    ("nodes.=1", f"| {SHAPE}"),
    ("nodes.gpu.count=0", "nodes.gpu.count: | must be at least 1 (got 0)"),
    ("nodes.gpu.count=", "nodes.gpu.count: | must be a whole number (got null)"),
    ("nodes.gpu.count=many", "nodes.gpu.count: | must be a whole number (got 'many')"),
    ("nodes.gpu.count=[1]", "nodes.gpu.count: | must be a whole number (got [1])"),
    ("name=x: y", "name: | must be a text (got {x: y})"),
    ("nodes.gpu.cuont=3", "nodes.gpu.cuont: | unknown key, did you mean count?"),
    ("nodse.gpu.count=3", "nodse: | unknown key, did you mean nodes?"),
    ("nodes.gpu.count.deep=3", "nodes.gpu.count.deep: | cannot be set: nodes.gpu.count is not a mapping"),
    ("name.x=1", "name.x: | cannot be set: name is not a mapping"),
    ("faults.byzantine.gpu=2", "faults.byzantine.gpu: | cannot be set: faults.byzantine is not a mapping"),
    ("nodes.gpu=3", "nodes.gpu: | must be a mapping (got 3)"),
    ("nodes=[1]", "nodes: | must be a mapping (got [1])"),
    ("faults={byzantne: 5}", "faults.byzantne: | did you mean byzantine?"),
    ("faults={behaviour: nasty}", "faults.behaviour: | (got 'nasty')"),
    ("consensus.fault_threshold=1/2", "consensus.fault_threshold: | (got '1/2')"),
    ("consensus.quorum=14", "consensus.quorum: | at most all of them (got 14)"),
    ("run.seed=-1", "run.seed: | must be at least 0 (got -1)"),
    ("nodes.gpu.count=[1", "| is not valid YAML: while parsing a flow sequence"),
    ("name='x", "| is not valid YAML: while scanning a quoted scalar"),
    ("name=a\n---\nb", "| is not valid YAML: expected a single document"),
    ("name=!odd x", "name: | has a tag, which is not allowed (got '!odd')"),
    ("faults={behaviour: silent, behaviour: random}", "faults.behaviour: | is given twice"),
    ("name=1\x1b[2J", "| is not valid YAML: a character that is not allowed"),
    ("na\x1bme=1", "na\\x1bme: | unknown key, did you mean name?"),
    ('name="\\e[2J"', "name: | must not hold control characters (got '\\x1b[2J')"),
]
LISTS = [
    (f"{OUTPUTS}.2=z", f"{OUTPUTS}.2: | cannot be set: {OUTPUTS} is a list of 2"),
    (f"{OUTPUTS}.x=z", f"{OUTPUTS}.x: | cannot be set: {OUTPUTS} is a list of 2"),
    (f"{OUTPUTS}.-1=z", f"{OUTPUTS}.-1: | cannot be set: {OUTPUTS} is a list of 2"),
    (f"{OUTPUTS}.²=z", f"{OUTPUTS}.²: | cannot be set: {OUTPUTS} is a list of 2"),
    (f"{OUTPUTS}.0.q=z", f"{OUTPUTS}.0.q: | cannot be set: {OUTPUTS}.0 is not a mapping"),
    (f"{OUTPUTS}.1=3", f"{OUTPUTS}.1: | must be a text (got 3)"),
]
FLAGS = [
    (("--engine", "exat"), "--engine exat: run.engine: | did you mean exact? (got 'exat')"),
    (("--seed", "-1"), "--seed -1: run.seed: | must be at least 0 (got -1)"),
    (("--seed", "1.5"), "--seed 1.5: run.seed: | must be a whole number (got 1.5)"),
    (("--seed", str(2**63)), f"--seed {2**63}: run.seed: | must be less than {2**63} (got {2**63})"),
    (("--blocks", "0"), "--blocks 0: run.blocks: | must be at least 1 (got 0)"),
    (("--blocks", "1.5"), "--blocks 1.5: run.blocks: | must be a whole number (got 1.5)"),
    (("--blocks", "1e13"), "--blocks 1e13: run.blocks: | must be at most 1000000000000 (got 1"),
    (("--blocks", "[1]"), "--blocks [1]: run.blocks: | must be a whole number (got [1])"),
    (("--blocks", "many\x1b"), "--blocks many\\x1b: | a character that is not allowed"),
    (("--fail-above", "2"), "--fail-above: | must be a probability from 0 to 1 (got '2')"),
    (("--fail-above", "nan"), "--fail-above: | must be a probability from 0 to 1 (got 'nan')"),
    (("--fail-above", "x\x1b[2J"), "--fail-above: | (got 'x\\x1b[2J')"),
    (("--format", "xml"), 'sim: | Invalid value "xml" for --format'),
    (("--formt", "json"), "sim: | Unknown option: --formt. Did you mean --format?"),
    (("--set",), "sim: | --set requires an argument"),
    (("--seed", "1", "--seed", "2"), "sim: | --seed specified multiple times"),
    (("another.yaml",), "sim: | another.yaml"),
]


def _overridden(override: str, line: str) -> tuple[str, ...]:
    shown = override.replace("\n", "\\n").replace("\x1b", "\\x1b")
    return (f"--set {shown}: {line}",)


@pytest.mark.parametrize(("override", "line"), OVERRIDES, ids=label)
def test_a_mistake_in_an_override_is_told_at_the_override(
    override: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refuses(BASE, _overridden(override, line), capsys, ("--set", override))


@pytest.mark.parametrize(("override", "line"), LISTS, ids=label)
def test_a_mistake_in_setting_a_list_entry_is_told(
    override: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refuses(RECORDED, _overridden(override, line), capsys, ("--set", override))


@pytest.mark.parametrize(("flags", "line"), FLAGS, ids=label)
def test_a_mistake_in_a_flag_is_told_at_the_flag(
    flags: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refuses(BASE, (line,), capsys, flags)


@pytest.mark.parametrize(
    ("arguments", "piece"),
    [
        (["run"], "SCENARIO requires an argument"),
        (["rn", FILE], 'Unknown command "rn". Did you mean "run"?'),
        (["r\x1bn"], 'Unknown command "r\\x1bn"'),
        (["--verson"], '"--verson"'),
        (["schema", "x"], "'x'"),
    ],
)
def test_a_command_line_that_is_wrong_is_told_in_one_line(
    arguments: list[str], piece: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hold(refused(arguments, capsys), (f"sim: | {piece}",))


def test_file_overrides_and_flags_are_told_together(capsys: pytest.CaptureFixture[str]) -> None:
    expected = (
        "11:21: faults.byzantine: | (got true)",
        "--set nodes.gpu.count=0: nodes.gpu.count: | (got 0)",
        "--set oops: | must be PATH=VALUE",
        "--seed -1: run.seed: | (got -1)",
    )
    flags = ("--set", "nodes.gpu.count=0", "--set", "oops", "--seed", "-1")
    refuses(edited("byzantine: 0", "byzantine: true"), expected, capsys, flags)


@pytest.mark.parametrize("override", ["name=" + "[" * 20_000, "a" * 20_000 + "=1", "run.seed=" + "9" * 20_000])
def test_a_huge_override_is_not_echoed_in_full(override: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(FILE).write_text(BASE, encoding="utf-8")
    (line,) = refused(["run", FILE, "--set", override], capsys)
    assert line.startswith("--set ")
    assert len(line) < 1_000


@pytest.mark.parametrize(
    ("text", "flags", "line"),
    [
        (PARTLY, ("--engine", "exact"), f"--engine exact: run.engine: | {CANNOT}"),
        (PARTLY, ("--set", "run.engine=exact"), f"--set run.engine=exact: run.engine: | {CANNOT}"),
        (edited("auto", "exact", PARTLY), (), f"13:15: run.engine: | {CANNOT}"),
        (RECORDED, ("--engine", "montecarlo"), "--engine montecarlo: run.engine: | nothing to draw; exact can"),
    ],
    ids=label,
)
def test_an_engine_that_cannot_answer_is_told_with_one_that_can(
    text: str, flags: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refuses(text, (line,), capsys, flags)
