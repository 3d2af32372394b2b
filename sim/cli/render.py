"""A result as a table for people, or as JSON for scripts."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, Literal

from sim.base.text import printable
from sim.cli.meaning import sentences
from sim.cli.over_time import over_time_lines
from sim.cli.settings import settings_of
from sim.cli.timing import timing_lines
from sim.engines.told import interval, one_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console

    from sim.analysis.uncertainty import Spread
    from sim.engines.result import Mean, Result
    from sim.scenario.cost import Cost
    from sim.scenario.schema import Scenario

_EXPLAINED = {
    "agreed": "the honest majority's result",
    "no_quorum": "no result has a quorum",
    "wrong_result": "another result is certified",
    "forked": "two results are certified",
}
_WITH_EXECUTOR = {
    "agreed": "an honest executor's result stands",
    "no_quorum": "none is posted, or it is refused",
    "wrong_result": "a Byzantine executor's result stands",
    "forked": "two results are certified",
}
_ENDORSED = {
    "agreed": "a request is certified",
    "no_quorum": "every request is dropped",
    "wrong_result": "another result of a request is certified",
    "forked": "two results of a request are certified",
}
_WIDTH_MIN = 100


def show(
    result: Result,
    scenario: Scenario,
    form: Literal["table", "json"],
    filled: Mapping[str, tuple[Any, str]],
    spread: Spread | None = None,
) -> None:
    """Print a result on stdout.

    Parameters
    ----------
    result, scenario
        What was answered.
    form
        A table for people, or JSON.
    filled
        What entries of the catalog filled in: path to value and entry.
    spread
        What uncertain parameters leave open; None where that was not asked for.
    """
    if form == "json":
        entries = {path: {"value": value, "from": entry} for path, (value, entry) in filled.items()}
        cost = scenario.cost.to_dict() if scenario.cost else {}
        drawn = spread.to_dict() if spread else {}
        extra = {
            key: value for key, value in (("cost", cost), ("filled_in", entries), ("parameter_draws", drawn)) if value
        }
        plain = json.dumps(result.to_dict() | extra, indent=2, allow_nan=False)
    else:
        plain = _table(result, scenario, filled) + (f"\n{_open_still(spread)}" if spread else "")
    try:
        print(plain, flush=True)
    except BrokenPipeError:  # whoever read our output has seen enough; the exit code still counts
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _table(result: Result, scenario: Scenario, filled: Mapping[str, tuple[Any, str]]) -> str:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, emoji=False)
    console.width = max(console.width, _WIDTH_MIN)
    with console.capture() as captured:  # rich would end the process where the reader has gone away
        _fill(console, result, scenario)
        for path, (value, entry) in filled.items():
            text = printable(f"{path} {_plain(value)}, by {entry}")
            console.print(f"[dim]filled in: {escape(text)}[/dim]", soft_wrap=True)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _fill(console: Console, result: Result, scenario: Scenario) -> None:
    from rich.markup import escape
    from rich.table import Table

    console.print(f"[bold]{escape(result.scenario)}[/bold]  {setting(result, scenario)}", soft_wrap=True)
    rows = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for title, justify in (
        ("outcome", "left"),
        ("probability", "right"),
        ("95 % interval", "left"),
        ("", "left"),
    ):
        rows.add_column(title, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    failure = result.block_failure
    exact = failure.count is None
    for name, estimate in result.outcomes.items():
        rows.add_row(name, _number(estimate.probability), interval(estimate, exact=exact), explained(scenario)[name])
    rows.add_section()
    span = interval(failure, exact=exact)
    rows.add_row("[bold]block failure[/bold]", _number(failure.probability), span, one_in(failure))
    for title, mean, what in means(result, scenario):
        rows.add_row(title, _number(mean.mean), interval(mean, exact=exact), what)
    console.print(rows)
    for title, text in measures(result, scenario):
        console.print(f"{title:<16}{escape(text)}", soft_wrap=True)
    for sentence in sentences(result, scenario):
        console.print(escape(sentence), soft_wrap=True)
    console.print(f"[dim]{escape(answered_by(result))}[/dim]", soft_wrap=True)
    for warning in result.warnings:
        console.print(f"[yellow]warning:[/yellow] {escape(warning)}", soft_wrap=True)


def _open_still(spread: Spread) -> str:
    low, median, high = (spread.quantile(share) for share in (0.025, 0.5, 0.975))
    number = len(spread.failures)
    return f"over {number:,} parameter draws: block failure {median:.3g}, 95 % between {low:.3g} and {high:.3g}"


def answered_by(result: Result) -> str:
    """Which engine answered, how, and why that one."""
    how = "computed exactly" if result.blocks is None else f"{result.blocks:,} blocks, seed {result.seed}"
    return f"{result.engine} engine ({how}): {result.engine_reason}."


def measures(result: Result, scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Title and text of what there is besides outcomes."""
    if result.timing:
        yield from timing_lines(result.timing, scenario)
    if result.over_time:
        yield from over_time_lines(result.over_time, scenario)
    if scenario.verification and not scenario.replicated:
        yield "verification", settings_of(scenario.verification)
    if scenario.cost:
        yield "cost", _cost(scenario.cost)


def means(result: Result, scenario: Scenario) -> Iterator[tuple[str, Mean, str]]:
    """Title of each mean, the mean, and what it counts."""
    yield "diverged nodes", result.diverged_per_block, "honest nodes a block"
    if result.dropped_per_block:
        yield "dropped", result.dropped_per_block, f"of {scenario.workload.requests_per_block:,} requests a block"
    if result.attempts_per_block and scenario.consensus.appeal:
        most = scenario.consensus.appeal.rounds + 1
        yield "attempts", result.attempts_per_block, f"a block, {most} at most"


def explained(scenario: Scenario) -> Mapping[str, str]:
    """What each outcome means."""
    if not scenario.replicated:
        return _WITH_EXECUTOR
    return _ENDORSED if scenario.consensus.result == "endorse" else _EXPLAINED


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def setting(result: Result, scenario: Scenario) -> str:
    """Nodes, quorum and faults, and how results are agreed."""
    votes = scenario.election.votes
    power = "" if votes == result.nodes else f" with {votes:,} votes"
    faults = scenario.election.byzantine
    byzantine = f", {faults:,} Byzantine ({scenario.faults.behaviour})" if faults else ""
    matching = scenario.consensus.matching
    how = f"result: {scenario.consensus.result}" + (f", matching: {matching.kind}" if matching else "")
    if appeal := scenario.consensus.appeal:
        who = "" if appeal.committee is None else f" by committees of {appeal.committee:,}, times {appeal.growth}"
        how += f", appeals: {appeal.rounds}{who}"
    if scenario.verification and not scenario.replicated:
        how = f"one executor: {scenario.verification.kind}"
    return (
        f"{result.nodes:,} nodes{power}, quorum {result.quorum:,}, tolerates {result.faults_tolerated:,} faults"
        f"{byzantine}, {how}"
    )


def _cost(cost: Cost) -> str:
    price = "" if cost.cost_usd is None else f", ${cost.cost_usd:.3g}"
    times = f"{cost.cost_vs_one_server:.4g} times the work of one server"
    return f"{cost.machine_seconds:.4g} machine-seconds an answer, {times}{price}"


def _number(probability: float) -> str:
    return f"{probability:.5g}"
