"""What replicas share that have several heights in flight: closing them in order, flow control, the vote on results.

Such a replica goes on to the next height before it has closed the last. It emits `Advance` when it wants to `enter` a
height, `Decide` when a block is ordered, and `Close`, in the order of the heights, when it is through with them: under
`propose` once they are decided, under `certify` once it has left the vote on their results.

**Behind.** A chain's state is a function of its last block. So a decision closes all heights before it of which the
replica knows no decision: they have failed, or it has missed them. Those that it has decided itself are closed by
their own vote on results.

**Ahead.** Ordering does not wait for execution, but only up to `DEPTH` blocks: a replica that has so many decided
blocks that it has not closed enters no further height. Heights that are not decided yet do not count, since they may
need later ones to be decided.

**After the last block.** The driver lets replicas enter heights as long as blocks are open: these carry nothing and
take no time to execute, but let the last blocks be decided.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

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
    SetTimer,
    Timer,
)
from sim.consensus.protocols.machine import NOTHING, Machine
from sim.consensus.protocols.messages import Fetch, Message, ResultVote, Value
from sim.consensus.protocols.setting import Setting
from sim.consensus.protocols.votes import Votes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DEPTH = 16
"""Blocks that a replica may have decided without having closed them."""
WINDOW = 64
"""Heights before and after its own of which a replica keeps what it hears."""


@dataclass(slots=True)
class Pending:
    """A height that a replica works on.

    Parameters
    ----------
    height
        Which.
    result_votes
        Who voted for which result.
    leaders, successor
        Leaders of its rounds, and the first one of the next height; empty until it is entered.
    decided
        What was ordered.
    results
        What the replica computed.
    certified
        The result that has q votes.
    done
        Whether the replica is through with it.
    dead
        Whether it has failed for everybody, by the driver's word.
    """

    height: int
    result_votes: Votes
    leaders: Sequence[int] = ()
    successor: int = 0
    executing: bool = False
    left: bool = False
    decided: Decide | None = None
    results: tuple[int, ...] | None = None
    certified: int | None = None
    done: bool = False
    dead: bool = False


class Pipelined(Machine):
    """A replica that has several heights in flight.

    Parameters
    ----------
    setting
        What it knows from the start.
    """

    pipelined = True
    usual: ClassVar[tuple[type[Message], ...]]
    """Messages that are sent, once and in round 0, where nothing goes wrong."""
    decides_apart: ClassVar[bool] = False
    """Whether what lets it decide a block does not let it go on to another height as well."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.open = 1
        """The lowest height that it has not closed."""
        self._pending: dict[int, Pending] = {}
        self._last = 0
        """The latest height that is known to be decided."""
        self.held = 0
        """How often flow control has kept it from going on, or still did."""
        self._wanted = self._asked = 0
        self._base = 0
        """The height at which it has begun, if in the middle."""
        self._unclosed: set[int] = set()
        """Heights up to that one that are decided and not closed."""
        self._on |= {Fetch: self._on_fetch, ResultVote: self._on_result_vote}

    # Inputs.

    def enter(self, height: int, leaders: Sequence[int], successor: int = 0) -> Sequence[Effect]:
        """Begin a height (see `Machine.enter`)."""
        self.height = height
        self._asked = max(self._asked, height)
        self._wanted = max(self._wanted, height)
        pending = self._at(height)
        pending.leaders, pending.successor = leaders, successor
        self._begin(pending)
        return self._flush()

    def receive(self, message: Message) -> Sequence[Effect]:
        """Take a message, of any height."""
        if self.open - WINDOW <= message.height <= self.height + WINDOW:
            self._on[type(message)](message)
        else:
            self._afar(message)
        return self._flush() if self._out else NOTHING

    def expire(self, timer: Timer) -> Sequence[Effect]:
        """A timer has run out; one that means nothing any more has no effect."""
        if timer.kind == "result":
            pending = self._pending.get(timer.height)
            if pending is not None and pending.decided is not None and not pending.done:
                self._result_timeout(pending, timer.round)
        else:
            self._expired(timer)
        return self._flush()

    def executed(self, height: int, results: tuple[int, ...]) -> Sequence[Effect]:
        """The inferences of a height are done (see `Machine.executed`)."""
        pending = self._pending.get(height)
        if pending is not None:
            pending.executing, pending.results = False, results
            if self.setting.proposes:
                self._on_executed(pending)
            elif not pending.dead:
                self._vote_on_result(pending)
        return self._flush()

    def close(self, height: int) -> Sequence[Effect]:
        """The height has failed for everybody: drop all that belongs to it, and go on."""
        if height >= self.open:
            pending = self._at(height)
            if not pending.done:
                pending.done = pending.dead = True
                self._given_up(pending)
                self._settle()
        return self._flush()

    def resume(self) -> Sequence[Effect]:
        """Work again after a crash: ask what was missed, and set the timers that were lost."""
        self._out.append(Broadcast(Fetch(self.open, 0, self.node)))
        self._asked = self.height
        for pending in self._pending.values():
            if pending.decided is not None and pending.results is not None and not pending.done:
                self._start_result_timer(pending, 0)
        self._rearm()
        self._go_on()
        return self._flush()

    # Beginning in the middle.

    def stand_at(self, height: int, copies: object = None) -> None:
        """Have decided all heights up to one in round 0, and closed those below it; to begin a chain in the middle.

        Parameters
        ----------
        height
            Which.
        copies
            What `copies` was then.
        """
        self.height = self._last = self._asked = self._wanted = self.open = self._base = height
        pending, block = self._at(height), Value(0, 0, 0, None)  # by this name, all replicas call the block the same
        pending.decided = Decide(height, 0, block)
        self._stand_on(pending, block, copies)

    def decided_below(self, height: int) -> None:
        """A height up to that at which it has begun is decided now (see `stand_at`): it waits for its results."""
        self._unclosed.add(height)

    def close_below(self, height: int) -> Sequence[Effect]:
        """Close a height up to that at which it has begun."""
        self._unclosed.discard(height)
        if height == self._base:
            self._at(height).done = True
            self._settle()
        self._go_on()
        return self._flush()

    @property
    def copies(self) -> object:
        """How many copies of what it has sent before it has numbered, for those that come; None: that is not kept."""
        return None

    @property
    def carries_nothing(self) -> bool:
        """Whether it comes to the next height, which it is about to enter, as if nothing had ever gone wrong."""
        return self._wanted == self.height + 1

    def looks_below(self, height: int) -> bool:  # noqa: ARG002
        """Whether one of its timers is about something below a height, and may still have an effect."""
        return False

    def routine(self, timer: Timer) -> bool:  # noqa: ARG002
        """Whether a timer that has just had an effect has one where nothing goes wrong, too."""
        return False

    # What a protocol fills in.

    @abstractmethod
    def _stand_on(self, pending: Pending, value: Value, copies: object) -> None:
        """Have a block as the last one below (see `stand_at`)."""

    @abstractmethod
    def _begin(self, pending: Pending) -> None:
        """Start a height; those below may be open."""

    @abstractmethod
    def _expired(self, timer: Timer) -> None:
        """One of the protocol's own timers has run out."""

    @abstractmethod
    def _on_executed(self, pending: Pending) -> None:
        """Own results of a height are there, under `propose`."""

    @abstractmethod
    def _given_up(self, pending: Pending) -> None:
        """The driver has closed a height as failed for everybody."""

    @abstractmethod
    def _rearm(self) -> None:
        """Set the protocol's own timers again, after a crash."""

    @abstractmethod
    def _on_fetch(self, message: Fetch) -> None:
        """Prove to a replica that is behind how far the chain has come."""

    def _afar(self, message: Message) -> None:
        """Take a message of a height that is far away; unless it proves something, it means nothing."""

    # What protocols use.

    def _at(self, height: int) -> Pending:
        """What belongs to a height, from now on."""
        pending = self._pending.get(height)
        if pending is None:
            pending = self._pending[height] = Pending(height, Votes(self.power))
        return pending

    def _power_of(self, nodes: Iterable[int]) -> int:
        return sum(self.power[node] for node in nodes)

    def _enter(self, height: int, round_: int, phase: str) -> None:
        if self._watched:
            self._out.append(Enter(height, round_, phase))

    def _execute(self, pending: Pending) -> None:
        if not pending.executing and pending.results is None:
            pending.executing = True
            self._out.append(Execute(pending.height))

    def _endorses(self, pending: Pending, value: Value) -> bool:
        """Whether own results allow a vote for a value."""
        return not self.setting.proposes or (pending.results is not None and value.result in pending.results)

    def _go_to(self, height: int) -> None:
        """Ask to enter a height, and those below that have been passed over."""
        self._wanted = max(self._wanted, height)
        self._go_on()

    def _go_on(self) -> None:
        """Ask to enter what is wanted, unless too many blocks wait for their results."""
        if self._asked >= self._wanted:
            return
        if self._backlog() >= DEPTH:
            self.held += 1
            return
        first = max(self._asked + 1, self._wanted - DEPTH)
        self._out += [Advance(height) for height in range(first, self._wanted + 1)]
        self._asked = self._wanted

    def _backlog(self) -> int:
        """Blocks that are decided and not closed."""
        waiting = len(self._unclosed)
        if self._last < self.open + DEPTH - 1 - waiting:
            return 0  # there is no room for so many
        heights = range(max(self.open, self._base + 1), self._last + 1)
        return waiting + sum((p := self._pending.get(h)) is not None and p.decided is not None for h in heights)

    def _leave(self, height: int, round_: int) -> None:
        """Tell that one's last round of a height is over; what others decide is still adopted."""
        pending = self._at(height)
        if height < self.open or pending.left or pending.done or pending.decided is not None:
            return
        pending.left = True
        if pending.leaders:
            self._enter(height, round_, "left")
        self._out.append(Leave(height, round_))

    def _decide(self, height: int, round_: int, value: Value) -> None:
        """Take a decision; it closes all heights before of which there is none."""
        if height < self.open - WINDOW:
            return
        pending = self._at(height)
        if pending.decided is not None or pending.dead:
            return
        pending.decided = Decide(height, round_, value)
        self._last = max(self._last, height)
        if not pending.done:
            self._enter(height, round_, "decided")
        self._out.append(pending.decided)
        if self.setting.proposes:
            pending.done = True
        else:
            self._execute(pending)
            if not pending.done:
                self._try_certify(pending)
        self._settle()

    def _settle(self) -> None:
        """Close what can be closed, in order."""
        before = self.open
        while self._over(self.open):
            self.open += 1
        if self.open == before:
            return
        self._out.append(Close(self.open))
        for height in [height for height in self._pending if height < self.open - WINDOW]:
            del self._pending[height]
        self._go_on()

    def _over(self, height: int) -> bool:
        pending = self._pending.get(height)
        if pending is None or (pending.decided is None and not pending.done):
            return height < self._last
        return pending.done

    # The vote on results.

    def _vote_on_result(self, pending: Pending) -> None:
        """Vote for what one has computed, even if the height is closed by now: others may need it."""
        if pending.decided is None or pending.results is None:
            return
        if not pending.done:
            self._enter(pending.height, pending.decided.round, "voted")
            self._start_result_timer(pending, 0)
        self._send_result(pending, ResultVote(pending.height, 0, self.node, pending.results[0]))

    def _send_result(self, pending: Pending, vote: ResultVote) -> None:  # noqa: ARG002
        """Bring one's result to those who count it: to all."""
        self._broadcast(vote)

    def _start_result_timer(self, pending: Pending, attempt: int) -> None:
        timer = Timer("result", pending.height, attempt)
        self._out.append(SetTimer(timer, self.setting.timeouts.result, pending.height))

    def _result_timeout(self, pending: Pending, attempt: int) -> None:  # noqa: ARG002
        """The others' results have not come in time."""
        self._leave_results(pending, "uncertified")

    def _on_result_vote(self, message: ResultVote) -> None:
        pending = self._at(message.height)
        pending.result_votes.add(message.sender, message.result)
        if pending.decided is not None and not pending.done:
            self._try_certify(pending)

    def _try_certify(self, pending: Pending) -> None:
        """Leave the vote on results if q are equal, or if the missing ones cannot make q."""
        votes = pending.result_votes
        best = votes.best()
        if best >= self.quorum:
            pending.certified = next(result for result, power in votes.power.items() if power == best)  # type: ignore[assignment]
            self._last = max(self._last, pending.height)
            self._leave_results(pending, "certified")
        elif best + self.all_power - votes.total < self.quorum:
            self._leave_results(pending, "uncertified")

    def _leave_results(self, pending: Pending, phase: str) -> None:
        """Leave the vote on the results of a height, and close it when those below are closed."""
        if pending.done:
            return
        round_ = pending.decided.round if pending.decided else 0
        self._enter(pending.height, round_, phase)
        pending.done = True
        self._out.append(Certify(pending.height, pending.certified))
        self._settle()
