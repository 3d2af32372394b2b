"""Texts of users, made safe for the places of a page where they stand."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from sim.base.text import printable


def text(value: object) -> str:
    r"""Make a text safe between tags and in attributes; what is not printable is shown by its escape.

    Examples
    --------
    >>> text("<b> & \x1b[2J")
    '&lt;b&gt; &amp; \\x1b[2J'
    """
    return escape(printable(str(value)))


def lines(value: str) -> str:
    r"""Make a text of several lines safe; its line ends stay.

    Examples
    --------
    >>> lines("a\n</pre>")
    'a\n&lt;/pre&gt;'
    """
    return "\n".join(text(line) for line in value.split("\n"))


def label(value: object) -> str:
    """Make a text safe in a figure: plotly reads markup in its labels, and few entities.

    Examples
    --------
    >>> label("<a href='x'>rate</a>")
    "&lt;a href='x'&gt;rate&lt;/a&gt;"
    """
    return escape(printable(str(value)), quote=False)


def script_json(value: Any) -> str:
    r"""Write plain values as JSON that can stand in a script element, and cannot end it.

    Examples
    --------
    >>> script_json(["</script>"])
    '["\\u003c/script\\u003e"]'
    """
    plain = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
