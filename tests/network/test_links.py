"""Messages arrive when a plain account of the network says, whichever way they are asked for."""

from __future__ import annotations

import hashlib
import itertools
import math
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.network import keyed
from sim.network.disruption import DRAWS, HOLD, HOLD_DELAY, LOSS, REPEAT, REPEAT_DELAY, drawn_for
from sim.network.keyed import KEPT, Address, KeyedUniforms
from sim.network.links import Flight, Links, memory_bytes
from sim.network.schema import Network

N, SEED = 9, 5
HERE = Address(3, 1, 2)
NUMBERING = {"a": range(4), "b": range(4, 9)}
REGIONS = ["eu"] * 4 + ["us"] * 5
LOGNORMAL = {"kind": "lognormal", "median": 0.1, "sigma": 0.6}
BETWEEN = {
    "kind": "regions",
    "between": {"eu": {"eu": LOGNORMAL, "us": {"kind": "uniform", "low": 1, "high": 2}}, "us": {"us": 0.3, "eu": 0.4}},
}
SPLIT = {"start": 10, "end": 20, "apart": [{"a": 2}, {"a": [2], "b": [0, 1]}]}
SIDE = [0, 0, 1, 2, 1, 1, 2, 2, 2]


def links(seed: int = SEED, **keys: Any) -> Links:
    return Links(Network.model_validate(keys), REGIONS, NUMBERING, seed)


def uniform(draw: int, sender: int, receiver: int, address: Address = HERE) -> float:
    """The draw of one message, on its own."""
    key = int(hashlib.sha256(f"network:{SEED}".encode()).hexdigest()[:32], 16)
    return float(KeyedUniforms(key, N).row(drawn_for(address, draw), sender)[receiver])


def arrivals(flight: Flight) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for receiver, time in zip(flight.receivers, flight.times, strict=True):
        assert type(receiver) is int
        assert type(time) is float
        assert math.isfinite(time)
        found.setdefault(receiver, []).append(time)
    assert flight.times == sorted(flight.times)
    return found


def near(flight: Flight, expected: dict[int, float]) -> None:
    found = arrivals(flight)
    assert found.keys() == expected.keys()
    for receiver, times in found.items():
        assert times == [pytest.approx(expected[receiver], rel=1e-12)], receiver


LATENCIES = [0.05, 0, LOGNORMAL, BETWEEN, {"kind": "pareto", "minimum": 0.1, "shape": 1.5}]
RING = {"kind": "ring"}
REGULAR = {"kind": "random_regular", "degree": 4}


@pytest.mark.parametrize("latency", LATENCIES, ids=repr)
@pytest.mark.parametrize("topology", [{"kind": "complete"}, RING, REGULAR], ids=repr)
@pytest.mark.parametrize("batch_max", [1, 1024])
def test_a_broadcast_takes_the_ordinary_delays_in_any_order_of_asking(
    latency: Any, topology: Any, batch_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyed, "BATCH_NODES_MAX", batch_max)
    ordinary = links(latency=latency, topology=topology).delays(HERE)
    assert (np.diag(ordinary) == 0).all()
    for order in (range(N), reversed(range(N)), [5, 5, 2]):
        network = links(latency=latency, topology=topology)
        for sender in order:
            flight = network.broadcast(7.0, sender, HERE, 100)
            others = {receiver: 7 + ordinary[sender, receiver] for receiver in range(N) if receiver != sender}
            near(flight, others)
            near(network.send(7.0, sender, [3, sender, 8, 3], HERE, 100), {k: others[k] for k in others if k in {3, 8}})


def test_delays_depend_on_the_seed_and_the_address_and_on_nothing_else() -> None:
    base = links(latency=LOGNORMAL).delays(HERE)
    busy = links(latency=LOGNORMAL, loss=0.5, bandwidth=1e3, partitions=[SPLIT], gst={"time": 5, "extra": 1})
    busy.broadcast(11, 2, HERE, 1000)
    assert np.array_equal(busy.delays(HERE), base)
    others = [Address(*(HERE[k] + (k == part) for k in range(5))) for part in range(5)]
    for delays in [links(6, latency=LOGNORMAL).delays(HERE), *(links(latency=LOGNORMAL).delays(at) for at in others)]:
        assert not (delays == base)[~np.eye(N, dtype=bool)].any()


