"""In a real notebook a result, rows of a sweep and their pictures show by themselves."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CELLS = {
    "result": "import sim\nresult = sim.run(sim.load_scenario('scenarios/ninety_nine_ninety_nine.yaml'))\nresult",
    "outcomes": "result.plot()",
    "rows": "rows = sim.sweep('scenarios/hardware_mix.yaml', STORE)\nrows",
    "curve": "rows.plot()",
}
HTML, PNG = "text/html", "image/png"


@pytest.mark.filterwarnings("ignore")  # Jupyter's own, which are not ours to mend
def test_what_a_cell_ends_with_is_shown(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nbformat
        from nbclient import NotebookClient

    cells = [code.replace("STORE", repr(str(tmp_path / "m.db"))) for code in CELLS.values()]
    code_cells = [nbformat.v4.new_code_cell(code) for code in cells]  # type: ignore[no-untyped-call]
    notebook = nbformat.v4.new_notebook(cells=code_cells)  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT)}}).execute()
    shown = {name: cell.outputs[-1].data for name, cell in zip(CELLS, notebook.cells, strict=True)}
    assert {name: set(data) - {"text/plain"} for name, data in shown.items()} == {
        "result": {HTML},
        "outcomes": {PNG},
        "rows": {HTML},
        "curve": {PNG},
    }
    assert "one block in 10,273" in shown["result"][HTML]
    assert "0.0001414" in shown["rows"][HTML]
