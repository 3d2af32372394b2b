"""`sim calibrate`: from recordings of repeated runs to an executor."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from sim.analysis.calibration import Calibration
    from sim.inference.calibration.fitting import Interval
    from sim.inference.calibration.pairs import Effect, Hazard

Where = Annotated[list[str] | None, Parameter(name="--where", negative=())]
"""`--where FIELD=VALUE`, any number of times."""


def calibrate(
    *recordings: str,
    by: str | None = None,
    where: Where = None,
    skip_bad: Annotated[bool, Parameter(negative=())] = False,
    seed: str | None = None,
    plot: str | None = None,
    format: Literal["table", "json", "yaml"] = "table",  # noqa: A002 -- the flag is --format
) -> int:
    """Fit difficulty models to recordings of repeated runs, and print an executor with its uncertainty.

    For example: sim calibrate runs.jsonl.gz --by hardware,batch

    Parameters
    ----------
    recordings
        Recordings (JSON Lines, gzipped or not), or tables of counts (CSV with a column class_sizes, such as 7;2;1).
    by
        Fields (or columns) whose effect is asked for: hardware,batch.
    where
        Use only runs (or rows) with this value, as FIELD=VALUE. May be given several times.
    skip_bad
        Count lines that cannot be used and leave them out, in place of refusing the file.
    seed
        Seed of the bootstrap and of the held-out check.
    plot
        Draw group sizes and quorum rates, observed and predicted: calibration.png, .svg or .pdf.
    format
        A table for people, JSON for scripts, or only the executor block as YAML for a scenario.
    """
    from sim.analysis.calibration import calibrate as fit
    from sim.base.errors import Problem, ScenarioError
    from sim.cli.flags import numbers, whole
    from sim.inference.calibration.choice import Choice
    from sim.plotting.save import check_suffix

    if not recordings:
        raise ScenarioError([Problem("", "needs at least one recording, or table of counts", where="sim calibrate")])
    if plot:
        check_suffix(plot)
    seeds = numbers(seed, "--seed", whole, "a whole number from 0 to 2^63 - 1", 0, 2**63 - 1, 1)
    factors = tuple(name.strip() for name in by.split(",")) if by else ()
    found = fit(recordings, Choice(factors, _pairs(where or []), skip_bad), int(seeds[0]) if seeds else 1)
    if format == "json":
        print(json.dumps(found.to_dict(), indent=2, allow_nan=False))
    else:
        print("\n".join(_block(found) if format == "yaml" else _report(found)))
    if plot:
        from sim.plotting import save
        from sim.plotting.calibration import calibration

        save(calibration(found), plot)
        print(f"drew {plot}", file=sys.stderr)
    return 0


def _pairs(where: list[str]) -> dict[str, str]:
    from sim.base.errors import Problem, ScenarioError
    from sim.base.text import bounded

    pairs: dict[str, str] = {}
    for text in where:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ScenarioError(
                [Problem("", "must be FIELD=VALUE, such as hardware=h100", where=bounded(f"--where {text}"))]
            )
        pairs[key] = value
    return pairs


def _block(found: Calibration) -> Iterator[str]:
    """The executor block, as a scenario has it."""
    runs, prompts = found.observed.runs, len(found.observed.prompts)
    name, fits = found.best.law.name, len(found.fits)
    yield f"executor:  # {name}, the best of {fits} fits to {runs:,} runs of {prompts:,} prompts"
    yield "  kind: gpu"
    yield "  nondeterminism:"
    law = dict(found.executor["nondeterminism"])
    intervals = law.pop("intervals")
    for key, value in law.items():
        yield f"    {key}: {_yaml(value)}"
    yield "    intervals:  # 95 %, by drawing prompts with replacement"
    for key, (low, high) in intervals.items():
        yield f"      {key}: [{_yaml(low)}, {_yaml(high)}]"


def _yaml(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return ".inf" if value == float("inf") else repr(value)


def _report(found: Calibration) -> list[str]:
    from rich.console import Console

    console = Console(highlight=False, emoji=False, markup=False)
    console.width = max(console.width, 110)
    with console.capture() as captured:
        console.print(_summary(found), soft_wrap=True)
        console.print(_fits(found))
        console.print(_quorums(found))
        for line in [*_held_out(found), *_hazard(found.hazard), *_effects(found)]:
            console.print(line, soft_wrap=True)
        console.print("\nWhat this cannot know:")
        for line in found.unknown():
            console.print(f"- {line}", soft_wrap=True)
        console.print()
    return [*(line.rstrip() for line in captured.get().splitlines()), *_block(found)]


def _summary(found: Calibration) -> str:
    observed = found.observed
    bad = f", {observed.bad:,} bad lines left out" if observed.bad else ""
    points = f", {found.points:,} tokens compared" if found.per == "token" else ""
    return f"{observed.runs:,} runs of {len(observed.prompts):,} prompts{points}{bad}"


def _table(*titles: str) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for title in titles:
        table.add_column(title, no_wrap=True)
    return table


def _fits(found: Calibration) -> Table:
    table = _table("fit", "rate", "correlation", "alternatives", "log-likelihood", "AIC")
    for fit in found.fits:
        cells = [_interval(fit.parameters.get(name)) for name in ("rate", "correlation", "alternatives")]
        table.add_row(fit.law.name, *cells, f"{fit.log_likelihood:.2f}", f"{fit.aic:.2f}")
    return table


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f"{interval.value:.3g} [{interval.low:.3g}, {interval.high:.3g}]"


def _quorums(found: Calibration) -> Table:
    names = [fit.law.name for fit in found.fits]
    table = _table("quorum", "observed", *names)
    for row in found.quorums:
        cells = [
            _interval(row.predicted[name]) if name == names[0] else f"{row.predicted[name].value:.4g}" for name in names
        ]
        table.add_row(f"{row.quorum} of {row.runs}", _interval(row.observed), *cells)
    return table


def _held_out(found: Calibration) -> Iterator[str]:
    check = found.held_out
    if check is None:
        yield "held out: too few runs a prompt to fit some and predict the others"
        return
    predicted = check.predicted[found.best.law.name]
    yield (
        f"held out: {check.quorum} of the {check.runs} runs that were not fitted agree at {_interval(check.observed)}; "
        f"{found.best.law.name}, fitted to the others, predicts {_interval(predicted)}"
    )


def _hazard(hazard: Hazard | None) -> Iterator[str]:
    if hazard is None:
        yield "hazard per token: not known, since token ids are not"
        return
    bins = ", ".join(f"{value.value:.3g}" for value in hazard.per_token)
    flat = {True: "flat as far as can be seen", False: "not flat", None: "nothing to compare"}[hazard.flat]
    ratio = f" (late to early {_interval(hazard.late_to_early)})" if hazard.late_to_early else ""
    yield f"hazard per token: two runs that agree part with probability {_interval(hazard.overall)}: {flat}{ratio}"
    yield f"  by tokens {', '.join(map(str, hazard.edges))}: {bins}"


def _effects(found: Calibration) -> Iterator[str]:
    per = "prompt" if found.per == "request" else found.per
    for effect in found.effects:
        yield _effect(effect, per)


def _effect(effect: Effect, per: str) -> str:
    open_ = "no level has two runs of a prompt" if effect.within is None else "no prompt has runs of several levels"
    seen = {True: "an effect is seen", False: "no effect is seen", None: open_}[effect.seen]
    levels = "; ".join(f"{level.name or '(none)'} {_interval(level.differ)}" for level in effect.levels[:12])
    more = f"; and {len(effect.levels) - 12} more" if len(effect.levels) > 12 else ""
    within, between = _interval(effect.within) or "-", _interval(effect.between) or "-"
    return (
        f"{effect.factor}: two runs of a {per} differ at {within} within a level, {between} between levels: {seen}\n"
        f"  within {levels}{more}"
    )
