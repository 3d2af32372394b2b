"""One result as a picture: bars that end at the probabilities, intervals, and errors that say what goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim import Result, ScenarioError, load_scenario, run

ROOT = Path(__file__).parents[2]


def answered(file: str, *overrides: str) -> Result:
    return run(load_scenario(ROOT / "scenarios" / file, overrides))


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("run.engine=montecarlo", "run.blocks=1000"),
        ("run.engine=montecarlo", "nodes.gpu.executor.nondeterminism.rate=0.3"),
        ("nodes.gpu.executor.nondeterminism={difficulty: independent, rate: 1e-4}",),
    ],
)
def test_bars_end_at_the_probabilities(overrides: tuple[str, ...]) -> None:
    result = answered("ninety_nine_ninety_nine.yaml", *overrides)
    axes = result.plot().axes
    floor = axes.get_xlim()[0]
    boxes = [bar.get_path().get_extents(bar.get_patch_transform()) for bar in axes.patches]
    ends = {round((box.y0 + box.y1) / 2): box.x1 for box in boxes}
    labels = dict(zip(axes.get_yticks(), [text.get_text() for text in axes.get_yticklabels()], strict=True))
    found = {labels[place].replace(" ", "_"): end for place, end in ends.items()}
    drawn = {name: one.probability for name, one in result.outcomes.items() if one.probability > floor}
    assert found == pytest.approx(drawn, rel=1e-12)
    assert all(one.probability > floor for one in result.outcomes.values() if one.probability > 1e-19)
    spans = [line for line in axes.lines if line.get_gid() == "interval"]
    assert len(spans) == (0 if result.blocks is None else 4)
    for line, estimate in zip(spans, result.outcomes.values(), strict=False):
        assert tuple(line.get_xdata()) == (max(estimate.low, floor), estimate.high)  # type: ignore[arg-type]


def test_a_notebook_gets_a_png_and_names_are_drawn_as_they_are() -> None:
    picture = answered("ninety_nine_ninety_nine.yaml", "name='$x_1$ <b> \u5206'").plot()
    assert picture._repr_png_().startswith(b"\x89PNG")
    assert "$x_1$ <b>" in picture.axes.get_title(loc="left")


def test_chains_over_time_have_pictures_of_their_own() -> None:
    result = answered("over_time/icp_subnet.yaml")
    assert result.plot("survival").axes.get_ylabel() == "share of the chains that still run"
    assert result.plot("testing").axes.get_ylabel() == "chance that a test sees nothing"
    plain = answered("ninety_nine_ninety_nine.yaml")
    with pytest.raises(ScenarioError, match="give the scenario a recovery"):
        plain.plot("survival")
    with pytest.raises(ScenarioError, match="did you mean outcomes"):
        plain.plot("outcome")  # type: ignore[arg-type]
