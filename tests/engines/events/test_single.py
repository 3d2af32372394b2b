"""One block of a long run is what it is in the whole run, whether or not those before it are run."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from timed import chain, traced

from sim import Scenario, ScenarioError
from sim.engines.events.single import carried_over, run_block

LATENCY = {"latency": {"kind": "lognormal", "median": 0.05, "sigma": 0.4}}
CONSTANT = {"latency": 0.1}
NEAR_TIE = {"rate": 0.2}
EQUIVOCATING: dict[str, Any] = {"byzantine": 2, "behaviour": "equivocate"}
TENDERMINT = {"protocol": "tendermint"}
SLOW = {"kind": "lognormal", "median": 0.5, "sigma": 2.5}
TWELVE: dict[str, Any] = {"blocks": 12}
Lines = list[dict[str, Any]]


def alone(scenario: Scenario, height: int) -> tuple[Any, Lines]:
    """What is found of one block, and the lines of its trace without the first."""
    stream = io.StringIO()
    found = run_block(scenario, height, trace=stream)
    return found, [json.loads(line) for line in stream.getvalue().splitlines()[1:]]


def apart(lines: Lines, height: int) -> tuple[Lines, Lines]:
    """The lines of a height, and those of no height."""
    plain = [line for line in lines if "trace" not in line]
    return [line for line in plain if line.get("height") == height], [line for line in plain if "height" not in line]


def going_on(scenario: Scenario, after: str) -> Scenario:
    """The same chain; after a failure it goes on like this."""
    if scenario.recovery is None:
        return scenario
    run = scenario.run.model_dump(exclude_none=True)
    return Scenario.model_validate(scenario.model_dump(exclude_none=True) | {"on_failure": after, "run": run})


def since(lines: Lines, start: float) -> list[str]:
    """Lines with times counted from another moment, to the nanosecond; what happens at one time is in no order."""

    def moved(line: dict[str, Any]) -> dict[str, Any]:
        arrivals = {"at": [round(at - start, 9) for at in line["at"]]} if "at" in line else {}
        return line | {"t": round(line["t"] - start, 9)} | arrivals

    return sorted(json.dumps(moved(line)) for line in lines)


@pytest.mark.parametrize(
    "parts",
    [
        {"network": CONSTANT, "law": NEAR_TIE},
        {"network": CONSTANT, "law": NEAR_TIE, "consensus": {"result": "propose"}},
        {"network": CONSTANT, "law": NEAR_TIE, "consensus": TENDERMINT | {"result": "propose"}},
        {"network": CONSTANT, "law": NEAR_TIE, "faults": {"byzantine": 2}},
        {"network": CONSTANT, "law": NEAR_TIE, "faults": {"byzantine": 2}, "consensus": TENDERMINT},
        {"network": CONSTANT, "law": NEAR_TIE, "faults": {"byzantine": 2, "behaviour": "collude"}},
        {"network": CONSTANT, "law": NEAR_TIE, "faults": {"byzantine": 3}},
    ],
)
@pytest.mark.parametrize("height", [1, 2, 7, 12])
def test_a_block_that_needs_no_others_is_run_alone_and_only_its_clock_differs(
    parts: dict[str, Any], height: int
) -> None:
    scenario = chain(7, **parts, run=TWELVE)
    assert carried_over(scenario) is None
    result, whole = traced(scenario)
    found, lines = alone(scenario, height)
    assert found.first == height
    wanted, _ = apart(whole, height)
    assert wanted or result.timing is None or result.timing.causes.get("stall")
    begun = wanted[0]["t"] if wanted else 0.0
    assert since(apart(lines, height)[0], 0.0) == since(wanted, begun)
    for line in whole:
        if line.get("event") == "over" and line["height"] == height:
            assert (found.outcome, found.cause) == (line["outcome"], line.get("cause"))
    if not wanted:
        assert (found.outcome, found.cause) == ("no_quorum", "stall")


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"network": LATENCY, "law": NEAR_TIE}, "latency is drawn"),
        ({"network": CONSTANT | {"loss": 0.05}}, "goes wrong in the network"),
        ({"network": CONSTANT | {"bandwidth": 1e6}}, "messages share links"),
        ({"network": CONSTANT, "faults": {"crashes": [{"nodes": {"a": [3]}, "at": 1.0, "until": 2.0}]}}, "are down"),
        ({"network": CONSTANT, "faults": EQUIVOCATING}, "attackers that equivocate"),
        ({"network": CONSTANT, "law": NEAR_TIE, "recovery": {"blocks": 2}}, "who is away"),
        ({"network": CONSTANT, "law": NEAR_TIE, "recovery": {"seconds": 1.0, "state_bytes": 10_000}}, "who is away"),
        ({"network": CONSTANT, "executor": {"seconds_per_request": 1.0}}, "devices may still be busy"),
        (
            {"network": CONSTANT, "executor": {"seconds_per_request": SLOW}, "node": {"devices": 4}},
            "devices may still be",
        ),
        ({"network": CONSTANT, "consensus": {"timeouts": {"view": 0.3}}}, "timeouts are not much longer"),
        ({"network": CONSTANT, "faults": {"byzantine": 1, "behaviour": "delay", "delay": 1.0}}, "attackers that delay"),
    ],
)
@pytest.mark.parametrize("height", [1, 5, 12])
def test_a_block_that_others_bear_on_is_run_after_them_and_is_the_same_to_the_byte(
    parts: dict[str, Any], told: str, height: int
) -> None:
    scenario = going_on(chain(7, **parts, run=TWELVE), "skip")
    found, lines = alone(scenario, height)
    assert (found.first, told in found.reason) == (1, True)
    _, whole = traced(scenario)
    (wanted, changes), (had, kept) = apart(whole, height), apart(lines, height)
    assert had == wanted
    assert kept == changes[: len(kept)]
    (over,) = [line for line in wanted if line["event"] == "over"]
    assert (found.outcome, found.cause) == (over["outcome"], over.get("cause"))


def test_blocks_after_it_are_not_run() -> None:
    done: list[float] = []
    scenario = chain(4, network=LATENCY, run={"blocks": 1_000_000})
    run_block(scenario, 3, report=done.append)
    assert len(done) < 20
    assert done[:3] == pytest.approx([1 / 3, 2 / 3, 1])


def test_a_block_that_there_is_not_is_refused() -> None:
    scenario = chain(4, network=CONSTANT)
    for height in (0, 11):
        with pytest.raises(ScenarioError, match=r"--block: must be from 1 to 10, the blocks of the run \(got"):
            run_block(scenario, height)
    with pytest.raises(ScenarioError, match=r"is a block of one chain \(set run\.chains to 1\)"):
        run_block(chain(4, network=CONSTANT, recovery={"never": True}, run={"chains": 2}), 2)


def test_a_chain_that_halts_before_the_block_says_so() -> None:
    scenario = going_on(chain(4, network=CONSTANT, law={"rate": 0.3}, recovery={"never": True}), "halt")
    _, whole = traced(scenario)
    (halt,) = [line for line in whole if line.get("event") == "halt"]
    assert 1 < halt["height"] < 10
    assert run_block(scenario, halt["height"]).outcome == "no_quorum"
    with pytest.raises(
        ScenarioError, match=f"the chain is over after {halt['height']} blocks, before it comes to this"
    ):
        run_block(scenario, 10)
