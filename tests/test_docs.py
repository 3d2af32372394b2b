"""The documentation: its examples run, its formulas give the numbers shown, and its generated pages tell everything."""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from pathlib import Path

import pytest
from packages import EXAMPLES, installed, unpacked
from shown import blocks, check_console

from sim.base.document import parse_document
from sim.scenario.load import validated

ROOT = Path(__file__).parents[1]
PAGES = [path for path in sorted((ROOT / "docs").rglob("*.md")) if "generated" not in path.parts]
names = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT / "docs")))
NOTHING: dict[str, object] = {}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """All examples that pages tell of."""
    with installed(*(unpacked(place.name, tmp_path_factory.mktemp(place.name)) for place in EXAMPLES.iterdir())):
        yield


@names
def test_examples_give_what_a_page_shows(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    whole = "\n".join(blocks(page.read_text(), "pycon"))
    examples = doctest.DocTestParser().get_doctest(whole, dict(NOTHING), page.name, str(page), 0)
    told: list[str] = []
    doctest.DocTestRunner(verbose=False).run(examples, out=told.append)
    assert not told, "".join(told)
