"""`sim compare`: scenarios side by side."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from sim.cli.flags import Override, Pricing, refuse_unused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sim.analysis.compare import Tradeoff
    from sim.catalog.catalog import Catalog
    from sim.scenario.schema import Scenario


def compare(
    *scenarios: str,
    price: Annotated[bool, Parameter(negative=())] = False,
    pricing: Pricing | None = None,
    set_: Override = None,
    catalog: str | None = None,
    plot: str | None = None,
    format: Literal["table", "json"] = "table",  # noqa: A002 -- the flag is --format
) -> int:
    """Compare ways out of GPU nondeterminism: how often blocks fail, the risk of a wrong result, time, and cost.

    For example: sim compare scenarios/ways_out

    The risk is that of as many attackers as the chain tolerates, with their best attack; an answer is there when the
    chain accepts it, and final when it can't be taken back.

    Parameters
    ----------
    scenarios
        Scenario files (YAML), or folders of them, in which every group says how long a request takes.
    price
        Of one scenario with a matching rule: what it accepts from attackers against what it refuses of honest nodes,
        over the rule's parameter. Try `sim compare --price scenarios/tolerant/price_oracle_median.yaml`.
    set_
        Override a field in all of them, as PATH=VALUE. May be given several times.
    catalog
        A file of your own (YAML), with prices for one.
    plot
        Draw failure against cost too, or the price: tradeoff.png, .svg or .pdf.
    format
        A table for people, or JSON for scripts.
    """
    from sim.catalog.catalog import catalog_with
    from sim.plotting.save import check_suffix

    if plot:
        check_suffix(plot)
    known = catalog_with(catalog)
    if price:
        from sim.cli.price import show_price

        return show_price(scenarios, set_ or (), known, pricing or Pricing(), plot, format)
    refuse_unused({f"--{key}": value for key, value in asdict(pricing or Pricing()).items()}, "--price", given=False)
    rows, chains = compared(scenarios, set_ or (), known)
    if format == "json":
        print(json.dumps([row.to_dict() for row in rows], indent=2, allow_nan=False))
    else:
        print("\n".join([*_table(rows), "", *_prices(chains, known)]))
    if plot:
        from sim.plotting import save
        from sim.plotting.tradeoff import tradeoff

        save(tradeoff(rows), Path(plot))
        print(f"drew {plot}", file=sys.stderr)
    return 0


def compared(paths: Sequence[str], overrides: Sequence[str], known: Catalog) -> tuple[list[Tradeoff], list[Scenario]]:
    """Read scenarios and compare them, with progress.

    Raises
    ------
    ScenarioError
        There is none, one is wrong, one does not say how long a request takes, or no engine can answer one.
    """
    from sim.analysis.compare import UNTIMED, tradeoff_of, with_front
    from sim.base.errors import EngineError, Problem, ScenarioError
    from sim.cli.progress import Progress
    from sim.scenario.load import load_scenario, located

    files = [file for path in paths for file in _files(path)]
    if not files:
        message = "needs at least one scenario, or a folder of them such as scenarios/ways_out"
        raise ScenarioError([Problem("", message, where="sim compare")])
    scenarios = [load_scenario(file, overrides, catalog=known) for file in files]
    for file, scenario in zip(files, scenarios, strict=True):
        if scenario.cost is None:
            raise located(Problem("nodes", UNTIMED), file, overrides)
    rows: list[Tradeoff] = []
    with Progress(f"{len(files):,} scenarios") as progress:
        for file, scenario in zip(files, scenarios, strict=True):
            try:
                rows.append(tradeoff_of(scenario, known))
            except EngineError as error:
                raise located(Problem("run.engine", str(error), scenario.run.engine), file, overrides) from None
            progress.update(len(rows) / len(files))
    return with_front(rows), scenarios


def _files(path: str) -> Sequence[str]:
    """A file, or the scenarios of a folder by name."""
    return [str(file) for file in sorted(Path(path).glob("*.yaml"))] if Path(path).is_dir() else [path]


def _table(rows: Sequence[Tradeoff]) -> Iterator[str]:
    from sim.analysis.feasibility import duration
    from sim.base.text import printable
    from sim.cli.words import COMPARE

    lines: list[tuple[str, ...]] = [tuple(COMPARE)]
    lines += [
        (
            f"{row.scenario}{' *' if row.pareto else ''}",
            _chance(row.block_failure, row.block_failure_high),
            _chance(row.failure_under_attack, row.failure_under_attack_high),
            _chance(row.wrong_result_risk, row.wrong_result_high),
            duration(row.answer_s),
            duration(row.finality_s),
            f"{row.machine_seconds:,.4g}",
            f"{row.cost_vs_one_server:,.4g}",
            "" if row.cost_usd is None else f"${row.cost_usd:.3g}",
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        yield printable("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    yield ""
    yield "attacked and wrong result: blocks that fail, and wrong results that are certified, where as many nodes"
    yield "attack as the chain tolerates, in the worst way. *: no other is as good in failure, wrong results and work."


def _chance(probability: float, high: float) -> str:
    """A probability; where nothing was seen, the upper end of its interval."""
    return f"< {high:.2g}" if not probability and high else f"{probability:.3g}"


def _prices(scenarios: Sequence[Scenario], known: Catalog) -> Iterator[str]:
    """What an hour of each hardware costs, and who says so."""
    from sim.base.text import printable

    prices = {
        (group.hardware, group.price_per_hour)
        for scenario in scenarios
        for group in scenario.nodes.values()
        if group.price_per_hour is not None
    }
    for label, price in sorted(prices):
        found = known.find("hardware", label)
        figure = known.hardware[found].price_per_hour if found else None
        source = figure.source if figure and figure.value == price else "the scenario"
        yield printable(f"{label}: ${price:g} an hour ({source})")
