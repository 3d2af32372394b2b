"""How long replicas wait: the timeouts of the protocols, in seconds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sim.base.model import FrozenModel

Seconds = Annotated[float, Field(gt=0, le=1e6)]
_LATER = {"rank": 1.0, "notary": 0.3}
"""Defaults of fields that are None where unset, so that they stay out of the ids of scenarios that are older."""


class Timeouts(FrozenModel):
    """Timeouts of the message-level protocols.

    Tendermint's are CometBFT's defaults; PBFT doubles `view` with every view (Castro and Liskov 1999); ICC's are the
    unit delay and the initial notary delay of the Internet Computer's application subnets.
    """

    view: Seconds = 4.0
    """PBFT, HotStuff: seconds until a replica asks for the next view, in view 0; doubled with every view that fails."""
    propose: Seconds = 3.0
    """Tendermint: seconds to wait for a proposal in round 0."""
    prevote: Seconds = 1.0
    """Tendermint: seconds to wait for more prevotes after a quorum of any, in round 0."""
    precommit: Seconds = 1.0
    """Tendermint: seconds to wait for more precommits after a quorum of any, in round 0."""
    growth: Annotated[float, Field(ge=0, le=1e6)] = 0.5
    """Tendermint: seconds by which these grow with every round."""
    commit: Annotated[float, Field(ge=0, le=1e6)] = 1.0
    """Tendermint: seconds between a decision and the next height."""
    rank: Seconds | None = None
    """ICC: seconds between the turns of two ranks, of block makers and of notaries alike; left out, 1."""
    notary: Annotated[float, Field(ge=0, le=1e6)] | None = None
    """ICC: seconds after a height has begun until blocks of rank 0 are notarized; left out, 0.3."""
    result: Seconds = 3.0
    """`certify`: seconds to wait for the others' results after one's own."""

    def of(self, name: str) -> float:
        """A timeout by its name, or its default."""
        value = getattr(self, name)
        return float(_LATER[name] if value is None else value)
