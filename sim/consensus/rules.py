"""When a result counts: fault threshold, faults tolerated, quorum, and how results are agreed.

A chain of n votes tolerates f = ceil(t n) - 1 faults (strictly fewer than t n) and certifies a result with q = n - f
votes (strictly more than (1 - t) n). With t up to 1/3 two quorums always share an honest node whatever the network
does; above it safety needs synchrony (Dwork, Lynch and Stockmeyer 1988).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator

from sim.base.fractions import ExactFraction
from sim.base.model import FrozenModel, Mistake
from sim.consensus.appeal import Appeal
from sim.consensus.matching import AnyMatching, Exact
from sim.consensus.protocols import PROTOCOLS
from sim.consensus.timeouts import Timeouts


def _protocol(value: Any) -> str:
    return PROTOCOLS.validate_name(value)


class Consensus(FrozenModel):
    """The consensus module of every node."""

    protocol: Annotated[
        str,
        PlainValidator(_protocol, json_schema_input_type=Literal["pbft", "tendermint", "hotstuff", "icc"]),
    ] = "pbft"
    """Message-level protocol, one of ours or of an installed package (entry point `sim.protocols`); at the vote level
    only the quorum and `result` decide."""
    fault_threshold: ExactFraction = Fraction(1, 3)
    """Share t of the votes that may be faulty, 0 < t < 1/2: a fraction, a percentage or a decimal, read exactly."""
    result: Literal["certify", "propose", "endorse"] = "certify"
    """`certify`: order first, every node votes on what it computed, any result may win. `propose`: nodes vote on
    whether they computed what the leader computed. `endorse`: execute first, order only what a quorum agrees on; every
    request is voted on by itself, and dropped where no result has a quorum."""
    quorum: Annotated[int, Field(ge=1)] | None = None
    """Votes that certify a result, more than n/2; left out, it follows from the threshold."""
    matching: AnyMatching | None = None
    """Which answers count as the same result; left out, `exact`. Recorded answers are compared as texts, numeric ones
    as numbers; of GPUs that are drawn, `equivalence` takes a share of the wrong answers as equal to the reference
    output, and `margin` checks posted tokens."""
    max_rounds: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Rounds (views) of a block, message by message; left out, 1 for `propose` and n for `certify`."""
    appeal: Appeal | None = None
    """What happens where no result has a quorum, with `certify`; left out, the block fails at once."""
    timeouts: Timeouts | None = None
    """Timeouts, message by message; left out, the defaults of each."""
    checkpoint_interval: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """PBFT, message by message: heights between checkpoints; left out, 100."""

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """Bound the threshold."""
        yield from super().cross_checks(fields, data)
        threshold = fields.get("fault_threshold", Fraction(1, 3))
        if not 0 < threshold < Fraction(1, 2):
            message = "must be greater than 0 and less than 1/2"
            yield Mistake(("fault_threshold",), message, data.get("fault_threshold"))

    @property
    def tolerant(self) -> bool:
        """Whether texts that differ can count as the same."""
        return self.matching is not None and not isinstance(self.matching, Exact) and self.matching.assumed is None

    @property
    def equivalent(self) -> float:
        """Share of the wrong answers that are equivalent to the reference output, where answers are drawn."""
        return (self.matching.assumed if self.matching else None) or 0.0

    def rounds_of(self, nodes: int) -> int:
        """Rounds in which a block is attempted, of a chain of that many nodes."""
        rounds = self.max_rounds or (1 if self.result == "propose" else nodes)
        return min(rounds, nodes)

    def faults_tolerated(self, votes: int) -> int:
        """Largest number f of votes that may be faulty.

        Parameters
        ----------
        votes
            All votes n, in voting power.

        Examples
        --------
        >>> [Consensus().faults_tolerated(n) for n in (3, 4, 13, 100)]
        [0, 1, 4, 33]
        """
        return math.ceil(self.fault_threshold * votes) - 1

    def quorum_of(self, votes: int) -> int:
        """Number of votes q that certify a result.

        Parameters
        ----------
        votes
            All votes n, in voting power.

        Examples
        --------
        >>> [Consensus().quorum_of(n) for n in (3, 4, 13, 100)]
        [3, 3, 9, 67]
        """
        return votes - self.faults_tolerated(votes) if self.quorum is None else self.quorum
