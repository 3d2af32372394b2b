"""What reports are about, in tests: shipped sweeps, and texts that try to be more than texts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sim import sweep
from sim.sweeps.row import Row

SCENARIOS = Path(__file__).parents[1] / "scenarios"
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>'\"&amp;<b>\x1b[2J\u202e\x00\r\n</pre>"


def swept(name: str, folder: Path, **more: Any) -> list[Row]:
    return sweep(SCENARIOS / f"{name}.yaml", folder / "s.db", **more)


def hostile(rows: list[Row]) -> list[Row]:
    """Every text that a file can give, made hostile; more than the loader would let through."""
    found = []
    for index, row in enumerate(rows):
        scenario = row.scenario.model_copy(update={"name": HOSTILE, "description": HOSTILE * 2})
        result = row.result and replace(row.result, scenario=HOSTILE, warnings=(HOSTILE,))
        coordinates = {HOSTILE: f"{HOSTILE}{index % 3}", f"{HOSTILE}2": float(index // 3)}
        found.append(Row(row.position, coordinates, scenario, result, HOSTILE))
    return [*found, Row(len(found), {HOSTILE: HOSTILE}, rows[0].scenario, None, HOSTILE)]