def test_regions_meet_their_own_laws() -> None:
    delays = links(latency=BETWEEN).delays(HERE)
    assert ((delays[:4, 4:] >= 1) & (delays[:4, 4:] <= 2)).all()
    assert (delays[4:, :4] == 0.4).all()
    assert set(delays[4:, 4:].ravel()) == {0, 0.3}
    plain = links(latency=LOGNORMAL).delays(HERE)
    assert np.array_equal(delays[:4, :4], plain[:4, :4])


def test_a_region_without_latency_is_refused() -> None:
    with pytest.raises(ValueError, match="region asia has no latency"):
        Links(Network.model_validate({"latency": BETWEEN}), ["eu", "asia"], {"a": range(2)}, 1)


def test_constant_latency_arrives_in_the_order_of_the_ring() -> None:
    flight = links(latency=0.25).broadcast(1, 7, HERE, 5)
    assert flight == Flight([8, 0, 1, 2, 3, 4, 5, 6], [1.25] * 8, 8)


@pytest.mark.parametrize("latency", LATENCIES, ids=repr)
def test_an_uplink_sends_one_copy_after_another(latency: Any) -> None:
    network, ordinary = links(latency=latency, bandwidth=1000), links(latency=latency).delays(HERE)
    free = [0.0] * N
    for now, sender, size in [(1.0, 2, 500), (1.5, 2, 10), (1.6, 3, 100), (90.0, 2, 200)]:
        start, expected = max(now, free[sender]), {}
        for place in range(1, N):
            receiver = (sender + place) % N
            expected[receiver] = start + place * size / 1000 + ordinary[sender, receiver]
        free[sender] = start + (N - 1) * size / 1000
        near(network.broadcast(now, sender, HERE, size), expected)
    near(
        network.send(90.1, 2, [1, 4], HERE, 1000),
        {4: free[2] + 1 + ordinary[2, 4], 1: free[2] + 2 + ordinary[2, 1]},
    )


@pytest.mark.parametrize("now", [9.5, 10.0, 15.0, 19.999, 20.0, 25.0])
@pytest.mark.parametrize("fate", ["held", "lost", "never heals"])
def test_messages_across_a_partition_are_held_or_lost(now: float, fate: str) -> None:
    split = {**SPLIT, "lost": fate == "lost", "end": None if fate == "never heals" else 20}
    network, ordinary = links(latency=LOGNORMAL, partitions=[split]), links(latency=LOGNORMAL).delays(HERE)
    on = now >= 10 if fate == "never heals" else 10 <= now < 20
    for sender in range(N):
        expected = {}
        for receiver in set(range(N)) - {sender}:
            across = on and SIDE[sender] != SIDE[receiver]
            if not (across and fate != "held"):
                expected[receiver] = (20 if across else now) + ordinary[sender, receiver]
        flight = network.broadcast(now, sender, HERE, 1)
        near(flight, expected)
        assert flight.transmissions == N - 1


def test_what_one_partition_holds_the_next_may_hold_again_or_lose() -> None:
    chain = [{**SPLIT, "start": 18, "end": 30, "apart": [{"a": 1}]}, SPLIT]
    near_node = links(latency=0.5, partitions=chain).send(12, 0, [1, 3, 8], HERE, 1)
    assert arrivals(near_node) == {1: [12.5], 3: [30.5], 8: [30.5]}
    chain[0]["lost"] = True
    assert arrivals(links(latency=0.5, partitions=chain).send(12, 0, [1, 3, 8], HERE, 1)) == {1: [12.5]}


def test_bandwidth_decides_by_when_a_copy_leaves() -> None:
    split = {**SPLIT, "apart": [{"a": 1}]}
    flight = links(latency=0.5, bandwidth=1, partitions=[split]).broadcast(7.5, 0, HERE, 1)
    assert arrivals(flight) == {1: [9.0], 2: [10.0], **{receiver: [20.5] for receiver in range(3, N)}}


