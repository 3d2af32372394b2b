"""What only an engine with time can tell: latency, throughput, messages, and why each failed block failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Cause = Literal["divergence", "absence", "attack", "partition", "timeout", "stall"]
"""Why a block failed.

`divergence`: the honest votes would have been enough, had the honest nodes agreed; `absence`: they would have been
enough, had no node been away for an earlier answer; `attack`: Byzantine nodes decided
it, led every round, or left too few honest votes; `partition`: the network was split; `timeout`: messages or executions
came too late, or were lost; `stall`: fewer than q nodes can ever vote again.
"""
FAILED_TOLD_MAX = 100
IN_TIME = frozenset({"events", "phases"})
"""Engines that have a clock."""


@dataclass(frozen=True, slots=True)
class FailedBlock:
    """A block that was not agreed.

    Parameters
    ----------
    height
        Which block.
    outcome
        How it ended: `no_quorum`, `wrong_result` or `forked`.
    cause
        Why: divergence, absence, attack, partition, timeout or stall.
    """

    height: int
    outcome: str
    cause: Cause


@dataclass(frozen=True, slots=True)
class Violation:
    """The first time that a safety property did not hold.

    Parameters
    ----------
    property
        `agreement`: two honest nodes decided differently; `validity`: a decided result was computed by no honest node.
    height, time_s
        Block in which it happened, and the simulated time in seconds.
    nodes
        Honest nodes that decided (two that differ, or one).
    """

    property: Literal["agreement", "validity"]
    height: int
    time_s: float
    nodes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Timing:
    """Measures of a run in simulated time.

    Parameters
    ----------
    simulated_s
        Seconds that the run covers.
    blocks_per_s
        Agreed blocks a second; None where no time passes.
    latency_s
        Percentiles (`p50`, `p95`, `p99`) of the seconds from the moment a block's first leader begins it until replicas
        with more than f votes have its result (enough for a client to believe it), over agreed blocks; None without
        any.
    rounds_per_block
        Rounds (views) that agreed blocks took; None without any.
    messages_per_block, bytes_per_block
        Messages a block that were put on the wire, and their bytes, without checkpoints and state sync.
    messages_by_type, bytes_by_type
        Messages a block by type, and their bytes, with checkpoints and state sync.
    causes
        Number of failed blocks by cause.
    failed_blocks
        The first failed blocks (of the first chain, where there are several), at most 100.
    first_violation
        The first safety violation; None if there was none.
    blocks_by_messages
        Blocks that were run message by message, where whole phases are worked out at once; elsewhere None, and left
        out of plain values.
    """

    simulated_s: float
    blocks_per_s: float | None
    latency_s: Mapping[str, float] | None
    rounds_per_block: float | None
    messages_per_block: float
    bytes_per_block: float
    messages_by_type: Mapping[str, float]
    bytes_by_type: Mapping[str, float]
    causes: Mapping[Cause, int]
    failed_blocks: tuple[FailedBlock, ...]
    first_violation: Violation | None
    blocks_by_messages: int | None = None

    def flat(self) -> dict[str, float | None]:
        """Plain numbers by name, as tables have them in columns."""
        latency = self.latency_s or {}
        names = ("blocks_per_s", "rounds_per_block", "messages_per_block", "bytes_per_block", "simulated_s")
        return {f"latency_{share}_s": latency.get(share) for share in ("p50", "p95", "p99")} | {
            name: getattr(self, name) for name in names
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Timing:
        """Read what `dataclasses.asdict` gave."""
        fields = dict(plain)
        fields["failed_blocks"] = tuple(FailedBlock(**block) for block in plain["failed_blocks"])
        violation = plain["first_violation"]
        if violation is not None:
            fields["first_violation"] = Violation(**{**violation, "nodes": tuple(violation["nodes"])})
        return cls(**fields)
