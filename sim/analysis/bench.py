"""How fast the engines are, beside what any discrete-event loop in Python can do.

Every row is measured in a process of its own, in processor time: first little is run, so that everything is loaded,
then more and more until it takes long enough. What is measured where:

- `events`, `phases`: deterministic nodes that agree on a proposal, over links of 50 ms that scatter (lognormal);
- `delays`: drawing the delays of the same messages, and nothing else;
- `simpy`, `heapq`: a bare loop of SimPy, and one of a heap, in which an event stands for a message;
- `montecarlo`: blocks of GPUs with near ties; `exact`: points of a curve, each the answer for any number of blocks.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.scenario.schema import Scenario

TIMED, BARE, VOTES = ("events", "phases"), ("delays", "simpy", "heapq"), ("montecarlo", "exact")
PROTOCOLS = ("pbft", "tendermint", "hotstuff", "icc")
NODES, QUICK_NODES = (4, 16, 64, 128, 256, 512), (16, 64)
SECONDS, QUICK_SECONDS = 2.0, 0.25
LATENCY = {"kind": "lognormal", "median": 0.05, "sigma": 0.4}
_CHILD = "from sim.analysis.bench import tell; tell()"


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast an engine is.

    Parameters
    ----------
    engine
        Which one, or what it is compared with.
    protocol
        What runs; None where only votes are counted.
    nodes
        Number of nodes.
    blocks_per_s
        Blocks in a second of processor time; of `exact`, points of a curve.
    messages_per_s
        Messages in a second; None where there are none.
    peak_mb
        Most memory that the process took, in millions of bytes; None where the system does not tell.
    """

    engine: str
    protocol: str | None
    nodes: int
    blocks_per_s: float
    messages_per_s: float | None
    peak_mb: float | None


def plan(*, quick: bool) -> list[tuple[str, str | None, int]]:
    """What is measured: engine, protocol and number of nodes."""
    rows: list[tuple[str, str | None, int]] = []
    for nodes in QUICK_NODES if quick else NODES:
        for protocol in ("pbft",) if quick else PROTOCOLS:
            rows += [(engine, protocol, nodes) for engine in TIMED]
        rows += [(engine, "pbft", nodes) for engine in BARE]
        rows += [(engine, None, nodes) for engine in VOTES]
    return rows


