"""What a report is about: rows, and what is said about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sim.sweeps.row import Row


@dataclass(frozen=True, slots=True)
class Account:
    """One answer in words.

    Parameters
    ----------
    setting
        Nodes, quorum, and how results are agreed.
    sentences
        What the numbers mean.
    measures
        Title and text of what there is besides outcomes: latency, messages, cost.
    outcomes
        Outcome to what it means.
    means
        Title, the mean, its 95 % interval, and what it counts.
    engine
        Who answered, and why.
    """

    setting: str
    sentences: Sequence[str]
    measures: Sequence[tuple[str, str]]
    outcomes: Mapping[str, str]
    means: Sequence[tuple[str, str, str, str]]
    engine: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that is already drawn.

    Parameters
    ----------
    kind
        Its media type, as `image/svg+xml`.
    content
        The file.
    caption
        What it shows.
    """

    kind: str
    content: bytes
    caption: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What a report is about.

    Parameters
    ----------
    rows
        The points of a sweep, or the only answer.
    version
        Version that made them.
    commands
        Command lines that make them again.
    account
        The only answer in words; None for a sweep.
    chart
        Messages of one block; None where there are none.
    notes
        What the reader should know about the report itself.
    """

    rows: Sequence[Row]
    version: str
    commands: Sequence[str]
    account: Account | None = None
    chart: Picture | None = None
    notes: Sequence[str] = ()
