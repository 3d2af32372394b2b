"""Endorsing: the outcome of a block from those of its requests, and what the shipped scenario claims."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import load_scenario, run
from sim.consensus.endorse import block_outcome
from sim.consensus.tally import Outcome

SHIPPED = Path(__file__).parents[2] / "scenarios" / "tolerant" / "endorse_drops_requests.yaml"


@given(st.lists(st.sampled_from(list(Outcome)), min_size=1, max_size=6))
def test_the_worst_that_is_certified_counts_and_a_block_fails_for_want_of_a_quorum_only_if_all_do(
    requests: list[Outcome],
) -> None:
    if Outcome.forked in requests:
        expected = Outcome.forked
    elif Outcome.wrong_result in requests:
        expected = Outcome.wrong_result
    elif Outcome.agreed in requests:
        expected = Outcome.agreed
    else:
        expected = Outcome.no_quorum
    seen = np.array([[requests.count(outcome) for outcome in Outcome]])
    assert block_outcome(seen).tolist() == [expected]


def test_the_shipped_scenario_does_what_its_comment_claims() -> None:
    text = SHIPPED.read_text()
    assert text.startswith("# Shows: ")
    assert "# Expect: " in text
    endorsed, certified = run(load_scenario(SHIPPED)), run(load_scenario(SHIPPED, ["consensus.result=certify"]))
    assert endorsed.block_failure.probability < 1e-300
    assert endorsed.dropped_per_block is not None
    assert endorsed.dropped_per_block.mean == pytest.approx(100 * 9.73391741342e-5, rel=1e-10)
    assert certified.dropped_per_block is None
    for number in (endorsed.dropped_per_block.mean, certified.block_failure.probability):
        assert f"{number:.2e}" in text
