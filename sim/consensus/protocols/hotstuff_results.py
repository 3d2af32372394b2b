"""HotStuff's vote on results: to one replica that collects them, and shows them to all; n messages, not n^2."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sim.consensus.protocols.effects import Broadcast, Send
from sim.consensus.protocols.hotstuff_messages import Certification
from sim.consensus.protocols.messages import Message, ResultVote
from sim.consensus.protocols.pipelined import Pending, Pipelined
from sim.consensus.protocols.votes import Votes

if TYPE_CHECKING:
    from sim.consensus.protocols.setting import Setting


class Collecting(Pipelined):
    """A replica that brings its results to a collector.

    Parameters
    ----------
    setting
        What it knows from the start.
    """

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._collectors: dict[int, int] = {}
        self._asking: dict[int, set[int]] = {}
        """Who has sent its result to all, as the collector has shown it none."""
        self._shown: Pending | None = None
        """The latest height of which it knows a certified result."""
        self._told: Counter[tuple[int, int, int, type[Message]]] = Counter()
        self._on[Certification] = self._on_certification

    def _retell(self, receiver: int, message: Message) -> None:
        """Send what the receiver may have missed, as another copy each time: the last one may have been lost."""
        if receiver == self.node:
            return
        told = (message.height, message.round, receiver, type(message))
        self._told[told] += 1
        self._out.append(Send((receiver,), message, self._told[told]))

    def _send_result(self, pending: Pending, vote: ResultVote) -> None:
        collector = self._collectors[pending.height]
        if collector != self.node:
            self._out.append(Send((collector,), vote))
        self._on_result_vote(vote)

    def _result_timeout(self, pending: Pending, attempt: int) -> None:
        if attempt or pending.results is None:
            super()._result_timeout(pending, attempt)
            return
        self._out.append(Broadcast(ResultVote(pending.height, 0, self.node, pending.results[0]), 1))
        self._start_result_timer(pending, 1)

    def _on_result_vote(self, message: ResultVote) -> None:
        pending = self._at(message.height)
        super()._on_result_vote(message)
        if self._collectors.get(message.height) == self.node or message.sender == self.node:
            return
        if pending.certified is not None:
            self._retell(message.sender, self._certification(pending))
        elif not pending.done:
            self._asking.setdefault(message.height, set()).add(message.sender)

    def _leave_results(self, pending: Pending, phase: str) -> None:
        shows = not pending.done and self._collectors.get(pending.height) == self.node
        if pending.certified is not None and (self._shown is None or self._shown.height < pending.height):
            self._shown = pending
        super()._leave_results(pending, phase)
        if shows:
            self._out.append(Broadcast(self._certification(pending)))
        asking = self._asking.pop(pending.height, ())
        if pending.certified is not None and not shows:
            for node in sorted(asking):
                self._retell(node, self._certification(pending))

    def _certification(self, pending: Pending) -> Certification:
        voted = pending.result_votes.choice.items()
        shown = tuple((node, result) for node, result in voted if pending.certified in {None, result})
        return Certification(pending.height, 0, self.node, shown)

    def _on_certification(self, message: Certification) -> None:
        pending = self._at(message.height)
        if pending.done:
            return
        shown = Votes(self.power)
        for voter, result in message.votes:
            shown.add(voter, result)
        proven = shown.best() >= self.quorum  # whatever its voters have told this replica
        first, second = (shown, pending.result_votes) if proven else (pending.result_votes, shown)
        for voter, result in second.choice.items():
            first.add(voter, result)
        pending.result_votes = first
        if proven or pending.decided is not None:
            self._try_certify(pending)

    def _forget(self, height: int) -> None:
        """Drop what belongs to heights that were closed long ago."""
        self._collectors = {one: who for one, who in self._collectors.items() if one >= height}
        self._asking = {one: who for one, who in self._asking.items() if one >= height}
        for told in [told for told in self._told if told[0] < height]:
            del self._told[told]
