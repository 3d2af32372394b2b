"""`sim chart`: the message sequence chart of one height of a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sim.cli.flags import number, whole


def chart(trace: str, /, *, height: str, output: Annotated[str, Parameter(name=["--output", "-o"])]) -> int:
    """Draw the messages of one height of a trace: nodes as lines, time from left to right.

    For example: sim chart trace.jsonl --height 33 -o chart.svg

    Arrows are coloured by type of message, nodes by their answer. Symbols are phases, filled where votes led to them.

    Parameters
    ----------
    trace
        What `sim run --engine events --trace` wrote, or `sim check --trace`.
    height
        Which height, from 1.
    output
        The picture: .png, .svg or .pdf.
    """
    from sim.analysis.height import read_height
    from sim.base.errors import Problem, ScenarioError
    from sim.cli.progress import Progress
    from sim.plotting.chart import chart as draw
    from sim.plotting.save import check_suffix, save

    if Path(output).absolute() == Path(trace).absolute():
        raise ScenarioError([Problem("", "would overwrite what it draws", output, "--output")])
    check_suffix(output)
    wanted = number(height, "--height", whole, "a whole number from 1")
    total = max(Path(trace).stat().st_size, 1) if Path(trace).is_file() else 1
    with Progress("the trace") as progress:
        found = read_height(trace, wanted, lambda read: progress.update(read / total))
    save(draw(found), Path(output))
    print(f"drew {output}")
    return 0
