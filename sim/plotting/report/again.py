"""How to get the same numbers again: version, seed, id, commands, and the scenario itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.base.document import FILE_BYTES_MAX, parse_document
from sim.base.errors import ScenarioError
from sim.plotting.report.escape import lines
from sim.plotting.report.tables import definitions
from sim.scenario.grid import Grid
from sim.scenario.load import validated
from sim.scenario.written import as_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sim.plotting.report.subject import Subject
    from sim.scenario.schema import Scenario
    from sim.sweeps.row import Row

_ROWS_MAX, _SEEDS_MAX = 1_000, 10


def again(subject: Subject) -> list[str]:
    """Write the section.

    Parameters
    ----------
    subject
        What the page is about.
    """
    first = subject.rows[0]
    scenario, several = first.scenario, len(subject.rows) > 1
    which = " of the first point" if several else ""
    seeds = sorted({row.scenario.run.seed for row in subject.rows})
    known = [
        ("version", f"splitquorum {subject.version}"),
        ("seed", ", ".join(str(seed) for seed in seeds[:_SEEDS_MAX])),
        (f"scenario id{which}", scenario.scenario_id),
    ]
    commands = "\n".join(subject.commands)
    parts = ["<h2>Make it again</h2>", definitions(known)]
    parts += [f"<pre>{lines(commands)}</pre>"] if commands else []
    found = _file(subject.rows)
    if found is None:
        return [*parts, "<p>It needs the scenario's file, and those that it names.</p>"]
    file, command = found
    what = " It gives the first point." if several and command.startswith("sim run") else ""
    lead = "Without the file" if commands else "All that it takes"
    parts.append(f"<p>{lead}: save what is below as scenario.yaml.{what}</p><pre>{lines(command)}</pre>")
    parts.append(f'<details><summary>scenario.yaml</summary><pre id="scenario">{lines(file)}</pre></details>')
    return parts


def _file(rows: Sequence[Row]) -> tuple[str, str] | None:
    """A scenario file that holds all points where that can be, else the first, and the command line for it.

    None where a file alone does not do: a graph is read again wherever a scenario names it.
    """
    if any(_graph(row.scenario) for row in rows):
        return None
    settled = [_settled(row) for row in rows[:_ROWS_MAX]]
    alone = as_yaml(settled[0])
    if len(alone) > FILE_BYTES_MAX or not _gives(alone, rows[:1]):
        return None
    if 1 < len(rows) <= _ROWS_MAX:
        text = as_yaml(settled[0], {"list": _points(settled)})
        if _gives(text, rows):
            return text, "sim sweep scenario.yaml --store again.db"
    return alone, "sim run scenario.yaml"


def _settled(row: Row) -> Scenario:
    """A point's scenario, with as many blocks as were run, and the engine that ran them."""
    scenario, result = row.scenario, row.result
    known: dict[str, object] = {"engine": result.engine} if result else {}
    if result and result.blocks is not None and not scenario.run.chains:
        known["blocks"] = result.blocks
    return scenario.model_copy(update={"run": scenario.run.model_copy(update=known)})


def _points(scenarios: Sequence[Scenario]) -> list[dict[str, object]]:
    """What each point sets: the fields in which any of them differ."""
    plain = [dict(_leaves(each.model_dump(mode="json", exclude={"name"}, exclude_none=True), "")) for each in scenarios]
    names = dict.fromkeys(path for leaves in plain for path in leaves)
    varied = [path for path in names if len({repr(leaves.get(path)) for leaves in plain}) > 1]
    return [{path: leaves.get(path) for path in varied} for leaves in plain]


def _gives(text: str, rows: Sequence[Row]) -> bool:
    """Whether a file gives these points, and no others."""
    try:
        document = parse_document(text, "scenario.yaml")
        swept = "sweep" in document.tree
        found = [point.scenario for point in Grid(document).points()] if swept else [validated(document)]
    except ScenarioError:
        return False
    wanted = [(row.scenario.scenario_id, row.scenario.run.seed) for row in rows]
    return [(each.scenario_id, each.run.seed) for each in found] == wanted


def _graph(scenario: Scenario) -> bool:
    return scenario.network is not None and scenario.network.topology.kind == "graphml"


def _leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    """Yield path and value of every field."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _leaves(each, f"{path}.{key}" if path else str(key))
    else:
        yield path, value
