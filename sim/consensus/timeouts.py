"""How long replicas wait: the timeouts of the protocols, in seconds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sim.base.model import FrozenModel

Seconds = Annotated[float, Field(gt=0, le=1e6)]


class Timeouts(FrozenModel):
    """Timeouts of the message-level protocols.

    Tendermint's are CometBFT's defaults; PBFT doubles `view` with every view (Castro and Liskov 1999).
    """

    view: Seconds = 4.0
    """PBFT: seconds until a replica asks for the next view, in view 0; doubled with every view."""
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
    result: Seconds = 3.0
    """`certify`: seconds to wait for the others' results after one's own."""
