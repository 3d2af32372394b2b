"""A result in notebooks: HTML that is escaped, tables of pandas and xarray with every number, a clear error without."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from sim import Result, SplitquorumError, load_scenario, run

ROOT = Path(__file__).parents[2]
HOSTILE = "</table></script><script>alert(1)</script>\x1b[2J\u202e&\"'"
FILES = {
    "exact": ("ninety_nine_ninety_nine.yaml", []),
    "drawn": ("ninety_nine_ninety_nine.yaml", ["run.engine=montecarlo", "nodes.gpu.executor.nondeterminism.rate=0.05"]),
    "timed": ("healed_partition.yaml", ["run.blocks=60"]),
    "chains": ("over_time/state_sync_storm.yaml", []),
    "halting": ("over_time/icp_subnet.yaml", []),
    "endorse": ("tolerant/endorse_drops_requests.yaml", []),
    "appeal": ("tolerant/growing_committees.yaml", []),
}


@pytest.fixture(scope="module", params=FILES)
def result(request: pytest.FixtureRequest) -> Result:
    file, overrides = FILES[request.param]
    return run(load_scenario(ROOT / "scenarios" / file, overrides))


class Reader(HTMLParser):
    """Collects tags and texts, and holds that every tag that is opened is closed in its place."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not attrs
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        assert data.isprintable()
        self.texts.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert not reader.open
    return reader


def test_html_has_every_outcome_and_nothing_of_the_user_s_markup(result: Result) -> None:
    hostile = replace(result, scenario=HOSTILE, engine_reason=HOSTILE, warnings=(HOSTILE,))
    reader = read(hostile._repr_html_())
    assert reader.seen == {"div", "strong", "table", "thead", "tbody", "tr", "th", "td"}
    assert reader.texts[0].startswith("</table></script><script>alert(1)</script>\\x1b[2J\\u202e&\"': ")
    for name, estimate in result.outcomes.items():
        assert reader.texts[reader.texts.index(name) + 1] == f"{estimate.probability:.5g}"
    assert reader.texts[reader.texts.index("block failure") + 1] == f"{result.block_failure.probability:.5g}"
    assert sum("warning: " in text for text in reader.texts) == 1


def numbers_in(plain: object) -> list[float]:
    """Every number in plain values, apart from texts and the setting."""
    if isinstance(plain, dict):
        skipped = {"nodes", "faults_tolerated", "quorum", "seed", "failed_blocks", "first_violation", "chains"}
        return [number for key, value in plain.items() if key not in skipped for number in numbers_in(value)]
    if isinstance(plain, (list, tuple)):
        return [number for value in plain for number in numbers_in(value)]
    return [float(plain)] if isinstance(plain, (int, float)) and not isinstance(plain, bool) else []


def test_pandas_has_every_estimate(result: Result) -> None:
    frame = result.to_pandas()
    assert list(frame.columns) == ["value", "low", "high", "count"]
    for name, estimate in [*result.outcomes.items(), ("block_failure", result.block_failure)]:
        line = frame.loc[name]
        assert (line.value, line.low, line.high) == (estimate.probability, estimate.low, estimate.high)
        count = frame["count"][name]
        assert pd.isna(count) if estimate.count is None else count == estimate.count
    assert frame.value["diverged_per_block"] == result.diverged_per_block.mean
    if result.timing and result.timing.latency_s:
        assert frame.value["latency_p95_s"] == result.timing.latency_s["p95"]
    if result.over_time:
        assert frame.value["nodes_away"] == result.over_time.nodes_away.mean
    assert frame.attrs["scenario_id"] == result.scenario_id
    assert frame.attrs["seed"] == result.seed


def test_xarray_has_every_number_that_the_json_has(result: Result) -> None:
    dataset = result.to_xarray()
    found = {
        float(value)
        for name in dataset.variables
        for value in dataset[name].to_numpy().ravel()
        if name != "outcome" and dataset[name].dtype.kind in "fiu"
    }
    found |= {0.0}
    plain = result.to_dict()
    for estimate in plain["outcomes"].values():
        estimate.pop("count")
    plain["block_failure"].pop("count")
    assert not [number for number in numbers_in(plain) if number not in found]
    assert math.isclose(float(dataset.probability.sum()), 1)
    assert float(dataset.probability.sel(outcome="agreed")) == result.outcomes["agreed"].probability
    assert ("count" in dataset) == (result.blocks is not None)
    if result.blocks is not None:
        assert int(dataset["count"].sum()) == result.blocks
    assert dataset.attrs["engine"] == result.engine


@pytest.mark.parametrize("name", ["pandas", "xarray"])
def test_without_the_package_the_error_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(load_scenario(ROOT / "scenarios" / "ninety_nine_ninety_nine.yaml"))
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SplitquorumError) as caught:
        getattr(result, f"to_{name}")()
    assert str(caught.value) == f"Result.to_{name} needs {name}: pip install 'splitquorum[{name}]'"
