"""`sim advise`: the cheapest design that meets a failure target."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cyclopts import Parameter

from sim.cli.flags import PRICED_BLOCKS_MAX, Override, number, numbers, probability, whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from fractions import Fraction

    from sim.analysis.advise import Advice
    from sim.analysis.designs import Bounds
    from sim.catalog.catalog import Catalog

DONE, MISSED, INTERRUPTED = 0, 3, 130
_FRONT_MAX = 12
_NODES_MAX, _LIST_MAX = 1_000, 50


@Parameter(name="*")
@dataclass(frozen=True)
class Within:
    """What is searched.

    Parameters
    ----------
    attackers
        Byzantine nodes: a number, or a share of all nodes such as 25 %; left out, the scenario's share, or what it
        tolerates.
    nodes
        Numbers of nodes to try, as 4,7,13; left out, 4 to 40.
    thresholds
        Fault thresholds to try, as 1/4,1/3; left out, 1/4 to 49 %.
    values
        Values of a matching rule's parameter to try, as 0.5,1,2; left out, 1 to 10 times the noise.
    """

    attackers: str | None = None
    nodes: str | None = None
    thresholds: str | None = None
    values: str | None = None

    def read(self, default: Fraction) -> Bounds:
        """Read the flags.

        Parameters
        ----------
        default
            Attackers, where the flag is absent.

        Raises
        ------
        ScenarioError
            One of them is out of range.
        """
        from sim.analysis.designs import NODES, THRESHOLDS, Bounds
        from sim.base.errors import Problem, ScenarioError

        counts = numbers(self.nodes, "--nodes", whole, "whole numbers such as 4,7,13", 1, _NODES_MAX, _LIST_MAX)
        values = numbers(self.values, "--values", float, "numbers such as 0.5,1,2", -1e100, 1e100, _LIST_MAX)
        thresholds: tuple[Fraction, ...] = THRESHOLDS
        if self.thresholds is not None:
            texts = self.thresholds.split(",")
            if len(texts) > _LIST_MAX:
                raise ScenarioError(
                    [Problem("", f"must be at most {_LIST_MAX} thresholds", len(texts), "--thresholds")]
                )
            thresholds = tuple(_share(text, "--thresholds", 0.5) for text in texts)
        attackers: int | Fraction = default
        if self.attackers is not None:
            whole_number = self.attackers.strip().isdecimal() and len(self.attackers) < 10
            attackers = int(self.attackers) if whole_number else _share(self.attackers, "--attackers", 1.0)
        return Bounds(tuple(counts or NODES), thresholds, tuple(values) if values else None, attackers)


def _share(text: str, flag: str, most: float) -> Fraction:
    from sim.base.errors import Problem, ScenarioError
    from sim.base.fractions import exact_fraction

    try:
        share = exact_fraction(text.strip())
    except ValueError as error:
        raise ScenarioError([Problem("", str(error), text, flag)]) from None
    if not 0 < share < most:
        raise ScenarioError([Problem("", f"must be greater than 0 and less than {most:g}", text, flag)])
    return share


def advise(
    scenario: str,
    *,
    target: str,
    within: Within | None = None,
    blocks: str | None = None,
    seed: str | None = None,
    set_: Override = None,
    catalog: str | None = None,
    format: Literal["table", "json"] = "table",  # noqa: A002 -- the flag is --format
) -> int:
    """Search for the cheapest design that meets a failure target: nodes, threshold, hardware mix, and matching rule.

    For example: sim advise scenarios/design_space.yaml --target 1e-6

    Nodes are of the scenario's groups, one kind alone or two mixed. Rules are exact matching, and those for its
    answers: of numbers tolerance, median and approximate agreement, of margins their gap. The end is code 3 if no
    design meets the target.

    Parameters
    ----------
    scenario
        A scenario file (YAML).
    target
        Largest probability of a block that fails, and of a wrong result: 1e-6.
    within
        What is searched.
    blocks
        Blocks to draw at most for a design that has no exact law; left out, 1e6.
    seed
        Seed of the random streams, in place of run.seed.
    set_
        Override a field, as PATH=VALUE. May be given several times.
    catalog
        A file of your own (YAML), with prices for one.
    format
        A table for people, or JSON for scripts.
    """
    from sim.analysis.advise import BLOCKS, with_front
    from sim.catalog.catalog import catalog_with

    bar = _bar(target)
    wanted = numbers(blocks, "--blocks", whole, "a whole number of blocks", 1, PRICED_BLOCKS_MAX, 1)
    most = wanted[0] if wanted else BLOCKS
    overrides = [*(set_ or ()), *([] if seed is None else [f"run.seed={seed}"])]
    rows: list[Advice] = []
    interrupted = False
    try:
        for row in _judged(scenario, overrides, catalog_with(catalog), bar, within or Within(), most):
            rows.append(row)  # noqa: PERF402 -- kept on Ctrl-C
    except KeyboardInterrupt:
        interrupted = True
    _print(with_front(rows), bar, format)
    if interrupted:
        print("interrupted; these designs are judged", file=sys.stderr)
        return INTERRUPTED
    return DONE if any(row.meets for row in rows) else MISSED


def _bar(target: str) -> float:
    from sim.analysis.advise import TARGET_MIN
    from sim.base.errors import Problem, ScenarioError

    bar = float(number(target, "--target", probability, "a probability such as 1e-6"))
    if not TARGET_MIN <= bar < 1:
        raise ScenarioError([Problem("", f"must be at least {TARGET_MIN:g}, and less than 1", target, "--target")])
    return bar


def _print(rows: Sequence[Advice], bar: float, form: Literal["table", "json"]) -> None:
    if form == "json":
        print(json.dumps([row.to_dict() for row in rows], indent=2, allow_nan=False))
    else:
        print("\n".join(_report(rows, bar)))


def _judged(
    path: str, overrides: Sequence[str], known: Catalog, target: float, within: Within, blocks: int
) -> Iterator[Advice]:
    from fractions import Fraction

    from sim.analysis.advise import drawn_up, judgements
    from sim.base.errors import ScenarioError
    from sim.cli.progress import Progress
    from sim.scenario.load import load_scenario, located

    scenario = load_scenario(path, overrides, catalog=known)
    given = scenario.node_count - scenario.honest_nodes
    tolerated = scenario.consensus.faults_tolerated(scenario.node_count)
    bounds = within.read(Fraction(given or tolerated, scenario.node_count))
    try:
        made = drawn_up(scenario, bounds)
    except ScenarioError as error:
        raise located(error.problems[0], path, overrides) from None
    with Progress(f"{len(made):,} designs") as progress:
        for done, row in enumerate(judgements(made, target, blocks), start=1):
            yield row
            progress.update(done / len(made))


def _report(rows: Sequence[Advice], target: float) -> Iterator[str]:
    from sim.base.text import printable

    front = [row for row in rows if row.front]
    met = sum(row.meets is True for row in rows)
    yield f"{met:,} of {len(rows):,} designs meet {target:g}" + (", the cheapest first:" if front else ".")
    if front:
        yield from map(printable, _table(front[:_FRONT_MAX]))
        if len(front) > _FRONT_MAX:
            yield f"and {len(front) - _FRONT_MAX:,} dearer ones (--format json has all)"
        yield "No other design that was judged is as cheap and fails, or errs, as rarely, wherever attackers sit."
    if met < len(rows):
        yield ""
        yield "Why the rest does not:"
        yield from map(printable, _reasons(rows))


def _table(rows: Sequence[Advice]) -> Iterator[str]:
    from sim.cli.words import ADVISE

    lines = [(*ADVISE, "")]
    lines += [
        (
            _cost(row),
            ", ".join(f"{count} {name}" for name, count in row.mix.items()),
            row.threshold,
            str(row.attackers),
            _rule(row),
            _chance(row.failure, row.failure_high),
            _chance(row.wrong, row.wrong_high),
            "exact" if row.exact else "simulated",
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _rule(row: Advice) -> str:
    return row.rule if row.value is None else f"{row.rule}, {row.parameter} {row.value:g}"


def _cost(row: Advice) -> str:
    if row.cost is None:
        return "no cost"
    return f"${row.cost:.3g}" if row.unit == "usd" else f"{row.cost:,.4g} {row.unit}"


def _chance(probability: float | None, high: float | None) -> str:
    if probability is None or high is None:
        return "not known"
    return f"< {high:.2g}" if not probability and high else f"{probability:.3g}"


def _reasons(rows: Sequence[Advice]) -> Iterator[str]:
    """Count designs by rule and reason, and tell the best of those that were looked at."""
    groups: dict[tuple[str, str], list[Advice]] = {}
    for row in rows:
        if not row.meets:
            groups.setdefault((row.rule, row.why), []).append(row)
    for (rule, why), members in sorted(groups.items(), key=lambda item: (item[0][0], -len(item[1]))):
        best = min(members, key=lambda row: row.worst)
        line = f"{len(members):>5,}  {rule}: {why}"
        if best.failure is not None:
            mix = ", ".join(f"{count} {name}" for name, count in best.mix.items())
            line += (
                f"; best: failure {_chance(best.failure, best.failure_high)}, wrong result "
                f"{_chance(best.wrong, best.wrong_high)} ({_cost(best)}, {mix}, {best.threshold}, {_rule(best)})"
            )
        yield line
