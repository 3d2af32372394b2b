"""A scenario file in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

SCENARIO = """\
name: thirteen
nodes:
  gpu: {count: 13, executor: {kind: gpu, nondeterminism: {difficulty: near_tie, rate: 1e-4}}}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(SCENARIO, encoding="utf-8")
    return "s.yaml"
