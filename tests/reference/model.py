"""What the references answer: one block's law, as plain data.

Powers, the quorum and Byzantine strength are counted in voting power; `count` and `byzantine` of a
group are numbers of nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Difficulty = Literal["independent", "near_tie", "beta"]
Result = Literal["certify", "propose"]
Behaviour = Literal["silent", "random", "collude", "amplify", "equivocate"]
Per = Literal["request", "token"]


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes alike in hardware, executor and power; `rate` 0 never deviates.

    `hardware` is the class label (default: the group's name); `correlation` is for ``beta`` only.
    """

    name: str
    count: int
    power: int = 1
    byzantine: int = 0
    hardware: str | None = None
    rate: float = 0.0
    difficulty: Difficulty = "near_tie"
    correlation: float | None = None
    shared_noise: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what the design does not define."""
        if not 0 <= self.byzantine <= self.count:
            msg = f"group {self.name}: byzantine {self.byzantine} not in 0..{self.count}"
            raise ValueError(msg)
        if self.difficulty == "beta" and self.rate > 0 and self.correlation is None:
            msg = f"group {self.name}: beta needs a correlation"
            raise ValueError(msg)

    @property
    def honest(self) -> int:
        """Number of honest nodes."""
        return self.count - self.byzantine

    @property
    def hardware_class(self) -> str:
        """The class label whose noise the group shares."""
        return self.name if self.hardware is None else self.hardware


@dataclass(frozen=True, slots=True)
class Case:
    """One block: who computes, who lies, and how results are agreed.

    `alternatives` is the concentration of the Chinese-restaurant process, 0 to ``math.inf``; each of its tables is
    as good as the reference output with probability `equivalent`.
    """

    groups: tuple[Group, ...]
    quorum: int
    result: Result = "certify"
    behaviour: Behaviour = "silent"
    alternatives: float = 0.0
    requests: int = 1
    tokens: int = 1
    per: Per = "request"
    equivalent: float = 0.0

    @property
    def power(self) -> int:
        """Total voting power n."""
        return sum(g.count * g.power for g in self.groups)

    @property
    def byzantine_power(self) -> int:
        """Byzantine voting power b."""
        return sum(g.byzantine * g.power for g in self.groups)

    @property
    def steps(self) -> int:
        """Decision points within one request that share a prefix tree."""
        return self.tokens if self.per == "token" else 1
