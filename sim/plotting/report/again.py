"""How to get the same numbers again: version, seed, id, commands, and the scenario itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.plotting.report.escape import lines, text
from sim.plotting.report.tables import definitions
from sim.scenario.written import as_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sim.engines.result import Result
    from sim.plotting.report.subject import Subject
    from sim.scenario.schema import Scenario
    from sim.sweeps.row import Row

_ROWS_MAX, _FIELDS_MAX, _SEEDS_MAX = 1_000, 12, 10


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
    one = _one_command(first.result, scenario)
    parts = ["<h2>Make it again</h2>", definitions(known)]
    parts += [f"<pre>{lines(commands)}</pre>"] if commands else []
    point = "The first point alone" if several else "Without the file"
    more = _varied(subject.rows) if several else ""
    graph = "" if not _graph(scenario) else " It needs the graph that it names."
    parts.append(f"<p>{point}: save what is below as scenario.yaml.{text(graph)}</p><pre>{lines(one)}</pre>")
    parts += [f"<p>{text(more)}</p>"] if more else []
    file = as_yaml(scenario)
    parts.append(f'<details><summary>scenario.yaml</summary><pre id="scenario">{lines(file)}</pre></details>')
    return parts


def _one_command(result: Result | None, scenario: Scenario) -> str:
    engine = f" --engine {result.engine}" if result else ""
    counted = result is not None and result.blocks is not None and not scenario.run.chains
    blocks = f" --blocks {result.blocks}" if result and counted else ""
    return f"sim run scenario.yaml{engine}{blocks} --seed {scenario.run.seed}"


def _graph(scenario: Scenario) -> bool:
    return scenario.network is not None and scenario.network.topology.kind == "graphml"


def _varied(rows: Sequence[Row]) -> str:
    """Which fields of the scenario the other points change."""
    plain = [dict(_leaves(row.scenario.model_dump(mode="json", exclude_none=True), "")) for row in rows[:_ROWS_MAX]]
    names = [path for path in dict.fromkeys(path for leaves in plain for path in leaves) if path != "name"]
    varied = [path for path in names if len({str(leaves.get(path)) for leaves in plain}) > 1]
    if not varied:
        return ""
    shown = ", ".join(varied[:_FIELDS_MAX]) + (f" and {len(varied) - _FIELDS_MAX:,} more" if len(varied) > _FIELDS_MAX else "")
    return f"The other points differ in {shown}: add --set PATH=VALUE for each."


def _leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    """Yield path and value of every field."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _leaves(each, f"{path}.{key}" if path else str(key))
    else:
        yield path, value