@pytest.mark.parametrize("latency", [0.05, LOGNORMAL], ids=repr)
@pytest.mark.parametrize("gst", [None, 4.0])
@pytest.mark.parametrize("now", [3.0, 5.0])
def test_loss_repeats_and_holding_back_are_as_a_plain_account_has_them(latency: Any, gst: Any, now: float) -> None:
    rule = {"probability": 0.4, "delay": {"kind": "uniform", "low": 1, "high": 3}}
    keys: dict[str, Any] = {
        "loss": 0.3,
        "duplication": 0.4,
        "reordering": rule,
        "gst": gst and {"time": gst, "extra": 0.75},
    }
    network, plain = links(latency=latency, **keys), links(latency=latency)
    law: Any = Network.model_validate({"latency": latency}).latency
    ordinary = plain.delays(HERE)
    wild, counts = gst is None or now < gst, {"lost": 0, "again": 0}
    for sender in range(N):
        sent, expected = N - 1, []
        for receiver in set(range(N)) - {sender}:
            late = 1 + 2 * uniform(HOLD_DELAY, sender, receiver) if uniform(HOLD, sender, receiver) < 0.4 else 0
            if gst is not None:
                late = min(late + 0.75, max(gst - now, 0))
            if wild and uniform(LOSS, sender, receiver) < 0.3:
                counts["lost"] += 1
                continue
            expected.append((receiver, now + ordinary[sender, receiver] + late * wild))
            if wild and uniform(REPEAT, sender, receiver) < 0.4:
                again = np.array(uniform(REPEAT_DELAY, sender, receiver))
                expected.append((receiver, now + float(law.quantile(again)) + late))
                counts["again"] += 1
                sent += 1
        flight = network.broadcast(now, sender, HERE, 1)
        found = sorted(zip(flight.receivers, flight.times, strict=True))
        assert [receiver for receiver, _ in found] == sorted(receiver for receiver, _ in expected)
        assert [time for _, time in found] == pytest.approx([time for _, time in sorted(expected)], rel=1e-12)
        assert flight.transmissions == sent
    assert (min(counts.values()) > 0) == wild


def test_copies_that_leave_after_stabilisation_are_neither_lost_nor_doubled() -> None:
    keys: dict[str, Any] = {"loss": 0.999, "duplication": 0.999, "gst": {"time": 4.5, "extra": 0}}
    flight = links(**keys, bandwidth=1).broadcast(0, 0, HERE, 1)
    assert {receiver for receiver in flight.receivers if receiver > 4} == {5, 6, 7, 8}
    assert len(flight.receivers) < 8 == flight.transmissions


def test_every_draw_of_every_purpose_has_an_address_of_its_own() -> None:
    purposes = {drawn_for(HERE._replace(purpose=purpose), draw) for purpose in range(5) for draw in range(DRAWS)}
    assert len(purposes) == 5 * DRAWS


def test_the_shares_of_lost_and_doubled_messages_are_those_asked_for() -> None:
    network = links(loss=0.2, duplication=0.1)
    rounds = 400
    flights = [network.broadcast(0, sender, Address(1, r, 0), 1) for r in range(rounds) for sender in range(N)]
    total = rounds * N * (N - 1)
    arrived = sum(len(set(flight.receivers)) for flight in flights)
    doubled = sum(len(flight.receivers) - len(set(flight.receivers)) for flight in flights)
    assert arrived / total == pytest.approx(0.8, abs=4 * math.sqrt(0.16 / total))
    assert doubled / arrived == pytest.approx(0.1, abs=4 * math.sqrt(0.09 / arrived))
    assert sum(flight.transmissions for flight in flights) == total + doubled


TIMES = st.floats(0, 100)


