"""`sim protocols`: the protocols that run message by message, their story and their state diagram."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter


def protocols(
    name: str | None = None, /, *, output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None
) -> int:
    """Tell what the protocols do, and draw the phases of a replica.

    For example: sim protocols pbft -o pbft.svg

    Parameters
    ----------
    name
        One of them: pbft, tendermint, hotstuff or icc. Left out, all are listed.
    output
        Draw its state diagram: .png, .svg or .pdf.
    """
    from sim.base.errors import Problem, ScenarioError
    from sim.base.text import did_you_mean
    from sim.consensus.protocols import PROTOCOLS

    known = PROTOCOLS.names()
    if name is None:
        if output is not None:
            raise ScenarioError([Problem("", f"needs a protocol to draw: {', '.join(known)}", output, "--output")])
        for one in known:
            print(f"{one:<12}{_story(one).splitlines()[0]}")
        return 0
    if name not in known:
        raise ScenarioError([Problem("", f"is no protocol; {did_you_mean(name, known)}", name, "sim protocols")])
    if output is None:
        print(_story(name))
        return 0
    from sim.plotting import save
    from sim.plotting.states import state_diagram

    save(state_diagram(name, PROTOCOLS.load(name).transitions), output)
    print(f"drew {output}")
    return 0


def _story(name: str) -> str:
    """What the module of a protocol says about it."""
    import sys
    from inspect import cleandoc

    from sim.consensus.protocols import PROTOCOLS

    machine = PROTOCOLS.load(name)
    return cleandoc(sys.modules[machine.__module__].__doc__ or machine.__doc__ or "")
