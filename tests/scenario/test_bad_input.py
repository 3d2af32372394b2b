"""A mistake in one field gives exit code 2 and one clear line with its place and the offending value."""

from __future__ import annotations

import pytest
from scenario.command import BASE, KIND, edited, label, refuses

LAW = "nodes.gpu.executor.nondeterminism"
WHOLE = "must be a whole number (got "
FRACTION = "must be a fraction such as 1/3, a percentage such as 33 %, or a decimal (got "
SHARE = "must be greater than 0 and less than 1/2 (got "

MISSPELT_KEYS = [
    ("workload:", "worklaod:", "12:1: worklaod: | did you mean workload?"),
    ("hardware: h100", "hardwre: h100", "6:5: nodes.gpu.hardwre: | did you mean hardware?"),
    ("per:", "pr:", f"9:58: {LAW}.pr: | did you mean per?"),
    ("protocol:", "protocl:", "10:13: consensus.protocl: | did you mean protocol?"),
    ("fault_threshold:", "fault_treshold:", "10:28: consensus.fault_treshold: | did you mean fault_threshold?"),
    ("byzantine:", "byzantin:", "11:10: faults.byzantin: | did you mean byzantine?"),
    ("behaviour:", "behavior:", "11:24: faults.behavior: | did you mean behaviour?"),
    ("requests_per_block:", "request_per_block:", "12:12: workload.request_per_block: | mean requests_per_block?"),
    ("tokens:", "token:", "12:35: workload.token: | did you mean tokens?"),
    ("blocks:", "block:", "13:21: run.block: | did you mean blocks?"),
    ("seed:", "sed:", "13:36: run.sed: | did you mean seed?"),
    ("engine:", "engin:", "13:7: run.engin: | did you mean engine?"),
    ("rate: 1e-4", "rate: 1e-4, correlation: 0.5", f"9:58: {LAW}.correlation: | known: alternatives, difficulty"),
    (KIND, "kind: cpu\n      rate: 1", "9:7: nodes.gpu.executor.rate: | unknown key, known: kind"),
    ("run:", "7: 1\nrun:", "13:1: 7: | unknown key, known: consensus, description, faults"),
]
MISSPELT_VALUES = [
    ("near_tie", "neartie", f"9:36: {LAW}.difficulty: | did you mean near_tie? (got 'neartie')"),
    ("kind: gpu", "kind: gpuu", "8:13: nodes.gpu.executor.kind: | did you mean gpu? (got 'gpuu')"),
    ("protocol: icc", "protocol: pbtf", "10:23: consensus.protocol: | did you mean pbft? (got 'pbtf')"),
    ("certify", "certfy", "10:58: consensus.result: | did you mean certify? (got 'certfy')"),
    ("silent", "slient", "11:35: faults.behaviour: | did you mean silent? (got 'slient')"),
    ("engine: auto", "engine: exat", "13:15: run.engine: | did you mean exact? (got 'exat')"),
    ("per: request", "per: tokn", f"9:63: {LAW}.per: | did you mean token? (got 'tokn')"),
    (
        "silent",
        "asleep",
        "11:35: faults.behaviour: | one of silent, random, collude, amplify, equivocate, withhold, delay (got",
    ),
]
MISSING = [
    ("    count: 13\n", "", "4:3: nodes.gpu.count: | is required"),
    ("rate: 1e-4, ", "", f"9:7: {LAW}.rate: | is required"),
    ("      kind: gpu\n", "", "7:5: nodes.gpu.executor.kind: | is required: one of cpu, gpu, recorded"),
    (KIND, "kind: gpu", "7:5: nodes.gpu.executor.nondeterminism: | is required"),
    (f"    executor:\n      {KIND}\n", "", "4:3: nodes.gpu.executor: | is required"),
    (BASE[BASE.index("nodes:") : BASE.index("consensus:")], "", "1:1: nodes: | is required"),
    ("near_tie", "beta", f"9:7: {LAW}.correlation: | is required"),
    (KIND, "kind: recorded", "7:5: nodes.gpu.executor.outputs: | is required"),
]
WRONG_TYPES = [
    ("count: 13", "count: true", f"5:12: nodes.gpu.count: | {WHOLE}true)"),
    ("count: 13", "count: thirteen", f"5:12: nodes.gpu.count: | {WHOLE}'thirteen')"),
    ("count: 13", "count: '13'", f"5:12: nodes.gpu.count: | {WHOLE}'13')"),
    ("count: 13", "count: 13.0", f"5:12: nodes.gpu.count: | {WHOLE}13.0)"),
    ("count: 13", "count: null", f"5:12: nodes.gpu.count: | {WHOLE}null)"),
    ("count: 13", "count: [13]", f"5:5: nodes.gpu.count: | {WHOLE}[13])"),
    ("count: 13", "count: {a: 13}", f"5:5: nodes.gpu.count: | {WHOLE}{{a: 13}})"),
    ("count: 13", "count: 0b13", f"5:12: nodes.gpu.count: | {WHOLE}'0b13')"),
    ("rate: 1e-4", "rate: often", f"9:52: {LAW}.rate: | must be a number (got 'often')"),
    ("rate: 1e-4", "rate: true", f"9:52: {LAW}.rate: | must be a number (got true)"),
    ("rate: 1e-4", "rate: null", f"9:52: {LAW}.rate: | must be a number (got null)"),
    ("rate: 1e-4", "rate: 1e-4, shared_noise: much", f"9:72: {LAW}.shared_noise: | must be a number (got 'much')"),
    ("rate: 1e-4", "rate: 1e-4, alternatives: null", f"9:72: {LAW}.alternatives: | must be a number (got null)"),
    ("name: base", "name: 7", "1:7: name: | must be a text (got 7)"),
    ("hardware: h100", "hardware: 100", "6:15: nodes.gpu.hardware: | must be a text (got 100)"),
    ("{requests_per_block: 1, tokens: 256}", "[1, 256]", "12:1: workload: | must be a mapping (got [1, 256])"),
    ("{requests_per_block: 1, tokens: 256}", "null", "12:11: workload: | must be a mapping (got null)"),
    ("run: {engine: auto, blocks: 10000, seed: 1}", "run: fast", "13:6: run: | must be a mapping (got 'fast')"),
    ("kind: gpu", "kind: 3", "8:13: nodes.gpu.executor.kind: | must be one of cpu, gpu, recorded, numeric (got 3)"),
    (
        "kind: gpu",
        "kind: null",
        "8:13: nodes.gpu.executor.kind: | must be one of cpu, gpu, recorded, numeric (got null)",
    ),
    (
        "kind: gpu",
        "kind: [gpu]",
        "8:7: nodes.gpu.executor.kind: | must be one of cpu, gpu, recorded, numeric (got [gpu])",
    ),
    (f"executor:\n      {KIND}", "executor: gpu", "7:15: nodes.gpu.executor: | must be a mapping (got 'gpu')"),
    (KIND, "kind: gpu\n      nondeterminism: 1e-4", f"9:23: {LAW}: | must be a mapping (got "),
    ("byzantine: 0", "byzantine: true", "11:21: faults.byzantine: | must be a whole number, or a mapping"),
    ("byzantine: 0", "byzantine: {gpu: 1.5}", f"11:27: faults.byzantine.gpu: | {WHOLE}1.5)"),
    ("certify}", "certify, quorum: 9.5}", f"10:75: consensus.quorum: | {WHOLE}9.5)"),
    (KIND, "kind: recorded\n      outputs: all", "9:16: nodes.gpu.executor.outputs: | must be a list (got 'all')"),
    ("run:", "sweep: {x: 3}\nrun:", "13:12: sweep.x: | must be a mapping such as {path: ..., values: [...]} (got 3)"),
    ("run:", "sweep: [1]\nrun:", "13:1: sweep: | must be a mapping (got [1])"),
]
RANGES = [
    ("count: 13", "count: 0", "5:12: nodes.gpu.count: | must be at least 1 (got 0)"),
    ("count: 13", "count: -5", "5:12: nodes.gpu.count: | must be at least 1 (got -5)"),
    ("count: 13", "count: 100001", "5:12: nodes.gpu.count: | must be at most 100000 (got 100001)"),
    (
        "count: 13",
        f"count: {'9' * 390}",
        "5:12: nodes.gpu.count: | must be at most 100000 (got an integer of 1296 bits)",
    ),
    ("count: 13", "count: 13\n    power: 0", "6:12: nodes.gpu.power: | must be at least 1 (got 0)"),
    ("rate: 1e-4", "rate: -0.1", f"9:52: {LAW}.rate: | must be at least 0 (got -0.1)"),
    ("rate: 1e-4", "rate: 0.5", f"9:52: {LAW}.rate: | must be less than 0.5 (got 0.5)"),
    ("near_tie, rate: 1e-4", "independent, rate: 1.0", f"9:55: {LAW}.rate: | must be less than 1 (got 1.0)"),
    ("rate: 1e-4", "rate: .nan", f"9:52: {LAW}.rate: | must be a finite number (got .nan)"),
    ("rate: 1e-4", "rate: .inf", f"9:52: {LAW}.rate: | must be a finite number (got .inf)"),
    ("rate: 1e-4", "rate: 1e999", f"9:52: {LAW}.rate: | must be a finite number (got 1e999)"),
    ("near_tie, rate", "beta, correlation: 0, rate", f"9:55: {LAW}.correlation: | must be greater than 0 (got 0)"),
    ("near_tie, rate", "beta, correlation: 1, rate", f"9:55: {LAW}.correlation: | must be less than 1 (got 1)"),
    ("near_tie, rate", "beta, correlation: .nan, rate", f"9:55: {LAW}.correlation: | a finite number (got .nan)"),
    ("rate: 1e-4", "rate: 1e-4, alternatives: -1", f"9:72: {LAW}.alternatives: | must be at least 0 (got -1)"),
    ("rate: 1e-4", "rate: 1e-4, alternatives: .nan", f"9:72: {LAW}.alternatives: | must be at least 0"),
    ("rate: 1e-4", "rate: 1e-4, alternatives: -.inf", f"9:72: {LAW}.alternatives: | must be at least 0 (got -.inf)"),
    ("rate: 1e-4", "rate: 1e-4, shared_noise: 1.5", f"9:72: {LAW}.shared_noise: | must be at most 1 (got 1.5)"),
    ("rate: 1e-4", "rate: 1e-4, shared_noise: -0.1", f"9:72: {LAW}.shared_noise: | must be at least 0 (got -0.1)"),
    ("seed: 1", "seed: -1", "13:42: run.seed: | must be at least 0 (got -1)"),
    ("seed: 1", f"seed: {2**63}", f"13:42: run.seed: | must be less than {2**63} (got {2**63})"),
    ("blocks: 10000", "blocks: 0", "13:29: run.blocks: | must be at least 1 (got 0)"),
    (
        "blocks: 10000",
        "blocks: 1000000000001",
        "13:29: run.blocks: | must be at most 1000000000000 (got 1000000000001)",
    ),
    ("blocks: 10000", "blocks: 1.5", f"13:29: run.blocks: | {WHOLE}1.5)"),
    ("blocks: 10000", "blocks: .inf", f"13:29: run.blocks: | {WHOLE}.inf)"),
    ("requests_per_block: 1", "requests_per_block: 0", "12:32: workload.requests_per_block: | at least 1 (got 0)"),
    ("tokens: 256", "tokens: 1000001", "12:43: workload.tokens: | must be at most 1000000 (got 1000001)"),
    ("name: base", "name: ''", "1:7: name: | must have at least 1 character"),
    ("name: base", f"name: {'x' * 101}", "1:7: name: | must have at most 100 characters (got 'xxx"),
    (BASE[BASE.index("\n  gpu:") : BASE.index("consensus:")], " {}\n", "3:1: nodes: | at least 1 entries (got {})"),
    (KIND, "kind: recorded\n      outputs: []", "9:7: nodes.gpu.executor.outputs: | at least 1 entries (got [])"),
]
THRESHOLDS = [
    ("0", SHARE + "0)"),
    ("1/2", SHARE + "'1/2')"),
    ("2/3", SHARE + "'2/3')"),
    ("50 %", SHARE + "'50 %')"),
    ("'1/0'", "must not divide by zero (got '1/0')"),
    ("a third", FRACTION + "'a third')"),
    ("-1/3", SHARE + "'-1/3')"),
    ("1/3/3", FRACTION + "'1/3/3')"),
    ("٣/٤", FRACTION + "'٣/٤')"),
    ("33 %%", FRACTION + "'33 %%')"),
    ("null", FRACTION + "null)"),
    ("true", FRACTION + "true)"),
    (".nan", FRACTION + ".nan)"),
    (".inf", FRACTION + ".inf)"),
]
CONTROL = "must not hold control characters (got "
NAME = "a group's name must have 1 to 100 characters, no dot and no control characters (got "
CHARACTERS = [
    ("name: base", 'name: "a\\e[2Jb"', f"1:7: name: | {CONTROL}'a\\x1b[2Jb')"),
    ("name: base", 'name: "\\ud800"', "1:7: name: | must "),
    ("a chain", '"a\\u202Eb"', f"2:14: description: | {CONTROL}'a\\u202eb')"),
    ("hardware: h100", 'hardware: "h\\n100"', f"6:15: nodes.gpu.hardware: | {CONTROL}'h\\n100')"),
    ("  gpu:\n", '  "g\\e[31mpu":\n', f"4:3: nodes.g\\x1b[31mpu: | {NAME}'g\\x1b[31mpu')"),
    ("  gpu:\n", "  a.b:\n", f"4:3: nodes.a.b: | {NAME}'a.b')"),
    ("  gpu:\n", "  '':\n", f"4:3: nodes.: | {NAME}'')"),
    ("  gpu:\n", f"  {'g' * 101}:\n", f"4:3: nodes.{'g' * 101}: | {NAME}'ggg"),
    ("run:", '"a\\e[2J": 1\nrun:', "13:1: a\\x1b[2J: | unknown key"),
    ("run:", '"a\\nb": 1\nrun:', "13:1: a\\nb: | unknown key"),
    (KIND, 'kind: recorded\n      outputs: ["\\e"]', f"9:17: nodes.gpu.executor.outputs.0: | {CONTROL}'\\x1b')"),
]


