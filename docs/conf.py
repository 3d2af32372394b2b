"""How Sphinx builds the documentation; everything that it shows lies in the page, and nothing is fetched."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from docutils.nodes import SkipNode  # noqa: E402 -- the path first
from docutils.utils.math.latex2mathml import tex2mathml  # noqa: E402
from protocol_pages import write_pages  # noqa: E402
from scenario_reference import scenario_reference  # noqa: E402

from sim.base.version import __version__  # noqa: E402

if TYPE_CHECKING:
    from docutils.nodes import Element
    from sphinx.application import Sphinx

project = "splitquorum"
author = "the splitquorum authors"
release = version = __version__

extensions = ["myst_parser"]
myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3
nitpicky = True

html_theme = "alabaster"
html_theme_options = {
    "description": "Blockchains whose nodes run AI inference",
    "page_width": "1180px",
    "body_max_width": "960px",  # what a command prints has some 120 characters
    "font_family": "system-ui, sans-serif",
}
html_static_path = ["static"]
html_css_files = ["pages.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_show_copyright = False
html_copy_source = False

linkcheck_ignore = [r"https?://"]  # the build needs no network; links within the project are checked


def setup(app: Sphinx) -> None:
    """Write the generated pages before Sphinx looks for pages, and show formulas as MathML."""
    app.connect("config-inited", _generate)
    app.add_html_math_renderer("mathml", inline_renderers=(_formula, None), block_renderers=(_formula, None))


def _generate(*_: object) -> None:
    place = HERE / "generated"
    place.mkdir(exist_ok=True)
    (place / "scenario.md").write_text(scenario_reference())
    write_pages(place)


def _formula(translator: Any, node: Element) -> None:
    """Put a formula in the page; browsers draw MathML by themselves."""
    block = node.tagname == "math_block"
    formula = tex2mathml(node.astext(), as_block=block)
    translator.body.append(f'<div class="formula">{formula}</div>' if block else formula)
    raise SkipNode
