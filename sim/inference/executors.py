"""Executors: what turns a request into an output.

What to use when: `cpu` for a deterministic executor (fixed shapes, fixed reduction order); `gpu` for one that deviates
at a rate; `recorded` to replay the answers that real nodes gave; `numeric` for answers that are numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer, PlainValidator, Strict

from sim.base.model import Mistake, dumped
from sim.base.registry import Registry
from sim.base.text import has_control_characters
from sim.inference.arithmetic import Arithmetic, arithmetic_clashes, fill_arithmetic
from sim.inference.difficulty import DIFFICULTIES
from sim.inference.difficulty.base import RATE_MIN, Difficulty
from sim.inference.difficulty.beta import Beta
from sim.inference.difficulty.empirical import Empirical
from sim.inference.difficulty.independent import Independent
from sim.inference.difficulty.near_tie import NearTie
from sim.inference.difficulty.zero_inflated import ZeroInflated
from sim.inference.numeric import Numeric
from sim.inference.timed import Timed

OUTPUT_CHARACTERS_MAX = 10_000

EXECUTORS = Registry(
    key="kind",
    builtin={
        "cpu": "sim.inference.executors:Cpu",
        "gpu": "sim.inference.executors:Gpu",
        "recorded": "sim.inference.executors:Recorded",
        "numeric": "sim.inference.numeric:Numeric",
    },
)


class Cpu(Timed):
    """Always returns the reference output, the noise-free one."""

    kind: Literal["cpu"] = "cpu"


class Gpu(Timed):
    """Returns the reference output, except where its nondeterminism makes it deviate."""

    kind: Literal["gpu"] = "gpu"
    nondeterminism: Annotated[
        Difficulty,
        PlainValidator(
            DIFFICULTIES.validate, json_schema_input_type=NearTie | Independent | Beta | ZeroInflated | Empirical
        ),
        PlainSerializer(dumped),
    ]
    """When its nodes deviate on native kernels, and how: one of the difficulty models."""
    arithmetic: Arithmetic | None = None
    """How its kernels round (see `sim.inference.arithmetic`); left out, `native`."""
    residual: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of the native deviations that the arithmetic leaves; left out, the catalog's."""
    slowdown: Annotated[float, Field(ge=1, le=1e6)] | None = None
    """How many times longer an inference takes than on native kernels; left out, the catalog's."""
    batch: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Batch size for which `class_exact` kernels are exact: nodes of another size are another class. Left out, any."""

    @classmethod
    def with_defaults(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Fill in what the arithmetic implies."""
        fill_arithmetic(data)
        return data

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """What goes with which arithmetic."""
        yield from super().cross_checks(fields, data)
        yield from arithmetic_clashes(fields)

    @property
    def slowed(self) -> float:
        """How many times longer it takes than `seconds_per_request`."""
        return self.slowdown or 1.0

    @cached_property
    def law(self) -> Difficulty:
        """When its nodes deviate on the kernels that they run."""
        law = self.nondeterminism
        if law.intervals is not None:  # how sure one is of a law does not make it another
            law = law.model_copy(update={"intervals": None})
        if self.residual is None or self.arithmetic == "class_exact":
            return law
        rate = law.rate * self.residual
        return type(law).model_validate(law.model_dump() | {"rate": rate if rate >= RATE_MIN else 0.0})


class Recorded(Timed):
    """Replays what the nodes of the group answered: the same block, over and over.

    Answers are compared as texts. Where some nodes of the group are Byzantine, they are the last ones.
    """

    kind: Literal["recorded"] = "recorded"
    outputs: Annotated[tuple[Annotated[str, Strict()], ...], Field(strict=False, min_length=1, max_length=100_000)]
    """One text a node, its answer to the whole block."""
    recording: Annotated[str, Field(min_length=1, max_length=1_000)] | None = None
    """In place of `outputs`: a recording of repeated runs, whose prompts are replayed (see `Empirical`)."""

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """Bound the texts, and refuse control characters other than line breaks and tabs."""
        yield from super().cross_checks(fields, data)
        if fields.get("recording") is not None:
            message = "must stand in place of outputs, in a scenario file, with which it is read"
            yield Mistake(("recording",), message, fields["recording"])
        for index, text in enumerate(fields.get("outputs", ())):
            if len(text) > OUTPUT_CHARACTERS_MAX:
                message = f"must have at most {OUTPUT_CHARACTERS_MAX} characters (has {len(text)})"
                yield Mistake(("outputs", index), message)
            elif has_control_characters(text, allow="\n\t"):
                yield Mistake(("outputs", index), "must not hold control characters", text)


Executor = Annotated[
    Cpu | Gpu | Recorded | Numeric,
    PlainValidator(EXECUTORS.validate, json_schema_input_type=Cpu | Gpu | Recorded | Numeric),
    PlainSerializer(dumped),
]
"""The executor of a group, chosen by its `kind`."""
