"""The page: its sections, one after the other, and the scripts that it carries."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from sim.base.errors import Problem, ScenarioError
from sim.base.text import bounded
from sim.plotting import style
from sim.plotting.report import bars
from sim.plotting.report.again import again
from sim.plotting.report.curves import Along, failure_curve, point_name, timed_curves
from sim.plotting.report.escape import script_json, text
from sim.plotting.report.filters import Filters
from sim.plotting.report.heat import heat_maps
from sim.plotting.report.tables import definitions, outcome_table, point_table
from sim.plotting.report.words import scenario_words
from sim.plotting.view import numeric_axes, shared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim.plotting.report.figure import Figure
    from sim.plotting.report.subject import Picture, Subject
    from sim.sweeps.row import Row

BYTES_MAX = 6_000_000
_DESCRIPTION_MAX = 4_000
_MARGIN = 20_000  # for what stands around the table
_CLOSED = "default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; script-src"


def page(subject: Subject, plotly: str) -> str:
    """Write the page.

    Parameters
    ----------
    subject
        What it is about.
    plotly
        plotly's script.

    Returns
    -------
    str
        HTML. The same subject gives the same text.

    Raises
    ------
    ScenarioError
        It would have 6 MB or more.
    """
    rows, plotly = subject.rows, plotly.replace("\r\n", "\n")  # as a browser reads it before it takes its hash
    answered = [row for row in rows if row.result is not None]
    axes = numeric_axes(answered)
    along = Along.of(answered, axes[0] if axes else None)
    figures = _figures(subject, along, axes, answered)
    before = [*_head(subject, answered), *_drawn(figures, along.filters), *_chart(subject.chart)]
    after = [*again(subject), *_scripts(figures, plotly)]
    policy = _policy(figures, plotly)
    used = sum(len(part.encode()) for part in (*before, *after))
    table = _points(subject, along.filters, BYTES_MAX - used - _MARGIN) if subject.account is None else []
    title = text(bounded(rows[0].scenario.name))
    html = "\n".join([*_opened(title, policy), *before, *table, *after, "</html>", ""])
    if len(html.encode()) >= BYTES_MAX:
        raise ScenarioError([Problem("", "would have more than 6 MB: report fewer points", where="report")])
    return html


def _opened(title: str, policy: str) -> list[str]:
    style_sheet = _packaged("page.css")
    return [
        '<!doctype html>\n<html lang="en">',
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="icon" href="data:,">',
        f"<title>{title}</title>\n<style>\n{style_sheet}</style>",
    ]


def _figures(subject: Subject, along: Along, axes: Sequence[str], answered: Sequence[Row]) -> list[Figure]:
    """All figures that there is something to draw in."""
    if not answered:
        return []
    if subject.account is not None:
        result = answered[0].result
        first = bars.outcomes(result) if result else None
        return [*([first] if first else []), *(bars.timed(result.timing) if result and result.timing else [])]
    curve = failure_curve(along)
    heat = heat_maps(answered, axes[0], axes[1]) if len(axes) > 1 else None
    return [*(figure for figure in (curve, heat) if figure), *timed_curves(along)]


def _head(subject: Subject, answered: Sequence[Row]) -> list[str]:
    """What was asked, and what was found."""
    scenario = subject.rows[0].scenario
    parts = [f"<h1>{text(bounded(scenario.name))}</h1>"]
    parts += [f"<p>{text(line)}</p>" for line in scenario.description[:_DESCRIPTION_MAX].splitlines() if line.strip()]
    account = subject.account
    setting = account.setting if account else f"{_points_told(len(subject.rows))}: {shared(answered or subject.rows)}"
    parts.append(f'<p class="soft">{text(setting)}</p>')
    if account and answered and answered[0].result:
        parts += [f'<p class="finding">{text(sentence)}</p>' for sentence in account.sentences]
        parts.append(f'<p class="soft">{text(account.engine)}</p>')
    elif answered:
        parts.append(f'<p class="finding">{text(_span(answered))}</p>')
    parts += _warnings(subject, answered)
    measured = dict(account.measures) if account else {}
    words = [(title, told) for title, told in scenario_words(subject.rows) if title not in measured]
    parts += ["<h2>The scenario</h2>", definitions(words)]
    if account and answered and answered[0].result:
        parts += ["<h2>Outcomes of a block</h2>", outcome_table(answered[0].result, account)]
        parts += ["<h2>Measures and settings</h2>", definitions(account.measures)] if account.measures else []
    return parts


def _points_told(number: int) -> str:
    return f"{number:,} point{'s' * (number != 1)}"


def _span(answered: Sequence[Row]) -> str:
    """The lowest and the highest block failure, and where they are."""
    found = sorted(
        ((row.result.block_failure.probability, row) for row in answered if row.result), key=lambda pair: pair[0]
    )
    (low, least), (high, most) = found[0], found[-1]
    if high == 0:
        return "No block fails at any point."
    if low == high:
        where = " at every point" if len(answered) > 1 else ""
        return f"Blocks fail with probability {high:.4g}{where}: one block in {style.one_in(high)}."
    exact = least.result is not None and least.result.block_failure.count is None
    lowest = f"{low:.4g}" if low else "0" if exact else "none seen"
    return f"Block failure goes from {lowest} ({point_name(least)}) to {high:.4g} ({point_name(most)})."


def _warnings(subject: Subject, answered: Sequence[Row]) -> list[str]:
    """Warnings of all points, each once."""
    counted: dict[str, int] = {}
    for row in answered:
        for warning in row.result.warnings if row.result else ():
            counted[warning] = counted.get(warning, 0) + 1
    told = [
        f"{warning}{'' if count == len(answered) else f' ({count:,} of {len(answered):,} points)'}"
        for warning, count in counted.items()
    ]
    missing = len(subject.rows) - len(answered)
    if missing:
        told.append(f"{missing:,} of {len(subject.rows):,} points have no answer")
    told += subject.notes
    if not told:
        return []
    return ["<h2>Warnings</h2>", '<ul class="warnings">', *(f"<li>{text(line)}" for line in told[:50]), "</ul>"]


def _drawn(figures: Sequence[Figure], filters: Filters) -> list[str]:
    """Places for the figures; scripts fill them."""
    parts = []
    if figures:
        parts.append('<noscript><p class="note">Figures need JavaScript; the tables have the numbers.</p></noscript>')
    for figure in figures:
        parts.append(f"<h2>{text(figure.title)}</h2>")
        if figure.name == "failure" and filters.axes:
            parts.append(_filters(filters))
        if figure.name == "heat" and len(figure.data) > 1:
            parts.append(_pick(figure))
        caption = text(figure.caption)
        parts.append(f'<figure><div class="plot" id="{figure.name}"></div><figcaption>{caption}</figcaption></figure>')
    return parts


def _filters(filters: Filters) -> str:
    boxes = []
    for index, (name, values) in enumerate(filters.axes.items()):
        options = "".join(f'<option value="{number}">{text(bounded(v))}' for number, v in enumerate(values))
        select = f'<select data-axis="{index}"><option value="">all{options}</select>'
        boxes.append(f"<label>{text(bounded(name))} {select}</label>")
    return f'<div class="filters" hidden>Show: {"".join(boxes)}</div>'


def _pick(figure: Figure) -> str:
    options = "".join(f'<option value="{index}">{trace["name"]}' for index, trace in enumerate(figure.data))
    return f'<div class="filters" hidden><label>At <select id="heat-pick">{options}</select></label></div>'


def _chart(picture: Picture | None) -> list[str]:
    if picture is None:
        return []
    source = f"data:{picture.kind};base64,{b64encode(picture.content).decode('ascii')}"
    caption = text(picture.caption)
    return [
        "<h2>Messages of one block</h2>",
        f'<figure><img alt="{caption}" src="{source}"><figcaption>{caption}</figcaption></figure>',
    ]


def _points(subject: Subject, filters: Filters, room: int) -> list[str]:
    table, number = point_table(subject.rows, filters, room)
    parts = ["<h2>All points</h2>", table]
    if number < len(subject.rows):
        parts.append(f'<p class="note">The first {number:,} of {len(subject.rows):,} points; all: sim results.</p>')
    return parts


def _scripts(figures: Sequence[Figure], plotly: str) -> list[str]:
    if not figures:
        return []
    data = script_json([{"name": f.name, "data": f.data, "layout": f.layout} for f in figures])
    return [
        f'<script type="application/json" id="figures">{data}</script>',
        f"<script>{plotly}</script>",
        f"<script>{_packaged('page.js')}</script>",
    ]


def _policy(figures: Sequence[Figure], plotly: str) -> str:
    """Let the page load nothing, and run these two scripts only."""
    if not figures:
        return f"{_CLOSED} 'none'"
    hashes = (b64encode(sha256(script.encode()).digest()).decode() for script in (plotly, _packaged("page.js")))
    return " ".join([_CLOSED, *(f"'sha256-{each}'" for each in hashes)])


def _packaged(name: str) -> str:
    return files("sim.plotting.report").joinpath(name).read_text(encoding="utf-8")
