"""`sim compare --price`: what a matching rule accepts from attackers, against what it refuses of honest nodes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sim.analysis.price import Price
    from sim.catalog.catalog import Catalog
    from sim.cli.flags import Pricing


def show_price(
    files: Sequence[str],
    overrides: Sequence[str],
    known: Catalog,
    pricing: Pricing,
    plot: str | None,
    form: Literal["table", "json"],
) -> int:
    """Print the price of a scenario's matching rule, and draw it; what is known so far on Ctrl-C too.

    Raises
    ------
    ScenarioError
        There is not one scenario, it is wrong, or its rule has no price.
    """
    rows: list[Price] = []
    interrupted = False
    try:
        for row in priced(files, overrides, known, pricing):
            rows.append(row)  # noqa: PERF402 -- kept on Ctrl-C
    except KeyboardInterrupt:
        interrupted = True
    if form == "json":
        print(json.dumps([row.to_dict() for row in rows], indent=2, allow_nan=False))
    elif rows:
        print("\n".join(_table(rows)))
    if plot and rows:
        from sim.plotting import save
        from sim.plotting.price import price_curve

        save(price_curve(rows), Path(plot))
        print(f"drew {plot}", file=sys.stderr)
    if interrupted:
        print("interrupted; these values are finished", file=sys.stderr)
    return 130 if interrupted else 0


def priced(
    files: Sequence[str],
    overrides: Sequence[str],
    known: Catalog | None,
    pricing: Pricing,
    where: str = "sim compare --price",
) -> Iterator[Price]:
    """Read a scenario and yield its prices, with progress.

    Raises
    ------
    ScenarioError
        As in `show_price`.
    """
    from sim.analysis.price import BLOCKS, moved, price_at
    from sim.base.errors import Problem, ScenarioError
    from sim.cli.progress import Progress
    from sim.scenario.load import load_scenario, located

    if len(files) != 1 or Path(files[0]).is_dir():
        message = "needs one scenario, such as scenarios/tolerant/price_oracle_median.yaml"
        raise ScenarioError([Problem("", message, where=where)])
    values, blocks = pricing.read()
    scenario = load_scenario(files[0], overrides, catalog=known)
    try:
        parameter, values = moved(scenario, pricing.parameter, values)
        with Progress(f"{len(values):,} values") as progress:
            for done, value in enumerate(values, start=1):
                yield price_at(scenario, parameter, value, blocks or BLOCKS)
                progress.update(done / len(values))
    except ScenarioError as error:
        raise located(error.problems[0], files[0], overrides) from None


def _table(rows: Sequence[Price]) -> Iterator[str]:
    from sim.base.text import printable
    from sim.cli.words import PRICE

    first, (accept, reject) = rows[0], PRICE
    yield printable(f"{first.scenario}: matching {first.rule}, {first.attackers} attackers collude")
    lines = [(first.parameter, accept, "", reject, "")]
    lines += [
        (
            f"{row.value:.4g}",
            f"{row.false_accept:.4g}",
            _interval(row.false_accept_low, row.false_accept_high, row),
            f"{row.false_reject:.4g}",
            _interval(row.false_reject_low, row.false_reject_high, row),
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
    best = min(rows, key=lambda row: max(row.false_accept, row.false_reject))
    yield ""
    yield "false accept: the attackers' answer is certified once it is put to the vote. false reject: honest nodes"
    yield "certify nothing, or several results, while attackers keep silent."
    yield (
        f"The larger of the two is least at {first.parameter} {best.value:.4g}: "
        f"{max(best.false_accept, best.false_reject):.3g}."
    )


def _interval(low: float, high: float, row: Price) -> str:
    return "exact" if row.exact else f"{low:.3g} to {high:.3g}"
