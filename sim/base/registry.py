"""One registry for everything that is chosen by a `kind`: built-in classes, and those of other packages.

Built-in classes are named by import path and loaded on first use. Outside packages add theirs through an entry
point group (`sim.difficulty`, `sim.protocols`, `sim.matching`, `sim.latency`); it is looked at only for a name that is
not built in, so that an installed plug-in costs nothing until it is used, and can't replace what is built in.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import entry_points
from inspect import get_annotations
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from sim.base.errors import PluginError
from sim.base.late import named
from sim.base.text import did_you_mean, printable


@dataclass(frozen=True)
class Registry:
    """The classes that a key of the scenario may name.

    Parameters
    ----------
    key
        The key whose value chooses the class (`kind`, `difficulty`).
    builtin
        Name to `module:Class`.
    group
        Entry point group for outside packages; empty if there is none.
    default
        The name meant where the key is absent; empty if the key is required.
    base
        `module:Class` that outside classes derive from; empty if that does not matter.
    """

    key: str
    builtin: Mapping[str, str]
    group: str = ""
    default: str = ""
    base: str = ""
    _loaded: dict[str, type[Any]] = field(default_factory=dict, compare=False)

    def names(self) -> list[str]:
        """Names that can be used, built in first."""
        return [*self.builtin, *sorted(self._outside().keys() - self.builtin.keys())]

    def load(self, name: str) -> type[Any]:
        """Return the class of that name.

        Raises
        ------
        KeyError
            Nothing of that name is built in or installed.
        PluginError
            What is installed cannot be used.
        """
        if name not in self._loaded:
            built_in = name in self.builtin
            self._loaded[name] = named(self.builtin[name]) if built_in else self._from_outside(name)
        return self._loaded[name]

    def _from_outside(self, name: str) -> type[Any]:
        point = self._outside()[name]
        what = f"{self.key} {name} of an installed package ({point.value})"
        try:
            found = point.load()
        except Exception as error:  # noqa: BLE001 -- of a module that is anybody's
            raise PluginError(f"{what} cannot be loaded: {type(error).__name__}: {printable(str(error))}") from None
        base = named(self.base) if self.base else object
        if not isinstance(found, type) or not issubclass(found, base):
            raise PluginError(f"{what} is no class that derives from {self.base or 'object'}")
        lacking = [
            *getattr(found, "__abstractmethods__", ()),
            *(one for one in _declared(base) if not hasattr(found, one)),
        ]
        if lacking:
            raise PluginError(f"{what} lacks {', '.join(sorted(lacking))}")
        return found

    def validate(self, value: Any) -> Any:
        """Validate a mapping with the class that its key names; an instance passes as it is."""
        if not isinstance(value, dict):
            if any(isinstance(value, self.load(name)) for name in self.builtin) or type(value) in self._loaded.values():
                return value
            raise PydanticCustomError("mistake", "must be a mapping")
        name = value.get(self.key, self.default)
        if self.key not in value and not self.default:
            misspelt = difflib.get_close_matches(self.key, map(str, value), n=1)
            raise _wrong(
                value,
                (
                    self.key,
                    PydanticCustomError("mistake_without_value", "{text}", {"text": f"is required: {self._choices()}"}),
                ),
                *((key, _unknown(self.key)) for key in misspelt),
            )
        if not isinstance(name, str):
            raise _wrong(value, (self.key, _mistake(f"must be {self._choices()}")))
        try:
            chosen = self.load(name)
        except KeyError:
            hint = did_you_mean(name, self.names())
            message = f"must be {self._choices()}" + (f"; {hint}" if hint.startswith("did") else "")
            raise _wrong(value, (self.key, _mistake(message))) from None
        return chosen.model_validate(value)

    def validate_name(self, value: Any) -> str:
        """Validate a name that stands by itself."""
        if isinstance(value, str) and (value in self.builtin or value in self._outside()):
            return value
        known = self.names()
        hint = did_you_mean(value, known) if isinstance(value, str) else ""
        message = f"must be one of {', '.join(known)}" + (f"; {hint}" if hint.startswith("did") else "")
        raise PydanticCustomError("mistake", "{text}", {"text": message})

    def _choices(self) -> str:
        return f"one of {', '.join(self.names())}"

    def _outside(self) -> Mapping[str, Any]:
        return _installed(self.group, tuple(sys.path)) if self.group else {}


@lru_cache(maxsize=32)
def _installed(group: str, _path: tuple[str, ...]) -> Mapping[str, Any]:
    """Entry points of a group: finding them takes milliseconds, so they are looked for once on each module path."""
    return {point.name: point for point in entry_points(group=group)}


def _declared(base: type[Any]) -> list[str]:
    """Class variables that a class declares, with a value or without."""
    return [name for name, kind in get_annotations(base).items() if "ClassVar" in str(kind)]


def _abstract(found: type[Any]) -> frozenset[str]:
    """Methods that a class leaves to those which derive from it."""
    return getattr(found, "__abstractmethods__", frozenset())


def _mistake(text: str) -> PydanticCustomError:
    return PydanticCustomError("mistake", "{text}", {"text": text})


def _unknown(key: str) -> PydanticCustomError:
    text = f"unknown key, did you mean {key}?"
    return PydanticCustomError("mistake_without_value", "{text}", {"text": text})


def _wrong(value: dict[str, Any], *mistakes: tuple[str, PydanticCustomError]) -> ValidationError:
    """Build the error for keys of a mapping."""
    details = [InitErrorDetails(type=kind, loc=(key,), input=value.get(key)) for key, kind in mistakes]
    return ValidationError.from_exception_data("kind", details)
