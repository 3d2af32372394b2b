"""Checks of mechanisms that tolerate differences, each of which needs votes of a certain kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.base.model import Mistake
from sim.consensus.verification import Replicate
from sim.inference.executors import Recorded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sim.consensus.rules import Consensus
    from sim.consensus.verification import AnyVerification
    from sim.scenario.schema import NodeGroup


def mechanism_clashes(
    valid: Mapping[str, NodeGroup], consensus: Consensus | None, verification: AnyVerification | None
) -> Iterator[Mistake]:
    """Yield what does not go with the way in which results are agreed.

    Parameters
    ----------
    valid
        Groups that validated.
    consensus
        None where it did not validate.
    verification
        None where it is absent or did not validate.
    """
    if consensus is None:
        return
    if consensus.result == "endorse" and (why := _no_votes_of_their_own(valid, verification)):
        yield Mistake(("consensus", "result"), f"must be certify or propose {why}", consensus.result)


def _no_votes_of_their_own(valid: Mapping[str, NodeGroup], verification: AnyVerification | None) -> str:
    """Why nodes do not vote on each execution by what they computed themselves; empty where they do."""
    if verification is not None and not isinstance(verification, Replicate):
        return "where one node executes, and the others vote on its check"
    if any(isinstance(group.executor, Recorded) for group in valid.values()):
        return "where answers are recorded: a text is a node's answer to the whole block"
    return ""
