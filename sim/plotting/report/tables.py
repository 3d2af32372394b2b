"""Tables of the page: the numbers, without JavaScript."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.consensus.tally import Outcome
from sim.engines.told import interval
from sim.plotting import style
from sim.plotting.report.escape import text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sim.engines.result import Estimate, Result
    from sim.plotting.report.filters import Filters
    from sim.plotting.report.subject import Account
    from sim.sweeps.row import Row

OUTCOMES = tuple(Outcome.__members__)


def outcome_table(result: Result, account: Account) -> str:
    """Make the table of a single answer: outcomes, block failure, and means."""
    lines = [
        _line([name, probability(each), _interval(each), account.outcomes.get(name, "")])
        for name, each in result.outcomes.items()
    ]
    failure = result.block_failure
    lines.append(
        _line(["block failure", probability(failure), _interval(failure), account.outcomes["block failure"]], "total")
    )
    lines += [_line(list(mean)) for mean in account.means]
    return _table(["outcome", "probability", "95 % interval", ""], lines)


def point_table(rows: Sequence[Row], filters: Filters, room: int) -> tuple[str, int]:
    """Make the table of a sweep's points.

    Parameters
    ----------
    rows
        Its points.
    filters
        What a reader can choose: lines bear the numbers of their values.
    room
        Characters that the table may take.

    Returns
    -------
    tuple of str and int
        The table, and how many points it has: those that fit.
    """
    axes = list(dict.fromkeys(axis for row in rows for axis in row.coordinates))
    extra = {title: cell for title, cell in _EXTRA.items() if any(row.result and cell(row.result) for row in rows)}
    header = [*axes, "block failure", "95 % interval", "one block in", *OUTCOMES, *extra, "blocks", "engine", "id"]
    lines: list[str] = []
    for row in rows:
        cells = [_coordinate(row, name) for name in axes] + _answer(row, extra)
        keys = " ".join(str(key) for key in filters.keys(row))
        line = _line(cells, data=keys)
        room -= len(line) + 1
        if room < 0:
            break
        lines.append(line)
    return _table(header, lines, wide=True), len(lines)


def probability(estimate: Estimate) -> str:
    """Tell a probability in five digits."""
    return f"{estimate.probability:.5g}"


def _interval(estimate: Estimate) -> str:
    return interval(estimate, exact=estimate.count is None)


def definitions(pairs: Sequence[tuple[str, str]]) -> str:
    """Make a list of titles and texts."""
    lines = (f"<tr><th scope=row>{text(title)}<td>{text(told)}" for title, told in pairs)
    return f'<div class="scroll"><table class="settings">{"".join(lines)}</table></div>'


def _answer(row: Row, extra: dict[str, Callable[[Result], str]]) -> list[str]:
    identity = row.scenario.scenario_id[:12]
    result = row.result
    if result is None:
        why = f"failed: {row.error}" if row.error else "not answered yet"
        return [why, *[""] * (8 + len(extra)), identity]
    failure = result.block_failure
    often = style.one_in(failure.probability) if failure.probability else ""
    others = [f"{result.outcomes[name].probability:.4g}" for name in OUTCOMES]
    measured = [cell(result) for cell in extra.values()]
    blocks = "" if result.blocks is None else f"{result.blocks:,}"
    return [probability(failure), _interval(failure), often, *others, *measured, blocks, result.engine, identity]


def _latency(result: Result) -> str:
    latency = result.timing.latency_s if result.timing else None
    return f"{latency['p50']:.4g}, {latency['p95']:.4g}, {latency['p99']:.4g}" if latency else ""


def _rate(result: Result) -> str:
    timing = result.timing
    return f"{timing.blocks_per_s:.4g}" if timing and timing.blocks_per_s is not None else ""


def _messages(result: Result) -> str:
    return f"{result.timing.messages_per_block:,.5g}" if result.timing else ""


_EXTRA: dict[str, Callable[[Result], str]] = {
    "latency p50, p95, p99 (s)": _latency,
    "blocks a second": _rate,
    "messages a block": _messages,
}


def _coordinate(row: Row, name: str) -> str:
    return str(row.coordinates.get(name, ""))


def _line(cells: Sequence[str], kind: str = "", data: str | None = None) -> str:
    marks = (f' class="{kind}"' if kind else "") + (f' data-keys="{data}"' if data is not None else "")
    return f"<tr{marks}>" + "".join(f"<td>{text(cell)}" for cell in cells)


def _table(header: Sequence[str], lines: Sequence[str], *, wide: bool = False) -> str:
    head = "".join(f"<th scope=col>{text(title)}" for title in header)
    kind = ' class="points"' if wide else ""
    body = "\n".join(lines)
    return f'<div class="scroll"><table{kind}><thead><tr>{head}<tbody>\n{body}\n</table></div>'
