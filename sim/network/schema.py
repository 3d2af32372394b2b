"""What a scenario says about the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from sim.base.members import Members, member_mistakes, numbers
from sim.base.model import WHOLE, FrozenModel, Mistake
from sim.network.latency import Latency
from sim.network.topology import Complete, Linked
from sim.statistics.durations import Constant, Duration

TIME_MAX = 1e9

Share = Annotated[float, Field(ge=0, lt=1)]
Time = Annotated[float, Field(ge=0, le=TIME_MAX)]
Bytes = Annotated[int, Field(ge=0, le=10**12), WHOLE]


class Reordering(FrozenModel):
    """Some messages are held back, so that later ones overtake them."""

    probability: Annotated[float, Field(gt=0, lt=1)]
    """Probability that a message is held back."""
    delay: Duration
    """How much longer it then takes."""


class Partition(FrozenModel):
    """For a time the nodes fall into sides that can't reach each other.

    A message counts as crossing by when it leaves its sender: one already under way when the partition starts arrives,
    one sent while it is on is held until it heals.
    """

    start: Time
    """When it starts, in seconds."""
    end: Time | None = None
    """When it heals, in seconds; not given, it never does."""
    apart: Annotated[tuple[Members, ...], Field(strict=False, min_length=1, max_length=1_000)]
    """The sides; all nodes not named form one more."""
    lost: bool = False
    """Whether messages across are lost, rather than held; they always are where it never heals."""

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """It starts before it ends."""
        yield from super().cross_checks(fields, data)
        end = fields.get("end")
        if end is not None and "start" in fields and end <= fields["start"]:
            yield Mistake(("end",), f"must be after start ({fields['start']:g})", end)

    def mistakes(self, counts: Mapping[str, int]) -> Iterator[Mistake]:
        """Yield members that do not exist, and nodes on two sides; paths are below the partition.

        Parameters
        ----------
        counts
            Number of nodes of each group.
        """
        owner: dict[tuple[str, int], int] = {}
        for side, members in enumerate(self.apart):
            wrong = list(member_mistakes(members, counts))
            yield from (Mistake(("apart", side, *path), message, value) for path, message, value in wrong)
            for group in members.keys() & counts.keys():
                if any(path[0] == group for path, _, _ in wrong):
                    continue
                for index in numbers({group: members[group]}, {group: range(counts[group])}):
                    other = owner.setdefault((group, index), side)
                    if other != side:
                        message = f"must name no node of another side (node {index} is on side {other})"
                        yield Mistake(("apart", side, group), message)
                        break


class PartialSynchrony(FrozenModel):
    """Before a global stabilisation time messages may be late; from then on they take their ordinary delay.

    Before it each message takes `extra` longer than its ordinary delay, but arrives at the latest at `time` plus its
    ordinary delay; so do messages held back by `reordering`. Loss, duplication and reordering end at `time`;
    partitions keep their own times.
    """

    time: Time
    """The global stabilisation time, in seconds."""
    extra: Duration
    """How much longer messages take before it."""


class Network(FrozenModel):
    """What happens to messages between a sender and a receiver."""

    latency: Latency = Constant(seconds=0.05)
    """How long a message is under way, in seconds: a number, a law, or a law for each pair of regions."""
    bandwidth: Annotated[float, Field(gt=0, le=1e15)] | None = None
    """Uplink of every node, in bytes per second; not given, unlimited."""
    block_bytes: Bytes = 100_000
    """Size of a message that carries a block."""
    vote_bytes: Bytes = 200
    """Size of every other message."""
    topology: Linked = Complete()
    """Who is linked to whom; with a graph, messages are flooded over it."""
    loss: Share = 0.0
    """Probability that a message is lost; over a graph, on each hop."""
    duplication: Share = 0.0
    """Probability that a message arrives twice; over a graph repeats are dropped, so that it changes nothing."""
    reordering: Reordering | None = None
    """Holds some messages back."""
    partitions: Annotated[tuple[Partition, ...], Field(strict=False, max_length=1_000)] = ()
    """Times at which the nodes fall into sides."""
    gst: PartialSynchrony | None = None
    """Partial synchrony; not given, the network is as well behaved as ever from the start."""

    def mistakes(self, counts: Mapping[str, int]) -> Iterator[Mistake]:
        """Yield what does not fit the nodes; paths are below the network.

        Parameters
        ----------
        counts
            Number of nodes of each group.
        """
        for mistake in self.topology.mistakes(sum(counts.values())):
            yield mistake._replace(path=("topology", *mistake.path))
        for place, partition in enumerate(self.partitions):
            for mistake in partition.mistakes(counts):
                yield mistake._replace(path=("partitions", place, *mistake.path))