@settings(deadline=None)
@given(
    TIMES,
    TIMES,
    st.floats(0, 1000),
    st.sampled_from(LATENCIES),
    st.sampled_from(["complete", "ring"]),
    st.sampled_from([0, 7]),
)
def test_after_stabilisation_messages_arrive_in_time(
    now: float, gst: float, extra: float, latency: Any, kind: str, reordered: float
) -> None:
    keys = {"latency": latency, "topology": {"kind": kind}}
    rule = {"probability": 0.5, "delay": reordered} if reordered else None
    network = links(**keys, gst={"time": gst, "extra": extra}, reordering=rule)
    ordinary = links(**keys).delays(HERE)
    for receiver, (time,) in arrivals(network.broadcast(now, 4, HERE, 1)).items():
        delay = ordinary[4, receiver]
        assert now + delay - 1e-9 <= time <= max(now, gst) + delay + 1e-9
        if now >= gst:
            assert time == now + delay
        elif not reordered:
            assert time == pytest.approx(min(now + extra, gst) + delay)
    assert len(arrivals(network.broadcast(now, 3, HERE, 1))) == N - 1


def hops(network: Links, address: Address = HERE) -> nx.DiGraph:
    """The graph, each hop with its delay."""
    gossip = network._gossip
    assert gossip is not None
    graph = nx.DiGraph()
    delays = gossip.hop_delays(address if network._constant is None else None)
    graph.add_nodes_from(range(N))
    for one, other, delay in zip(gossip._from.tolist(), gossip._to.tolist(), delays.tolist(), strict=True):
        graph.add_edge(one, other, weight=delay)
    return graph


def shortest(graph: nx.DiGraph, sender: int, now: float = 0.0) -> dict[int, float]:
    found = nx.single_source_dijkstra_path_length(graph, sender)
    return {receiver: now + float(length) for receiver, length in found.items() if receiver != sender}


@pytest.mark.parametrize("topology", [RING, REGULAR], ids=repr)
@pytest.mark.parametrize("latency", LATENCIES, ids=repr)
@pytest.mark.parametrize("bandwidth", [None, 200.0])
def test_a_flood_comes_by_the_shortest_path(topology: Any, latency: Any, bandwidth: Any) -> None:
    network = links(topology=topology, latency=latency, bandwidth=bandwidth)
    graph = hops(network)
    drawn: Any = Network.model_validate({"topology": topology}).topology.graph(N, SEED)
    assert {frozenset(edge) for edge in graph.edges} == {frozenset(edge) for edge in drawn.edges}
    for _, _, link in graph.edges(data=True):
        link["weight"] += 100 / bandwidth if bandwidth else 0
    for sender in (4, 0, 8):
        flight = network.broadcast(2, sender, HERE, 100)
        near(flight, shortest(graph, sender, 2))
        assert flight.transmissions == 2 * drawn.number_of_edges() - (N - 1)


def test_hop_delays_follow_the_law_of_their_regions_and_differ_both_ways() -> None:
    graph = hops(links(topology=REGULAR, latency=BETWEEN))
    for one, other, link in graph.edges(data=True):
        if REGIONS[one] != REGIONS[other]:
            assert (1 <= link["weight"] <= 2) if one < 4 else link["weight"] == 0.4
    inside = {edge: link["weight"] for *edge_, link in graph.edges(data=True) if max(edge := tuple(edge_)) < 4}
    assert len(set(inside.values())) == len(inside) > 2


def test_crashed_nodes_relay_nothing_and_may_still_start() -> None:
    network = links(topology=RING, latency=LOGNORMAL)
    whole = hops(network)
    network.down = {2, 7}
    for sender in (0, 4, 2, 1):
        graph = whole.copy()
        graph.remove_edges_from([edge for edge in whole.edges if edge[0] in network.down - {sender}])
        flight = network.broadcast(1, sender, HERE, 1)
        near(flight, shortest(graph, sender, 1))
        heard = set(flight.receivers) - network.down
        assert flight.transmissions == 2 + sum(2 - 1 for _ in heard)
    network.down.clear()
    near(network.broadcast(1, 0, HERE, 1), shortest(whole, 0, 1))


