"""`sim bench`: how fast the engines are on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sim.analysis.bench import Speed


def bench(
    *,
    quick: Annotated[bool, Parameter(negative="")] = False,
    form: Annotated[Literal["table", "json"], Parameter(name="--format")] = "table",
) -> int:
    """Measure blocks and messages a second, and peak memory, of the engines and of bare event loops.

    For example: sim bench --quick

    Parameters
    ----------
    quick
        Only PBFT, of 16 and of 64 nodes: within 40 seconds. All of it takes some minutes.
    form
        Print a table, or JSON: a list with an object for each row.
    """
    from sim.analysis.bench import bench as measured
    from sim.analysis.bench import plan
    from sim.cli.progress import Progress

    rows, speeds = plan(quick=quick), []
    with Progress("benchmarks") as progress:
        for speed in measured(quick=quick):
            speeds.append(speed)
            progress.update(len(speeds) / len(rows))
    if form == "json":
        print(json.dumps([asdict(speed) for speed in speeds], indent=2))
    else:
        for line in _table(speeds):
            print(line)
    return 0


def _table(speeds: Sequence[Speed]) -> Iterator[str]:
    yield f"{'nodes':>5}  {'protocol':<10}  {'engine':<10}  {'blocks/s':>12}  {'messages/s':>12}  {'peak MB':>7}"
    for speed in speeds:
        messages = "" if speed.messages_per_s is None else f"{speed.messages_per_s:,.0f}"
        peak = "" if speed.peak_mb is None else f"{speed.peak_mb:,.0f}"
        blocks = f"{speed.blocks_per_s:,.0f}" if speed.blocks_per_s >= 100 else f"{speed.blocks_per_s:,.3g}"
        protocol = speed.protocol or "votes"
        yield f"{speed.nodes:>5}  {protocol:<10}  {speed.engine:<10}  {blocks:>12}  {messages:>12}  {peak:>7}"
    yield "Processor time. exact: points of a curve. delays: drawing them. simpy, heapq: bare loops of as many events."
