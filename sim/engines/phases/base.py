"""What all runs by whole phases have: where they count, whom they tell, and when they end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.engines.events.measures import Measures


class PhasedRun(ABC):
    """One chain, from its first block to its last.

    Parameters
    ----------
    measures
        What its blocks show; added to.
    report
        Called when blocks are over.
    failures
        End at that many failing blocks; None, after `run.blocks` only.

    Attributes
    ----------
    by_messages : int
        Blocks that were run message by message.
    ended : float
        When the last block was over, in seconds.
    """

    def __init__(
        self, measures: Measures, report: Callable[[Measures], None] | None = None, failures: int | None = None
    ) -> None:
        self._measures, self._report, self._failures = measures, report, failures
        self.by_messages = 0
        self.ended = 0.0

    @abstractmethod
    def run(self) -> None:
        """Run all blocks."""

    def _tell_all(self) -> None:
        """Report what there is."""
        if self._report:
            self._report(self._measures)
