"""What becomes of each height: who has closed it, what was decided, and when it is over.

The ledger looks on from outside: it hears what honest replicas decide and when they leave, and from that knows the
outcome of a block, when a height has failed for everybody, and the first violation of safety.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from sim.consensus.tally import Outcome
from sim.engines.timing import Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sim.consensus.attackers import Answers
    from sim.consensus.protocols.messages import Value


@dataclass(slots=True)
class Block:
    """A height that is not over.

    Parameters
    ----------
    height
        Which.
    leaders
        Leaders of its rounds.
    answers
        What the nodes computed.
    started
        When its first leader began it; before that, when anybody did.
    absent
        Honest nodes that were away when it began, because an earlier answer of theirs lost.
    counter
        The only node that gets the votes of its first round, where it is not for all to count them.
    """

    height: int
    leaders: Sequence[int]
    answers: Answers
    started: float
    absent: frozenset[int] = frozenset()
    counter: int | None = None
    led: bool = False
    values: dict[int, Value] = field(default_factory=dict)
    results: dict[int, int] = field(default_factory=dict)
    decided: set[Value] = field(default_factory=set)
    certified: set[int] = field(default_factory=set)
    begun: set[int] = field(default_factory=set)
    left: set[int] = field(default_factory=set)
    holding: int = 0
    known_at: float | None = None
    rounds: int = 0

    @property
    def outcome(self) -> Outcome:
        """What became of it, from what honest replicas decided."""
        if len(self.certified) > 1 or len(self.decided) > 1:
            return Outcome.forked
        if not self.certified:
            return Outcome.no_quorum
        (result,) = self.certified
        power = self.answers.power
        fair = 0 <= result < len(power) and power[result] == power[0]
        return Outcome.agreed if fair else Outcome.wrong_result

    @property
    def diverged(self) -> int:
        """Honest nodes that took part and did not compute what was agreed; 0 if nothing was."""
        if self.outcome != Outcome.agreed:
            return 0
        (result,) = self.certified
        return sum(self.answers.nodes) - self.answers.nodes[result]


class Over(NamedTuple):
    """A height that is over: its block, and when."""

    block: Block
    time: float


class Ledger:
    """All heights that are not over.

    Parameters
    ----------
    power
        Voting power of every node.
    honest
        Honest nodes.
    quorum, faults
        q and f, in voting power.
    over
        Called with every height that is over, in their order.
    """

    def __init__(
        self,
        power: Sequence[int],
        honest: Sequence[int],
        quorum: int,
        faults: int,
        over: Callable[[Over], None],
    ) -> None:
        self._power, self._quorum = power, quorum
        self._votes = sum(power)
        self._enough = min(faults + 1, sum(power[node] for node in honest))
        self._over = over
        self.live = set(honest)
        self._at = dict.fromkeys(honest, 1)
        self._crowd = Counter({1: len(self.live)})
        self.blocks: dict[int, Block] = {}
        self.first = 1
        """The lowest height that is not over."""
        self.failed: set[int] = set()
        """Heights that failed for everybody, kept while a node may still come to them."""
        self.gone: set[int] = set()
        """Nodes that will never take part again."""
        self.violation: Violation | None = None

    def start_at(self, height: int) -> None:
        """Begin with that height instead of the first."""
        self._at = dict.fromkeys(self._at, height)
        self._crowd = Counter({height: len(self.live)})
        self.first = height

    def height_of(self, node: int) -> int:
        """The first height that an honest node has not closed."""
        return self._at[node]

    def put_at(self, node: int, height: int) -> None:
        """Let an honest node stand at a height of its own."""
        self._crowd[self._at[node]] -= 1
        self._crowd[height] += 1
        self._at[node] = height

    def entered(self, node: int, block: Block, now: float) -> None:
        """A node begins a height."""
        block.begun.add(node)
        if not block.led and node == block.leaders[0] and not block.values:
            block.started, block.led = now, True

    def decided(self, node: int, block: Block, value: Value, round_: int) -> None:
        """An honest replica has seen q final votes for a value."""
        block.values[node] = value
        block.decided.add(value)
        block.rounds = max(block.rounds, round_ + 1)

    def holds(self, node: int, block: Block, result: int, now: float) -> None:
        """An honest replica has a result with q votes."""
        block.results[node] = result
        block.certified.add(result)
        block.holding += self._power[node]
        if block.known_at is None and block.holding >= self._enough:
            block.known_at = now

    def judge(self, node: int, block: Block, now: float) -> None:
        """Look for a violation of safety in what a node has just decided."""
        if self.violation is not None:
            return
        if len(block.decided) > 1 or len(block.certified) > 1:
            kept = block.values if len(block.decided) > 1 else block.results
            other = next(n for n, chosen in kept.items() if chosen != kept[node])
            self.violation = Violation("agreement", block.height, now, (other, node))
        elif block.results.get(node, 0) < 0:
            self.violation = Violation("validity", block.height, now, (node,))

    def advanced(self, node: int, height: int, now: float) -> None:
        """An honest node has closed all heights below one."""
        if node in self.live:
            self._crowd[self._at[node]] -= 1
            self._crowd[height] += 1
        self._at[node] = height
        self.settle(now)

    def left(self, node: int, block: Block) -> None:
        """An honest node has left its last round."""
        block.left.add(node)

    def down(self, node: int, now: float) -> None:
        """An honest node no longer takes part."""
        if node in self.live:
            self.live.discard(node)
            self._crowd[self._at[node]] -= 1
            self.settle(now)

    def up(self, node: int) -> None:
        """It takes part again."""
        self.live.add(node)
        self._crowd[self._at[node]] += 1

    def settle(self, now: float) -> None:
        """Close the heights that all live honest nodes have closed."""
        while self.live and not self._crowd[self.first]:
            del self._crowd[self.first]
            if min(height for height, number in self._crowd.items() if number) < self.first:
                return
            block = self.blocks.pop(self.first, None)
            self.first += 1
            if block is not None:
                self._over(Over(block, now))
        if self.failed and min(self.failed) < (lowest := min(self._at.values())):
            self.failed = {height for height in self.failed if height >= lowest}

    def hopeless(self, height: int) -> bool:
        """Whether a height has failed for everybody: those who work on it have left it, and enough of them."""
        block = self.blocks.get(height)
        if block is None:
            return False
        here = [node for node in self.live if self._works_on(node, block)]
        if not here or any(node not in block.left for node in here):
            return False
        if any(node not in self.gone for node in block.values):
            return False
        everybody = len(here) == len(self.live)
        return everybody or sum(self._power[node] for node in here) > self._votes - self._quorum

    def _works_on(self, node: int, block: Block) -> bool:
        """Whether a node has come to a height, and not closed it; a pipelined one may have lower ones open."""
        at = self._at[node]
        return at == block.height or (at < block.height and (node in block.begun or node in block.left))

    @property
    def reached(self) -> int:
        """The height that the first of the honest nodes that take part has come to."""
        return max((self._at[node] for node in self.live), default=self.first)

    def pending(self) -> list[Block]:
        """Blocks that have begun and are not over, by height."""
        return [self.blocks[height] for height in sorted(self.blocks)]