@pytest.mark.parametrize("latency", [0.05, LOGNORMAL], ids=repr)
def test_a_flood_goes_on_without_lost_hops(latency: Any) -> None:
    network = links(topology=RING, latency=latency, loss=0.3)
    gossip, graph = network._gossip, hops(network)
    assert gossip is not None
    key = int(hashlib.sha256(f"network:{SEED}".encode()).hexdigest()[:32], 16)
    drawn = KeyedUniforms(key, N).line(drawn_for(HERE, LOSS), 2 * N)
    pairs = sorted((one, other) for one in range(N) for other in ((one - 1) % N, (one + 1) % N))
    lost = [pair for pair, chance in zip(pairs, drawn, strict=True) if chance < 0.3]
    assert lost
    graph.remove_edges_from(lost)
    reached = 0
    for sender in range(N):
        flight = network.broadcast(3, sender, HERE, 1)
        near(flight, shortest(graph, sender, 3))
        assert flight.transmissions == 2 + len(flight.receivers)
        reached += len(flight.receivers)
    assert 0 < reached < N * (N - 1)


def test_a_flood_keeps_to_its_side_and_the_rest_hear_when_it_heals() -> None:
    keys: dict[str, Any] = {"topology": REGULAR, "latency": LOGNORMAL}
    network, whole = links(**keys, partitions=[SPLIT]), hops(links(**keys))
    cut = whole.copy()
    cut.remove_edges_from([(one, other) for one, other in whole.edges if SIDE[one] != SIDE[other]])
    late = 0
    for sender, now in itertools.product(range(N), (12.0, 20.0, 3.0)):
        inside = cut if now == 12 else whole
        expected = shortest(whole, sender, 20.0) | shortest(inside, sender, now)
        near(network.broadcast(now, sender, HERE, 1), expected)
        late += len(expected) - len(shortest(inside, sender))
    assert late


@pytest.mark.parametrize("topology", [{"kind": "complete"}, RING], ids=repr)
@pytest.mark.parametrize("swapped", [1, -1])
def test_what_one_partition_loses_no_other_holds(topology: Any, swapped: int) -> None:
    losing = {"start": 10, "end": 14, "apart": [{"b": [4]}], "lost": True}  # at the far end of the ring
    holding = {**losing, "end": 20, "apart": [{"b": [3, 4]}], "lost": False}
    network = links(latency=0.5, topology=topology, partitions=[losing, holding][::swapped])
    found = arrivals(network.broadcast(12, 0, HERE, 1))
    assert 8 not in found
    assert found[7][0] >= 20
    assert found[1] == [12.5]


@pytest.mark.parametrize("more", [{"lost": True}, {"end": None}], ids=repr)
def test_a_flood_never_crosses_a_partition_that_loses(more: Any) -> None:
    network = links(topology=REGULAR, latency=LOGNORMAL, partitions=[{**SPLIT, **more}])
    cut = hops(network)
    cut.remove_edges_from([edge for edge in list(cut.edges) if SIDE[edge[0]] != SIDE[edge[1]]])
    for sender in range(N):
        flight = network.broadcast(12, sender, HERE, 1)
        near(flight, shortest(cut, sender, 12))


def test_what_is_kept_does_not_grow_with_the_addresses() -> None:
    for keys in ({}, {"loss": 0.1, "gst": {"time": 1e6, "extra": 1}}, {"topology": REGULAR}):
        network = links(latency=LOGNORMAL, **keys)
        for height, sender in itertools.product(range(4 * KEPT), (0, 1, 2)):
            network.broadcast(height, sender, Address(height, 0, 0), 1)
        caches = [network._direct, network._ordered, *network._disruption._draws]
        caches += [] if network._gossip is None else [network._gossip._distances]
        assert all(len(cache._whole) <= KEPT and len(cache._first) <= KEPT for cache in caches)
        kept = sum(array.nbytes for cache in caches for arrays in cache._whole.values() for array in arrays)
        assert 0 < kept <= memory_bytes(N, network._network)


def test_a_single_node_sends_to_nobody() -> None:
    for keys in ({}, {"bandwidth": 5}, {"topology": RING}, {"latency": LOGNORMAL, "loss": 0.1}):
        network = Links(Network.model_validate(keys), ["eu"], {"a": range(1)}, 1)
        assert network.broadcast(1, 0, HERE, 10) == Flight([], [], 0)


def test_memory_grows_with_the_square_only_as_far_as_batches_are_made() -> None:
    assert memory_bytes(1000, Network()) > 8 * KEPT * 1000**2
    assert memory_bytes(100_000, Network()) < 200e6
