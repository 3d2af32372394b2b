"""Text from users, made safe to show: bounded, printable, on one line."""

from __future__ import annotations

import difflib
import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SHOWN_CHARACTERS_MAX = 60
PATH_CHARACTERS_MAX = 200
_WORD = re.compile(r"[A-Za-z][\w./-]{0,60}", re.ASCII)


def has_control_characters(text: str, *, allow: str = "") -> bool:
    r"""Tell whether a text holds characters that can move a cursor, hide or reorder what follows.

    Examples
    --------
    >>> has_control_characters("h100"), has_control_characters("h100\x1b[2J")
    (False, True)
    """
    return any(not (character.isprintable() or character in allow) for character in text)


def printable(text: str) -> str:
    r"""Replace every character that is not printable by its escape.

    Examples
    --------
    >>> printable("a\nb")
    'a\\nb'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def bounded(text: str, longest: int = PATH_CHARACTERS_MAX) -> str:
    """Make a text printable, and shorten it.

    Examples
    --------
    >>> bounded("a" * 300, 10)
    'aaaaaaa...'
    """
    text = printable(text[: longest + 1])
    return text if len(text) <= longest else text[: longest - 3] + "..."


def shown(value: object) -> str:
    """Show a value as the user wrote it, or close to it, in at most 60 characters.

    Examples
    --------
    >>> shown(float("inf")), shown(True), shown("near tie"), shown({"a": 1})
    ('.inf', 'true', "'near tie'", '{a: 1}')
    """
    return bounded(_plain(value), SHOWN_CHARACTERS_MAX)


def _plain(value: object, depth: int = 2, *, nested: bool = False) -> str:  # noqa: PLR0911 -- one line a type
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > 1000:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, float) and (written := getattr(value, "text", "")):
        return str(written)
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    if isinstance(value, str):
        return value if nested and _WORD.fullmatch(value) else repr(value[: 2 * SHOWN_CHARACTERS_MAX])
    if isinstance(value, (dict, list, tuple)) and not depth:
        return "..."
    if isinstance(value, dict):
        items = list(value.items())[:8]
        return "{" + ", ".join(f"{k}: {_plain(v, depth - 1, nested=True)}" for k, v in items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_plain(v, depth - 1, nested=True) for v in value[:8]) + "]"
    return str(value)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """End a message with the closest known word, or with all of them.

    Examples
    --------
    >>> did_you_mean("cuont", ["count", "executor"])
    'did you mean count?'
    >>> did_you_mean("xyz", ["count", "executor"])
    'known: count, executor'
    """
    words = sorted(known)
    close = difflib.get_close_matches(word[:100].lower(), words, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(words)}"
