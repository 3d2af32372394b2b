"""Notebooks run, and say what they said when they were written."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"


def texts(notebook: Any) -> list[str]:
    """What each cell printed; a kernel may cut it in several pieces."""
    return [
        "".join(output.text for output in cell.outputs if output.output_type == "stream" and output.name == "stdout")
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def pictures(notebook: Any) -> int:
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return sum("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.filterwarnings("ignore")  # a kernel's own sockets and loops are not ours
@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_gives_what_it_shows(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nbformat
        from nbclient import NotebookClient

        shown = nbformat.read(path, 4)  # type: ignore[no-untyped-call]
        fresh = nbformat.read(path, 4)  # type: ignore[no-untyped-call]
        NotebookClient(fresh, timeout=60, resources={"metadata": {"path": str(FOLDER)}}).execute()
    assert texts(fresh) == texts(shown)
    assert any(texts(shown))
    assert pictures(fresh) == pictures(shown) > 0
    assert not re.search(r"/work/|/tmp/|/root/", path.read_text())
