"""What must hold whatever happens, as seen from outside: of honest machines only, and from every message ever sent."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from sim.base.text import printable
from sim.consensus.protocols.messages import ResultVote, Value

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Sequence

    from sim.analysis.explorer.chain import Chain
    from sim.analysis.explorer.circumstances import Circumstances
    from sim.analysis.explorer.driver import Actor
    from sim.analysis.explorer.steps import Step
    from sim.consensus.protocols.effects import Certify, Decide, Enter
    from sim.consensus.protocols.messages import Message

Invariant = Literal["agreement", "validity", "no double vote", "certificates", "no error"]
_TEXT_MAX = 300
INVARIANTS: tuple[Invariant, ...] = get_args(Invariant)
MEANING: dict[Invariant, str] = {
    "agreement": "no two honest replicas decide different blocks, or hold different certified results, at one height",
    "validity": "what is decided was proposed by a leader of its height, and its result computed by an honest node",
    "no double vote": "no honest replica votes for two values in one phase of one round, or for two results",
    "certificates": "what is decided, certified or shown as proof has a quorum of votes that were really cast",
    "no error": "no machine raises an error, whatever arrives",
}


class Violation(NamedTuple):
    """An invariant that does not hold, and what shows it."""

    invariant: Invariant
    height: int
    text: str


class Invariants:
    """Watches a schedule, and keeps the first violation.

    Parameters
    ----------
    chain, circumstances
        What is explored. Votes are held against this chain's quorum, whatever the machines take for one.
    wanted
        The invariants to look at.
    """

    def __init__(self, chain: Chain, circumstances: Circumstances, wanted: Collection[Invariant] = INVARIANTS) -> None:
        self._chain, self._circumstances, self._wanted = chain, circumstances, wanted
        self._kinds = chain.machine
        self.violation: Violation | None = None
        self._cast: dict[tuple[type[Message], int, int, int], object] = {}
        self._ballots: dict[tuple[int, int, Value], set[int]] = defaultdict(set)
        self._backing: dict[tuple[int, Hashable], set[int]] = defaultdict(set)
        self._finals: dict[int, set[int]] = defaultdict(set)
        self._proposed: set[tuple[int, Value, int]] = set()
        self._decisions: dict[int, tuple[Actor, Value]] = {}
        self._results: dict[int, tuple[Actor, int]] = {}

    def sent(self, actor: Actor, message: Message, receivers: Sequence[int]) -> None:
        """Take note of votes and proposals, and check those of honest machines."""
        del receivers
        kind = type(message)
        value = getattr(message, "value", None)
        if isinstance(message, ResultVote):
            self._backing[message.height, message.result].add(message.sender)
            self._vote(actor, message, message.result)
        elif kind in self._kinds.ballots:
            self._vote(actor, message, value)
            if value is not None:
                self._ballots[message.height, message.round, value].add(message.sender)
            if kind is self._kinds.ballots[-1]:
                self._finals[message.height].add(message.sender)
        proposal = getattr(message, "proposal", message)  # others may pass on what its leader has signed
        if isinstance(proposal, self._kinds.proposals):
            self._ballots[proposal.height, proposal.round, proposal.value].add(proposal.sender)
            self._proposed.add((proposal.height, proposal.value, proposal.sender))
        vouched = self._kinds.vouches(message)
        if vouched is not None:
            self._backing[vouched].add(message.sender)
        self._check_proofs(actor, message)

    def decided(self, actor: Actor, effect: Decide, step: Step | None) -> None:
        """Check a decision of an honest machine."""
        del step
        height, _, value = effect
        other, decided = self._decisions.setdefault(height, (actor, value))
        if decided != value:
            self._violated(
                "agreement", height, f"{other.label} decided {told(decided)}, {actor.label} decided {told(value)}"
            )
        self._check_chain(actor, height, value)
        if (height, value, value.proposer) not in self._proposed or not self._led(height, value):
            self._violated("validity", height, f"{actor.label} decided {told(value)}, which no leader proposed")
        elif self._chain.proposes and not self._computed(height, value.result):
            self._violated("validity", height, f"{actor.label} decided a result that no honest node computed")
        self._check_backing(actor, height, value, f"decided {told(value)}")

    def _check_chain(self, actor: Actor, height: int, value: Value) -> None:
        """Check that blocks which name their parents make one chain: none is decided beside it."""
        for above, (_, block) in self._decisions.items():
            if block.parent is None:
                continue
            below, round_ = block.parent
            for beside, (other, decided) in self._decisions.items():
                if below < beside < above or (beside == below and decided.round != round_):
                    text = f"{told(decided)} of height {beside}, by {other.label}, is not on the chain of {told(block)}"
                    self._violated(
                        "agreement", height, f"{text} of height {above} ({actor.label} decided {told(value)})"
                    )

    def certified(self, actor: Actor, effect: Certify) -> None:
        """Check a certified result of an honest machine."""
        height, result = effect
        if result is None:
            return
        other, certified = self._results.setdefault(height, (actor, result))
        if certified != result:
            text = f"{other.label} holds result {certified}, {actor.label} holds result {result}"
            self._violated("agreement", height, text)
        if not self._computed(height, result):
            self._violated("validity", height, f"{actor.label} holds a result that no honest node computed")
        self._check_backing(actor, height, result, f"holds result {result}")

    def entered(self, actor: Actor, effect: Enter) -> None:
        """Phases are not looked at."""

    def failed(self, height: int, error: Exception) -> None:
        """A machine has raised an error."""
        *_, place = extract_tb(error.__traceback__)
        text = printable(f"{type(error).__name__}: {error}")[:_TEXT_MAX]
        self._violated("no error", height, f"{text} ({Path(place.filename).name}, line {place.lineno})")

    def _violated(self, invariant: Invariant, height: int, text: str) -> None:
        if self.violation is None and invariant in self._wanted:
            self.violation = Violation(invariant, height, text)

    def _vote(self, actor: Actor, message: Message, value: object) -> None:
        if not actor.honest:
            return
        before = self._cast.setdefault((type(message), message.height, message.round, message.sender), value)
        if before != value:
            what = f"{actor.label} sent a {message.name} for {told(before)} and one for {told(value)}"
            self._violated("no double vote", message.height, f"{what} in round {message.round}")

    def _led(self, height: int, value: Value) -> bool:
        leaders = self._circumstances.leaders[height - 1]
        return 0 <= value.round < len(leaders) and leaders[value.round] == value.proposer

    def _computed(self, height: int, result: int | None) -> bool:
        return result is not None and bool(self._circumstances.answers[height - 1].holders(result)) and result >= 0

    def _check_backing(self, actor: Actor, height: int, what: Hashable, text: str) -> None:
        voters = set(self._backing[height, what])
        if self._kinds.collected:
            voters.add(actor.node)  # it may have collected the votes, and nobody sees that it votes itself
        if self._power(voters) < self._chain.quorum:
            text = f"{actor.label} {text}, for which only {_names(voters)} ever voted"
            self._violated("certificates", height, text)

    def _check_proofs(self, actor: Actor, message: Message) -> None:
        """Check the certificates that a message shows."""
        for height, shown in self._kinds.shows(message):
            voted = self._ballots[height, shown.round, shown.value]
            if message.sender in shown.voters:
                voted.add(message.sender)  # it says so itself
                self._backing[height, shown.value].add(message.sender)
            if not actor.honest:
                continue
            invented = set(shown.voters) - voted - self._finalizers(height)
            if invented or self._power(set(shown.voters)) < self._chain.quorum:
                text = f"{actor.label} shows {_names(shown.voters)} as voters for {told(shown.value)}"
                self._violated("certificates", height, f"{text}, of which {_names(invented)} never voted for it")

    def _finalizers(self, height: int) -> set[int]:
        """Who has cast a final vote at a height or above it, where such votes are for all blocks below, too."""
        if not self._kinds.pipelined:
            return set()
        return {voter for at, voters in self._finals.items() if at >= height for voter in voters}

    def _power(self, voters: Iterable[int]) -> int:
        return sum(self._chain.power[voter] for voter in voters)


def told(value: object) -> str:
    """A value in words: who proposed it, in which round, and which of its blocks it is."""
    if value is None:
        return "nil"
    if not isinstance(value, Value):
        return f"result {value}"
    result = "" if value.result is None else f" with result {value.result}"
    return f"block {value.proposer}.{value.round}{'ab'[value.variant]}{result}"


def _names(nodes: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(nodes))) or "nobody"
