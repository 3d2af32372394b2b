"""The catalog: what is shipped, and what a user's own file adds to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError

from sim.base.document import Document, parse_document, read_document
from sim.base.errors import Problem, ScenarioError
from sim.base.model import FrozenModel, Mistake, problems_of
from sim.base.text import did_you_mean, has_control_characters
from sim.catalog.entries import Entry, Hardware, Mitigation, ModelEntry, Platform, Preset

Kind = Literal["platforms", "models", "hardware", "mitigations", "presets"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_ENTRIES_MAX = 10_000


class Catalog(FrozenModel):
    """Platforms, models, hardware, mitigations and presets of nondeterminism, by name."""

    platforms: Annotated[dict[str, Platform], Field(max_length=_ENTRIES_MAX)] = Field(default_factory=dict)
    """Chains."""
    models: Annotated[dict[str, ModelEntry], Field(max_length=_ENTRIES_MAX)] = Field(default_factory=dict)
    """Machine-learning models."""
    hardware: Annotated[dict[str, Hardware], Field(max_length=_ENTRIES_MAX)] = Field(default_factory=dict)
    """What models run on."""
    mitigations: Annotated[dict[str, Mitigation], Field(max_length=_ENTRIES_MAX)] = Field(default_factory=dict)
    """Ways out of nondeterminism."""
    presets: Annotated[dict[str, Preset], Field(max_length=_ENTRIES_MAX)] = Field(default_factory=dict)
    """Nondeterminism that was measured."""

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """Names can be named: on a command line, in a path, in a table."""
        yield from super().cross_checks(fields, data)
        for kind in KINDS:
            entries = data.get(kind)
            for name in entries if isinstance(entries, Mapping) else ():
                if not name or len(name) > 100 or "." in name or has_control_characters(name):
                    message = "a name must have 1 to 100 characters, no dot and no control characters"
                    yield Mistake((kind, name), message, name)
            yield from _alias_clashes(kind, fields.get(kind, {}))

    def entries(self, kind: Kind) -> Mapping[str, Entry]:
        """Entries of a kind, by name."""
        found: Mapping[str, Entry] = getattr(self, kind)
        return found

    def find(self, kind: Kind, name: str) -> str | None:
        """Name of the entry that a name or an alias means; None if there is none.

        Examples
        --------
        >>> builtin().find("models", "llama3_70b"), builtin().find("hardware", "my_old_card")
        ('llama3_70b_f16', None)
        """
        entries = self.entries(kind)
        if name in entries:
            return name
        return next((key for key, entry in entries.items() if name in entry.aliases), None)

    def meant(self, kind: Kind, name: str, where: str) -> str:
        """Name of the entry that a flag means.

        Raises
        ------
        ScenarioError
            There is none.
        """
        found = self.find(kind, name)
        if found is None:
            raise ScenarioError([Problem("", self.unknown(kind, name), name, where)])
        return found

    def unknown(self, kind: Kind, name: str) -> str:
        """Why a name is wrong, for a message."""
        return f"is not in the catalog of {kind}; {did_you_mean(name, self.entries(kind))}"


def _alias_clashes(kind: Kind, entries: Mapping[str, Entry]) -> Iterator[Mistake]:
    """Yield aliases that mean something else already, or can't be named."""
    owner = {name: name for name in entries}
    for name, entry in entries.items():
        for index, alias in enumerate(entry.aliases):
            other = owner.setdefault(alias, name)
            if other != name or alias in entry.aliases[:index]:
                yield Mistake((kind, name, "aliases", index), f"means {other} already", alias)
            elif has_control_characters(alias):
                yield Mistake((kind, name, "aliases", index), "must not hold control characters", alias)


@cache
def builtin() -> Catalog:
    """Return what is shipped, read once."""
    folder = resources.files("sim.catalog") / "data"
    tree: dict[str, Any] = {}
    for kind in KINDS:
        tree |= parse_document((folder / f"{kind}.yaml").read_text(encoding="utf-8"), f"{kind}.yaml").tree
    return Catalog.model_validate(tree)


def catalog_with(path: str | PathLike[str] | None) -> Catalog:
    """Return the shipped catalog with a user's own entries.

    Parameters
    ----------
    path
        A YAML file with any of `platforms`, `models`, `hardware`, `mitigations`, `presets`; None: only what is
        shipped. An entry of a new name is added; one of a known name replaces the figures that it gives.

    Raises
    ------
    ScenarioError
        Something is wrong with the file; one line a mistake, all at once, with its place.
    """
    if path is None:
        return builtin()
    document = read_document(Path(path))
    problems = list(document.problems)
    shipped = json.loads(builtin().model_dump_json(exclude_none=True))
    problems += [document.locate(problem) for problem in _other_kinds(shipped, document.tree)]
    try:
        merged = Catalog.model_validate(_merged(shipped, document))
    except ValidationError as error:
        problems += [document.locate(problem) for problem in problems_of(error)]
    if problems:
        raise ScenarioError(list(dict.fromkeys(problems)))
    return merged


def _merged(shipped: dict[str, Any], document: Document) -> dict[str, Any]:
    merged = dict(shipped)
    for kind, entries in document.tree.items():
        known = shipped.get(kind, {})
        if not isinstance(entries, dict):
            merged[kind] = entries
            continue
        merged[kind] = known | {name: _overlaid(known.get(name), entry) for name, entry in entries.items()}
    return merged


def _other_kinds(shipped: dict[str, Any], own: dict[str, Any]) -> Iterator[Problem]:
    """Yield entries that are shipped as something else: what names them would silently change its meaning."""
    for kind in ("hardware", "mitigations"):
        entries = own.get(kind)
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            known = shipped[kind].get(name, {}).get("kind")
            given = entry.get("kind", known) if isinstance(entry, dict) else known
            if known and given != known:
                yield Problem(f"{kind}.{name}.kind", f"must stay {known}, as {name} is shipped", given)


def _overlaid(known: Any, given: Any) -> Any:
    """What a user gives over what is shipped: figures as a whole, tables of figures one by one."""
    if not isinstance(known, dict) or not isinstance(given, dict) or "source" in known:
        return given
    return known | {key: _overlaid(known.get(key), value) for key, value in given.items()}
