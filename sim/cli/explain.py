"""`sim explain`: what a field of a scenario, or a word that a command prints, means."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sim.cli.vocabulary import Entry

_WIDTH = 100


def explain(
    *word: str,
    format: Literal["table", "json"] = "table",  # noqa: A002 -- the flag is --format
) -> int:
    """Explain a field of a scenario, or a word that a command prints: a column, a title, a key of the JSON output.

    For example: sim explain diverged nodes

    Fields may be written in full (nodes.gpu.count), or by the end of their path (count).

    Parameters
    ----------
    word
        What to explain; left out, everything.
    format
        Text for people, or JSON for scripts.
    """
    from sim.base.errors import Problem, ScenarioError
    from sim.base.text import bounded, did_you_mean
    from sim.cli.vocabulary import matching, vocabulary, words_of

    known = vocabulary()
    wanted = " ".join(word)
    found = matching(known, wanted) if word else known
    if not found:
        hint = did_you_mean(wanted, words_of(known))
        hint = hint if hint.startswith("did") else "`sim explain` alone lists all"
        raise ScenarioError([Problem("", f"is no word that is known; {hint}", bounded(wanted), "sim explain")])
    if format == "json":
        print(json.dumps([asdict(entry) for entry in found], indent=2))
    else:
        print("\n".join(_told(found)))
    return 0


def _told(entries: Sequence[Entry]) -> Iterator[str]:
    """A heading for each place, and below it the words."""
    from textwrap import wrap

    place = None
    for entry in entries:
        if entry.where != place:
            if place is not None:
                yield ""
            place = entry.where
            yield f"in {place}:" if place == "scenario" else f"{place}:"
        yield f"  {entry.word}"
        for text in filter(None, (entry.text, entry.values)):
            yield from wrap(text, _WIDTH, initial_indent="    ", subsequent_indent="    ", break_long_words=False)
