"""A page for each protocol, written from what its module says, its messages and its phases; the picture is drawn."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.consensus.protocols import PROTOCOLS
from sim.consensus.protocols.messages import Message
from sim.consensus.timeouts import Timeouts
from sim.plotting import save
from sim.plotting.states import state_diagram

if TYPE_CHECKING:
    from sim.consensus.protocols.machine import Machine

NAMES = {"pbft": "PBFT", "tendermint": "Tendermint", "hotstuff": "HotStuff", "icc": "ICC"}


def write_pages(place: Path) -> None:
    """Write the page and the picture of every protocol.

    Parameters
    ----------
    place
        A folder that is there.
    """
    for name in PROTOCOLS.builtin:
        machine = PROTOCOLS.load(name)
        save(state_diagram(name, machine.transitions), place / f"{name}.svg")
        (place / f"{name}.md").write_text(protocol_page(name, machine))


def protocol_page(name: str, machine: type[Machine]) -> str:
    """Tell what a protocol does.

    Parameters
    ----------
    name
        As scenarios write it.
    machine
        One replica of it.

    Returns
    -------
    str
        Markdown, as MyST reads it.
    """
    story = cleandoc(sys.modules[machine.__module__].__doc__ or "")
    phases = [f"| {arrow.source} | {arrow.event} | {arrow.target} |" for arrow in machine.transitions]
    parts = [
        f"# {NAMES[name]}",
        f"`consensus.protocol: {name}`",
        story,
        "## Phases",
        f"What a replica does at one height; `sim protocols {name} -o {name}.svg` draws it.",
        f"![State diagram of {NAMES[name]}: the table below tells its arrows]({name}.svg)",
        "\n".join(["| in phase | on | to phase |", "|---|---|---|", *phases]),
        "## Messages",
        "\n".join(["| message | says |", "|---|---|", *_messages(machine)]),
        "## Timeouts",
        "\n".join(["| key below `consensus.timeouts` | means |", "|---|---|", *_timeouts(machine)]),
    ]
    return "\n\n".join(parts) + "\n"


def _messages(machine: type[Machine]) -> Iterator[str]:
    """Messages that are the protocol's own: of its module, and of those that begin with its name."""
    for place, module in sorted(sys.modules.items()):
        if place.startswith(machine.__module__):
            for kind in vars(module).values():
                if isinstance(kind, type) and issubclass(kind, Message) and kind.__module__ == place:
                    yield f"| {kind.name} | {_first_line(kind)} |"


def _timeouts(machine: type[Machine]) -> Iterator[str]:
    fields: Any = Timeouts.model_fields
    for name in dict.fromkeys((*machine.timeouts, "result")):
        yield f"| `{name}` | {' '.join(fields[name].description.split())} |"


def _first_line(kind: type[Any]) -> str:
    return " ".join(cleandoc(kind.__doc__ or "").split("\n\n")[0].split())
