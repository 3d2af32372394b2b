"""The schema of a scenario: nodes, consensus, faults, workload, and how to run it.

Each part is a frozen model beside its behaviour, on a floor below; here they come together, with the checks that span
them and the numbers that engines need.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field

from sim.base.model import WHOLE, FrozenModel, Mistake
from sim.base.text import has_control_characters
from sim.consensus.faults import Faults
from sim.consensus.recovery import OnFailure, Recovery
from sim.consensus.rules import Consensus
from sim.consensus.tally import Election
from sim.consensus.verification import Replicate, Verification
from sim.inference.executors import Cpu, Executor, Gpu, Recorded
from sim.inference.numeric import NumberGroup, Numeric
from sim.inference.population import HonestGroup, Population
from sim.network.schema import Network
from sim.scenario.answers import answer_clashes, number_clashes, replay_clashes, share_clashes
from sim.scenario.checks import group_clashes, network_clashes, verification_clashes, vote_clashes
from sim.scenario.cost import Cost, cost_of
from sim.scenario.entries import TOKENS_MAX
from sim.scenario.identity import scenario_id
from sim.scenario.mechanisms import failure_clashes, mechanism_clashes, points_per_request

NODES_MAX = 100_000
BLOCKS_MAX = 10**12
CHAINS_MAX = 10**6
POWER_MAX = 10**12
NAME_CHARACTERS_MAX = 100
DESCRIPTION_CHARACTERS_MAX = 2_000
RETRIES = 3
EngineName = Literal["auto", "exact", "montecarlo", "events", "phases"]


class NodeGroup(FrozenModel):
    """Nodes alike in hardware, executor and voting power."""

    count: Annotated[int, Field(ge=1, le=NODES_MAX)]
    """Number of nodes."""
    hardware: Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX)] = ""
    """Hardware class, a free label: nodes of one class share class noise. Default: the group's name."""
    power: Annotated[int, Field(ge=1, le=POWER_MAX)] = 1
    """Voting power (stake) of each node."""
    executor: Executor
    """What turns a request into an output: `cpu`, `gpu`, `recorded` or `numeric`."""
    devices: Annotated[int, Field(ge=1, le=1_024)] | None = None
    """Devices of each node: requests that it executes at once (where `seconds_per_request` is given); left out, 1."""
    region: Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX)] | None = None
    """Region of its nodes, where the network's latency depends on it."""
    price_per_hour: Annotated[float, Field(ge=0, le=1e9)] | None = None
    """US dollars for an hour of one of its machines; left out, costs are told in machine-seconds only."""

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """One recorded output a node; a label that can be shown."""
        yield from super().cross_checks(fields, data)
        executor, count = fields.get("executor"), fields.get("count")
        if isinstance(executor, Recorded) and count is not None and len(executor.outputs) != count:
            message = f"must have one text for each of the {count} nodes (has {len(executor.outputs)})"
            yield Mistake(("executor", "outputs"), message)
        for key in ("hardware", "region"):
            if has_control_characters(fields.get(key) or ""):
                yield Mistake((key,), "must not hold control characters", fields[key])

    @property
    def noise_class(self) -> str:
        """Machines that share noise: its hardware, and the batch size where kernels are exact for one only."""
        batch = self.executor.batch if isinstance(self.executor, Gpu) else None
        return self.hardware if batch is None else f"{self.hardware}, batch {batch}"


def _labelled(group: Any, name: str) -> Any:
    """Give a group, as written or validated, its name as hardware class if it has none."""
    if isinstance(group, NodeGroup):
        return group if group.hardware else group.model_copy(update={"hardware": name})
    return {"hardware": name, **group} if isinstance(group, dict) else group


class Workload(FrozenModel):
    """What a block carries."""

    requests_per_block: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """Inference requests in a block."""
    tokens: Annotated[int, Field(ge=1, le=TOKENS_MAX)] = 1
    """Output tokens of a request; they matter where a rate is `per: token`."""
    model: Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX)] | None = None
    """A model of the catalog: fills in tokens, and with `hardware` or `platform` how long a request takes."""
    true_value: Annotated[float, Field(ge=-1e100, le=1e100)] | None = None
    """What a noise-free node would answer, where answers are numbers; left out, 0."""


