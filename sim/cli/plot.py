"""`sim plot`: draw results."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from sim.cli.flags import number, refuse_unused, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.axes import Axes

    from sim.engines.result import Result

Kind = Literal["curve", "heatmap", "stack", "feasibility", "tradeoff", "price", "survival", "testing", "timeline"]


def plot(
    *files: str,
    output: Annotated[str, Parameter(name=["--output", "-o"])],
    kind: Kind = "curve",
    x: str | None = None,
    y: str | None = None,
    series: str | None = None,
    chain: str | None = None,
    catalog: str | None = None,
) -> int:
    """Draw the results of a sweep, or what feasibility and compare found.

    For example: sim plot hardware_mix.db -o curve.svg

    Parameters
    ----------
    files
        A store that `sim sweep` made. For feasibility, what `sim feasibility --format json` printed, or nothing: the
        whole catalog. For tradeoff, what `sim compare --format json` printed, or scenario files. For price, what `sim
        compare --price --format json` printed, or a scenario. For survival and testing, what `sim run --format json`
        printed of chains over time, one file a curve. For timeline, what `sim run --trace` wrote of them.
    output
        The picture: .png, .svg or .pdf.
    kind
        curve: block failure over one axis; heatmap: over two; stack: the four outcomes; feasibility: platforms against
        models; tradeoff: block failure against cost; price: what a matching rule accepts of attackers and refuses of
        honest nodes; survival: the share of chains that still run; testing: the chance that a test sees nothing;
        timeline: who is away when.
    x, y
        Axes of the sweep to draw along; by default the ones that suit the kind.
    series
        Draw only the points with one value of an axis: AXIS=VALUE.
    chain
        For timeline, which chain of the trace, from 0 on.
    catalog
        A file of your own (YAML), for feasibility, tradeoff and price.
    """
    from sim.base.errors import Problem, ScenarioError
    from sim.plotting.save import check_suffix, save

    if any(Path(output).absolute() == Path(file).absolute() for file in files):
        raise ScenarioError([Problem("", "would overwrite what it draws", output, "--output")])
    check_suffix(output)
    along = {"--x": x, "--y": y, "--series": series}
    axes = _swept(files, kind, along, chain, catalog) or _other(files, kind, along, chain, catalog)
    save(axes, Path(output))
    print(f"drew {output}")
    return 0


def _swept(
    files: Sequence[str], kind: Kind, along: Mapping[str, str | None], chain: str | None, catalog: str | None
) -> Axes | None:
    """Draw a sweep; None where something else is drawn."""
    if kind == "curve" or kind == "heatmap" or kind == "stack":  # noqa: PLR1714 -- mypy then knows the kind
        refuse_unused({"--catalog": catalog}, f"--kind {kind}", given=True)
        refuse_unused({"--chain": chain}, "--kind timeline", given=False)
        return _sweep(files, kind, *along.values())
    return None


def _other(
    files: Sequence[str], kind: Kind, along: Mapping[str, str | None], chain: str | None, catalog: str | None
) -> Axes:
    """Draw what is no sweep."""
    refuse_unused(along, f"--kind {kind}", given=True)
    if kind != "timeline":
        refuse_unused({"--chain": chain}, "--kind timeline", given=False)
    makers: dict[str, Callable[[Sequence[str], str | None], Axes]] = {
        "feasibility": _feasibility,
        "tradeoff": _tradeoff,
        "price": _price,
        "survival": _survival,
        "testing": _testing,
        "timeline": partial(_timeline, chain=chain),
    }
    return makers[kind](files, catalog)


def _one(files: Sequence[str], what: str) -> str:
    from sim.base.errors import Problem, ScenarioError

    if len(files) != 1:
        raise ScenarioError([Problem("", f"needs one file, {what} (got {len(files)})", where="sim plot")])
    return files[0]


def _sweep(files: Sequence[str], kind: Literal["curve", "heatmap", "stack"], *along: str | None) -> Axes:
    from sim.plotting import plot as draw
    from sim.sweeps.store import Store

    x, y, series = along
    with Store(Path(_one(files, "a store that sim sweep made"))) as store:
        rows = store.rows()
    return draw(rows, kind, x=x, y=y, series=series)


def _feasibility(files: Sequence[str], catalog: str | None) -> Axes:
    from sim.analysis.feasibility import Feasibility, feasibility
    from sim.analysis.saved import read_rows
    from sim.catalog.catalog import catalog_with
    from sim.plotting.feasibility import feasibility_map

    if not files:
        return feasibility_map(feasibility(catalog_with(catalog)))
    file = _one(files, "what sim feasibility --format json printed")
    return feasibility_map(read_rows(file, Feasibility, "feasibility"))


def _tradeoff(files: Sequence[str], catalog: str | None) -> Axes:
    from sim.analysis.compare import Tradeoff
    from sim.analysis.saved import read_rows
    from sim.catalog.catalog import catalog_with
    from sim.cli.compare import compared
    from sim.plotting.tradeoff import tradeoff

    if len(files) == 1 and files[0].lower().endswith(".json"):
        return tradeoff(read_rows(files[0], Tradeoff, "compare"))
    return tradeoff(compared(files, (), catalog_with(catalog))[0])


def _price(files: Sequence[str], catalog: str | None) -> Axes:
    from sim.analysis.price import Price
    from sim.analysis.saved import read_rows
    from sim.catalog.catalog import catalog_with
    from sim.cli.flags import Pricing
    from sim.cli.price import priced
    from sim.plotting.price import price_curve

    if len(files) == 1 and files[0].lower().endswith(".json"):
        return price_curve(read_rows(files[0], Price, "compare --price"))
    return price_curve(list(priced(files, (), catalog_with(catalog), Pricing(), "sim plot")))


def _survival(files: Sequence[str], catalog: str | None) -> Axes:
    from sim.plotting.over_time import survival

    return survival(_over_time(files, catalog, "survival"))


def _testing(files: Sequence[str], catalog: str | None) -> Axes:
    from sim.plotting.over_time import seen_by_tests

    return seen_by_tests(_over_time(files, catalog, "testing"))


def _timeline(files: Sequence[str], catalog: str | None, *, chain: str | None) -> Axes:
    from sim.analysis.timeline import read_timeline
    from sim.plotting.over_time import timeline

    refuse_unused({"--catalog": catalog}, "--kind timeline", given=True)
    which = number(chain, "--chain", whole, "a whole number") or 0
    return timeline(read_timeline(_one(files, "what sim run --trace wrote of chains over time"), which))


def _over_time(files: Sequence[str], catalog: str | None, kind: Kind) -> list[Result]:
    from sim.analysis.saved import read_over_time

    refuse_unused({"--catalog": catalog}, f"--kind {kind}", given=True)
    return [read_over_time(file) for file in files]
