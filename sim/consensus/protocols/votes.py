"""Counting votes by value, in voting power: each sender's first vote counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence


class Votes:
    """Votes of one kind, in one round of one height.

    Parameters
    ----------
    power
        Voting power of every replica.
    """

    __slots__ = ("choice", "power", "total", "weights")

    def __init__(self, power: Sequence[int]) -> None:
        self.weights = power
        self.choice: dict[int, Hashable] = {}
        self.power: dict[Hashable, int] = {}
        self.total = 0

    def add(self, sender: int, value: Hashable) -> int:
        """Count a vote.

        Returns
        -------
        int
            Power of the value that the sender chose, now; 0 if the sender had voted before.
        """
        if sender in self.choice:
            return 0
        self.choice[sender] = value
        weight = self.weights[sender]
        self.total += weight
        power = self.power[value] = self.power.get(value, 0) + weight
        return power

    def voters(self, value: Hashable) -> tuple[int, ...]:
        """Who voted for a value."""
        return tuple(sender for sender, chosen in self.choice.items() if chosen == value)

    def best(self) -> int:
        """Power of the value that has most."""
        return max(self.power.values(), default=0)
