"""`sim plot`: draw results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from sim.cli.flags import refuse_unused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

Kind = Literal["curve", "heatmap", "stack", "feasibility", "tradeoff", "price"]


def plot(
    *files: str,
    output: Annotated[str, Parameter(name=["--output", "-o"])],
    kind: Kind = "curve",
    x: str | None = None,
    y: str | None = None,
    series: str | None = None,
    catalog: str | None = None,
) -> int:
    """Draw the results of a sweep, or what feasibility and compare found.

    Parameters
    ----------
    files
        A store that `sim sweep` made. For feasibility, what `sim feasibility --format json` printed, or nothing: the
        whole catalog. For tradeoff, what `sim compare --format json` printed, or scenario files. For price, what `sim
        compare --price --format json` printed, or a scenario.
    output
        The picture: .png, .svg or .pdf.
    kind
        curve: block failure over one axis; heatmap: over two; stack: the four outcomes; feasibility: platforms against
        models; tradeoff: block failure against cost; price: what a matching rule accepts of attackers and refuses of
        honest nodes.
    x, y
        Axes of the sweep to draw along; by default the ones that suit the kind.
    series
        Draw only the points with one value of an axis: AXIS=VALUE.
    catalog
        A file of your own (YAML), for feasibility, tradeoff and price.
    """
    from sim.base.errors import Problem, ScenarioError
    from sim.plotting.save import check_suffix, save

    if any(Path(output).absolute() == Path(file).absolute() for file in files):
        raise ScenarioError([Problem("", "would overwrite what it draws", output, "--output")])
    check_suffix(output)
    drawn = kind in {"feasibility", "tradeoff", "price"}
    unused = {"--x": x, "--y": y, "--series": series} if drawn else {"--catalog": catalog}
    refuse_unused(unused, f"--kind {kind}", given=True)
    if kind == "feasibility":
        axes = _feasibility(files, catalog)
    elif kind == "tradeoff":
        axes = _tradeoff(files, catalog)
    elif kind == "price":
        axes = _price(files, catalog)
    else:
        axes = _sweep(files, kind, x, y, series)
    save(axes, Path(output))
    print(f"drew {output}")
    return 0


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
