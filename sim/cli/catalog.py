"""`sim catalog`: what scenarios may name, from platforms to presets, every figure with its source."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sim.catalog.catalog import Catalog, Kind


def catalog(
    kind: str | None = None,
    /,
    *,
    catalog: str | None = None,
    format: Literal["table", "json"] = "table",  # noqa: A002 -- the flag is --format
) -> int:
    """List what scenarios may name, every figure with its source and how well it is known.

    For example: sim catalog models

    A scenario names entries as `platform: icp_app`, `workload: {model: llama3_8b_q4}`, `hardware: h100` and
    `nondeterminism: {preset: hosted_reasoning}`.

    Parameters
    ----------
    kind
        platforms, models, hardware, mitigations or presets; left out, all.
    catalog
        A file of your own (YAML) that adds entries, or replaces figures of those that are shipped.
    format
        A table for people, or JSON for scripts.
    """
    from sim.catalog.catalog import KINDS, catalog_with

    known = catalog_with(catalog)
    wanted = KINDS if kind is None else (_meant(kind),)
    if format == "json":
        print(json.dumps([_plain(known, one, name) for one in wanted for name in known.entries(one)], indent=2))
        return 0
    for one in wanted:
        print("\n".join(_lines(known, one)))
    return 0


def _meant(kind: str) -> Kind:
    from sim.base.errors import Problem, ScenarioError
    from sim.base.text import did_you_mean
    from sim.catalog.catalog import KINDS

    for one in KINDS:
        if kind in {one, one.removesuffix("s")}:
            return one
    raise ScenarioError([Problem("", f"is no kind of entry; {did_you_mean(kind, KINDS)}", kind, "sim catalog")])


def _plain(known: Catalog, kind: Kind, name: str) -> dict[str, Any]:
    entry = known.entries(kind)[name]
    figures = {key: figure.model_dump(mode="json", exclude_none=True) for key, figure in entry.figures()}
    return {"kind": kind, "name": name, "title": entry.title, "aliases": list(entry.aliases), "figures": figures}


def _lines(known: Catalog, kind: Kind) -> Iterator[str]:
    """Lay the entries of a kind out: a heading each, then key, value, how well it is known, and the source."""
    from sim.base.text import printable

    yield kind
    for name, entry in known.entries(kind).items():
        aliases = f" (also {', '.join(entry.aliases)})" if entry.aliases else ""
        yield f"\n  {printable(name)}: {printable(entry.title)}{printable(aliases)}"
        rows = [(key, _value(figure), figure.known, figure.source) for key, figure in entry.figures()]
        yield from (f"    {line}" for line in _columns(rows))
    yield ""


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    from sim.base.text import printable

    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    for row in rows:
        yield printable("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _value(figure: Any) -> str:
    """A value with its range, as in `1.35 (1 to 2.1)`."""
    if not hasattr(figure, "low"):
        return str(figure.value).lower() if isinstance(figure.value, bool) else str(figure.value)
    if figure.low is None and figure.high is None:
        return f"{figure.value:.6g}"
    low, high = (figure.value if end is None else end for end in (figure.low, figure.high))
    return f"{figure.value:.6g} ({low:.6g} to {high:.6g})"
