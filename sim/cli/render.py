"""A result as a table for people, or as JSON for scripts."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Literal

from sim.cli.meaning import one_in, sentences
from sim.cli.timing import timing_lines

if TYPE_CHECKING:
    from rich.console import Console

    from sim.engines.result import Estimate, Result
    from sim.scenario.schema import Scenario

_EXPLAINED = {
    "agreed": "the honest majority's result",
    "no_quorum": "no result has a quorum",
    "wrong_result": "another result is certified",
    "forked": "two results are certified",
}
_WIDTH_MIN = 100


def show(result: Result, scenario: Scenario, form: Literal["table", "json"]) -> None:
    """Print a result on stdout."""
    plain = json.dumps(result.to_dict(), indent=2, allow_nan=False) if form == "json" else _table(result, scenario)
    try:
        print(plain, flush=True)
    except BrokenPipeError:  # whoever read our output has seen enough; the exit code still counts
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _table(result: Result, scenario: Scenario) -> str:
    from rich.console import Console

    console = Console(highlight=False, emoji=False)
    console.width = max(console.width, _WIDTH_MIN)
    with console.capture() as captured:  # rich would end the process where the reader has gone away
        _fill(console, result, scenario)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _fill(console: Console, result: Result, scenario: Scenario) -> None:
    from rich.markup import escape
    from rich.table import Table

    console.print(f"[bold]{escape(result.scenario)}[/bold]  {_setting(result, scenario)}", soft_wrap=True)
    rows = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for title, justify in (
        ("outcome", "left"),
        ("probability", "right"),
        ("95 % interval", "left"),
        ("", "left"),
    ):
        rows.add_column(title, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for name, estimate in result.outcomes.items():
        rows.add_row(name, _number(estimate.probability), _interval(estimate), _EXPLAINED[name])
    failure = result.block_failure
    rows.add_section()
    rows.add_row("[bold]block failure[/bold]", _number(failure.probability), _interval(failure), one_in(failure))
    diverged = result.diverged_per_block
    interval = "exact" if failure.count is None else f"{diverged.low:.3g} to {diverged.high:.3g}"
    rows.add_row("diverged nodes", _number(diverged.mean), interval, "honest nodes a block")
    console.print(rows)
    if result.timing:
        for title, text in timing_lines(result.timing, scenario):
            console.print(f"{title:<16}{escape(text)}", soft_wrap=True)
    for sentence in sentences(result, scenario):
        console.print(escape(sentence), soft_wrap=True)
    how = "computed exactly" if result.blocks is None else f"{result.blocks:,} blocks, seed {result.seed}"
    console.print(f"[dim]{result.engine} engine ({how}): {escape(result.engine_reason)}.[/dim]", soft_wrap=True)
    for warning in result.warnings:
        console.print(f"[yellow]warning:[/yellow] {escape(warning)}", soft_wrap=True)


def _setting(result: Result, scenario: Scenario) -> str:
    votes = scenario.election.votes
    power = "" if votes == result.nodes else f" with {votes:,} votes"
    faults = scenario.election.byzantine
    byzantine = f", {faults:,} Byzantine ({scenario.faults.behaviour})" if faults else ""
    return (
        f"{result.nodes:,} nodes{power}, quorum {result.quorum:,}, tolerates {result.faults_tolerated:,} faults"
        f"{byzantine}, result: {scenario.consensus.result}"
    )


def _number(probability: float) -> str:
    return f"{probability:.5g}"


def _interval(estimate: Estimate) -> str:
    return "exact" if estimate.count is None else f"{estimate.low:.3g} to {estimate.high:.3g}"
