"""Spelling of all that people read, by known misspellings: pages, notebooks, docstrings, comments, scenarios."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *(path for path in (ROOT / "docs").rglob("*.md") if "generated" not in path.parts)]
FOLDERS = ("sim", "examples", "scenarios", "docs")
SOURCES = [path for folder in FOLDERS for kind in ("py", "yaml") for path in (ROOT / folder).rglob(f"*.{kind}")]
TWICE = re.compile(r"\b(a|an|and|are|as|at|by|for|in|is|it|not|of|on|or|the|they|to|which|with)\s+\1\b")


def cells(path: Path, kind: str = "") -> Iterator[str]:
    """The text of a notebook's cells, of one kind or of all."""
    for cell in json.loads(path.read_text())["cells"]:
        if kind in {"", cell["cell_type"]}:
            yield "".join(cell["source"])


def spelt_right(paths: Iterable[Path]) -> bool:
    """Whether codespell knows no better; words that are right all the same are listed in `pyproject.toml`."""
    from codespell_lib import main

    return int(main("--toml", str(ROOT / "pyproject.toml"), *map(str, paths))) == 0


def test_words_are_spelt_right(tmp_path: Path) -> None:
    notebooks = []
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        notebooks.append(tmp_path / f"{path.stem}.md")
        notebooks[-1].write_text("\n\n".join(cells(path)))
    assert len(PAGES) > 10
    assert len(SOURCES) > 200
    assert notebooks
    assert spelt_right([*PAGES, *SOURCES, *notebooks])


def test_a_misspelt_word_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("A node that recieves a vote from Pinter.\n")
    assert not spelt_right([page])
    assert capsys.readouterr().out.endswith("recieves ==> receives\n")


def test_no_word_stands_twice() -> None:
    texts = {path.name: path.read_text() for path in (*PAGES, *SOURCES)}
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        texts[path.name] = "\n\n".join(cells(path, "markdown"))
    twice = {name: found[0] for name, text in texts.items() if (found := TWICE.search(text))}
    assert not twice
