"""Recordings as the `empirical` difficulty replays them: groups of alike runs of each prompt, by hardware class."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.inference.calibration.choice import Choice
from sim.inference.calibration.counts import is_table
from sim.inference.calibration.observed import gather

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sim.inference.calibration.observed import Observed, Prompt

    Groups = tuple[tuple[int, ...], ...]


def read_tables(path: Path) -> dict[str, Any]:
    """Read what of a recording counts for a scenario; nothing else does, so that the scenario's id covers it.

    Parameters
    ----------
    path
        A recording, or a table of counts.

    Returns
    -------
    dict
        `columns`, `tables` and `per` of `Empirical`; tables in a fixed order.

    Raises
    ------
    ScenarioError
        The file cannot be read, or is no recording.
    """
    status = path.stat()
    return dict(_read(path, status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=8)
def _read(path: Path, _changed: int, _size: int) -> dict[str, Any]:
    """Read a file once for all points of a sweep, as long as it does not change."""
    observed = gather([path], Choice() if is_table(path) else Choice(by=("hardware",)))
    labels = {levels[0] if levels else "" for prompt in observed.prompts.values() for _, levels in prompt.runs}
    columns = sorted(labels)
    tables: Counter[Groups] = Counter()
    for prompt in observed.prompts.values():
        tables.update(_points(observed, prompt, columns))
    listed = [[tables[groups], [list(sizes) for sizes in groups]] for groups in sorted(tables)]
    return {"columns": columns, "tables": listed, "per": "token" if observed.forced else "request"}


def _points(observed: Observed, prompt: Prompt, columns: list[str]) -> Iterator[Groups]:
    """Yield the groups of each decision point of a prompt, largest first."""
    if not observed.forced:
        yield _groups(prompt, columns, lambda output: output)
        return
    for position in range(len(next(iter(prompt.tokens.values())))):
        yield _groups(prompt, columns, lambda output, at=position: prompt.tokens[output][at])


def _groups(prompt: Prompt, columns: list[str], answer: Any) -> Groups:
    sizes: defaultdict[int, list[int]] = defaultdict(lambda: [0] * len(columns))
    for (output, levels), number in prompt.runs.items():
        sizes[answer(output)][columns.index(levels[0] if levels else "")] += number
    return tuple(sorted((tuple(group) for group in sizes.values()), key=lambda group: (-sum(group), group)))
