"""Fits to runs that other people measured (skipped where those are not at hand)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.analysis.calibration import Calibration, calibrate
from sim.inference.calibration.choice import Choice

ROOT = Path(__file__).parents[3]
FILE = next((path for path in (ROOT / "shared", ROOT.parent / "shared") if (path / "calibration").is_dir()), ROOT)
COUNTS = FILE / "calibration" / "repeated_runs.csv"
EXPERIMENT = "gpt-35-turbo-0.0-logical_deduction-few"
pytestmark = pytest.mark.skipif(not COUNTS.is_file(), reason="the measured runs are not part of the project")


@pytest.fixture(scope="module")
def found() -> Calibration:
    return calibrate([COUNTS], Choice(where={"experiment": EXPERIMENT}))


def test_the_reference_fit_comes_back(found: Calibration) -> None:
    best = found.best
    assert best.law.name == "beta"
    assert best.log_likelihood == pytest.approx(-404.51, abs=0.005)
    values = best.values
    scale = (1 - values["correlation"]) / values["correlation"]
    assert values["rate"] * scale == pytest.approx(0.1305, abs=5e-5)
    assert (1 - values["rate"]) * scale == pytest.approx(2.526, abs=5e-4)
    assert values["alternatives"] == pytest.approx(0.188, abs=5e-4)


def test_one_rate_for_every_prompt_is_far_worse(found: Calibration) -> None:
    worst = found.fits[-1]
    assert worst.law.name == "independent"
    assert worst.log_likelihood < found.best.log_likelihood - 60


def test_beta_predicts_the_quorum_where_independence_misses_by_an_order_of_magnitude(found: Calibration) -> None:
    row = next(row for row in found.quorums if row.quorum == 7)
    assert row.observed.value == pytest.approx(0.960)
    beta, independent = row.predicted["beta"], row.predicted["independent"]
    assert beta.low <= row.observed.value <= beta.high
    assert row.observed.low <= beta.value <= row.observed.high
    assert (1 - row.observed.value) / (1 - independent.value) > 10


def test_the_held_out_runs_are_predicted(found: Calibration) -> None:
    check = found.held_out
    assert check is not None
    predicted = check.predicted["beta"]
    assert predicted.low <= check.observed.high
    assert check.observed.low <= predicted.high


def test_the_preset_is_this_fit(found: Calibration) -> None:
    from sim.catalog.catalog import builtin

    preset = builtin().presets["hosted_reasoning"]
    assert preset.difficulty.value == found.best.law.name
    for name, interval in found.best.parameters.items():
        figure = getattr(preset, name)
        assert figure.value == pytest.approx(interval.value, rel=5e-3), name
