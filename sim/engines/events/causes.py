"""Why a block failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sim.consensus.tally import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from sim.consensus.tally import Election
    from sim.engines.events.ledger import Block
    from sim.engines.timing import Cause
    from sim.network.schema import Partition


class Circumstances(NamedTuple):
    """What a chain is up against.

    Parameters
    ----------
    power
        Voting power of every node.
    election
        Who votes.
    honest
        Honest nodes.
    proposes
        Whether nodes vote on what a leader computed.
    partitions
        Times at which the network is split.
    """

    power: tuple[int, ...]
    election: Election
    honest: frozenset[int]
    proposes: bool
    partitions: tuple[Partition, ...]

    def cause(self, block: Block, now: float) -> Cause:
        """Say why a block failed (see `timing.Cause`), taking the first that would have been enough by itself."""
        attacked, quorum = bool(self.election.byzantine), self.election.quorum
        split = any(p.start <= now and (p.end is None or p.end > block.started) for p in self.partitions)
        if block.outcome != Outcome.no_quorum:
            return "attack" if attacked else "partition" if split else "divergence"
        answers = block.answers
        backing, honest = self._backing(block, answers.power, self.honest - block.absent), sum(answers.power)
        if backing and max(backing) < quorum <= honest:
            return "divergence"
        everybody = honest + sum(self.power[node] for node in block.absent)
        if block.absent and (not backing or honest < quorum) and quorum <= everybody:
            return "absence"
        dropped = self.proposes and len(block.leaders) == 1 and block.counter not in {None, *self.honest}
        if attacked and (dropped or not backing or honest < quorum):
            return "attack"
        return "partition" if split else "timeout"

    def _backing(self, block: Block, strength: Sequence[int], there: AbstractSet[int]) -> list[int]:
        """Honest power behind what could have been certified."""
        if not self.proposes:
            return list(strength[:1])
        return [strength[block.answers.results[node]] for node in block.leaders if node in there]

    def passes(self, block: Block, there: AbstractSet[int] | None = None) -> bool:
        """Whether a block's answers would have passed, had these honest nodes been there (by default, all of them)."""
        there = self.honest if there is None else there
        strength = [0] * len(block.answers.power)
        for node in there:
            strength[block.answers.results[node]] += self.power[node]
        backing = self._backing(block, strength, there) if self.proposes else strength
        return max(backing, default=0) >= self.election.need
