"""`sim feasibility`: can this chain run this model."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from sim.cli.flags import Override, number, probability, refuse_unused, seconds, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sim.analysis.feasibility import Feasibility
    from sim.catalog.catalog import Catalog

_ROWS_WITH_REASON_MAX = 13


def feasibility(
    *,
    platform: str | None = None,
    model: str | None = None,
    patience: str | None = None,
    tokens: str | None = None,
    scenario: str | None = None,
    set_: Override = None,
    bar: str | None = None,
    catalog: str | None = None,
    plot: Annotated[str | None, Parameter(name="--plot")] = None,
    format: Literal["table", "json"] = "table",  # noqa: A002 -- the flag is --format
) -> int:
    """Tell whether chains can run models: does it fit, how long does an answer take, would a person wait.

    For example: sim feasibility --model llama3_8b_q4

    Platforms and models are those of `sim catalog`. Of a scenario it tells too which case of the article's third rule
    it is: GPUs kept to one answer, consensus that is not robust, or a claim that is not credible.

    Parameters
    ----------
    platform, model
        Names of the catalog; left out, all.
    patience
        Seconds that a person waits for an answer; left out, 10.
    tokens
        Output tokens of an answer; left out, what is usual for the model.
    scenario
        Judge a scenario file instead.
    set_
        Override a field of the scenario, as PATH=VALUE. May be given several times.
    bar
        Block failure up to which a scenario counts as robust; left out, 1e-6.
    catalog
        A file of your own (YAML) that adds platforms, models or hardware.
    plot
        Draw platforms against models too: map.png, .svg or .pdf.
    format
        A table for people, or JSON for scripts.
    """
    from sim.analysis.feasibility import PATIENCE_S
    from sim.catalog.catalog import catalog_with
    from sim.plotting.save import check_suffix

    unused = {"--bar": bar, "--set": set_} if scenario is None else {"--platform": platform, "--model": model}
    refuse_unused(unused | ({} if scenario is None else {"--tokens": tokens}), "--scenario", given=scenario is not None)
    if plot:
        check_suffix(plot)
    known = catalog_with(catalog)
    given = number(patience, "--patience", seconds, "a number of seconds of at least 0")
    waits = PATIENCE_S if given is None else given
    if scenario is None:
        rows = _of_catalog(known, platform, model, waits, tokens)
    else:
        rows = [_of_scenario(scenario, set_ or (), known, waits, bar)]
    print(json.dumps([row.to_dict() for row in rows], indent=2, allow_nan=False) if format == "json" else _table(rows))
    return _drawn(rows, plot) if plot else 0


def _drawn(rows: Sequence[Feasibility], picture: str) -> int:
    from sim.plotting import save
    from sim.plotting.feasibility import feasibility_map

    save(feasibility_map(rows), picture)
    print(f"drew {picture}", file=sys.stderr)
    return 0


def _of_catalog(
    known: Catalog, platform: str | None, model: str | None, waits: float, tokens: str | None
) -> Sequence[Feasibility]:
    from sim.analysis.feasibility import feasibility as judge

    length = number(tokens, "--tokens", whole, "a whole number of tokens")
    platforms = [known.meant("platforms", platform, "--platform")] if platform is not None else None
    models = [known.meant("models", model, "--model")] if model is not None else None
    return judge(known, platforms, models, patience=waits, tokens=length)


def _of_scenario(path: str, overrides: Sequence[str], known: Catalog, waits: float, bar: str | None) -> Feasibility:
    from sim.analysis.claim import judge_scenario
    from sim.analysis.credibility import BAR
    from sim.base.errors import EngineError, Problem
    from sim.scenario.load import load_scenario, located

    limit = number(bar, "--bar", probability, "a probability from 0 to 1")
    loaded = load_scenario(path, overrides, catalog=known)
    try:
        return judge_scenario(loaded, known, waits, BAR if limit is None else limit)
    except EngineError as error:
        raise located(Problem("run.engine", str(error), loaded.run.engine), path, overrides) from None


def _table(rows: Sequence[Feasibility]) -> str:
    """Columns for people; reasons below each row where there are few."""
    from sim.analysis.feasibility import duration, size
    from sim.base.text import printable
    from sim.cli.words import FEASIBILITY

    def shown(value: float | None, how: Callable[[float], str]) -> str:
        return "" if value is None else how(value)

    lines = [tuple(FEASIBILITY)]
    lines += [
        (
            row.platform,
            row.model or "",
            shown(row.bytes_needed, size),
            shown(row.bytes_available, size),
            shown(row.seconds, duration),
            row.verdict,
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(6)]
    laid = [
        printable("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        for line in lines
    ]
    if len(rows) > _ROWS_WITH_REASON_MAX:
        return "\n".join([*laid, "", "sim feasibility --model M, or --platform P, tells why."])
    return "\n".join(
        [laid[0], *(text for row, line in zip(rows, laid[1:], strict=True) for text in (line, *_why(row)))]
    )


def _why(row: Feasibility) -> Sequence[str]:
    from sim.base.text import printable

    rules = [f"memory, {row.rule1}" if row.rule1 else "", f"speed, {row.rule2}" if row.rule2 else ""]
    return [f"  {text}" for text in (printable(row.why), "; ".join(filter(None, rules))) if text]
