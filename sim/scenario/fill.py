"""What is filled into a scenario before it is validated: files that it names, and entries of the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.scenario.entries import Filling
from sim.scenario.files import fill_files

if TYPE_CHECKING:
    from sim.base.document import Document, Home
    from sim.base.errors import Problem


def fill(document: Document, home: Home | None) -> list[Problem]:
    """Read files and look up names, into the tree of a document, noting in `document.filled` what the catalog gave.

    Parameters
    ----------
    document
        The scenario as written, overrides applied.
    home
        Where files lie and names are looked up; None: no files, and the catalog that is shipped.

    Returns
    -------
    list of Problem
        Files that cannot be read, names that are not known.
    """
    problems = fill_files(document.tree, home)
    filling = Filling(document.tree, home.catalog if home else None)
    filling.run()
    document.filled = dict(filling.filled)
    return [*problems, *filling.problems]
