"""What the replicas of all protocols share: heights, early messages, catching up, and the vote on results.

A replica works on one height at a time. Messages for later heights wait until it gets there. When it has decided, it
executes the block and votes on what it computed (`certify`), or has done so before it voted (`propose`).

**Catching up.** A replica that hears more than f others two heights ahead, or one ahead for a while, that has come
back, or that has left its last round, sends `Fetch`; whoever has decided what it asks for answers with `Decision`, a
certificate of q final votes. A chain's state is a function of its last block, so one proof closes all heights before.

**The vote on results** (`certify`). After ordering, a replica executes, then broadcasts one result vote. It leaves at q
equal votes, when the missing ones can't make q, or at its timer.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from sim.consensus.protocols.effects import (
    Advance,
    Broadcast,
    Certify,
    Close,
    Decide,
    Effect,
    Enter,
    Execute,
    Leave,
    Return,
    Send,
    SetTimer,
    Timer,
)
from sim.consensus.protocols.machine import NOTHING, Machine
from sim.consensus.protocols.messages import Decision, Fetch, Message, ResultVote, Value
from sim.consensus.protocols.setting import Setting
from sim.consensus.protocols.votes import Votes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WINDOW = 16
"""Heights ahead of its own for which a replica keeps messages."""
_ASK_GROWTH_MAX = 32
_GRACE_PART = 4  # of the result timeout: so those who are late for one block are in time for the next


class _Proven(NamedTuple):
    """What a replica decided, and the votes that prove it: tallies, or who voted by another's word."""

    decided: Decide
    final: Votes | tuple[int, ...]
    result: int | None
    backing: Votes | tuple[int, ...]

    def told(self, node: int, *, closed: bool) -> Decision:
        """The message that proves it to others."""
        height, round_, value = self.decided
        voters = self.final if isinstance(self.final, tuple) else self.final.voters(value)
        backers = self.backing if isinstance(self.backing, tuple) else self.backing.voters(self.result)
        return Decision(height, round_, node, value, voters, self.result, backers, closed)


