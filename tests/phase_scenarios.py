"""Chains with which the phases engine is held against the events engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from sim import Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LOGNORMAL = {"kind": "lognormal", "median": 0.05, "sigma": 0.6}
FAR = {"kind": "normal", "mean": 0.1, "deviation": 0.01}
LATENCIES = [
    LOGNORMAL,
    {"kind": "uniform", "low": 0.0, "high": 0.3},
    {"kind": "pareto", "minimum": 0.02, "shape": 1.5},
    {"kind": "regions", "between": {"eu": {"eu": LOGNORMAL, "us": FAR}, "us": {"us": LOGNORMAL}}},
]
SECONDS = [None, 0.01, 0.7, 3.0, {"kind": "lognormal", "median": 0.5, "sigma": 0.5}]
LAWS = [None, None, {"difficulty": "near_tie", "rate": 0.05}, {"difficulty": "independent", "rate": 0.1}]


SHORT = dict.fromkeys(
    ("view", "propose", "prevote", "precommit", "result", "commit", "rank", "notary"), (0.1, 0.5, 2.0, 20.0)
)


@st.composite
def crashes(draw: st.DrawFn, counts: dict[str, int]) -> dict[str, Any]:
    """Some nodes of a group that stop, for good or for a while."""
    group = draw(st.sampled_from(sorted(counts)))
    places = st.lists(st.integers(0, counts[group] - 1), min_size=1, max_size=4, unique=True)
    at = draw(st.just(0.0) | st.floats(0.0, 12.0))
    lasts = draw(st.none() | st.floats(0.01, 12.0))
    nodes = {group: draw(st.integers(1, max(1, counts[group] // 3)) | places)}
    return {"nodes": nodes, "at": at} | ({} if lasts is None else {"until": at + lasts})


@st.composite
def scenarios(
    draw: st.DrawFn,
    protocols: tuple[str, ...] = ("pbft", "tendermint"),
    sizes: tuple[int, ...] = (4, 7, 16),
    timeouts: Mapping[str, Sequence[float]] = SHORT,
    blocks: int = 12,
    *,
    crashing: bool = False,
) -> Scenario:
    """Chains of two groups, with anything that the engine knows, and timeouts that may run out."""
    n, law = draw(st.sampled_from(sizes)), draw(st.sampled_from(LAWS))
    first = draw(st.integers(1, n - 1))
    nodes: dict[str, Any] = {}
    for name, region, count in (("a", "eu", first), ("b", "us", n - first)):
        executor: dict[str, Any] = {"kind": "gpu", "nondeterminism": law} if law else {"kind": "cpu"}
        seconds = draw(st.sampled_from(SECONDS))
        executor |= {} if seconds is None else {"seconds_per_request": seconds}
        nodes[name] = {"count": count, "region": region, "executor": executor, "devices": draw(st.sampled_from([1, 2]))}
        nodes[name]["power"] = draw(st.sampled_from([1, 1, 1, 2]))
    power = sum(group["count"] * group["power"] for group in nodes.values())
    consensus: dict[str, Any] = {
        "protocol": draw(st.sampled_from(protocols)),
        "result": draw(st.sampled_from(["certify", "propose"])),
        "checkpoint_interval": draw(st.sampled_from([1, 2, 100])),
        "timeouts": draw(
            st.fixed_dictionaries({}, optional={key: st.sampled_from(seconds) for key, seconds in timeouts.items()})
        ),
    }
    if draw(st.booleans()):
        consensus["quorum"] = draw(st.integers(power // 2 + 1, power))
    network = {"latency": draw(st.sampled_from(LATENCIES))}
    if consensus["protocol"] in {"pbft", "tendermint"}:
        network["bandwidth"] = draw(st.sampled_from([None, None, 1e5, 1e7]))
    faults: dict[str, Any] = {"byzantine": {"a": draw(st.integers(0, first - 1)) if draw(st.booleans()) else 0}}
    if crashing:
        counts = {name: group["count"] for name, group in nodes.items()}
        faults["crashes"] = draw(st.lists(crashes(counts), min_size=1, max_size=3))
    return Scenario.model_validate(
        {
            "nodes": nodes,
            "consensus": consensus,
            "faults": faults,
            "network": network,
            "workload": {"requests_per_block": draw(st.sampled_from([1, 1, 3]))},
            "run": {"blocks": draw(st.integers(1, blocks)), "seed": draw(st.integers(0, 2**32))},
        }
    )
