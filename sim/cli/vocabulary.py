"""Every word that `sim explain` knows, gathered from where it is defined.

Fields of scenarios come from the schema, with what is written beside them; keys of JSON output from the docstrings of
the dataclasses that are printed; columns and titles from `words`; causes and invariants from where they are named. So
what is new is known without being written twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SCENARIO = "scenario"
_ANY = "*"


@dataclass(frozen=True, slots=True)
class Entry:
    """One word: what it is called, where it stands, what it means, what values it takes, and those that have names."""

    word: str
    where: str
    text: str
    values: str = ""
    named: tuple[str, ...] = ()


def vocabulary() -> list[Entry]:
    """Every word, in the order of the scenario first, and then of the commands."""
    return list(dict.fromkeys([*scenario_fields(), *printed()]))


def matching(entries: Iterable[Entry], word: str) -> list[Entry]:
    """Entries that a word may mean: a path, the end of one, a value, a column, a key, or a title.

    Examples
    --------
    >>> entries = [Entry("nodes.*.count", "scenario", "Number of nodes."), Entry("diverged nodes", "sim run", "...")]
    >>> [entry.word for entry in matching(entries, "nodes.gpu.count")]
    ['nodes.*.count']
    >>> [entry.word for entry in matching(entries, "Diverged_nodes")]
    ['diverged nodes']
    """
    wanted = [_plain(part) for part in word.split(".")]
    return [
        entry
        for entry in entries
        if _means([_plain(part) for part in entry.word.split(".")], wanted)
        or _plain(word) in {_plain(name) for name in entry.named}
    ]


def words_of(entries: Iterable[Entry]) -> list[str]:
    """What can be asked for: whole words, the last part of each path, and values that have names."""
    found = [name for entry in entries for name in (entry.word, entry.word.rpartition(".")[2], *entry.named)]
    return [name for name in dict.fromkeys(found) if name != _ANY]


def _plain(word: str) -> str:
    return " ".join(re.split(r"[\s_-]+", word.strip().lower()))


def _means(path: list[str], wanted: list[str]) -> bool:
    """Whether the words end a path; from its beginning on, any name stands for a placeholder."""
    if path[-len(wanted) :] == wanted:
        return True
    return len(path) == len(wanted) > 1 and all(part in {_ANY, word} for part, word in zip(path, wanted, strict=True))


def scenario_fields() -> Iterator[Entry]:
    """Every field that a scenario can have, from the schema: paths with * for names and places."""
    from sim.scenario.grid import Axis
    from sim.scenario.schema import Scenario

    found: dict[Entry, list[str]] = {}
    for model, start in ((Scenario, ""), (Axis, "sweep.*")):
        schema = model.model_json_schema()
        for entry, kind in _walk(schema, schema, start, ""):
            found.setdefault(entry, []).append(kind)
    for entry, kinds in found.items():
        of = ", ".join(dict.fromkeys(filter(None, kinds)))
        yield replace(entry, text=f"Of {of}: {entry.text}") if of else entry
    yield Entry("sweep.zip", SCENARIO, "Axes that move together, by name: they have equally many values.")
    yield Entry("sweep.list", SCENARIO, "Explicit points, each a mapping of dotted paths to values.")


def _walk(part: Mapping[str, Any], root: Mapping[str, Any], path: str, kind: str) -> Iterator[tuple[Entry, str]]:
    """Yield every property below a part of the schema, and the kind that has it (empty where there is one only)."""
    required = part.get("required", ())
    for key, field in part.get("properties", {}).items():
        place = f"{path}.{key}" if path else key
        if "const" in field:
            name = str(field["const"])
            yield Entry(place, SCENARIO, f"{name}: {_one_line(part.get('description', ''))}", named=(name,)), ""
            continue
        text = field.get("description") or _target(field, root).get("description", "")
        values = _values(field, root, required=key in required)
        named = tuple(str(name) for choice in field.get("anyOf", [field]) for name in choice.get("enum", ()))
        yield Entry(place, SCENARIO, _one_line(text), values, named), kind
        for below, inner in _below(field, root, place):
            yield from _walk(inner, root, below, _kind(inner))


def _below(field: Mapping[str, Any], root: Mapping[str, Any], place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the mappings that a field may hold, each with its path."""
    for choice in field.get("anyOf", [field]):
        whole = _target(choice, root)
        if "properties" in whole:
            yield place, whole
        for holder in (whole.get("additionalProperties"), whole.get("items")):
            if isinstance(holder, dict):
                yield from _below(holder, root, f"{place}.{_ANY}")


def _target(part: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in part:
        return part
    found: Mapping[str, Any] = root["$defs"][part["$ref"].rpartition("/")[2]]
    return found


def _kind(part: Mapping[str, Any]) -> str:
    """The value that chooses this part among others; empty where there is no choice."""
    return next((str(field["const"]) for field in part.get("properties", {}).values() if "const" in field), "")


_TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
}


