"""Pictures, checked through what is drawn."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sim import Row, Scenario, ScenarioError, plot, run, save
from sim.plotting.style import COLOURS, dashes, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

RATES = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]


def rows(
    counts: tuple[int, ...] = (4, 13, 40), rates: list[float] = RATES, blocks: int = 0, name: str = "curve", **law: Any
) -> list[Row]:
    found: list[Row] = []
    for count in counts:
        for rate in rates:
            executor = {"kind": "gpu", "nondeterminism": {"rate": rate, **law}}
            scenario = Scenario.model_validate({"name": name, "nodes": {"gpu": {"count": count, "executor": executor}}})
            result = run(scenario, engine="montecarlo", blocks=blocks) if blocks else run(scenario)
            found.append(Row(len(found), {"nodes": count, "rate": rate}, scenario, result))
    return found


def data_lines(axes: Axes) -> list[Any]:
    return [line for line in axes.lines if len(line.get_xdata()) == len(RATES) and line.get_gid() != "simulated"]  # type: ignore[arg-type]


def labels(axes: Axes) -> list[Text]:
    return [text for text in axes.texts if text.get_gid() == "label"]


def test_a_line_for_each_chain_shows_its_results() -> None:
    some = rows()
    drawn = data_lines(plot(some))
    assert len(drawn) == 3
    for index, line in enumerate(drawn):
        expected = [row.result.block_failure.probability for row in some[6 * index : 6 * index + 6] if row.result]
        assert line.get_xdata() == pytest.approx(RATES)
        assert line.get_ydata() == pytest.approx(expected)
    assert [text.get_text() for text in labels(plot(some))] == ["nodes 4", "nodes 13", "nodes 40"]


def test_axes_are_logarithmic_and_say_one_block_in_n() -> None:
    axes = plot(rows())
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]
    (second,) = axes.child_axes
    ticks = dict(zip(second.get_yticks(), [text.get_text() for text in second.get_yticklabels()], strict=True))
    assert ticks[1e-4] == "10,000"


def test_the_title_says_what_all_curves_share_and_nothing_else() -> None:
    axes = plot(rows())
    assert axes.get_title(loc="left") == "curve"
    (subtitle,) = [text.get_text() for text in axes.texts if "threshold" in text.get_text()]
    assert subtitle == "fault threshold 1/3, near ties, result: certify, exact engine"


def test_the_diagonal_and_the_article_are_marked_where_x_is_a_rate() -> None:
    texts = " ".join(text.get_text() for text in plot(rows()).texts)
    assert "failure = rate" in texts
    assert "99.99 %" in texts
    over_nodes = " ".join(text.get_text() for text in plot(rows(), x="nodes").texts)
    assert "99.99 %" not in over_nodes


def test_simulated_points_have_markers_bands_and_bounds() -> None:
    some = rows((13,), blocks=3_000)
    axes = plot(some)
    unseen = [row for row in some if row.result and row.result.block_failure.probability == 0]
    assert unseen
    (markers,) = [line for line in axes.lines if line.get_gid() == "simulated"]
    assert len(markers.get_xdata()) == len(some) - len(unseen)  # type: ignore[arg-type]
    assert len(axes.collections) >= 2  # a band, and the stems of upper bounds
    (bounds,) = axes.containers
    assert list(bounds[0].get_ydata()) == [row.result.block_failure.high for row in unseen if row.result]


def test_exact_points_have_no_markers() -> None:
    assert not [line for line in plot(rows()).lines if line.get_gid() == "simulated"]


@pytest.mark.parametrize("some", [rows(), rows(difficulty="independent"), rows((4, 5, 6, 7, 13, 34, 40))])
def test_nothing_is_clipped_and_labels_do_not_overlap(some: list[Row]) -> None:
    axes = plot(some)
    figure: Any = axes.figure
    figure.draw_without_rendering()
    for text in [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]:
        box = text.get_window_extent()
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= figure.bbox.x1, text
        assert box.y1 <= figure.bbox.y1, text
    boxes = sorted((text.get_window_extent() for text in labels(axes)), key=lambda box: box.y0)
    for below, above in pairwise(boxes):
        assert above.y0 >= below.y0 + 0.75 * below.height
    data = axes.get_tightbbox()
    assert data is not None
    assert data.width > 0.9 * figure.bbox.width


def test_very_rare_failures_do_not_squash_the_rest() -> None:
    low, high = plot(rows(difficulty="independent")).get_ylim()
    assert high / low <= 1.001e20


def test_exact_zeros_are_left_out_and_said_so() -> None:
    some = rows((13,))
    zero = run(Scenario.model_validate({"nodes": {"c": {"count": 3, "executor": {"kind": "cpu"}}}}))
    some.append(Row(6, {"nodes": 13, "rate": 0.3}, some[0].scenario, zero))
    texts = [text.get_text() for text in plot(some).texts]
    assert "1 point where no block fails is not drawn" in texts


def test_texts_of_users_are_drawn_as_they_are() -> None:
    axes = plot(rows((13,), name=r"$\alpha$ [red]<b>"))
    title = axes.title if axes.title.get_text() else axes._left_title  # type: ignore[attr-defined]
    assert title.get_text() == r"$\alpha$ [red]<b>"
    assert not title.get_parse_math()


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_same_rows_give_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    for name in "ab":
        save(plot(rows((13,))), tmp_path / "new" / f"{name}.{suffix}")
    first, second = ((tmp_path / "new" / f"{name}.{suffix}").read_bytes() for name in "ab")
    assert first == second
    assert len(first) > 1_000


def test_a_heat_map_shows_every_cell() -> None:
    some = rows()
    axes = plot(some, "heatmap")
    (image,) = axes.images
    values = np.asarray(image.get_array())
    assert values.shape == (3, 6)
    assert some[8].result is not None
    assert values[1, 2] == pytest.approx(np.log10(some[8].result.block_failure.probability))
    assert axes.get_xlabel().startswith("nondeterminism rate")
    assert axes.get_ylabel() == "nodes"


def test_a_stack_shows_four_outcomes_that_fill_the_height() -> None:
    axes = plot(rows((13,)), "stack")
    assert len(axes.collections) == 4
    tops = [collection.get_paths()[0].get_extents().y1 for collection in axes.collections]
    assert max(tops) == pytest.approx(1)
    several: Any = plot(rows(), "stack").figure
    assert len([panel for panel in several.axes if panel.get_visible()]) == 3


def test_one_value_of_an_axis_can_be_chosen_and_axes_given() -> None:
    given = new_axes()[0]
    assert plot(rows(), axes=given, series="nodes=13") is given
    assert len(data_lines(given)) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "heatmap", "series": "nodes=13"}, ""),
        ({"x": "rte"}, "x is no axis of this sweep; did you mean rate"),
        ({"series": "nodes"}, "series must be AXIS=VALUE"),
        ({"series": "nodes=5"}, "no point has nodes = '5'; known: 4, 13, 40"),
        ({"kind": "pie"}, "cannot serve a pie: it can serve curve, heatmap, stack"),
    ],
)
def test_what_cannot_be_drawn_says_why(arguments: dict[str, Any], message: str) -> None:
    if not message:
        plot(rows(), **arguments)
        return
    with pytest.raises(ScenarioError, match=message):
        plot(rows(), **arguments)


def test_rows_without_numbers_name_what_they_can_serve() -> None:
    some = [
        Row(i, {"result": kind}, row.scenario, row.result)
        for i, (kind, row) in enumerate(zip("ab", rows(), strict=False))
    ]
    with pytest.raises(ScenarioError, match="no axis with at least two answered numbers"):
        plot(some)
    with pytest.raises(ScenarioError, match="cannot serve a heatmap: it can serve curve, stack"):
        plot(rows((13,)), "heatmap")


def test_an_unknown_suffix_names_those_it_can(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"must end in \.png, \.svg or \.pdf"):
        save(plot(rows((13,))), tmp_path / "a.bmp")


def drawn_twice(blocks: int = 3_000) -> list[Row]:
    both = [*rows((13,)), *rows((13,), blocks=blocks)]
    return [Row(index, row.coordinates, row.scenario, row.result) for index, row in enumerate(both)]


def test_exact_and_simulated_answers_of_one_point_are_two_lines() -> None:
    for line in data_lines(plot(drawn_twice())):
        assert list(line.get_xdata()) == RATES


def test_a_line_does_not_bridge_a_point_where_nothing_fails() -> None:
    some = rows((13,))
    zero = run(Scenario.model_validate({"nodes": {"c": {"count": 3, "executor": {"kind": "cpu"}}}}))
    some[2] = Row(2, some[2].coordinates, some[2].scenario, zero)
    (line,) = data_lines(plot(some))
    assert np.isnan(line.get_ydata()).tolist() == [False, False, True, False, False, False]


def test_values_alike_in_four_digits_are_still_two_lines() -> None:
    some: list[Row] = []
    for correlation in (0.100001, 0.100002):
        for row in rows((13,), difficulty="beta", correlation=correlation):
            some.append(Row(len(some), {"rho": correlation, "rate": row.coordinates["rate"]}, row.scenario, row.result))
    axes = plot(some)
    assert len(data_lines(axes)) == 2
    assert [text.get_text() for text in labels(axes)] == ["rho 0.100001", "rho 0.100002"]


def test_the_diagonal_is_failure_equals_rate_on_a_linear_axis_too() -> None:
    axes = plot(rows((13,), [0.01, 0.02, 0.03, 0.04, 0.05]))
    assert axes.get_xscale() == "linear"
    (diagonal,) = [line for line in axes.lines if line.get_gid() == "diagonal"]
    assert len(diagonal.get_xdata()) > 50  # type: ignore[arg-type]
    assert diagonal.get_ydata() == pytest.approx(diagonal.get_xdata())


def test_no_two_of_thirty_two_lines_look_the_same() -> None:
    assert len({(COLOURS[index % len(COLOURS)], str(dashes(index))) for index in range(32)}) == 32


def test_long_labels_stay_left_of_the_second_axis() -> None:
    some = [
        Row(
            row.position,
            {"a rather long name of an axis": row.coordinates["nodes"], "rate": row.coordinates["rate"]},
            row.scenario,
            row.result,
        )
        for row in rows()
    ]
    axes = plot(some)
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]
    assert labels(axes)
    for text in labels(axes):
        assert text.get_window_extent().x1 <= axes.bbox.x1


def test_what_the_font_lacks_is_a_box_and_a_long_title_is_cut() -> None:
    axes = plot(rows((13,), name="分 " + "W" * 90))
    title = axes.get_title(loc="left")
    assert title.startswith("□ WWW")
    assert title.endswith("...")


def test_cells_without_a_number_say_why() -> None:
    some = rows(blocks=500)
    del some[3]
    axes = plot(some, "heatmap")
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["none seen to fail", "no answer"]
    unseen = sum(row.result is not None and row.result.block_failure.probability == 0 for row in some)
    assert len(axes.patches) == unseen + 1
    exact = rows()
    del exact[3]
    assert axes_contours(plot(exact, "heatmap"))


def axes_contours(axes: Axes) -> list[Any]:
    from matplotlib.contour import ContourSet

    return [artist for artist in axes.get_children() if isinstance(artist, ContourSet)]


def test_a_rate_is_drawn_along_even_where_another_axis_has_more_values() -> None:
    assert plot(rows(tuple(range(4, 12)))).get_xlabel().startswith("nondeterminism rate")


def test_one_value_may_be_written_in_any_way() -> None:
    (line,) = plot(rows(), x="nodes", series="rate=1e-4").lines
    assert list(line.get_xdata()) == [4, 13, 40]  # type: ignore[arg-type]


def test_pictures_made_at_once_are_the_same_bytes(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    some = rows((4, 13))

    def make(index: int) -> bytes:
        save(plot(some), tmp_path / f"{index}.svg")
        return (tmp_path / f"{index}.svg").read_bytes()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(make, range(8)))) == 1
