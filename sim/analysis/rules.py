"""The article's rules of thumb: what a chain's memory and speed are good for ("What makes AI on the blockchain hard").

Rule 1 asks how much memory a contract has, rule 2 how many operations a second it executes. (Rule 3, on chains that
claim GPUs, needs a scenario: see `sim.analysis.credibility`.)
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple


class Step(NamedTuple):
    """One step of a rule: from which value on it holds, what such values are called, and what they are good for."""

    least: float
    name: str
    meaning: str

    def __str__(self) -> str:
        return f"{self.name}: {self.meaning}"


RULE_1 = (
    Step(0.0, "KB", "no real model"),
    Step(1e6, "MB", "small models, no LLM"),
    Step(1e9, "GB", "some of the smaller LLMs"),
    Step(1e10, "tens of GB", "more, not the leading LLMs"),
    Step(1e11, "hundreds of GB", "nearly all"),
)
"""By the memory of a contract, in bytes."""
RULE_2 = (
    Step(0.0, "millions or less", "so slow that users think it is broken"),
    Step(1e8, "hundreds of millions", "very small models in minutes"),
    Step(1e9, "billions", "smaller LLMs in minutes or much slower than users expect"),
    Step(1e11, "hundreds of billions", "LLMs as users expect them"),
    Step(1e12, "thousands of billions", "nearly all models with an excellent experience"),
)
"""By the operations that a contract executes in a second."""


def rule1(heap_bytes: float) -> Step:
    """What a contract's memory is good for.

    Examples
    --------
    >>> str(rule1(1e5)), rule1(6.44e9).name
    ('KB: no real model', 'GB')
    """
    return _step(RULE_1, heap_bytes)


def rule2(operations_per_s: float) -> Step:
    """What a contract's speed is good for.

    Examples
    --------
    >>> rule2(5e6).meaning, rule2(2e9).name, rule2(2e12).name
    ('so slow that users think it is broken', 'billions', 'thousands of billions')
    """
    return _step(RULE_2, operations_per_s)


def _step(rule: tuple[Step, ...], value: float) -> Step:
    return rule[bisect_right([step.least for step in rule], value) - 1]
