"""`sim report`: one page that shows what a scenario or a sweep gives."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sim.cli.flags import Names, Override, refuse_unused, settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from sim.plotting.report import Account, Picture, Subject
    from sim.sweeps.row import Row

    Source = tuple[str, Sequence[str], dict[str, tuple[str, Any]]]


def report(
    source: str,
    /,
    *,
    output: Annotated[str, Parameter(name=["--output", "-o"])],
    set_: Override = None,
    engine: str | None = None,
    blocks: str | None = None,
    seed: str | None = None,
    store: str | None = None,
    names: Names | None = None,
) -> int:
    """Write one HTML page about a scenario or the results of a sweep, which works offline.

    For example: sim report scenarios/failure_curve.yaml -o report.html

    It has the scenario in words, tables, figures to hover, zoom and filter, and how to make it again. The tables need
    no JavaScript. Needs plotly (extra `report`).

    Parameters
    ----------
    source
        A store that `sim sweep` made, or a scenario file (YAML); one with a `sweep` is swept first.
    output
        The page: .html.
    set_
        Override a field of a scenario, as PATH=VALUE: --set nodes.gpu.count=40. May be given several times.
    engine
        Who answers a scenario: auto, exact, montecarlo or events.
    blocks
        Blocks to simulate: 1e6.
    seed
        Seed of the random streams.
    store
        Where the results of a scenario's sweep are kept; by default a file named after the scenario, in this folder.
    """
    from sim.plotting.report import page
    from sim.sweeps.store import is_database

    _check_output(output, source, store)
    plotly = _plotly()
    if is_database(Path(source)):
        flags = {"--engine": engine, "--blocks": blocks, "--seed": seed, "--store": store}
        refuse_unused({"--set": set_[0] if set_ else None, **flags}, "a store", given=True)
        subject = _stored(source)
    else:
        given = (source, set_ or (), settings(engine=engine, blocks=blocks, seed=seed))
        subject = _of_scenario(given, store, names or Names())
    _write(Path(output), page(subject, plotly))
    print(f"wrote {output}")
    return 0


def _check_output(output: str, *inputs: str | None) -> None:
    from sim.base.errors import Problem, ScenarioError

    if Path(output).suffix.lower() not in {".html", ".htm"}:
        raise ScenarioError([Problem("", "must end in .html", output, "--output")])
    if any(name is not None and Path(output).absolute() == Path(name).absolute() for name in inputs):
        raise ScenarioError([Problem("", "would overwrite what it shows", output, "--output")])


def _plotly() -> str:
    """The script of plotly; told before any work is done if it is missing."""
    from sim.base.errors import Problem, ScenarioError

    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        message = "needs plotly: pip install 'splitquorum[report]'"
        raise ScenarioError([Problem("", message, where="sim report")]) from None
    script: str = get_plotlyjs()
    return script


def _stored(source: str) -> Subject:
    """What a store holds."""
    from sim.base.errors import Problem, ScenarioError
    from sim.sweeps.store import Store

    with Store(Path(source)) as opened:
        rows = opened.rows()
        versions = sorted({version for version, _ in opened.made_by()})
    if not rows:
        raise ScenarioError([Problem("", "has no points", where=source)])
    return _swept(rows, ", ".join(versions), [])


def _of_scenario(source: Source, store: str | None, names: Names) -> Subject:
    """Answer a scenario, or its sweep."""
    from sim.base.version import __version__
    from sim.cli.run import answered
    from sim.scenario.load import open_document, validated
    from sim.sweeps.row import Row

    document, problems = open_document(*source, **names.options())
    if isinstance(document.tree, dict) and "sweep" in document.tree:
        return _sweep(source, store, names)
    refuse_unused({"--store": store}, "a scenario with a sweep", given=False)
    scenario = validated(document, problems)
    row = Row(0, {}, scenario, answered(scenario, source, None))
    chart, notes = _messages([row])
    from sim.plotting.report import Subject

    return Subject([row], __version__, [_typed("run", source, names)], _account(row), chart, notes)


def _sweep(source: Source, store: str | None, names: Names) -> Subject:
    from sim.base.version import __version__
    from sim.cli.sweep import chosen, named_after, run_kept
    from sim.scenario.load import load_grid
    from sim.sweeps.stopping import Stopping
    from sim.sweeps.store import Store

    points = chosen(list(load_grid(*source, **names.options()).points()), source)
    path = Path(store) if store else named_after(source[0])
    run_kept(points, path, Stopping(), None, None)
    with Store(path) as opened:
        rows = opened.rows()
    return _swept(rows, __version__, [f"{_typed('sweep', source, names)} --store {shlex.quote(str(path))}"])


def _swept(rows: Sequence[Row], version: str, commands: Sequence[str]) -> Subject:
    from sim.plotting.report import Subject

    chart, notes = _messages(rows)
    return Subject(rows, version, commands, None, chart, notes)


def _typed(command: str, source: Source, names: Names) -> str:
    """The command line that gives the same numbers."""
    scenario, overrides, flags = source
    words = ["sim", command, scenario]
    for override in overrides:
        words += ["--set", override]
    words += [word for flag, _ in flags.values() for word in flag.split(" ", 1)]
    words += ["--files-anywhere"] if names.files_anywhere else []
    words += ["--catalog", names.catalog] if names.catalog else []
    return shlex.join(words)


def _account(row: Row) -> Account:
    from sim.cli.meaning import sentences
    from sim.cli.render import answered_by, explained, means, measures, setting
    from sim.engines.told import interval, one_in
    from sim.plotting.report import Account

    scenario, result = row.scenario, row.result
    if result is None:
        raise AssertionError("a row that was just answered has an answer")
    failure = result.block_failure
    return Account(
        setting=setting(result, scenario),
        sentences=sentences(result, scenario),
        measures=list(measures(result, scenario)),
        outcomes={**explained(scenario), "block failure": one_in(failure)},
        means=[
            (title, f"{mean.mean:.5g}", interval(mean, exact=failure.count is None), what)
            for title, mean, what in means(result, scenario)
        ],
        engine=answered_by(result),
    )


def _messages(rows: Sequence[Row]) -> tuple[Picture | None, list[str]]:
    """The messages of one block, of a point that has a failed one if there is any; or why they are not shown."""
    from sim.base.errors import SplitquorumError
    from sim.cli.progress import Progress
    from sim.plotting.report.block_chart import block_chart, telling

    timed = telling(rows)
    if timed is None:
        return None, []
    try:
        with Progress("a block, message by message") as progress:
            return block_chart(timed, progress.update), []
    except SplitquorumError as error:
        return None, [f"the messages of a block are not drawn: {error}"]


def _write(path: Path, html: str) -> None:
    from sim.base.errors import Problem, ScenarioError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(html, encoding="utf-8", newline="\n")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ScenarioError([Problem("", f"cannot be written: {reason}", where=str(path))]) from None
