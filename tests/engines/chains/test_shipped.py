"""The shipped scenarios over time do what their comments claim."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim import load_scenario, run

FOLDER = Path(__file__).parents[3] / "scenarios" / "over_time"


def text_of(name: str) -> str:
    return " ".join((FOLDER / f"{name}.yaml").read_text().replace("#", "").split())


def test_every_scenario_is_here() -> None:
    names = {path.stem for path in FOLDER.glob("*.yaml")}
    shipped = {"false_security", "state_sync_storm", "icp_subnet", "cometbft_app_hash", "retry_near_tie"}
    assert names == shipped | {"state_sync_network"}


@pytest.mark.parametrize(
    ("name", "halt", "test"), [("false_security", "554,304", "95.9"), ("cometbft_app_hash", "503,831", "94.5")]
)
def test_chains_stop_where_tests_see_nothing(name: str, halt: str, test: str) -> None:
    over_time = run(load_scenario(FOLDER / f"{name}.yaml")).over_time
    assert over_time is not None
    assert f"{over_time.blocks_to_halt:,.0f}" == halt
    assert f"{100 * dict(over_time.looked_deterministic)[10_000]:.1f}" == test
    assert halt in text_of(name)
    assert f"sees nothing with probability {test} %" in text_of(name)
    if name == "false_security":
        alone = run(load_scenario(FOLDER / f"{name}.yaml", ["recovery=null", "run.chains=null"]))
        assert f"{1 / alone.block_failure.probability:,.0f}" == "1,027,336"
        assert "1,027,336" in text_of(name)


def test_state_sync_spends_the_budget() -> None:
    path = FOLDER / "state_sync_storm.yaml"
    stormy, calm = run(load_scenario(path)), run(load_scenario(path, ["recovery=null"]))
    assert stormy.over_time is not None
    assert f"{stormy.block_failure.probability:.2e}" == "2.04e-03"
    assert f"{calm.block_failure.probability:.2e}" == "1.28e-12"
    assert f"{stormy.over_time.nodes_away.mean:.2f}" == "2.52"
    for written in ("2.04e-03", "1.28e-12", "2.52 of the 13 nodes"):
        assert written in text_of("state_sync_storm")


def test_a_large_state_takes_blocks_and_time() -> None:
    name = "state_sync_network"
    path = FOLDER / f"{name}.yaml"
    large, small = run(load_scenario(path)), run(load_scenario(path, ["recovery.state_bytes=1000000"]))
    calm = run(load_scenario(path, ["recovery=null", "on_failure=null"]))
    votes = run(load_scenario(path, ["recovery=null", "on_failure=null"]), engine="exact")
    assert f"{large.block_failure.probability:.2e}" == "4.00e-03"
    assert f"{votes.block_failure.probability:.2e}" == "1.20e-07"
    for result, away, rate in ((large, "2.26", "0.38"), (small, "1.41", "0.54"), (calm, None, "0.74")):
        assert result.timing is not None
        assert f"{result.timing.blocks_per_s:.2f}" == rate
        assert rate in text_of(name)
        if away:
            assert result.over_time is not None
            assert f"{result.over_time.nodes_away.mean:.2f}" == away
            assert f"{away} " in text_of(name)
    for written in ("4.00e-03", "1.20e-07"):
        assert written in text_of(name)


def test_a_subnet_halts_within_minutes() -> None:
    result = run(load_scenario(FOLDER / "icp_subnet.yaml"))
    assert result.over_time is not None
    assert result.over_time.blocks_to_halt == pytest.approx(610, abs=0.5)
    assert result.over_time.halts == {"spent": 360, "split": 640}
    assert "after 610 blocks in the mean" in text_of("icp_subnet")
    assert "in 36 % of the cases" in text_of("icp_subnet")


def test_retries_hardly_help() -> None:
    path = FOLDER / "retry_near_tie.yaml"
    assert f"{run(load_scenario(path)).block_failure.probability:.2e}" == "1.93e-05"
    assert "1.93e-05" in text_of("retry_near_tie")
    once = run(load_scenario(path, ["on_failure=skip", "max_retries=null"])).block_failure.probability
    assert f"{once:.2e}" == "9.73e-05"
    assert f"{once**4:.0e}" == "9e-17"
