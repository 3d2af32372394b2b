"""The report's scenario in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from reported import SCENARIOS, swept

from sim import load_scenario
from sim.plotting.report.words import scenario_words
from sim.sweeps.row import Row

if TYPE_CHECKING:
    from pathlib import Path

GPU = (
    "13 nodes of hardware h100; GPUs that deviate with probability 0.0001 at each request, all on one second-best "
    "answer (near ties: the same few prompts split every set of replicas)"
)
CONSENSUS = (
    "icc; a result needs 9 of 13 votes; fault threshold 1/3; f = 4; certify: every node votes on what it computed"
)


@pytest.mark.parametrize(
    ("name", "overrides", "title", "text"),
    [
        (
            "ninety_nine_ninety_nine",
            [],
            "group gpu",
            GPU,
        ),
        (
            "ninety_nine_ninety_nine",
            [],
            "consensus",
            CONSENSUS,
        ),
        ("ninety_nine_ninety_nine", ["faults.byzantine=1"], "faults", "1 Byzantine vote, silent"),
        ("ninety_nine_ninety_nine", ["faults.crashes=[{nodes: {gpu: [0]}, at: 5}]"], "faults", "1 crash"),
        (
            "ninety_nine_ninety_nine",
            ["workload={requests_per_block: 3, tokens: 1}"],
            "workload",
            "3 requests a block, of 1 output token",
        ),
        (
            "ninety_nine_ninety_nine",
            ["nodes.gpu.power=5"],
            "group gpu",
            "13 nodes of hardware h100, voting power 5 each",
        ),
        ("three_computers", [], "group computer", "3 nodes of hardware computer; recorded answers"),
        ("cpu_anchor", [], "group cpu", "deterministic"),
    ],
)
def test_what_is_told(name: str, overrides: list[str], title: str, text: str) -> None:
    scenario = load_scenario(SCENARIOS / f"{name}.yaml", overrides)
    told = dict(scenario_words([Row(0, {}, scenario, None)]))
    assert text in told[title]


def test_what_points_do_not_share_varies(tmp_path: Path) -> None:
    told = dict(scenario_words(swept("fault_budget", tmp_path)))
    assert told["faults"] == "varies (first: none; last: 5 Byzantine votes, silent)"
    assert "..." not in told["consensus"]
    assert "that deviate with probability 1e-08 ... 0.1 at each request" in told["group gpu"]
    told = dict(scenario_words(swept("failure_curve", tmp_path)))
    assert "a result needs 3 ... 27 of 4 ... 40 votes; fault threshold 1/3; f = 1 ... 13; certify" in told["consensus"]


def test_a_part_that_varies_leaves_the_others(tmp_path: Path) -> None:
    both = "sweep={result: {path: consensus.result, values: [certify, propose]}}"
    told = dict(scenario_words(swept("failure_curve", tmp_path, overrides=[both])))
    assert told["consensus"] == (
        "pbft; a result needs 9 of 13 votes; fault threshold 1/3; f = 4; varies (first: certify: every node "
        "votes on what it computed; last: propose: nodes vote on what a leader computed)"
    )


@pytest.mark.parametrize("file", sorted(SCENARIOS.rglob("*.yaml")), ids=lambda file: file.stem)
def test_every_shipped_scenario_can_be_told(file: Path) -> None:
    told = scenario_words([Row(0, {}, load_scenario(file), None)])
    assert all(title and text and text.isprintable() for title, text in told)
