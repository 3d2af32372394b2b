"""What chains over time tell: who is away, when a chain first fails, whether it still runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LENGTHS = tuple(digit * 10**power for power in range(13) for digit in (1, 2, 5))
"""Numbers of blocks after which is told whether a chain still runs, and whether a test saw anything."""


@dataclass(frozen=True, slots=True)
class Away:
    """Nodes that are away in a slot.

    Parameters
    ----------
    mean
        Their mean number.
    low, high
        Ends of its 95 % interval.
    distribution
        Share of the slots with each number of nodes away, from 0 on.
    """

    mean: float
    low: float
    high: float
    distribution: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ChainMeasures:
    """What only chains over time tell.

    Parameters
    ----------
    chains
        Number of chains; None where it is exact.
    nodes_away
        Honest nodes that are away in a slot.
    availability
        Share of all slots in which a chain committed a block; those after a halt count as lost. None where it is not
        computed.
    retries_per_block
        Mean number of further attempts at a block; None where it is not computed.
    blocks_to_failure, blocks_to_halt
        Mean number of blocks until the first that fails, and until the chain halts. Where it was simulated, slots run
        by the number of chains in which it happened, which is the mean if it did in all; None where it did in none.
    longest_stall
        Most slots in a row in which no block was committed, in any chain; None where it is not computed.
    halts
        Chains that halted, by cause.
    still_running
        Slots, and share of the chains that have not halted after them.
    looked_deterministic
        Blocks of a test, and the chance that none of them fails and no node diverges: the test sees nothing.
    """

    chains: int | None
    nodes_away: Away
    availability: float | None
    retries_per_block: float | None
    blocks_to_failure: float | None
    blocks_to_halt: float | None
    longest_stall: int | None
    halts: Mapping[str, int]
    still_running: tuple[tuple[int, float], ...]
    looked_deterministic: tuple[tuple[int, float], ...]

    def flat(self) -> dict[str, float | None]:
        """Plain numbers by name, without those that have a distribution or a cause."""
        names = ("availability", "retries_per_block", "blocks_to_failure", "blocks_to_halt", "longest_stall")
        return {name: getattr(self, name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Plain values: `nodes_away`, and everything else under `over_time`."""
        plain = asdict(self)
        return {"nodes_away": plain.pop("nodes_away"), "over_time": plain}

    @classmethod
    def from_dict(cls, away: dict[str, Any], plain: dict[str, Any]) -> ChainMeasures:
        """Read the two parts that `to_dict` gave."""
        fields = dict(plain)
        for key in ("still_running", "looked_deterministic"):
            fields[key] = tuple((int(blocks), float(share)) for blocks, share in plain[key])
        shares = tuple(float(share) for share in away["distribution"])
        mean, low, high = (float(away[key]) for key in ("mean", "low", "high"))
        return cls(nodes_away=Away(mean, low, high, shares), **fields)
