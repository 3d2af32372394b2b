"""Word overlap: two answers match where they share enough of their words.

The share is that of the words in both among the words in either (Jaccard 1901). It is not transitive: A may match B,
and B match C, and A not match C. So honest nodes alone can fork a chain that uses it.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from sim.consensus.matching import Matching


class WordOverlap(Matching):
    """Texts match where they have at least a share of their words in common."""

    kind: Literal["word_overlap"] = "word_overlap"
    threshold: Annotated[float, Field(gt=0, le=1)]
    """Smallest share of common words."""

    def accepts(self, proposed: str, computed: str) -> bool:
        """The overlap reaches the threshold; answers without words match only themselves."""
        one, other = words(proposed), words(computed)
        return bool(one | other) and len(one & other) >= self.threshold * len(one | other)


def words(answer: str) -> set[str]:
    """The words of an answer, in lower case."""
    return set(re.findall(r"\w+", answer.casefold()))