def bench(*, quick: bool = False) -> Iterator[Speed]:
    """Measure, one after the other.

    Parameters
    ----------
    quick
        Only PBFT, of 16 and of 64 nodes, for a short time.
    """
    seconds = QUICK_SECONDS if quick else SECONDS
    for engine, protocol, nodes in plan(quick=quick):
        command = [sys.executable, "-c", _CHILD, engine, protocol or "", str(nodes), str(seconds)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 -- itself
        yield Speed(**json.loads(done.stdout))


def tell() -> None:
    """Measure what the command line names, and print it."""
    engine, protocol, nodes, seconds = sys.argv[1:5]
    print(json.dumps(asdict(measure(engine, protocol or None, int(nodes), float(seconds)))))  # noqa: T201 -- to `bench`


def measure(engine: str, protocol: str | None, nodes: int, seconds: float) -> Speed:
    """Measure one engine, in this process.

    Parameters
    ----------
    engine, protocol, nodes
        A row of `plan`.
    seconds
        Processor time that the last run takes at least.
    """
    work = _work(engine, protocol, nodes)
    work(1)
    blocks = 1
    while True:
        started = time.process_time()
        messages = work(blocks)
        taken = time.process_time() - started
        if taken >= seconds:
            break
        blocks *= 2 if taken > seconds / 8 else 4
    return Speed(engine, protocol, nodes, blocks / taken, messages / taken if messages else None, _peak_mb())


def chain(nodes: int, protocol: str = "pbft", blocks: int = 1, latency: Any = None) -> Scenario:
    """Deterministic nodes that agree on a proposal."""
    from sim.scenario.schema import Scenario

    return Scenario.model_validate(
        {
            "nodes": {"a": {"count": nodes, "executor": {"kind": "cpu"}}},
            "consensus": {"protocol": protocol, "result": "propose"},
            "network": {"latency": LATENCY if latency is None else latency},
            "run": {"blocks": blocks},
        }
    )


def messages_per_block(nodes: int) -> int:
    """Messages of a PBFT block that goes well: a pre-prepare, prepares of all but the primary, and commits."""
    return 2 * nodes * (nodes - 1)


def _work(engine: str, protocol: str | None, nodes: int) -> Callable[[int], float]:
    """A function that does so many blocks, and says how many messages that were."""
    if engine in TIMED:
        return lambda blocks: _run(engine, chain(nodes, protocol or "pbft", blocks))
    if engine == "delays":
        return _Delays(nodes).draw
    if engine in BARE:
        loop = simpy_loop if engine == "simpy" else heapq_loop
        return lambda blocks: loop(blocks * messages_per_block(nodes), nodes * (nodes - 1))
    return lambda blocks: _votes(engine, nodes, blocks)


def _run(engine: str, scenario: Scenario) -> float:
    from sim.engines.events.engine import run_events
    from sim.engines.phases.engine import run_phases

    timing = (run_events if engine == "events" else run_phases)(scenario).timing
    assert timing is not None  # noqa: S101 -- both have a clock
    return timing.messages_per_block * scenario.run.blocks


class _Delays:
    """The delays of PBFT blocks: of a proposal, and of two vote phases."""

    def __init__(self, nodes: int) -> None:
        from sim.network.links import Links

        scenario = chain(nodes)
        assert scenario.network is not None  # noqa: S101 -- it has one
        self._links, self._nodes = Links(scenario.network, [""] * nodes, scenario.numbering, 1), nodes

    def draw(self, blocks: int) -> float:
        """Draw those of some blocks."""
        from sim.network.keyed import Address

        for height in range(1, blocks + 1):
            self._links.delays(Address(height, 0, 0), 0)
            self._links.delays(Address(height, 0, 1))
            self._links.delays(Address(height, 0, 2))
        return float(blocks * messages_per_block(self._nodes))


def simpy_loop(events: int, waiting: int) -> float:
    """SimPy alone: that many events are scheduled and call back, some of them waiting at any time."""
    from simpy import Environment
    from simpy.events import Event

    environment, left = Environment(), events

    def again(_: Event) -> None:
        nonlocal left
        if left > 0:
            left -= 1
            timeout = environment.timeout(1.0)
            timeout.callbacks.append(again)

    for _ in range(waiting):
        again(Event(environment))
    environment.run()
    return float(events)


def heapq_loop(events: int, waiting: int) -> float:
    """A heap alone: that many times the earliest event is taken, and a later one put in."""
    queue = [(float(number), number) for number in range(waiting)]
    heapify(queue)
    for number in range(waiting, waiting + events):
        moment, _ = heappop(queue)
        heappush(queue, (moment + 1.0, number))
    return float(events)


def _votes(engine: str, nodes: int, blocks: int) -> float:
    """Blocks of the Monte Carlo engine, or as many curve points of the exact one, each at a rate of its own."""
    from sim.engines.select import run
    from sim.scenario.schema import Scenario

    def gpus(rate: float) -> Scenario:
        executor = {"kind": "gpu", "nondeterminism": {"difficulty": "near_tie", "rate": rate}}
        return Scenario.model_validate({"nodes": {"a": {"count": nodes, "executor": executor}}})

    if engine == "montecarlo":
        run(gpus(1e-4), engine="montecarlo", blocks=blocks)
    else:
        for point in range(blocks):
            run(gpus(1e-4 * (1 + point / blocks)), engine="exact")
    return 0.0


def _peak_mb() -> float | None:
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
