"""`sim merge`: fold stores of several machines into one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def merge(*stores: str, output: Annotated[str, Parameter(name=["--output", "-o"])]) -> int:
    """Fold the stores of several machines into a new one.

    For example: sim merge a.db b.db -o all.db

    Points that are the same scenario become one; stores that disagree on the same blocks are refused.

    Parameters
    ----------
    stores
        Stores that `sim sweep` made.
    output
        The store to make; it must not exist yet.
    """
    from sim.base.errors import Problem, ScenarioError
    from sim.sweeps.merge import merge as fold

    if not stores:
        message = "needs at least one store to read, as sim sweep makes them"
        raise ScenarioError([Problem("", message, where="sim merge")])
    points = fold([Path(name) for name in stores], Path(output))
    print(f"{output} has {points:,} points")
    return 0