class Run(FrozenModel):
    """How to run it; flags override these, and results do not depend on them beyond chance."""

    engine: EngineName = "auto"
    """`exact`, `montecarlo`, `events`, `phases`, or `auto`: the cheapest that can answer."""
    blocks: Annotated[int, Field(ge=1, le=BLOCKS_MAX), WHOLE] = 10_000
    """Blocks to simulate; the exact engine needs none."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    """Seed of the random streams."""
    chains: Annotated[int, Field(ge=1, le=CHAINS_MAX), WHOLE] | None = None
    """Chains to simulate over time, of `blocks` each; left out, 1."""


class Scenario(FrozenModel):
    """A chain that runs AI inference: who computes, who votes, who lies, and what a block carries."""

    name: Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX)] = "unnamed"
    """Name in results and pictures."""
    description: Annotated[str, Field(max_length=DESCRIPTION_CHARACTERS_MAX)] = ""
    """What it shows."""
    nodes: Annotated[dict[str, NodeGroup], Field(min_length=1, max_length=1_000)]
    """Groups of nodes, by name."""
    consensus: Consensus = Field(default_factory=Consensus)
    """The consensus module."""
    faults: Faults = Field(default_factory=Faults)
    """Byzantine nodes."""
    verification: Verification | None = None
    """How results are verified; left out, every node runs the model and votes on what it computed (`replicate`)."""
    platform: Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX)] | None = None
    """A platform of the catalog: fills in threshold, protocol, and the number of nodes of a single group."""
    network: Network | None = None
    """What carries the messages: given, the scenario is run message by message; left out, its defaults are meant."""
    recovery: Recovery | None = None
    """For how long a node is away that diverged; left out, it is back at once."""
    on_failure: OnFailure | None = None
    """What a failed slot is followed by: `halt`, the end of the chain; `retry`, the same block executed again;
    `next_leader`, the same answers put to the vote by another leader (result propose); `skip`, the next block. Left
    out, `halt` where there is recovery, or `next_leader` where leaders propose; else `skip`."""
    max_retries: Annotated[int, Field(ge=1, le=1_000)] | None = None
    """Attempts at a block after the first, before the chain halts; left out, 3 for `retry`, and n - 1 for
    `next_leader`."""
    workload: Workload = Field(default_factory=Workload)
    """What a block carries."""
    run: Run = Field(default_factory=Run)
    """How to run it."""
    sweep: dict[str, Any] | None = None
    """Axes of a sweep; a single run ignores them."""

    @classmethod
    def with_defaults(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Give each group its own name as the default hardware class."""
        nodes = data.get("nodes")
        if isinstance(nodes, Mapping):
            data["nodes"] = {name: _labelled(group, name) for name, group in nodes.items()}
        return data

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """Check names and texts, and what spans groups, faults and consensus."""
        yield from super().cross_checks(fields, data)
        for key, allow in (("name", ""), ("description", "\n\t")):
            if has_control_characters(fields.get(key, ""), allow=allow):
                yield Mistake((key,), "must not hold control characters", fields[key])
        for axis, entry in (fields.get("sweep") or {}).items():
            expected = list if axis == "list" else dict
            if not isinstance(entry, expected):
                kind = "a list of points" if axis == "list" else "a mapping such as {path: ..., values: [...]}"
                yield Mistake(("sweep", axis), f"must be {kind}", entry)
        groups = data.get("nodes")
        if isinstance(groups, Mapping):
            valid = fields.get("nodes", {})
            yield from group_clashes(groups, valid)
            yield from vote_clashes(groups, valid, fields.get("consensus"), fields.get("faults"), NODES_MAX)
            yield from network_clashes(groups, valid, fields.get("network"), fields.get("faults"))
            yield from answer_clashes(groups, valid, fields.get("consensus"), fields.get("faults"))
            yield from number_clashes(groups, valid, fields)
            yield from replay_clashes(groups, valid, fields)
            yield from share_clashes(groups, valid, fields.get("consensus"), fields.get("workload"))
            rule = fields["consensus"].matching if "consensus" in fields else None
            yield from verification_clashes(groups, valid, fields.get("verification"), rule)
            yield from failure_clashes(fields, data)
            yield from mechanism_clashes(
                groups, valid, fields.get("consensus"), fields.get("verification"), fields.get("workload")
            )

    @cached_property
    def scenario_id(self) -> str:
        """SHA-256 over all that decides the numbers (see `identity`)."""
        return scenario_id(self)

    @property
    def node_count(self) -> int:
        """Number of nodes."""
        return sum(group.count for group in self.nodes.values())

    @cached_property
    def numbering(self) -> dict[str, range]:
        """Numbers of each group's nodes, groups in the order of their names; the Byzantine ones are a group's last."""
        numbers: dict[str, range] = {}
        first = 0
        for name, group in sorted(self.nodes.items()):
            numbers[name] = range(first, first + group.count)
            first += group.count
        return numbers

    @cached_property
    def election(self) -> Election:
        """Who votes, in voting power."""
        lying = {name: self.faults.of(name) for name in self.nodes}
        votes = sum(group.count * group.power for group in self.nodes.values())
        return Election(
            votes,
            self.consensus.quorum_of(votes),
            sum(number * self.nodes[name].power for name, number in lying.items()),
            max((self.nodes[name].power for name, number in lying.items() if number), default=0),
            self.faults.behaviour,
        )

    @property
    def faults_tolerated(self) -> int:
        """Voting power f that may be faulty."""
        return self.consensus.faults_tolerated(self.election.votes)

    @property
    def points_per_request(self) -> int:
        """Decision points L within a request: its tokens where the rate is per token, else 1."""
        return points_per_request(self.nodes.values(), self.workload)

    @property
    def points(self) -> int:
        """Decision points M in a block."""
        return self.workload.requests_per_block * self.points_per_request

    @cached_property
    def population(self) -> Population:
        """Honest nodes, sorted by how they can differ; groups are walked in the order of their names."""
        return Population.of(self.honest_groups, self.consensus.equivalent)

    @cached_property
    def contested(self) -> bool:
        """Whether nodes can answer differently, all being honest: then nobody can tell a difference from fraud."""
        groups = [replace(group, count=self.nodes[name].count) for name, group in self._honest_by_name()]
        return Population.of(groups, self.consensus.equivalent).can_differ

    @property
    def honest_groups(self) -> list[HonestGroup]:
        """Honest nodes of each group that computes, in the order of the groups' names."""
        return [group for _, group in self._honest_by_name()]

    def _honest_by_name(self) -> list[tuple[str, HonestGroup]]:
        return [
            (name, HonestGroup(group.count - self.faults.of(name), group.power, group.noise_class, group.executor))
            for name, group in sorted(self.nodes.items())
            if isinstance(group.executor, Cpu | Gpu)
        ]

    @property
    def honest_nodes(self) -> int:
        """Number of nodes that are not Byzantine."""
        return sum(group.count - self.faults.of(name) for name, group in self.nodes.items())

    @property
    def number_groups(self) -> list[NumberGroup]:
        """Honest nodes of each group that answers with numbers, in the order of the groups' names."""
        return [
            NumberGroup(group.count - self.faults.of(name), group.power, group.hardware, group.executor)
            for name, group in sorted(self.nodes.items())
            if isinstance(group.executor, Numeric)
        ]

    @property
    def numeric(self) -> bool:
        """Whether answers are numbers that are drawn."""
        return any(isinstance(group.executor, Numeric) for group in self.nodes.values())

    @property
    def chained(self) -> bool:
        """Whether blocks depend on those before them, or are simulated chain by chain."""
        return self.recovery is not None or self.on_failure is not None or self.run.chains is not None

    @property
    def after_failure(self) -> OnFailure:
        """What a failed slot is followed by."""
        if self.on_failure or self.recovery is None:
            return self.on_failure or "skip"
        return "next_leader" if self.consensus.result == "propose" else "halt"

    @property
    def retries(self) -> int:
        """Attempts at a block after the first."""
        default = {"retry": RETRIES, "next_leader": self.node_count - 1}.get(self.after_failure)
        return 0 if default is None else self.max_retries or default

    @property
    def rounds(self) -> int:
        """Rounds (views) in which a block is attempted, message by message."""
        if self.after_failure == "next_leader":
            return min(1 + self.retries, self.node_count)
        return self.consensus.rounds_of(self.node_count)

    @property
    def replicated(self) -> bool:
        """Whether every node runs the model and votes on what it computed."""
        return self.verification is None or isinstance(self.verification, Replicate)

    @cached_property
    def cost(self) -> Cost | None:
        """Work of one answer; None where a group does not say how long a request takes."""
        return cost_of(self)

    @property
    def recorded(self) -> bool:
        """Whether the nodes replay recorded answers."""
        return any(isinstance(group.executor, Recorded) for group in self.nodes.values())
