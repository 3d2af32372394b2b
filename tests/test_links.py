"""Links within the project lead somewhere: of the README, the documentation, and the notebooks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from test_words import PAGES, ROOT, cells

from sim.consensus.protocols import PROTOCOLS

GENERATED = {ROOT / "docs" / "generated" / f"{name}.md" for name in ("scenario", *PROTOCOLS.builtin)}
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FOLDERS = "scenarios|examples|docs|notebooks|sim|tests"


def text_of(path: Path) -> str:
    """What a page says, without its code."""
    text = "\n\n".join(cells(path, "markdown")) if path.suffix == ".ipynb" else path.read_text()
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub and MyST make them."""
    titles = re.findall(r"^#+ (.*)$", text_of(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken(path: Path) -> list[str]:
    """Links of a page to what is not there."""
    found = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(path)):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        place = (path.parent / name).resolve() if name else path
        if place not in GENERATED and not (place.exists() and (not anchor or anchor in anchors(place))):
            found.append(target)
    return found


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS], ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    assert not broken(path)


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS], ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_a_page_names_are_there(path: Path) -> None:
    for name in re.findall(rf"`((?:{FOLDERS})/[^`\s]*)`", text_of(path)):
        assert [*ROOT.glob(name), *ROOT.glob(f"{name}.yaml")], name


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One title\n[a](#one-title) [b](#another) [c](page.md#one-title) [d](nowhere.md) [e](https://x.y)\n"
    )
    assert broken(page) == ["#another", "nowhere.md"]


def test_every_page_is_in_a_table_of_contents() -> None:
    docs = ROOT / "docs"
    listed = {
        (page.parent / f"{name}.md").resolve()
        for page in docs.rglob("*.md")
        for block in re.findall(r"^```{toctree}\n((?:.*\n)*?)```", page.read_text(), re.MULTILINE)
        for name in block.split()
        if not name.startswith(":")
    }
    assert {path for path in PAGES if docs in path.parents} - listed == {docs / "index.md"}
    assert listed >= GENERATED
