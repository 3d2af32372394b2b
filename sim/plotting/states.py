"""The state diagram of a protocol, drawn from the transitions that stand beside its machine."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sim.plotting.style import COLOURS, GREY, SMALL_PT, TEXT_PT, TITLE_PT, new_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.text import Text

    from sim.consensus.protocols.transitions import Transition

_COLUMN_IN, _ROW_IN, _LINE_IN = 1.9, 1.15, 0.19
_GAP_PT = 1.5
_BOX = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": "#222222", "linewidth": 1.0}


def state_diagram(name: str, transitions: Sequence[Transition]) -> Axes:
    """Draw phases as boxes, and what leads from one to another as numbered arrows.

    Parameters
    ----------
    name
        Title.
    transitions
        Arrows; the source of the first is where a replica begins.

    Returns
    -------
    Axes
        Of a new figure. Arrows of one event share a number and a colour, explained under the picture; an event that
        leads to the same phase from most others is drawn as one arrow from nowhere.
    """
    number = {event: index for index, event in enumerate(dict.fromkeys(arrow.event for arrow in transitions), 1)}
    place = _places(transitions)
    width, height = 1 + max(x for x, _ in place.values()), 1 + max(y for _, y in place.values())
    (axes,) = new_axes()
    figure = axes.get_figure(root=True)
    assert figure is not None  # noqa: S101 -- `new_axes` made it
    figure.set_size_inches(_COLUMN_IN * width + 0.6, _ROW_IN * height + _LINE_IN * len(number) + 0.9)
    box = {
        phase: axes.text(x, -y, phase, ha="center", va="center", bbox=_BOX, zorder=1, fontsize=TEXT_PT)
        for phase, (x, y) in place.items()
    }
    anywhere: Counter[str] = Counter()
    for (event, target), sources in _arrows(transitions).items():
        label, colour = str(number[event]), COLOURS[(number[event] - 1) % len(COLOURS)]
        if len(sources) > 2:
            _from_anywhere(axes, box[target], label, colour, anywhere[target])
            anywhere[target] += 1
            continue
        for source in sources:
            _arrow(axes, box[source], box[target], label, colour)
    axes.set_xlim(-0.6, width - 0.4)
    axes.set_ylim(0.55 - height, 0.6)
    axes.set_axis_off()
    axes.set_title(f"{name}: phases of a replica in one height", loc="left", weight="bold", fontsize=TITLE_PT)
    notes = "\n".join(f"{index:>2}   {event}{_anywhere(event, transitions)}" for event, index in number.items())
    axes.text(0, -0.02, notes, transform=axes.transAxes, ha="left", va="top", fontsize=SMALL_PT)
    return axes


def _arrows(transitions: Sequence[Transition]) -> dict[tuple[str, str], list[str]]:
    """From where each event leads to each phase."""
    found: dict[tuple[str, str], list[str]] = {}
    for arrow in transitions:
        found.setdefault((arrow.event, arrow.target), []).append(arrow.source)
    return found


def _anywhere(event: str, transitions: Sequence[Transition]) -> str:
    sources = [arrow.source for arrow in transitions if arrow.event == event]
    return f"  (from {', '.join(sources)})" if len(sources) > 2 else ""


def _places(transitions: Sequence[Transition]) -> dict[str, tuple[int, int]]:
    """Column and row of each phase: columns by steps from the beginning, leaving out what leads there from anywhere."""
    column = {transitions[0].source: 0}
    arrows = _arrows(transitions)
    for most in (2, len(transitions)):
        steps = [(s, target) for (_, target), sources in arrows.items() if len(sources) <= most for s in sources]
        while more := {
            target: 1 + max(column.get(source, 0) for source, end in steps if end == target)
            for begin, target in steps
            if begin in column and target not in column
        }:
            column |= more
    rows: dict[int, int] = {}
    place = {}
    for phase, step in column.items():
        place[phase] = (step, rows.get(step, 0))
        rows[step] = rows.get(step, 0) + 1
    return place


def _from_anywhere(axes: Axes, box: Text, label: str, colour: str, others: int) -> None:
    """An arrow from the upper left; further to the left, the more others there are."""
    x, y = box.get_position()
    begin = (x - 0.38 - 0.12 * others, y + 0.42)
    style = {"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": _GAP_PT, "patchB": box.get_bbox_patch()}
    axes.annotate("", (x, y), begin, arrowprops=style, zorder=2)
    axes.text(*begin, label, ha="center", va="bottom", fontsize=SMALL_PT, color=colour)


def _arrow(axes: Axes, begin: Text, end: Text, label: str, colour: str) -> None:
    (x, y), (to_x, to_y) = begin.get_position(), end.get_position()
    if begin is end:
        axes.text(x + 0.3, y + 0.2, f"{label} \N{CLOCKWISE OPEN CIRCLE ARROW}", fontsize=SMALL_PT, color=GREY)
        return
    bend = 0.22
    style = {
        "arrowstyle": "-|>",
        "color": colour,
        "connectionstyle": f"arc3,rad={bend}",
        "shrinkA": _GAP_PT,
        "shrinkB": _GAP_PT,
        "patchA": begin.get_bbox_patch(),
        "patchB": end.get_bbox_patch(),
    }
    axes.annotate("", (to_x, to_y), (x, y), arrowprops=style, zorder=2)
    middle = (x + to_x) / 2 + bend * (to_y - y) / 2, (y + to_y) / 2 - bend * (to_x - x) / 2
    halo = {"boxstyle": "circle,pad=0.12", "facecolor": "white", "edgecolor": "none"}
    axes.text(*middle, label, ha="center", va="center", fontsize=SMALL_PT, color=colour, zorder=3, bbox=halo)