def _values(field: Mapping[str, Any], root: Mapping[str, Any], *, required: bool) -> str:
    """Which values a field takes, and its default."""
    kinds = [_kind(_target(choice, root)) for choice in field.get("anyOf", ())]
    taken = [_taken(_target(choice, root)) for choice in field.get("anyOf", [field])]
    if any(kinds):
        taken = [text for text, kind in zip(taken, kinds, strict=True) if not kind]
        taken.append("a mapping: " + ", ".join(filter(None, kinds)))
    default = field.get("default")
    given = "" if default is None or isinstance(default, (dict, list)) or default == "" else f"default {default}"
    return "; ".join(filter(None, [" or ".join(dict.fromkeys(filter(None, taken))), "required" if required else given]))


def _taken(part: Mapping[str, Any]) -> str:
    if "enum" in part:
        return "one of " + ", ".join(map(str, part["enum"]))
    bounds = [text.format(_number(part[key])) for key, text in _BOUNDS.items() if key in part]
    return ", ".join(filter(None, [_TYPES.get(part.get("type", ""), ""), *bounds]))


def _number(bound: float) -> str:
    return f"{bound:,.0f}" if float(bound).is_integer() and abs(bound) < 1e13 else f"{bound:g}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def printed() -> Iterator[Entry]:
    """Every word that commands print: columns and titles, keys of JSON output, causes, invariants, exit codes."""
    from sim.cli.words import SECTIONS

    for command, words in SECTIONS.items():
        for word, text in words.items():
            yield Entry(word, command, text)
    for command, name, meanings in _meanings():
        for word, text in meanings.items():
            yield Entry(word, f"{command}, {name}", f"{text[:1].upper()}{text[1:]}.")
    for command, shown in _shown():
        for key, text in described(shown).items():
            yield Entry(key, f"{command} --format json", text)
    for key, text in _figures():
        yield Entry(key, "sim catalog", text)


def described(shown: type[Any]) -> dict[str, str]:
    """Tell what each field of a dataclass means, as its docstring says it.

    Examples
    --------
    >>> from sim.engines.result import Estimate
    >>> described(Estimate)["count"]
    'Blocks with this outcome; None where it is exact.'
    """
    told: dict[str, str] = {}
    for one in reversed(shown.__mro__[:-1]):  # what a class has from others is told there
        head, _, section = cleandoc(one.__doc__ or "").partition("\nParameters\n----------\n")
        for names, text in re.findall(r"^(\S.*)\n((?:    .*(?:\n|\Z))+)", section, re.MULTILINE):
            told |= dict.fromkeys(re.split(r",\s*", names), _one_line(text))
    summary = _one_line(head.partition("\n\n")[0])
    return {field.name: told.get(field.name) or summary for field in fields(shown)}


def _meanings() -> Iterator[tuple[str, str, Mapping[Any, str]]]:
    """Yield what causes and events are called and mean, by the command that prints them."""
    from sim.analysis.explorer import invariants, sometimes
    from sim.cli.over_time import MEANING as HALTS
    from sim.cli.timing import MEANING as CAUSES

    yield "sim run", "failed", CAUSES
    yield "sim run", "halt", HALTS
    yield "sim check", "always", invariants.MEANING
    yield "sim check", "sometimes", sometimes.MEANING


def _shown() -> Iterator[tuple[str, type[Any]]]:
    """Yield the dataclasses that commands print as JSON: a command with one of its own adds it here."""
    from sim.analysis.advise import Advice
    from sim.analysis.bench import Speed
    from sim.analysis.claim import Claim
    from sim.analysis.compare import Tradeoff
    from sim.analysis.deadline import Misses
    from sim.analysis.price import Price
    from sim.engines.over_time import Away, ChainMeasures
    from sim.engines.repeat import Repeated
    from sim.engines.result import Estimate, Mean, Result
    from sim.engines.timing import FailedBlock, Timing, Violation
    from sim.inference.calibration.pairs import Effect, Hazard
    from sim.scenario.cost import Cost

    of_run = (Result, Estimate, Mean, Timing, FailedBlock, Violation, ChainMeasures, Away, Cost)
    yield from (("sim run", one) for one in of_run)
    yield "sim compare", Tradeoff
    yield "sim compare --price", Price
    yield "sim advise", Advice
    yield "sim feasibility", Claim
    yield "sim replay", Repeated
    yield "sim calibrate", Hazard
    yield "sim calibrate", Effect
    yield "sim bench", Speed
    yield "sim deadline", Misses


def _figures() -> Iterator[tuple[str, str]]:
    """Yield the figures that entries of the catalog have, and what is beside each."""
    from sim.catalog.entries import Hardware, Mitigation, ModelEntry, Platform
    from sim.catalog.figures import Figure

    for model in (Platform, ModelEntry, Hardware, Mitigation, Figure):
        for key, field in model.model_fields.items():
            yield key, _one_line(field.description or "")