class Replica(Machine):
    """A replica that works on one height at a time.

    Parameters
    ----------
    setting
        What it knows from the start.
    """

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.round = 0
        self.leaders: Sequence[int] = ()
        self.results: tuple[int, ...] | None = None
        self.value: Value | None = None
        self.executing = self.left = False
        self.decided: Decide | None = None
        self._final: Votes | tuple[int, ...] = ()
        self._certified: int | None = None
        self._backing: Votes | tuple[int, ...] = ()
        self._closed: _Proven | None = None
        self._result_votes = Votes(self.power)
        self.done = self.stuck = False
        self._asked = 0
        self._overtaken = False
        self._grace = setting.timeouts.result / _GRACE_PART
        self._early: dict[int, list[Message]] = {}
        self._seen_at: dict[int, int] = {}
        self._answered: dict[int, tuple[int, int]] = {}
        self._highest = self._fetched = 0
        self._on |= {Fetch: self._answer, Decision: self._on_decision, ResultVote: self._on_result_vote}
        self._late: dict[type[Message], Callable[..., None]] = {Fetch: self._answer}

    # Inputs.

    def enter(self, height: int, leaders: Sequence[int], successor: int = 0) -> Sequence[Effect]:  # noqa: ARG002
        """Begin a height (see `Machine.enter`)."""
        self._move_to(height)
        self.leaders = leaders
        self._begin()
        for message in self._early.pop(height, ()):
            if self.height == height:
                self._on[type(message)](message)
        if self._highest > height == self.height and not self.done:
            self._compare()
        return self._flush()

    def _move_to(self, height: int) -> None:
        """Forget all that belongs to an earlier height."""
        self.height, self.round = height, 0
        self.results = self.value = self.decided = self._certified = None
        self._final = self._backing = ()
        self.executing = self.left = self.done = self.stuck = False
        self._result_votes = Votes(self.power)
        self._asked = 0
        self._overtaken = False

    def stand_at(self, height: int) -> None:
        """Be through with all heights up to one, by what others know; to begin a chain in the middle."""
        self.height, self.done = height, True

    @property
    def proves(self) -> int:
        """The last height of which it can prove to others what was decided; 0 if there is none."""
        return self._closed.decided.height if self._closed is not None else 0

    def receive(self, message: Message) -> Sequence[Effect]:
        """Take a message, of any height."""
        height = message.height
        if height == self.height:
            self._on[type(message)](message)
        elif height > self.height:
            self._ahead(message)
        elif (answer := self._late.get(type(message))) is not None:
            answer(message)
        return self._flush() if self._out else NOTHING

    def expire(self, timer: Timer) -> Sequence[Effect]:
        """A timer has run out; one that belongs to another height or round means nothing."""
        if timer.height == self.height:
            if timer.kind == "result":
                self._leave_results("uncertified")
            elif timer.kind == "ask":
                self._ask()
            elif timer.kind == "overtaken":
                self._ask_again()
            else:
                self._expired(timer)
        return self._flush()

    def executed(self, height: int, results: tuple[int, ...]) -> Sequence[Effect]:
        """The inferences of a height are done (see `Machine.executed`)."""
        if height == self.height:
            self.executing, self.results = False, results
        if height != self.height or self.done:
            self._executed_late(height, results)
        elif self.setting.proposes:
            self._on_executed()
        else:
            self._vote_on_result(results[0])
        return self._flush()

    def close(self, height: int) -> Sequence[Effect]:
        """The height has failed for everybody: drop all that belongs to it, and go on."""
        if height == self.height and not self.done:
            self.done = True
            self._advance()
        return self._flush()

    def resume(self) -> Sequence[Effect]:
        """Work again after a crash: ask what was missed, and set the timers that were lost."""
        self._out.append(Broadcast(Fetch(self.height, self.round, self.node)))
        self._overtaken = False
        if self.stuck:
            self.stuck = False
            self._out.append(Return(self.height))
        if self.done:
            self._closing()
        elif self.left and self.decided is None:
            self._ask()
        elif self.decided is None:
            self._rearm()
        elif self.results is not None:
            self._set_timer("result", self.setting.timeouts.result)
        return self._flush()

    # What a protocol fills in.

    @abstractmethod
    def _begin(self) -> None:
        """Start a height, in round 0."""

    @abstractmethod
    def _expired(self, timer: Timer) -> None:
        """One of the protocol's timers has run out, at this height."""

    @abstractmethod
    def _on_executed(self) -> None:
        """Own results are there, under `propose`."""

    @abstractmethod
    def _rearm(self) -> None:
        """Set the timers of the current round again."""

    def _executed_late(self, height: int, results: tuple[int, ...]) -> None:
        """Results are there after the height was closed: others may still need this vote."""
        if not self.setting.proposes:
            self._out.append(Broadcast(ResultVote(height, 0, self.node, results[0])))

    def _closing(self) -> None:
        """The height is closed; go to the next."""
        self._advance()

    # What protocols use.

    @property
    def leader(self) -> int:
        """Leader of the current round."""
        return self.leaders[self.round]

    def _set_timer(self, kind: str, seconds: float) -> None:
        self._out.append(SetTimer(Timer(kind, self.height, self.round), seconds))

    def _enter(self, phase: str) -> None:
        if self.stuck:
            self.stuck = False
            self._out.append(Return(self.height))
        if self._watched:
            self._out.append(Enter(self.height, self.round, phase))

    def _execute(self) -> None:
        if not self.executing:
            self.executing = True
            self._out.append(Execute(self.height))

    def _own_value(self) -> Value:
        result = self.results[0] if self.setting.proposes and self.results else None
        return Value(self.node, self.round, self.setting.variant, result)

    def _endorses(self, value: Value) -> bool:
        """Whether own results allow a vote for a value."""
        return not self.setting.proposes or (self.results is not None and value.result in self.results)

    def _disowns(self, value: Value) -> bool:
        """Whether own results are there, and forbid a vote for a value."""
        return self.setting.proposes and self.results is not None and value.result not in self.results

    def _leave(self) -> None:
        """Give up on this height; what others decided is still adopted."""
        self.left = True
        self._enter("left")
        self._out.append(Leave(self.height, self.round))
        self._ask()

    def _be_stuck(self) -> None:
        """Tell that nothing goes on, for want of others; whatever comes is still acted on."""
        if self.stuck:
            return
        self._enter("stuck")
        self.stuck = True
        self._out.append(Leave(self.height, self.round))

    def _decide(self, round_: int, value: Value, final: Votes) -> None:
        """Take a decision on final votes that make q."""
        self.decided, self._final = Decide(self.height, round_, value), final
        self.value = value
        self._enter("decided")
        self._out.append(self.decided)
        if self.setting.proposes:
            self._close()
        else:
            self._execute()
            self._try_certify()

    # The vote on results.

    def _vote_on_result(self, result: int) -> None:
        if self.decided is None:
            return
        self._enter("voted")
        self._set_timer("result", self.setting.timeouts.result)
        self._broadcast(ResultVote(self.height, 0, self.node, result))

    def _on_result_vote(self, message: ResultVote) -> None:
        self._result_votes.add(message.sender, message.result)
        if self.decided is not None and not self.done:
            self._try_certify()

    def _try_certify(self) -> None:
        votes = self._result_votes
        best = votes.best()
        if best >= self.quorum:
            self._certified = next(result for result, power in votes.power.items() if power == best)  # type: ignore[assignment]
            self._backing = votes
            self._leave_results("certified")
        elif best + self.all_power - votes.total < self.quorum:
            self._leave_results("uncertified")

    def _leave_results(self, phase: str) -> None:
        if self.decided is None or self.done:
            return
        self._enter(phase)
        self._out.append(Certify(self.height, self._certified))
        self._close()

    # Closing, and catching up.

    def _close(self) -> None:
        self.done = True
        self._closed = self._proven()
        self._closing()

    def _advance(self) -> None:
        self._early = {height: kept for height, kept in self._early.items() if height > self.height}
        self._out += (Close(self.height + 1), Advance(self.height + 1))

    def _proven(self) -> _Proven:
        assert self.decided is not None  # noqa: S101 -- called after a decision only
        return _Proven(self.decided, self._final, self._certified, self._backing)

    def _ask(self) -> None:
        """Ask for a decision, again and again and ever more rarely, until there is one or the height is closed."""
        if self.decided is not None or not self.left:
            return
        self._out.append(Broadcast(Fetch(self.height, self.round, self.node), self._asked))
        patience = self.setting.timeouts.result * min(2**self._asked, _ASK_GROWTH_MAX)
        self._asked += 1
        self._set_timer("ask", patience)

    def _ahead(self, message: Message) -> None:
        """Keep a message of a later height; adopt a decision; notice that one is behind."""
        if isinstance(message, Decision):
            self._on_decision(message)
            return
        if message.height > self.height + WINDOW:
            return
        self._early.setdefault(message.height, []).append(message)
        if message.height > self._seen_at.get(message.sender, self.height):
            self._seen_at[message.sender] = message.height
            self._highest = max(self._highest, message.height)
            self._compare()

    def _compare(self) -> None:
        """See whether others are ahead: two heights, and one asks at once; one height, and one waits a while."""
        if self._power_from(self.height + 2) > self.setting.faults:
            self._fetch_once()
        elif not self._overtaken and self._power_from(self.height + 1) > self.setting.faults:
            self._overtaken = True
            self._set_timer("overtaken", self._grace)

    def _power_from(self, height: int) -> int:
        """Power of the others that are known to have come as far as a height."""
        return sum(self.power[sender] for sender, seen in self._seen_at.items() if seen >= height)

    def _fetch_once(self) -> None:
        if self._fetched < self.height:
            self._fetched = self.height
            self._out.append(Broadcast(Fetch(self.height, self.round, self.node)))

    def _ask_again(self) -> None:
        """More than f others have been a height ahead for a while: something has not come, so ask for it."""
        if not self.done:
            self._asked += 1
            self._out.append(Broadcast(Fetch(self.height, self.round, self.node), self._asked))
            self._set_timer("overtaken", self._grace)

    def _answer(self, message: Message) -> None:
        """Prove to a replica that is behind what was decided."""
        if message.sender == self.node:
            return
        if self._closed is not None and self._closed.decided.height >= message.height:
            proof = self._closed.told(self.node, closed=True)
        elif self.decided is not None and self.height == message.height:
            proof = self._proven().told(self.node, closed=False)
        else:
            return
        height, times = self._answered.get(message.sender, (0, 0))
        copy = times + 1 if height == proof.height else 0  # the last one may have been lost
        self._answered[message.sender] = (proof.height, copy)
        self._out.append(Send((message.sender,), proof, copy))

    def _on_decision(self, message: Decision) -> None:
        """Adopt a proven decision of this height or a later one."""
        if message.height < self.height or (message.height == self.height and self.done):
            return
        proofs = [message.voters] if message.result is None else [message.voters, message.backers]
        if any(sum(self.power[voter] for voter in set(proof)) < self.quorum for proof in proofs):
            return
        if message.height > self.height:
            self._move_to(message.height)
            self.round = message.round
        certified = message.result is not None or message.closed
        self._certified, self._backing = message.result, message.backers
        if self.decided is None:
            self.decided, self.value = Decide(self.height, message.round, message.value), message.value
            self._final = message.voters
            self._enter("decided")
            self._out.append(self.decided)
        if self.setting.proposes:
            self._close()
        elif certified:
            self._leave_results("certified" if message.result is not None else "uncertified")
        elif self.results is None:
            self._execute()
