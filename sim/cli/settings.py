"""A part of a scenario in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.base.text import printable

if TYPE_CHECKING:
    from sim.base.model import FrozenModel


def settings_of(part: FrozenModel) -> str:
    """Keys and values of what is set."""
    return printable(", ".join(_shown(key, value) for key, value in part.model_dump(exclude_none=True).items()))


def _shown(key: str, value: object) -> str:
    if value is True:
        return key
    return f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
