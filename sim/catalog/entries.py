"""What the catalog lists: platforms, models, hardware, mitigations. Units stand last in the names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from sim.base.model import FrozenModel
from sim.catalog.figures import Count, Factor, Figure, Flag, Part, Positive, Sourced, Threshold, Word

Name = Annotated[str, Field(min_length=1, max_length=100)]
ByModel = Annotated[dict[str, Positive], Field(max_length=1_000)]


class Entry(FrozenModel):
    """What every entry has."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    """Its name in full."""
    aliases: Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=20)] = Field(
        default_factory=list
    )
    """Other names that mean it."""

    def figures(self) -> Iterator[tuple[str, Sourced]]:
        """Yield key and figure of all that it says; `tokens_per_s.llama3_8b_q4` where there is one for each model."""
        for key in type(self).model_fields:
            value: Any = getattr(self, key)
            if isinstance(value, Sourced):
                yield key, value
            elif isinstance(value, dict):
                yield from ((f"{key}.{name}", figure) for name, figure in value.items())


class Platform(Entry):
    """A chain: what a contract may use, and who has to agree."""

    nodes: Count | None = None
    """Nodes that run a contract."""
    heap_bytes: Figure | None = None
    """Memory that a contract computes in."""
    stable_bytes: Figure | None = None
    """Memory that it keeps, read and written page by page."""
    operations_per_s: Positive | None = None
    """Instructions that a contract executes in a second."""
    floats: Flag | None = None
    """Whether it has floating point numbers."""
    operations_per_call: Positive | None = None
    """Instructions that one call (message, transaction) may take."""
    protocol: Word | None = None
    """Consensus protocol, where it is one that this program knows."""
    result: Word | None = None
    """How results are agreed, `certify` or `propose`."""
    fault_threshold: Threshold | None = None
    """Share of the votes that may be faulty."""
    block_s: Figure | None = None
    """Seconds from block to block."""
    finality_s: Figure | None = None
    """Seconds until a block can't be taken back."""


class ModelEntry(Entry):
    """A machine-learning model."""

    parameters: Figure | None = None
    """Weights."""
    bytes: Figure
    """Size of the weights; what it needs beside them while it runs comes on top."""
    operations_per_token: Figure
    """Operations of one output token; of the whole answer where there are no tokens."""
    tokens: Count
    """Output tokens of a usual answer."""


class Hardware(Entry):
    """What a model runs on."""

    kind: Literal["cpu", "gpu"]
    """Whether it is a GPU, for which a chain has to say how it keeps to one answer."""
    memory_bytes: Figure | None = None
    """Memory that holds a model."""
    memory_bytes_per_s: Positive | None = None
    """Bytes that can be read from it in a second."""
    operations_per_s: Positive
    """Operations in a second, at best."""
    tokens_per_s: ByModel = Field(default_factory=dict)
    """Measured tokens in a second, by model."""
    price_per_hour: Figure | None = None
    """US dollars for an hour of it."""


class Mitigation(Entry):
    """A way out of nondeterminism, and what it costs."""

    kind: Literal["arithmetic", "proof", "optimistic", "spot_check", "tee"]
    """Where it goes: `executor.arithmetic`, or a kind of `verification`."""
    slowdown: Factor | None = None
    """Time of an inference against native kernels."""
    residual: Part | None = None
    """Share of the native deviations that remains."""
    memory_factor: Positive | None = None
    """Memory for the weights, against f16."""
    prover_ratio: Factor | None = None
    """Proving time against running the model once."""
    prove_s: ByModel = Field(default_factory=dict)
    """Seconds to prove an answer, by model."""
    prove_s_per_token: ByModel = Field(default_factory=dict)
    """Seconds to prove a token, by model."""
    proof_bytes: Figure | None = None
    """Size of a proof."""
    verify_s: Figure | None = None
    """Seconds to verify a proof."""
    window_s: Figure | None = None
    """Seconds in which a result can be challenged."""
    recheck_ratio: Figure | None = None
    """Time of a re-execution against the execution."""


class Preset(Entry):
    """How real machines were seen to deviate: what stands under `nondeterminism: {preset: ...}`."""

    difficulty: Word
    """Difficulty model."""
    rate: Part
    """Probability that a node deviates at a decision point, with its 95 % interval."""
    correlation: Part | None = None
    """Intra-prompt correlation, where the model has one, with its 95 % interval."""
    alternatives: Figure | None = None
    """Concentration of wrong answers, with its 95 % interval."""
