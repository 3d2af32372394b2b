"""The scenario reference, written from the JSON Schema that `sim schema` prints: it cannot say what is not checked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sim.scenario.schema import Scenario

Part = Mapping[str, Any]
_TITLE = """# Scenario reference

A scenario is a YAML file. Every key stands below with its values, its default and its meaning, under the place where it
is written; `NAME` is a name that you choose, `[]` an entry of a list. `sim schema` prints the same for editors, and
`sim run FILE --set PATH=VALUE` sets a key for one run.

## The file
"""
_KINDS = ("kind", "difficulty")
_PLAIN = {"integer": "a whole number", "number": "a number", "string": "a text", "boolean": "true or false"}


def scenario_reference() -> str:
    """Write the page.

    Returns
    -------
    str
        Markdown, as MyST reads it.
    """
    schema = Scenario.model_json_schema()
    return "\n".join([_TITLE, *_Reference(schema["$defs"]).told(schema, "")])


class _Reference:
    """The models of a schema, and which of them have been told of."""

    def __init__(self, models: Mapping[str, Part]) -> None:
        self._models = models
        self._seen = set[str]()

    def told(self, part: Part, path: str) -> Iterator[str]:
        """The keys of a model, and then what is written below them."""
        yield from self._entries(part, path)
        yield from self._below(part, path)

    def _below(self, part: Part, path: str) -> Iterator[str]:
        for key, field in part["properties"].items():
            for place, names in _places(field, f"{path}.{key}" if path else key).items():
                new = [name for name in names if name not in self._seen]
                known = [name for name in names if name in self._seen]
                self._seen.update(new)
                if new:
                    yield from self._section(place, new, known)

    def _section(self, place: str, new: Sequence[str], known: Sequence[str]) -> Iterator[str]:
        """A place: the models told of here, and after all of them what is written below each."""
        yield f"## `{place}`\n"
        if known:
            yield f"As elsewhere: {', '.join(map(self._link, known))}.\n"
        for name in new:
            part = self._models[name]
            kind = _kind(part)
            yield f"({_anchor(name)})="
            yield f"### `{kind[0]}: {kind[1]}`\n" if kind else ""
            yield part["description"] + "\n"
            yield from self._entries(part, place)
        for name in new:
            yield from self._below(self._models[name], place)

    def _entries(self, part: Part, path: str) -> Iterator[str]:
        for key, field in part["properties"].items():
            if "const" in field:
                continue
            described = field.get("description") or self._models[_name(field)]["description"]
            yield f"`{path}.{key}`" if path else f"`{key}`"
            yield f": *{self._values(field)}; {_default(key, field, part.get('required', ()))}.*"
            yield f"  {' '.join(described.split())}\n"

    def _values(self, part: Part) -> str:
        """What may be written, in words."""
        if "$ref" in part or "anyOf" in part:
            return self._choices(part.get("anyOf", [part]))
        if "enum" in part:
            return "one of " + ", ".join(f"`{value}`" for value in part["enum"])
        if part.get("type") == "array":
            return f"a list{_size(part, 'Items', 'entries')}{self._inner(part)}"
        if part.get("type") == "object":
            inner = part.get("additionalProperties")
            each = f", each {self._values(inner)}" if isinstance(inner, Mapping) else ""
            return f"a mapping{_size(part, 'Properties', 'entries')}{each}"
        return _PLAIN.get(part.get("type", ""), "anything") + _size(part, "Length", "characters") + _bounds(part)

    def _inner(self, part: Part) -> str:
        """What the entries of a list are."""
        entries = dict.fromkeys(map(self._values, part.get("prefixItems") or [part["items"]]))
        return f", each {next(iter(entries))}" if len(entries) == 1 else f" ({'; then '.join(entries)})"

    def _choices(self, choices: Sequence[Part]) -> str:
        words = [self._values(one) for one in choices if "$ref" not in one and one.get("type") != "null"]
        names = [_name(one) for one in choices if "$ref" in one]
        if names and _kind(self._models[names[0]]):
            words.append(f"a mapping ({', '.join(map(self._link, names))})")
        elif names:
            words.append(f"[a mapping](#{_anchor(names[0])})")
        return " or ".join(words)

    def _link(self, name: str) -> str:
        kind = _kind(self._models[name])
        return f"[{kind[1] if kind else name}](#{_anchor(name)})"


def _places(part: Part, path: str) -> dict[str, list[str]]:
    """Which models stand at or below a key, by place."""
    found = {path: [_name(part)]} if "$ref" in part else {}
    inner = part.get("additionalProperties")
    below = [
        *((choice, path) for choice in part.get("anyOf", ())),
        *([(part["items"], f"{path}[]")] if "items" in part else []),
        *([(inner, f"{path}.NAME")] if isinstance(inner, Mapping) else []),
    ]
    for one, place in below:
        for where, names in _places(one, place).items():
            found.setdefault(where, []).extend(names)
    return found


def _default(key: str, field: Part, required: Sequence[str]) -> str:
    if key in required:
        return "required"
    default = field.get("default")
    return "may be left out" if default in (None, "", []) else f"default `{_shown(default)}`"


def _shown(value: Any) -> str:
    """A value as it is written in a scenario."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_shown(one)}" for key, one in value.items()) + "}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value)
    return json.dumps(value).strip('"')


def _size(part: Part, what: str, unit: str) -> str:
    least, most = part.get(f"min{what}"), part.get(f"max{what}")
    if least and least == most:
        return f" of {least:,} {unit}"
    if least and most:
        return f" of {least:,} to {most:,} {unit}"
    if most:
        return f" of at most {most:,} {unit}"
    return f" of at least {least:,} {unit}" if least else ""


def _bounds(part: Part) -> str:
    words = (
        ("at least", part.get("minimum")),
        ("more than", part.get("exclusiveMinimum")),
        ("at most", part.get("maximum")),
        ("less than", part.get("exclusiveMaximum")),
    )
    bounds = " and ".join(f"{word} {_number(bound)}" for word, bound in words if bound is not None)
    return f", {bounds}" if bounds else ""


def _number(value: float) -> str:
    """A number as one writes it."""
    if value == 2**63:
        return "2^63"
    if isinstance(value, int) and abs(value) < 10**6:
        return f"{value:,}"
    return f"{value:g}".replace("e+0", "e").replace("e+", "e")


def _kind(part: Part) -> tuple[str, str] | None:
    """The key that tells a model from the others at its place, and its value."""
    for key in _KINDS:
        if "const" in part["properties"].get(key, {}):
            return key, str(part["properties"][key]["const"])
    return None


def _name(part: Part) -> str:
    return str(part["$ref"]).rsplit("/", 1)[-1]


def _anchor(name: str) -> str:
    return f"scenario-{name.lower()}"
