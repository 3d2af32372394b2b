"""How long replicas wait: the timeouts of the protocols, in seconds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sim.base.model import FrozenModel

Seconds = Annotated[float, Field(gt=0, le=1e6)]


class Timing(FrozenModel):
    """Timeouts of the message-level protocols.

    Tendermint's are CometBFT's defaults; PBFT doubles `view_timeout` with every view (Castro and Liskov 1999).
    """

    view_timeout: Seconds = 4.0
    """PBFT: seconds until a replica asks for the next view, in view 0; doubled with every view."""
    propose_timeout: Seconds = 3.0
    """Tendermint: seconds to wait for a proposal in round 0."""
    prevote_timeout: Seconds = 1.0
    """Tendermint: seconds to wait for more prevotes after a quorum of any, in round 0."""
    precommit_timeout: Seconds = 1.0
    """Tendermint: seconds to wait for more precommits after a quorum of any, in round 0."""
    timeout_growth: Annotated[float, Field(ge=0, le=1e6)] = 0.5
    """Tendermint: seconds by which these grow with every round."""
    commit_timeout: Annotated[float, Field(ge=0, le=1e6)] = 1.0
    """Tendermint: seconds between a decision and the next height."""
    result_timeout: Seconds = 3.0
    """`certify`: seconds to wait for the others' results after one's own."""
    checkpoint_interval: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """PBFT: heights between checkpoints."""
