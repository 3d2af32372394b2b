"""`sim plot`: draw results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def plot(
    file: str,
    /,
    *,
    output: Annotated[str, Parameter(name=["--output", "-o"])],
    kind: Literal["curve", "heatmap", "stack"] = "curve",
    x: str | None = None,
    y: str | None = None,
    series: str | None = None,
) -> int:
    """Draw the results of a sweep.

    Parameters
    ----------
    file
        A store that `sim sweep` made.
    output
        The picture: .png, .svg or .pdf.
    kind
        curve: block failure over one axis; heatmap: over two; stack: the four outcomes.
    x, y
        Axes of the sweep to draw along; by default the ones that suit the kind.
    series
        Draw only the points with one value of an axis: AXIS=VALUE.
    """
    from sim.base.errors import Problem, ScenarioError
    from sim.plotting import plot as draw
    from sim.plotting import save
    from sim.sweeps.store import Store

    if Path(output).absolute() == Path(file).absolute():
        raise ScenarioError([Problem("", "would overwrite the store", output, "--output")])
    with Store(Path(file)) as store:
        rows = store.rows()
    save(draw(rows, kind, x=x, y=y, series=series), Path(output))
    print(f"drew {output}")
    return 0
