"""Can this chain run this model: does it fit, how long does an answer take, would a person wait."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sim.analysis.rules import rule1, rule2

if TYPE_CHECKING:
    from sim.catalog.catalog import Catalog
    from sim.catalog.entries import ModelEntry, Platform

PATIENCE_S = 10.0
"""Seconds that a person waits before attention goes elsewhere (Nielsen, Usability Engineering, 1993)."""


@dataclass(frozen=True, slots=True)
class Feasibility:
    """Whether a platform can run a model.

    Parameters
    ----------
    platform, model
        Names of the catalog.
    fits_memory
        Whether the weights fit the heap; None where the heap is not known.
    bytes_needed, bytes_available
        Size of the weights, and of the heap.
    seconds
        Time of one answer; None where the speed is not known.
    in_time
        Whether a person would wait for it.
    rule1, rule2
        What such memory and such speed are good for.
    verdict
        `runs`, `slow`, `does not fit` or `unknown`.
    why
        In a sentence.
    """

    platform: str
    model: str | None
    fits_memory: bool | None
    bytes_needed: int | None
    bytes_available: int | None
    seconds: float | None
    in_time: bool | None
    rule1: str | None
    rule2: str | None
    verdict: str
    why: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as the JSON contract has them."""
        return asdict(self)


def feasibility(
    catalog: Catalog,
    platforms: list[str] | None = None,
    models: list[str] | None = None,
    *,
    patience: float = PATIENCE_S,
    tokens: int | None = None,
) -> list[Feasibility]:
    """Judge pairs of platforms and models.

    Parameters
    ----------
    catalog
        Where both are looked up.
    platforms, models
        Names; None, all.
    patience
        Seconds that a person waits.
    tokens
        Output tokens of an answer; None, as many as is usual for the model.

    Returns
    -------
    list of Feasibility
        Platforms in order, and for each the models in order.

    Examples
    --------
    >>> from sim.catalog.catalog import builtin
    >>> [row] = feasibility(builtin(), ["icp_app"], ["image_classifier"])
    >>> row.verdict, row.seconds
    ('runs', 0.5)
    """
    return [
        judge(platform, catalog.platforms[platform], model, catalog.models[model], patience, tokens)
        for platform in platforms or catalog.platforms
        for model in models or catalog.models
    ]


def judge(
    name: str, platform: Platform, model_name: str, model: ModelEntry, patience: float, tokens: int | None = None
) -> Feasibility:
    """Judge one pair (see `feasibility`)."""
    needed = int(model.bytes.value)
    heap = int(platform.heap_bytes.value) if platform.heap_bytes else None
    rate = platform.operations_per_s.value if platform.operations_per_s else None
    operations = model.operations_per_token.value * (tokens or model.tokens.value)
    seconds = None if rate is None else operations / rate
    fits = None if heap is None else needed <= heap
    in_time = None if seconds is None else seconds <= patience
    return Feasibility(
        name,
        model_name,
        fits,
        needed,
        heap,
        seconds,
        in_time,
        None if heap is None else str(rule1(heap)),
        None if rate is None else str(rule2(rate)),
        verdict_of(fits=fits, in_time=in_time),
        "; ".join([*_memory(platform, needed, heap), *_time(platform, operations, seconds, patience)]),
    )


def verdict_of(*, fits: bool | None, in_time: bool | None) -> str:
    """`runs`, `slow`, `does not fit` or `unknown`."""
    if fits is False:
        return "does not fit"
    if fits is None or in_time is None:
        return "unknown"
    return "runs" if in_time else "slow"


def _memory(platform: Platform, needed: float, heap: float | None) -> Iterator[str]:
    if heap is None or platform.heap_bytes is None:
        yield "its memory is not in the catalog"
    elif needed > heap:
        yield f"{size(needed)} of weights do not fit the heap of {size(heap)}"
        stable = platform.stable_bytes
        if stable is not None:
            does = (
                "would hold them, but is read page by page" if needed <= stable.value else "would not hold them either"
            )
            yield f"stable memory ({size(stable.value)}) {does}"
    else:
        yield f"{size(needed)} of weights fit the heap of {size(heap)}"
        low = platform.heap_bytes.low
        if low is not None and needed > low:
            yield f"not the smaller one of {size(low)}"


def _time(platform: Platform, operations: float, seconds: float | None, patience: float) -> Iterator[str]:
    if seconds is None or platform.operations_per_s is None:
        yield "its speed is not in the catalog"
        return
    waits = "a person waits for that" if seconds <= patience else f"a person waits {duration(patience)}"
    rate = platform.operations_per_s.value
    yield f"{_count(operations)} operations at {_count(rate)} a second take {duration(seconds)}: {waits}"
    call = platform.operations_per_call
    if call is not None and operations > call.value:
        yield f"in {-(-operations // call.value):,.0f} calls of at most {_count(call.value)} operations"
    if platform.floats is not None and not platform.floats.value:
        yield "integers only"


def _count(number: float) -> str:
    return f"{number:.3g}".replace("e+0", "e").replace("e+", "e")


def size(number: float) -> str:
    """A number of bytes for people.

    Examples
    --------
    >>> size(1e5), size(42.52e9)
    ('100 KB', '42.5 GB')
    """
    for unit in ("B", "KB", "MB", "GB"):
        if number < 999.5:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"


def duration(seconds: float) -> str:
    """A time for people.

    Examples
    --------
    >>> duration(0.0123), duration(135), duration(7200), duration(604800)
    ('0.0123 s', '2.25 minutes', '2 hours', '7 days')
    """
    for unit, length, least in (("days", 86_400, 2), ("hours", 3_600, 2), ("minutes", 60, 2)):
        if seconds >= least * length:
            number = seconds / length
            return f"{number:,.0f} {unit}" if number >= 1_000 else f"{number:.3g} {unit}"
    return f"{seconds:.3g} s"
