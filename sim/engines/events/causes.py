"""Why a block failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sim.consensus.tally import Outcome

if TYPE_CHECKING:
    from sim.engines.events.ledger import Block
    from sim.engines.timing import Cause
    from sim.network.schema import Partition


class Circumstances(NamedTuple):
    """What a chain is up against.

    Parameters
    ----------
    quorum
        q, in voting power.
    honest
        Honest nodes.
    proposes
        Whether nodes vote on what a leader computed.
    attacked
        Whether there are Byzantine nodes.
    partitions
        Times at which the network is split.
    """

    quorum: int
    honest: frozenset[int]
    proposes: bool
    attacked: bool
    partitions: tuple[Partition, ...]

    def cause(self, block: Block, now: float) -> Cause:
        """Say why a block failed (see `timing.Cause`), taking the first that would have been enough by itself."""
        split = any(p.start <= now and (p.end is None or p.end > block.started) for p in self.partitions)
        if block.outcome != Outcome.no_quorum:
            return "attack" if self.attacked else "partition" if split else "divergence"
        answers = block.answers
        backing = list(answers.power[:1])
        if self.proposes:
            backing = [answers.power[answers.results[node]] for node in block.leaders if node in self.honest]
        honest = sum(answers.power)
        if backing and max(backing) < self.quorum <= honest:
            return "divergence"
        if self.attacked and (not backing or honest < self.quorum):
            return "attack"
        return "partition" if split else "timeout"
