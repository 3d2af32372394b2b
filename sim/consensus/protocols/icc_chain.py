"""The chain that replicas of ICC build: notarized blocks that extend each other, and what makes them final.

A replica goes on with one notarized block of every height, its *tip*. q finalization shares decide a block, and all
that it extends. What has been lost is asked for: whoever hears more than f others two heights ahead, or has a height
that is notarized but not final for long, sends `Fetch`; others tell again what they have said of it and all above.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from sim.consensus.protocols.effects import Broadcast, Send, SetTimer, Timer
from sim.consensus.protocols.icc_height import IccHeight
from sim.consensus.protocols.icc_messages import BeaconShare, Echo, FinalizationShare
from sim.consensus.protocols.messages import Certificate, Decision, Fetch, Message, ResultVote, Value
from sim.consensus.protocols.pipelined import WINDOW, Pending, Pipelined
from sim.consensus.protocols.setting import Setting
from sim.consensus.protocols.votes import Votes

if TYPE_CHECKING:
    from collections.abc import Iterator

_DOUBLINGS_MAX = 5


class IccChain(Pipelined):
    """A replica of ICC, but for how blocks are proposed and notarized.

    Parameters
    ----------
    setting
        What it knows from the start.
    """

    decides_apart = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._tips: dict[int, Certificate] = {}
        """The notarized block with which the replica went on, by height; none of heights that failed for everybody."""
        self._seen_at: dict[int, int] = {}
        self._repeats = self._copies = self._caught_up = 0
        self._answered: dict[int, int] = {}
        self._awaited = 0
        """The height that the timer for finality was last set for."""
        self._latest: IccHeight | None = None
        """The last one that is closed with a decision, which proves all before."""
        self._on |= {FinalizationShare: self._on_finalization_share, Decision: self._on_decision}

    # Beginning in the middle.

    def _stand_on(self, pending: Pending, value: Value, copies: object) -> None:
        at = self._at(pending.height)
        at.started = at.beaconed = True
        at.finished = value
        self._tips = {at.height: Certificate(0, value, tuple(range(len(self.power))))}
        if isinstance(copies, tuple):
            self._copies, answered = copies
            self._answered = dict(answered)

    @property
    def copies(self) -> object:
        """How often it has asked, and answered whom (see `Pipelined`)."""
        return (self._copies, dict(self._answered)) if self._copies or self._answered else None

    @property
    def carries_nothing(self) -> bool:
        """Whether nothing is left from what went wrong (see `Pipelined`)."""
        height, at = self.height, self._newest
        follows = height in self._tips and self._tips[height].round == 0
        return super().carries_nothing and follows and at.finished == self._tips[height].value and not at.left

    def looks_below(self, height: int) -> bool:
        """Whether its timer for finality is about a height below (see `Pipelined`)."""
        return self._awaited < height

    @abstractmethod
    def _consider(self) -> None:
        """See what can be done at the newest height."""

    def _at(self, height: int) -> IccHeight:
        pending = self._pending.get(height)
        if pending is None:
            pending = self._pending[height] = IccHeight(height, Votes(self.power))
        assert isinstance(pending, IccHeight)  # noqa: S101 -- no other kind is made
        return pending

    @property
    def _newest(self) -> IccHeight:
        return self._at(self.height)

    def _set_timer(self, at: IccHeight, kind: str, seconds: float) -> None:
        self._out.append(SetTimer(Timer(kind, at.height, at.round), seconds))

    def _say(self, at: IccHeight, message: Message) -> None:
        """Broadcast, and remember it in case that it has to be told again."""
        at.said.append(message)
        self._broadcast(message)

    # The chain of notarized blocks.

    def _tip_below(self, height: int) -> int:
        """The height of the block that blocks of a height extend; 0 is the genesis."""
        return max((tip for tip in self._tips if tip < height), default=0)

    def _extends(self, at: IccHeight, value: Value) -> bool:
        """Whether a block extends a notarized one that is in hand, with nothing but failed heights between."""
        block, height = at.block(value), self._tip_below(at.height)
        parent = block.parent if block else None
        if parent is None or parent.height != height:
            return parent is None and not height
        proof = parent.notarization
        if proof.value == self._tips[height].value:
            return True
        below = self._at(height)
        return below.decided is None and proof.value in below.notarized and below.block(proof.value) is not None

    def _pass(self, at: IccHeight, proof: Certificate) -> None:
        """Go on to the next height, whose blocks extend this one."""
        self._tips[at.height] = proof
        needed = self._tip_below(self.open)
        self._tips = {height: tip for height, tip in self._tips.items() if height >= needed}
        self._go_to(at.height + 1)
        self._await_finality()

    # Finality.

    def _on_finalization_share(self, message: FinalizationShare) -> None:
        self._hear(message)
        at = self._at(message.height)
        if at.decided is None and at.height >= self.open:
            at.finals.add(message.sender, message.value)
            self._finalize(at)

    def _finalize(self, at: IccHeight) -> None:
        """Decide on q finalization shares for a block that is in hand."""
        if at.finals.total < self.quorum or at.decided is not None or at.finished is None:
            return
        value = next((value for value, power in at.finals.power.items() if power >= self.quorum), None)
        if isinstance(value, Value) and at.block(value) is not None:
            self._decide_with_ancestors(at, value, at.finals.voters(value))

    def _decide_with_ancestors(self, at: IccHeight, value: Value, final: tuple[int, ...]) -> None:
        """Decide on a block and all that it extends, the lowest first."""
        chain = [(at, value), *self._ancestors(at, value)]
        for one, ancestor in reversed(chain):
            one.final = final
            if one.height in self._tips:
                self._tips[one.height] = Certificate(ancestor.round, ancestor, final)
            self._decide(one.height, ancestor.round, ancestor)

    def _ancestors(self, at: IccHeight, value: Value) -> Iterator[tuple[IccHeight, Value]]:
        """The blocks that one extends, as far down as they are known and not decided."""
        while value.parent is not None and value.parent[0] >= self.open:
            block, below = at.block(value), self._at(value.parent[0])
            parent = block.parent.notarization.value if block and block.parent else below.named(value.parent[1])
            if parent is None or below.decided is not None:
                return
            at, value = below, parent
            yield at, value

    def _await_finality(self) -> None:
        """Have a timer for the oldest height that is notarized, but not final."""
        at = self._unsettled()
        if at is not None:
            self._set_final_timer(at, self.setting.timeouts.result)

    def _set_final_timer(self, at: IccHeight, seconds: float) -> None:
        self._awaited = at.height
        self._set_timer(at, "final", seconds)

    def _unsettled(self) -> IccHeight | None:
        heights = map(self._at, range(self.open, self.height + 1))
        return next((at for at in heights if at.finished is not None and at.decided is None and not at.done), None)

    def _ask_for_finality(self, at: IccHeight) -> None:
        if at is self._unsettled():
            self._fetch(at)
            self._set_final_timer(at, self._patience())
        else:
            self._await_finality()

    # Closing.

    def _settle(self) -> None:
        before = self.open
        super()._settle()
        for height in range(max(before, self.open - WINDOW), self.open):
            at = self._at(height)
            at.backers = at.backers or at.result_votes.voters(at.certified)
            at.forget()
            if at.decided is not None:
                if self._latest is not None:
                    self._latest.final = self._latest.backers = ()
                self._latest = at

    def _on_result_vote(self, message: ResultVote) -> None:
        if message.height >= self.open:
            super()._on_result_vote(message)

    def _given_up(self, pending: Pending) -> None:
        self._tips.pop(pending.height, None)
        if pending.height == self.height:
            self._go_to(self.height + 1)

    # What was missed.

    def _hear(self, message: Message) -> None:
        """Notice that others are ahead: as soon as more than f of them are two heights."""
        if message.height <= max(self.height, self._seen_at.get(message.sender, 0)):
            return
        self._seen_at[message.sender] = message.height
        ahead = [sender for sender, height in self._seen_at.items() if height > self.height + 1]
        if self._caught_up < self.height and self._power_of(ahead) > self.setting.faults:
            self._caught_up = self.height
            self._fetch(self._newest)

    def _fetch(self, at: IccHeight) -> None:
        self._copies += 1
        self._out.append(Broadcast(Fetch(at.height, at.round, self.node), self._copies))

    def _patience(self) -> float:
        """Seconds until one asks again, ever more."""
        self._repeats += 1
        return self.setting.timeouts.result * 2.0 ** min(self._repeats - 1, _DOUBLINGS_MAX)

    def _on_fetch(self, message: Fetch) -> None:
        """Tell a replica that is behind what was decided, what is notarized, and what one has said since."""
        copy = self._answered[message.sender] = self._answered.get(message.sender, 0) + 1
        heights = [self._at(height) for height in range(max(message.height, self.open), self.height + 1)]
        if self._latest is not None and self._latest.height >= message.height:
            heights.insert(0, self._latest)
        told = [answer for at in heights for answer in self._known(at)]
        given = [height for height in (self.height - 1, self.height) if height and self._at(height).beaconed]
        told += [BeaconShare(height, 0, self.node) for height in given]
        self._out += [Send((message.sender,), answer, copy) for answer in told]

    def _known(self, at: IccHeight) -> Iterator[Message]:
        """What a replica can tell of a height: what proves most of it, and else all that it has said."""
        if at.decided is not None:
            _, round_, value = at.decided
            backers = at.backers or at.result_votes.voters(at.certified) if at.certified is not None else ()
            yield Decision(at.height, round_, self.node, value, at.final, at.certified, backers, at.done)
        elif at.finished is not None and (block := at.block(at.finished)) is not None:
            yield Echo(at.height, block.round, self.node, block, at.notarized[at.finished])
            yield from (message for message in at.said if isinstance(message, FinalizationShare))
        else:
            yield from at.said

    def _on_decision(self, message: Decision) -> None:
        """Adopt a proven decision of an open height or a later one, and with it all before."""
        proofs = [message.voters] if message.result is None else [message.voters, message.backers]
        if message.height < self.open or any(self._power_of(set(proof)) < self.quorum for proof in proofs):
            return
        at = self._at(message.height)
        if at.done:
            return
        if message.result is not None:
            at.certified, at.backers = message.result, message.backers
        if at.decided is None:
            self._decide_with_ancestors(at, message.value, message.voters)
        if at.finished is None:
            at.finished = message.value
            self._pass(at, Certificate(message.round, message.value, message.voters))
        if not self.setting.proposes and (message.result is not None or message.closed):
            self._leave_results(at, "certified" if at.certified is not None else "uncertified")

    def _afar(self, message: Message) -> None:
        if isinstance(message, Decision):
            self._on_decision(message)
        elif isinstance(message, Fetch):
            self._on_fetch(message)
