"""`sim sweep`: run every point of a scenario's sweep, and keep the results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sim.cli.flags import Limits, Names, Override, Workers, draws, settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from sim.scenario.grid import Point
    from sim.sweeps.runner import Choice
    from sim.sweeps.stopping import Stopping

    Source = tuple[str, Sequence[str], dict[str, tuple[str, Any]]]


def sweep(
    scenario: str,
    /,
    *,
    store: str | None = None,
    plot: str | None = None,
    set_: Override = None,
    engine: str | None = None,
    seed: str | None = None,
    limits: Limits | None = None,
    work: Workers | None = None,
    dry_run: bool = False,
    parameter_draws: str | None = None,
    names: Names | None = None,
    format: Literal["table", "json"] = "table",  # noqa: A002 -- the flag is --format
) -> int:
    """Run every point of a scenario's sweep, and keep the results.

    For example: sim sweep scenarios/hardware_mix.yaml --plot mix.svg

    Whatever stops it, what was finished is kept: the same command goes on from there.

    Parameters
    ----------
    scenario
        A scenario file (YAML) with a `sweep`.
    store
        Where results are kept (SQLite); by default a file named after the scenario, in this folder.
    plot
        Draw the failure curve too: curve.png, .svg or .pdf.
    set_
        Override a field, as PATH=VALUE: --set sweep.rate.points=57. May be given several times.
    engine
        Who answers: auto, exact, montecarlo, events or phases.
    seed
        Seed of the random streams.
    dry_run
        Only print the points, the work and an estimate of the time.
    parameter_draws
        Run every point at that many draws of its uncertain parameters (intervals): one more axis, `draw`.
    format
        What to print at the end: a table for people, or JSON for scripts.
    """
    from sim.scenario.load import load_grid

    stopping, work = (limits or Limits()).stopping(), work or Workers()
    wanted = work.number()
    source = (scenario, set_ or (), settings(engine=engine, seed=seed))
    points = list(load_grid(*source, **(names or Names()).options(), draws=draws(parameter_draws)).points())
    choices = chosen(points, source)
    if dry_run:
        from sim.cli.dry import tell

        tell(choices, stopping, wanted)
        return 0
    path = Path(store) if store else named_after(scenario)
    _check_picture(plot, scenario, path)
    run_kept(choices, path, stopping, wanted, work.scheduler)
    return _show(path, plot, format)


def named_after(scenario: str) -> Path:
    """Where results go that the user gave no place: said on stderr."""
    path = Path(f"{Path(scenario).stem}.db")
    print(f"results go to {path}", file=sys.stderr)
    return path


def chosen(points: list[Point], source: Source) -> list[Choice]:
    """Choose engines; an engine that cannot answer is told with its place in the file or the flags."""
    from sim.base.errors import EngineError, Problem
    from sim.scenario.load import located
    from sim.sweeps.runner import choices

    try:
        return choices(points)
    except EngineError as error:
        raise located(Problem("run.engine", str(error), points[0].scenario.run.engine), *source) from None


def _check_picture(plot: str | None, *inputs: str | Path) -> None:
    """Refuse a picture that cannot be drawn before anything is run."""
    from sim.base.errors import Problem, ScenarioError
    from sim.plotting.save import check_suffix

    if plot is None:
        return
    check_suffix(plot)
    if any(Path(plot).absolute() == Path(name).absolute() for name in inputs):
        raise ScenarioError([Problem("", "would overwrite an input", plot, "--plot")])


def run_kept(choices: list[Choice], path: Path, stopping: Stopping, workers: int | None, scheduler: str | None) -> None:
    """Run points with progress, and keep their results.

    Parameters
    ----------
    choices
        Points, and who answers each.
    path
        The store.
    stopping, workers, scheduler
        As for `run_points`.
    """
    from sim.cli.progress import Progress
    from sim.sweeps.sweep import SweepInterrupted, run_points

    try:
        with Progress(f"{len(choices):,} points") as progress:
            runner = run_points(choices, path, stopping, workers=workers, scheduler=scheduler, report=progress.update)
    except SweepInterrupted as stop:
        kept = f"{stop.answered:,} of {len(choices):,} points, and every finished stretch of the others"
        print(f"{path} keeps {kept}; the same command goes on from there", file=sys.stderr)
        raise
    if runner.failed:
        print(f"{runner.failed:,} points failed; their errors are in the results", file=sys.stderr)


def _show(path: Path, plot: str | None, form: Literal["table", "json"]) -> int:
    from sim.cli.results import show_rows
    from sim.sweeps.store import Store

    with Store(path) as store:
        rows = store.rows()
    show_rows(rows, form)
    if plot:
        from sim.plotting import plot as draw
        from sim.plotting import save

        save(draw(rows), Path(plot))
        print(f"drew {plot}", file=sys.stderr)
    return 0
