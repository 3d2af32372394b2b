"""How a chain comes to trust a result: every node runs the model, or one does and the others check.

What to use when: `replicate` is the chain as it is; `proof`, one executor and a proof that every node verifies;
`optimistic`, one executor, and a window in which whoever looks can challenge it; `spot_check`, one executor, and nodes
drawn at random who run it again; `tee`, one executor in trusted hardware.

With one executor the nodes need not compute the same: they vote on a check that is deterministic. A proof and an
attestation settle what was computed. A challenge and a spot check compare two executions, and so bring nondeterminism
back: where honest executions can differ, no one can tell a difference from fraud, and the block is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field, PlainSerializer, PlainValidator

from sim.base.model import FrozenModel, Mistake, dumped
from sim.base.registry import Registry
from sim.base.text import did_you_mean
from sim.catalog.catalog import builtin

SECONDS_MAX = 1e12
Seconds = Annotated[float, Field(ge=0, le=SECONDS_MAX)]
PositiveSeconds = Annotated[float, Field(ge=1e-9, le=SECONDS_MAX)]
Probability = Annotated[float, Field(ge=0, le=1)]

VERIFICATIONS = Registry(
    key="kind",
    builtin={
        "replicate": "sim.consensus.verification:Replicate",
        "proof": "sim.consensus.verification:Proof",
        "optimistic": "sim.consensus.verification:Optimistic",
        "spot_check": "sim.consensus.verification:SpotCheck",
        "tee": "sim.consensus.verification:Tee",
    },
)


class Panel(NamedTuple):
    """Who looks at one executor's result.

    Parameters
    ----------
    chance
        Probability that there is a panel; else nobody looks.
    drawn
        Nodes drawn from those beside the executor, each set as likely as any other.
    looks
        Probability that an honest one of them runs the model again; Byzantine ones know anyway.
    """

    chance: float
    drawn: int
    looks: float

    @property
    def expected(self) -> float:
        """Mean number of those who run the model again, all being honest."""
        return self.chance * self.drawn * self.looks


class Replicate(FrozenModel):
    """Every node runs the model, and votes on what it computed."""

    kind: Literal["replicate"] = "replicate"


class _Systematic(FrozenModel):
    """What has figures in the catalog: those of its `system`, unless given."""

    SYSTEM: ClassVar[str]
    FIGURES: ClassVar[tuple[str, ...]]

    kind: str
    system: Annotated[str, Field(min_length=1, max_length=100)] = ""
    """The entry of the catalog's mitigations that fills in what is not given."""

    @classmethod
    def with_defaults(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Fill in the figures of the system."""
        system = data.setdefault("system", cls.SYSTEM)
        entry = builtin().mitigations.get(system) if isinstance(system, str) else None
        for key in cls.FIGURES if entry else ():
            figure = getattr(entry, key)
            if data.get(key) is None and figure is not None:
                data[key] = figure.value
        return data

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """The system is of this kind, where it is one that is shipped."""
        yield from super().cross_checks(fields, data)
        system, kind = fields.get("system"), cls.model_fields["kind"].default
        known = {name: entry for name, entry in builtin().mitigations.items() if entry.kind == kind}
        complete = all(data.get(key) is not None for key in cls.FIGURES)
        if system is not None and system not in known and (not complete or system in builtin().mitigations):
            yield Mistake(("system",), f"is no {kind} of the catalog; {did_you_mean(system, known)}", system)


class Proof(_Systematic):
    """One executor proves what it computed; every node verifies the proof."""

    SYSTEM = "zk"
    FIGURES = ("prover_ratio", "proof_bytes", "verify_s")

    kind: Literal["proof"] = "proof"
    prover_ratio: Annotated[float, Field(ge=1, le=1e12)]
    """Proving time against running the model once."""
    prove_s: PositiveSeconds | None = None
    """Seconds to prove one request, in place of the ratio; the median where they vary."""
    spread: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Standard deviation of the logarithm of the time that a prover takes for a block; below 1e-6 it never varies."""
    proof_bytes: Annotated[float, Field(ge=0, le=1e15)]
    """Size of a proof."""
    verify_s: Seconds
    """Seconds that a node takes to verify a proof."""
    provers: Annotated[int, Field(ge=1, le=100_000)] = 1
    """Nodes, drawn at random, that each run the model and race to prove; the first with valid proofs counts."""
    failure: Probability = 0.0
    """Chance that a prover never delivers the proofs of a block."""
    timeout_s: PositiveSeconds | None = None
    """Seconds after which a block fails whose requests are not all proved; left out, never."""
    soundness: Probability = 0.0
    """Chance that a forged proof passes."""

    @property
    def forgery(self) -> float:
        """Chance that what a Byzantine executor makes up passes."""
        return self.soundness

    @property
    def varies(self) -> bool:
        """Whether proving times vary enough to tell."""
        return self.spread >= 1e-6

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """Nobody waits for ever."""
        yield from super().cross_checks(fields, data)
        if fields.get("failure") and data.get("timeout_s") is None:
            yield Mistake(("timeout_s",), "is required where a prover can fail: seconds after which the block fails")


class Tee(_Systematic):
    """One executor in trusted hardware attests what it computed; every node verifies the attestation."""

    SYSTEM = "gpu_tee"
    FIGURES = ("slowdown", "proof_bytes", "verify_s")

    kind: Literal["tee"] = "tee"
    slowdown: Annotated[float, Field(ge=1, le=1e6)]
    """How many times longer an inference takes in trusted hardware."""
    proof_bytes: Annotated[float, Field(ge=0, le=1e15)]
    """Size of an attestation."""
    verify_s: Seconds
    """Seconds that a node takes to verify it."""
    failure: Probability = 0.0
    """Chance that no attestation comes."""
    compromise: Probability = 0.0
    """Chance that a Byzantine executor has broken its hardware, and attests what it likes."""

    provers: ClassVar[int] = 1

    @property
    def forgery(self) -> float:
        """Chance that what a Byzantine executor makes up passes."""
        return self.compromise


class Optimistic(_Systematic):
    """One executor posts a result, which stands unless somebody challenges it in time."""

    SYSTEM = "challenge"
    FIGURES = ("window_s", "recheck_ratio")

    kind: Literal["optimistic"] = "optimistic"
    window_s: Seconds
    """Seconds in which a result can be challenged."""
    watchers: Annotated[int, Field(ge=0, le=100_000)] | None = None
    """Nodes, drawn at random, that may look; left out, all others."""
    watch: Probability = 0.5
    """Chance that an honest watcher looks: runs the model again, and challenges a result that differs."""
    recheck_ratio: Annotated[float, Field(ge=0, le=1e6)]
    """Time of a re-execution against the execution."""

    def panel(self, others: int) -> Panel:
        """How many of the other nodes look."""
        return Panel(1.0, others if self.watchers is None else self.watchers, self.watch)


class SpotCheck(_Systematic):
    """One executor posts a result; at random, some nodes run the model again before it counts."""

    SYSTEM = "recheck"
    FIGURES = ("recheck_ratio",)

    kind: Literal["spot_check"] = "spot_check"
    probability: Probability = 0.1
    """Chance that a result is checked."""
    checkers: Annotated[int, Field(ge=1, le=100_000)] = 1
    """Nodes, drawn at random, that check it; a result that one of them does not get is refused."""
    recheck_ratio: Annotated[float, Field(ge=0, le=1e6)]
    """Time of a re-execution against the execution."""

    def panel(self, others: int) -> Panel:  # noqa: ARG002 -- where all may look, it matters
        """How many of the other nodes look."""
        return Panel(self.probability, self.checkers, 1.0)


AnyVerification = Replicate | Proof | Optimistic | SpotCheck | Tee
Verification = Annotated[
    AnyVerification,
    PlainValidator(VERIFICATIONS.validate, json_schema_input_type=AnyVerification),
    PlainSerializer(dumped),
]
"""How results are verified, chosen by `kind`."""
