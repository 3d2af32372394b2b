"""The article's statements, on the verdict rows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sim.analysis.feasibility import Feasibility, feasibility
from sim.analysis.rules import RULE_1, RULE_2, rule1, rule2
from sim.base.errors import ScenarioError
from sim.catalog.catalog import builtin, catalog_with
from sim.cli import execute

KEYS = [
    *("platform", "model", "fits_memory", "bytes_needed", "bytes_available"),
    *("seconds", "in_time", "rule1", "rule2", "verdict", "why"),
]
ICP = ("icp_app", "icp_fiduciary", "icp_nns")


def row(platform: str, model: str, **keys: Any) -> Feasibility:
    (only,) = feasibility(builtin(), [platform], [model], **keys)
    return only


def test_ethereum_cannot_hold_the_classifier_nor_anything() -> None:
    rows = feasibility(builtin(), ["ethereum"])
    assert len(rows) == len(builtin().models)
    assert all(one.fits_memory is False and one.verdict == "does not fit" for one in rows)
    classifier = row("ethereum", "image_classifier")
    assert (classifier.bytes_needed, classifier.bytes_available) == (10_000_000, 100_000)
    assert (classifier.rule1, classifier.rule2) == (
        "KB: no real model",
        "millions or less: so slow that users think it is broken",
    )
    assert "integers only" in classifier.why
    assert classifier.seconds == 200


@pytest.mark.parametrize("platform", ICP)
def test_icp_runs_the_classifier_in_seconds_or_less_and_a_quantised_7b_in_seconds_to_minutes(platform: str) -> None:
    classifier, small = row(platform, "image_classifier"), row(platform, "llama_7b_q4")
    assert (classifier.verdict, classifier.in_time, classifier.fits_memory) == ("runs", True, True)
    assert classifier.seconds is not None
    assert classifier.seconds <= 5
    assert small.fits_memory is True
    assert small.seconds is not None
    assert 1 < small.seconds < 600
    assert (small.verdict, small.in_time) == ("slow", False)
    model = builtin().models["llama_7b_q4"]
    operations = model.operations_per_token.value * model.tokens.value
    assert 1e11 <= operations < 1e12
    assert small.seconds == pytest.approx(operations / 2e9)
    assert small.rule1 == "GB: some of the smaller LLMs"
    assert small.rule2 == "billions: smaller LLMs in minutes or much slower than users expect"


@pytest.mark.parametrize("platform", ICP)
def test_llama_3_8b_fits_with_4_bits_and_not_with_16(platform: str) -> None:
    assert row(platform, "llama3_8b_q4").fits_memory is True
    assert "not the smaller one of 4.29 GB" in row(platform, "llama3_8b_q4").why
    assert row(platform, "llama3_8b_f16").fits_memory is False


def test_70b_fits_in_no_heap_and_stable_memory_is_named() -> None:
    rows = feasibility(builtin(), models=["llama3_70b_q4", "llama3_70b_f16"])
    assert len(rows) == 2 * len(builtin().platforms)
    assert all(one.fits_memory is False for one in rows)
    for one in rows:
        assert ("stable memory (537 GB)" in one.why) == (one.platform in ICP)
    assert "would hold them" in row("icp_app", "llama3_70b_q4").why
    assert "would not hold them either" in row("icp_app", "llama3_405b_f16").why


@pytest.mark.parametrize(
    ("heap", "name", "meaning"),
    [
        (1e5, "KB", "no real model"),
        (999_999, "KB", "no real model"),
        (1e6, "MB", "small models, no LLM"),
        (9.99e8, "MB", "small models, no LLM"),
        (4 * 2**30, "GB", "some of the smaller LLMs"),
        (1e10, "tens of GB", "more, not the leading LLMs"),
        (9.9e10, "tens of GB", "more, not the leading LLMs"),
        (1e11, "hundreds of GB", "nearly all"),
        (1e15, "hundreds of GB", "nearly all"),
    ],
)
def test_the_five_steps_of_rule_1(heap: float, name: str, meaning: str) -> None:
    assert (rule1(heap).name, rule1(heap).meaning) == (name, meaning)
    assert len(RULE_1) == 5


@pytest.mark.parametrize(
    ("rate", "name", "meaning"),
    [
        (5e6, "millions or less", "so slow that users think it is broken"),
        (1e8, "hundreds of millions", "very small models in minutes"),
        (2e9, "billions", "smaller LLMs in minutes or much slower than users expect"),
        (1e11, "hundreds of billions", "LLMs as users expect them"),
        (2e12, "thousands of billions", "nearly all models with an excellent experience"),
    ],
)
def test_the_five_steps_of_rule_2(rate: float, name: str, meaning: str) -> None:
    assert (rule2(rate).name, rule2(rate).meaning) == (name, meaning)
    assert len(RULE_2) == 5


def test_patience_and_length_of_an_answer_decide() -> None:
    assert row("icp_app", "llama_7b_q4", patience=600).verdict == "runs"
    assert row("icp_app", "gpt2_124m").verdict == "runs"
    long = row("icp_app", "gpt2_124m", tokens=500)
    assert long.seconds == pytest.approx(500 * 2.48e8 / 2e9)
    assert long.verdict == "slow"
    assert "in 4 calls of at most 4e10 operations" in long.why


@pytest.mark.parametrize(("heap", "fits"), [(498e6, True), (498e6 - 1, False)])
def test_weights_as_large_as_the_heap_fit(heap: float, fits: bool, tmp_path: Any) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(f"platforms:\n  tight: {{title: t, heap_bytes: {{value: {heap}, source: me, known: read}}}}\n")
    (only,) = feasibility(catalog_with(own), ["tight"], ["gpt2_124m"])
    assert only.fits_memory is fits


def test_what_is_not_known_is_said(tmp_path: Any) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("platforms:\n  bare: {title: b, nodes: {value: 4, source: me, known: read}}\n")
    (only,) = feasibility(catalog_with(own), ["bare"], ["gpt2_124m"])
    assert (only.fits_memory, only.bytes_available, only.seconds, only.in_time) == (None,) * 4
    assert (only.rule1, only.rule2, only.verdict) == (None, None, "unknown")
    assert only.why == "its memory is not in the catalog; its speed is not in the catalog"


def test_the_command_prints_a_list_with_the_keys_of_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["feasibility", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == len(builtin().platforms) * len(builtin().models)
    assert all(list(one) == KEYS for one in rows)
    arguments = ["--platform", "icp_app", "--model", "llama3_70b", "--patience", "3600"]
    assert execute(["feasibility", *arguments]) == 0
    shown = capsys.readouterr().out
    assert "icp_app   llama3_70b_f16  141 GB  6.44 GB" in shown
    assert "stable memory (537 GB)" in shown
    assert execute(["feasibility", "--platform", "icp_app"]) == 0
    assert "in 9 calls of at most 4e10 operations" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--platform", "icp"], "--platform: is not in the catalog of platforms; did you mean icp_nns? (got 'icp')"),
        (["--model", "llama"], "--model: is not in the catalog of models;"),
        (["--patience", "-1"], "--patience: must be a number of seconds of at least 0 (got '-1')"),
        (["--patience", "inf"], "--patience: must be a number of seconds of at least 0 (got 'inf')"),
        (["--tokens", "1.5"], "--tokens: must be a whole number of tokens (got '1.5')"),
        (["--scenario", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["--bar", "0.1"], "--bar: goes with --scenario (got '0.1')"),
        (["--set", "a=1"], "--set: goes with --scenario"),
        (["--scenario", "x.yaml", "--model", "gpt2"], "--model: does not go with --scenario (got 'gpt2')"),
        (["--plot", "x.gif"], "plot: must end in .png, .svg or .pdf (got 'x.gif')"),
        (["--platform", ""], "--platform: is not in the catalog of platforms"),
        (["--catalog", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
    ],
)
def test_wrong_flags_are_told_in_one_line(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["feasibility", *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith(told)
    assert err.count("\n") == 1


def test_a_name_that_is_not_there_is_refused_in_python_too() -> None:
    with pytest.raises(ScenarioError, match="did you mean icp_nns"):
        builtin().meant("platforms", "icp_nn", "a test")
