"""The message sequence chart of one height: nodes as lines, time from left to right, messages as arrows."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from sim.analysis.height import BACK
from sim.plotting.chart_words import (
    INK,
    MESSAGES,
    RED,
    by_quorum,
    claims,
    ended,
    letter,
    merged,
    messages,
    named,
    ordinal,
    protocol_told,
    tint,
)
from sim.plotting.style import DASHES, GREY, LITERAL, SMALL_PT, drawable, frame, head, new_axes
from sim.plotting.view import refuse
from sim.plotting.warp import Warp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from matplotlib.axes import Axes

    from sim.analysis.height import Flight, Height

NODES_MAX = 64
HEADS_MAX, ARROWS_MAX = 120, 1_200
_KINDS_MAX, _DASHED, _NIL = 24, len(DASHES) - 1, DASHES[-1]
_WIDTH_IN, _LANE_IN = 11.0, 0.22
_ROW_IN, _NARROW_IN, _ROOMY = 0.36, 0.24, 16  # a node's share of the height, up to so many nodes
_SYMBOLS = ("^", "D", "o", "s", "P", "v", "h", "*", "<", ">", "p", "8", "X", "d")
_ABSENT = {"diverge": "away", "cut": "cut off"}
_EVENT_CHARACTERS, _ANSWERS_TOLD = 32, 8
_ROUND_ROWS = 2
_ORDINARY = 8  # times the median delay
_CHARACTER = 0.0068  # of the width: a character in a label
_STUB = 0.22  # of a cut, on either side: where lines still show


def chart(height: Height, axes: Axes | None = None) -> Axes:
    """Draw the message sequence chart of a height.

    Parameters
    ----------
    height
        What happened at it.
    axes
        Where to draw; by default on a new figure of a fitting size.

    Returns
    -------
    Axes
        With the picture. What is left out is said on it.

    Raises
    ------
    ScenarioError
        It has more nodes, or types of messages, than a picture can show.
    """
    n, kinds = height.scenario.node_count, {flight.kind for flight in height.flights}
    kinds |= {moment.name for moment in height.moments if moment.what == "timeout"}
    if n > NODES_MAX:
        raise refuse(f"a chart has at most {NODES_MAX} nodes (the trace has {n:,})")
    if len(kinds) > _KINDS_MAX:
        raise refuse(f"a chart has at most {_KINDS_MAX} types of messages and timers (the trace has {len(kinds):,})")
    return _Chart(height, axes).draw()


class _Chart:
    """One picture while it is drawn."""

    def __init__(self, height: Height, axes: Axes | None) -> None:
        self.height, self.scenario = height, height.scenario
        self.n = self.scenario.node_count
        self.kinds = list(dict.fromkeys(flight.kind for flight in height.flights))
        self.colour = {kind: MESSAGES[index % len(MESSAGES)] for index, kind in enumerate(self.kinds)}
        self.timers = [moment for moment in height.moments if moment.what == "timeout"]
        self.clocks = list(dict.fromkeys(moment.name for moment in self.timers))
        self.lanes = len(self.kinds) + len(self.clocks)
        self.row_in = _ROW_IN if self.n <= _ROOMY else _NARROW_IN
        self.about = list(dict.fromkeys(flight.about for flight in height.flights if flight.about is not None))
        self.names = {about: named(about, self.about) for about in self.about}
        answers = sorted((one for one in self.about if isinstance(one, int)), key=lambda one: (one < 0, abs(one)))
        both: list[list[Any]] = [answers, [one for one in self.about if isinstance(one, tuple)]]
        self.dashes = {one: DASHES[min(index, _DASHED - 1)] for some in both for index, one in enumerate(some)}
        self.several = [one for some in both if len(some) > 1 for one in some[:_DASHED]]
        self.warp = self._warp()
        self.notes: list[str] = []
        self.absences: set[str] = set()
        self.events, self.votes = protocol_told(self.scenario.consensus.protocol)
        self.axes = axes or self._sized()
        lying = [(name, self.scenario.faults.of(name)) for name in self.scenario.numbering]
        self.lying = {node for name, b in lying if b for node in self.scenario.numbering[name][-b:]}

    def _sized(self) -> Axes:
        (axes,) = new_axes()
        figure = axes.get_figure(root=True)
        assert figure is not None  # noqa: S101 -- `new_axes` made it
        figure.set_size_inches(_WIDTH_IN, 2.3 + self.row_in * self.n + _LANE_IN * self.lanes)
        return axes

    def _warp(self) -> Warp:
        """Times, without messages that are held up for long, or sent after the end, as those of a state sync."""
        end = self.height.ending.time if self.height.ending else float("inf")
        sent = [flight for flight in self.height.flights if flight.time <= end]
        flights = [(flight.time, at) for flight in sent for _, at in flight.copies]
        delays = [at - time for time, at in flights if at <= end] or [at - time for time, at in flights] or [0.0]
        usual = _ORDINARY * median(delays)
        self.ordinary = [(time, at) for time, at in flights if at - time <= usual]
        times = [self.height.started, *(moment.time for moment in self.height.moments)]
        times += [flight.time for flight in sent] + [at for _, at in self.ordinary]
        if self.height.ending:
            times.append(end)
        times += [change.time for change in self.height.changes if change.time < max(times)]
        return Warp(times, self.ordinary)

    def lane(self, index: int) -> float:
        """Where a lane above the nodes is."""
        return 0.25 + (self.lanes - index) * _LANE_IN / self.row_in

    def draw(self) -> Axes:
        """Draw everything."""
        for node in range(self.n):
            self._node(node)
        self._flights()
        self._lanes()
        self._rounds()
        self._cuts()
        self._ending()
        symbols = self._moments()
        self._frame()
        self._key(symbols)
        return self.axes

    # Nodes.

    def _node(self, node: int) -> None:
        axes, x = self.axes, self.warp.x
        lying, y = node in self.lying, -node
        own = [moment for moment in self.height.moments if moment.node == node]
        done = [moment for moment in own if moment.what == "executed"]
        for start, end, why in self._stretches(node):
            if why is None:
                axes.plot([x(start), x(end)], [y, y], color="black" if lying else "#999999", linewidth=0.7, zorder=1)
                for since, until in pairwise([*(moment.time for moment in done), self.warp.last]):
                    said = next(moment for moment in done if moment.time == since)
                    if max(start, since) < min(end, until):
                        self._band(x(max(start, since)), x(min(end, until)), y, claims(said))
            else:
                box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
                told = f"  {_ABSENT.get(why, 'down')}"
                axes.text(x(start), y, told, va="center", fontsize=SMALL_PT, color=GREY, zorder=3.5, bbox=box)
                self.absences.add(why)
        result = self.height.results[node] if node < len(self.height.results) else None
        weight = "bold" if node in self._led() else "normal"
        self._text(-0.032, y, f"{self._group(node)} {node}{', Byzantine' * lying}", ha="right", weight=weight)
        if not lying and result is not None and (done or node not in self.height.down):
            shown = {"facecolor": tint(result), "edgecolor": "none", "boxstyle": "round,pad=0.15"}
            self._text(-0.008, y, letter(result), ha="right", weight="bold", bbox=shown)
        if not lying:
            told, colour = ended(own, self.names)
            self._text(1.008, y, told, ha="left", color=colour)

    def _led(self) -> dict[int, int]:
        """Leaders of the rounds that were begun, with their first round."""
        last = max((moment.round for moment in self.height.moments if moment.what == "phase"), default=0)
        found: dict[int, int] = {}
        for round_, leader in enumerate(self.height.leaders[: last + 1]):
            found.setdefault(leader, round_)
        return found

    def _group(self, node: int) -> str:
        if len(self.scenario.numbering) == 1:
            return "node"
        return next(name for name, numbers in self.scenario.numbering.items() if node in numbers)[:16]

    def _stretches(self, node: int) -> Iterator[tuple[float, float, str | None]]:
        """Yield stretches within the picture in which a node works (None), or the event since which it does not."""
        start, why = self.warp.first, self.height.down.get(node)
        for change in self.height.changes:
            now = None if change.what in BACK else change.what
            if change.node == node and now != why and change.time < self.warp.last:
                yield start, change.time, why
                start, why = change.time, now
        yield start, self.warp.last, why

    def _band(self, left: float, right: float, y: float, said: Sequence[int]) -> None:
        for index, result in enumerate(said[:2]):
            offset = 0.0 if len(said) == 1 else 0.12 - 0.24 * index
            width = 7 if len(said) == 1 else 3.5
            self.axes.plot(
                [left, right],
                [y + offset] * 2,
                color=tint(result),
                alpha=0.45,
                linewidth=width,
                solid_capstyle="butt",
                zorder=0,
            )

    # Messages.

    def _flights(self) -> None:
        flights = self.height.flights
        total = sum(len(flight.copies) for flight in flights)
        step = 1
        while step < self.n and sum(len(f.copies) for f in flights if self._drawn(f, step)) > ARROWS_MAX:
            step += 1
        kept = [flight for flight in flights if self._drawn(flight, step)]
        drawn = sum(len(flight.copies) for flight in kept)
        if drawn < total:
            self.notes.append(
                f"{drawn:,} of {total:,} arrows are drawn: every {ordinal(step)} sender's, and the leader's"
            )
        if drawn <= HEADS_MAX:
            for flight in kept:
                self._arrows(flight)
        else:
            self._lines(kept, drawn)
            self.notes.append("arrow heads are left out: messages go from left to right")
        late = sum(at > self.warp.last for flight in flights for _, at in flight.copies)
        if late:
            self.notes.append(f"not drawn: {messages(late)} that arrive{'s' * (late == 1)} after the end")
        if len(self.kinds) > len(MESSAGES):
            self.notes.append(f"types of messages share {len(MESSAGES)} colours")

    def _arriving(self, flight: Flight) -> list[tuple[int, float]]:
        """Copies that arrive while the picture lasts."""
        return [(receiver, at) for receiver, at in flight.copies if at <= self.warp.last]

    def _drawn(self, flight: Flight, step: int) -> bool:
        return flight.sender % step == 0 or flight.sender in self.height.leaders[:1]

    def _arrows(self, flight: Flight) -> None:
        start = (self.warp.x(flight.time), -flight.sender)
        style = {
            "arrowstyle": "-|>,head_width=0.16,head_length=0.34",
            "color": self.colour[flight.kind],
            "linewidth": 0.9,
            "linestyle": self._dash(flight),
            "shrinkA": 0,
            "shrinkB": 1,
        }
        for receiver, at in self._arriving(flight):
            self.axes.annotate("", (self.warp.x(at), -receiver), start, arrowprops=style, zorder=2)

    def _lines(self, flights: Iterable[Flight], drawn: int) -> None:
        from matplotlib.collections import LineCollection

        grouped: dict[tuple[str, Any], list[Any]] = {}
        for flight in flights:
            start = (self.warp.x(flight.time), -flight.sender)
            lines = [(start, (self.warp.x(at), -receiver)) for receiver, at in self._arriving(flight)]
            grouped.setdefault((flight.kind, self._dash(flight)), []).extend(lines)
        width = 0.7 if drawn < 300 else 0.5
        for (kind, dash), lines in grouped.items():
            found = LineCollection(lines, colors=self.colour[kind], linestyles=[dash], linewidths=width, alpha=0.6)
            found.set_zorder(2)
            self.axes.add_collection(found, autolim=False)

    def _dash(self, flight: Flight) -> Any:
        """Line style of what a message carries: what comes first is solid."""
        if flight.about is None:
            return _NIL if self._nil(flight) else DASHES[0]
        return self.dashes[flight.about]

    def _nil(self, flight: Flight) -> bool:
        """Whether it is a vote for nothing."""
        return flight.about is None and flight.kind in self.votes

    def _lanes(self) -> None:
        """Over the nodes, one line for each type: when such messages are on their way, and how many there are."""
        copies = Counter[str]()
        for flight in self.height.flights:
            copies[flight.kind] += len(flight.copies)
        for index, kind in enumerate(self.kinds):
            y, colour = self.lane(index), self.colour[kind]
            spans = [
                (flight.time, at)
                for flight in self.height.flights
                if flight.kind == kind and flight.time <= self.warp.last
                for _, at in self._arriving(flight) or ((0, flight.time),)
            ]
            for start, end in merged(spans):
                left, right = self.warp.x(start), min(self.warp.x(end), self.warp.width)
                self.axes.plot([left, right], [y, y], color=colour, linewidth=4, solid_capstyle="butt", zorder=2)
            self._text(-0.008, y, f"{kind}  {copies[kind]:,}", ha="right", color=colour, weight="bold")
        self._timers()

    def _timers(self) -> None:
        for index, name in enumerate(self.clocks, len(self.kinds)):
            y, out = self.lane(index), [moment for moment in self.timers if moment.name == name]
            self._text(-0.008, y, f"{name} timer  {len(out):,}", ha="right", color=RED, weight="bold")
            for moment in out:
                x = self.warp.x(moment.time)
                self.axes.plot([x, x], [y, -moment.node], "x", color=RED, markersize=5, markeredgewidth=1.4, zorder=5)

    # Moments.

    def _moments(self) -> dict[str, str]:
        """Draw the phases that nodes enter; gives the symbol of each."""
        phases = [moment for moment in self.height.moments if moment.what == "phase"]
        first, taken = phases[0].name if phases else "", Counter[tuple[float, int]]()
        names = [name for name in dict.fromkeys(moment.name for moment in phases) if name != first]
        symbols = dict(zip(names, _SYMBOLS, strict=False))
        if len(names) > len(_SYMBOLS):
            self.notes.append(f"not drawn: {len(names) - len(_SYMBOLS):,} of {len(names):,} phases")
        expired = {(moment.time, moment.node) for moment in self.timers}
        for moment in phases:
            if moment.name in symbols:
                voted = by_quorum(self.events.get(moment.name, "")) and (moment.time, moment.node) not in expired
                place = self.warp.x(moment.time), -moment.node
                self.axes.plot(
                    *place,
                    symbols[moment.name],
                    transform=self._beside(taken[place]),
                    markersize=5.5,
                    markerfacecolor=INK if voted else "white",
                    markeredgecolor=INK,
                    markeredgewidth=0.9,
                    zorder=4,
                )
                taken[place] += 1
        return symbols

    def _beside(self, number: int) -> Any:
        """Where a symbol goes that is not the first in its place: beside it."""
        from matplotlib.transforms import ScaledTranslation

        figure = self.axes.get_figure(root=True)
        assert figure is not None  # noqa: S101 -- axes are of a figure
        return self.axes.transData + ScaledTranslation(number * 7.5 / 72, 0, figure.dpi_scale_trans)

    def _rounds(self) -> None:
        """Where rounds begin, and who leads them."""
        begun: dict[int, float] = {}
        for moment in self.height.moments:
            if moment.what == "phase":
                begun.setdefault(moment.round, moment.time)
        taken, unnamed = [float("-inf")] * _ROUND_ROWS, 0
        for round_, time in sorted(begun.items()):
            x = self.warp.x(time)
            row = next((row for row, end in enumerate(taken) if x >= end), None)
            top = self.lane(-1 - (row or 0)) - 0.15
            self.axes.plot([x, x], [-self.n + 0.5, top], color=GREY, linewidth=0.6, linestyle=(0, (2, 2)), zorder=1)
            if row is None:
                unnamed += 1
                continue
            leads = f": leader {self.height.leaders[round_]}" if round_ < len(self.height.leaders) else ""
            told = f"round {round_}{leads}"
            self.axes.text(x, top, told, fontsize=SMALL_PT, color=GREY, va="bottom", **LITERAL)
            taken[row] = x + _CHARACTER * (len(told) + 2) * self.warp.width
        if unnamed:
            self.notes.append(f"{unnamed:,} rounds are not named")

    def _cuts(self) -> None:
        low, high = -self.n + 0.5, self.lane(-1) - 0.4
        for cut in self.warp.cuts:
            inset = _STUB * (cut.right - cut.left)
            left, width = cut.left + inset, cut.right - cut.left - 2 * inset
            self.axes.broken_barh(
                [(left, width)], (low, high - low), facecolor="white", edgecolor="#BBBBBB", hatch="////", zorder=3
            )
            self.axes.text(
                left + width / 2,
                (low + high) / 2,
                f"nothing for {cut.end - cut.start:.3g} s",
                ha="center",
                va="center",
                rotation=90,
                color=GREY,
                fontsize=SMALL_PT,
                zorder=7,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )

    def _ending(self) -> None:
        if self.height.ending:
            x = self.warp.x(self.height.ending.time)
            top = self.lane(-1 - _ROUND_ROWS)
            self.axes.plot([x, x], [-self.n + 0.5, top], color=INK, linewidth=1.2, zorder=3)
            told = f"over: {self._outcome()}"
            side = "left" if x < 0.5 * self.warp.width else "right"
            self.axes.text(x, top, told, fontsize=SMALL_PT, weight="bold", va="bottom", ha=side, **LITERAL)

    # Around it.

    def _text(self, x: float, y: float, text: str, **style: Any) -> None:
        """Write beside the picture: x in its width, y a place in it."""
        transform = self.axes.get_yaxis_transform()
        self.axes.text(x, y, drawable(text), transform=transform, va="center", fontsize=SMALL_PT, **style, **LITERAL)

    def _frame(self) -> None:
        axes, room = self.axes, 0.012 * self.warp.width or 0.5
        axes.set_xlim(-room, self.warp.width + room)
        axes.set_ylim(-self.n + 0.4, self.lane(-1 - _ROUND_ROWS) + 0.6)
        ticks = self.warp.ticks()
        axes.set_xticks([place for place, _ in ticks], [f"{time:.6g}" for _, time in ticks])
        axes.set_yticks([])
        axes.set_xlabel("seconds since the first node began this height")
        frame(axes)
        axes.spines["left"].set_visible(False)
        head(axes, self._title(), self._subtitle())

    def _title(self) -> str:
        ending = self.height.ending
        told = "the trace ends before it does" if ending is None else self._outcome()
        return f"Height {self.height.height:,}: {told}"

    def _outcome(self) -> str:
        ending = self.height.ending
        if ending is None:
            return ""
        cause = f" ({ending.cause})" if ending.cause else ""
        halt = f"; the chain halts ({self.height.halt})" if self.height.halt else ""
        return ending.outcome.replace("_", " ") + cause + halt

    def _subtitle(self) -> str:
        scenario, consensus = self.scenario, self.scenario.consensus
        election = scenario.election
        lying = f", {len(self.lying)} Byzantine ({scenario.faults.behaviour})" if self.lying else ""
        of = f"{election.votes:,}" + ("" if election.votes == self.n else " votes")
        facts = f"{consensus.protocol}, {consensus.result}, quorum {election.quorum:,} of {of}{lying}"
        if self.height.others:
            self.notes.append(f"not drawn: {messages(self.height.others)} of other heights")
        return f"{scenario.name}: {facts}. {'; '.join(self.notes).capitalize()}{'.' if self.notes else ''}"

    def _key(self, symbols: dict[str, str]) -> None:
        """Under the picture: what symbols, colours of nodes and line styles mean."""
        entries = [*self._symbols_told(symbols), *self._answers_told(), *self._lines_told()]
        if not entries:
            return
        key = self.axes.legend(
            [handle for handle, _ in entries],
            ["?"] * len(entries),  # matplotlib reads meaning into some names
            loc="upper left",
            bbox_to_anchor=(0, -0.9 / (self.n + 3)),
            ncols=4,
            frameon=False,
            fontsize=SMALL_PT,
        )
        for text, (_, told) in zip(key.get_texts(), entries, strict=True):
            text.set_parse_math(False)
            text.set_text(drawable(told))

    def _symbols_told(self, symbols: dict[str, str]) -> Iterator[tuple[Any, str]]:
        from matplotlib.lines import Line2D

        for name, symbol in symbols.items():
            event = self.events.get(name, "")
            face = INK if by_quorum(event) else "white"
            event = event if len(event) < _EVENT_CHARACTERS else event.partition(",")[0][:_EVENT_CHARACTERS]
            handle = Line2D([], [], linestyle="", marker=symbol, markersize=5.5, color=INK, markerfacecolor=face)
            yield handle, f"{name}: {event}" if event else name
        if any(by_quorum(self.events.get(name, "")) for name in symbols):
            yield Line2D([], [], linestyle=""), "filled: votes led to it"
        if "diverge" in self.absences:
            yield Line2D([], [], linestyle=""), "away: an answer of its own lost"

    def _answers_told(self) -> Iterator[tuple[Any, str]]:
        from matplotlib.lines import Line2D

        said = [result for moment in self.height.moments if moment.what == "executed" for result in claims(moment)]
        known = sorted({*self.height.results, *said, *(one for one in self.about if isinstance(one, int))})
        for result in [one for one in known if one >= 0][:_ANSWERS_TOLD]:
            yield Line2D([], [], color=tint(result), alpha=0.45, linewidth=7), f"has answered {letter(result)}"
        if any(result < 0 for result in said):
            yield Line2D([], [], color=tint(-1), alpha=0.45, linewidth=7), "claims a forged answer"

    def _lines_told(self) -> Iterator[tuple[Any, str]]:
        from matplotlib.lines import Line2D

        for about in self.several:
            style = {"color": GREY, "linewidth": 1.2, "linestyle": self.dashes[about]}
            yield Line2D([], [], **style), f"about {self.names[about]}"
        if any(map(self._nil, self.height.flights)):
            yield Line2D([], [], color=GREY, linewidth=1.2, linestyle=_NIL), "vote for nothing (nil)"