@pytest.mark.parametrize(("old", "new", "line"), MISSPELT_KEYS + MISSPELT_VALUES + MISSING, ids=label)
def test_a_misspelt_or_missing_word_is_told_with_what_was_meant(
    old: str, new: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refuses(edited(old, new), (line,), capsys)


@pytest.mark.parametrize(("old", "new", "line"), WRONG_TYPES + RANGES, ids=label)
def test_a_value_of_a_wrong_type_or_out_of_range_is_told_with_the_value(
    old: str, new: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refuses(edited(old, new), (line,), capsys)


@pytest.mark.parametrize(("written", "message"), THRESHOLDS, ids=label)
def test_a_threshold_must_be_a_fraction_between_0_and_a_half(
    written: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refuses(edited("1/3", written), (f"10:45: consensus.fault_threshold: | {message}",), capsys)


@pytest.mark.parametrize(("count", "outputs", "index"), [(2, "[7, b]", 0), (2, "[a, [b]]", 1), (1, "[7]", 0)])
def test_a_recorded_output_must_be_a_text(
    count: int, outputs: str, index: int, capsys: pytest.CaptureFixture[str]
) -> None:
    text = edited("13", str(count), edited(KIND, f"kind: recorded\n      outputs: {outputs}"))
    refuses(text, (f"9:{17 + 3 * index}: nodes.gpu.executor.outputs.{index}: | must be a text (got ",), capsys)


def test_a_threshold_given_as_a_list_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    refuses(edited("1/3", "[1, 3]"), (f"10:28: consensus.fault_threshold: | {FRACTION}[1, 3])",), capsys)


@pytest.mark.parametrize(("old", "new", "line"), CHARACTERS, ids=label)
def test_characters_that_could_move_the_cursor_are_refused_and_shown_escaped(
    old: str, new: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = edited("count: 13", "count: 1") if "recorded" in new else BASE
    refuses(edited(old, new, text), (line,), capsys)


@pytest.mark.parametrize(
    ("old", "new", "required", "unknown"),
    [
        ("nodes:", "nods:", "1:1: nodes: | is required", "3:1: nods: | did you mean nodes?"),
        ("count:", "cuont:", "4:3: nodes.gpu.count: | required", "5:5: nodes.gpu.cuont: | did you mean count?"),
        (
            "kind:",
            "knd:",
            "7:5: nodes.gpu.executor.kind: | is required",
            "8:7: nodes.gpu.executor.knd: | did you mean kind?",
        ),
        ("nondeterminism:", "nondeterminsm:", f"7:5: {LAW}: | required", f"9:7: {LAW[:-3]}sm: | mean nondeterminism?"),
        ("rate:", "rat:", f"9:7: {LAW}.rate: | is required", f"9:46: {LAW}.rat: | did you mean rate?"),
    ],
    ids=label,
)
def test_a_misspelt_key_that_is_required_is_told_as_missing_and_as_misspelt(
    old: str, new: str, required: str, unknown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refuses(edited(old, new), (required, unknown), capsys)
