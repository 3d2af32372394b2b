"""Tables in HTML, for notebooks: whatever users wrote is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from sim.base.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def safe(text: str) -> str:
    r"""Escape markup, and make characters visible that would move or hide what follows.

    Examples
    --------
    >>> safe("<b>\x1b[2J")
    '&lt;b&gt;\\x1b[2J'
    """
    return escape(printable(text))


def table(title: str, header: Sequence[str], lines: Iterable[Sequence[str]], notes: Iterable[str] = ()) -> str:
    """Lay a table out: a caption, columns, and notes below it, each in a line.

    Parameters
    ----------
    title, header, lines, notes
        Plain texts; they are escaped here.
    """
    head = "".join(f"<th>{safe(cell)}</th>" for cell in header)
    body = "".join(f"<tr>{''.join(f'<td>{safe(cell)}</td>' for cell in line)}</tr>" for line in lines)
    below = "".join(f"<div>{safe(note)}</div>" for note in notes)
    return (
        f"<div><strong>{safe(title)}</strong>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}</div>"
    )
