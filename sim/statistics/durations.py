"""Laws of a duration in seconds, each given by its inverse CDF, so that one uniform is one duration.

What to use when: `constant` for a known delay; `uniform` for jitter within bounds; `normal` for jitter around a mean;
`lognormal` for wide-area latencies, most near the median and a few far above it; `pareto` for heavy tails.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, PlainSerializer, PlainValidator, TypeAdapter
from pydantic_core import PydanticCustomError

from sim.base.model import FrozenModel, Mistake, dumped
from sim.base.registry import Registry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SECONDS_MAX = 1e6
Seconds = Annotated[float, Field(ge=0, le=SECONDS_MAX)]

DURATIONS = Registry(
    key="kind",
    builtin={
        "constant": "sim.statistics.durations:Constant",
        "uniform": "sim.statistics.durations:Uniform",
        "normal": "sim.statistics.durations:Normal",
        "lognormal": "sim.statistics.durations:LogNormal",
        "pareto": "sim.statistics.durations:Pareto",
    },
    group="sim.latency",
)


class DurationLaw(FrozenModel, ABC):
    """How long something takes, in seconds; never negative, and of finite mean."""

    kind: str
    """Name of the law."""

    @abstractmethod
    def quantile(self, uniform: Floats) -> Floats:
        """Inverse CDF.

        Parameters
        ----------
        uniform
            Numbers strictly between 0 and 1, any shape.

        Returns
        -------
        Floats
            Seconds, the same shape; finite, at least 0, never falling with `uniform`.
        """

    @property
    @abstractmethod
    def expected(self) -> float:
        """Mean, in seconds."""

    @property
    @abstractmethod
    def constant(self) -> float | None:
        """The duration in seconds if it never varies, else None."""


class Constant(DurationLaw):
    """Always the same."""

    kind: Literal["constant"] = "constant"
    seconds: Seconds
    """The duration, in seconds."""

    def quantile(self, uniform: Floats) -> Floats:
        """The same everywhere (see `DurationLaw`)."""
        return np.full(np.shape(uniform), float(self.seconds))

    @property
    def expected(self) -> float:
        """Mean, in seconds."""
        return self.seconds

    @property
    def constant(self) -> float | None:
        """The duration in seconds."""
        return self.seconds


class Uniform(DurationLaw):
    """Equally likely anywhere between two bounds."""

    kind: Literal["uniform"] = "uniform"
    low: Seconds
    """Shortest duration, in seconds."""
    high: Seconds
    """Longest duration, in seconds."""

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """The bounds in order."""
        yield from super().cross_checks(fields, data)
        if {"low", "high"} <= fields.keys() and fields["low"] > fields["high"]:
            yield Mistake(("low",), f"must be at most high ({fields['high']:g})", fields["low"])

    def quantile(self, uniform: Floats) -> Floats:
        """Linear between the bounds (see `DurationLaw`)."""
        seconds: Floats = np.minimum(self.low + uniform * (self.high - self.low), self.high)
        return seconds

    @property
    def expected(self) -> float:
        """Mean, in seconds."""
        return (self.low + self.high) / 2

    @property
    def constant(self) -> float | None:
        """The duration in seconds if the bounds meet, else None."""
        return self.low if self.low == self.high else None


class Normal(DurationLaw):
    """Normal, given that it is not negative: the part below 0 is cut off, which raises the mean."""

    kind: Literal["normal"] = "normal"
    mean: Seconds
    """Mean before the cut, in seconds."""
    deviation: Seconds
    """Standard deviation before the cut, in seconds."""

    def quantile(self, uniform: Floats) -> Floats:
        """Inverse CDF of the part above 0 (see `DurationLaw`)."""
        from scipy.special import ndtr, ndtri  # lazy: a quarter of a second to import

        if not self.deviation:
            return np.full(np.shape(uniform), float(self.mean))
        below, above = ndtr(-self.mean / self.deviation), ndtr(self.mean / self.deviation)
        low = np.asarray(uniform) < 0.5
        tail = np.where(low, below + uniform * above, (1 - uniform) * above)  # the near tail keeps every digit
        seconds: Floats = self.mean + self.deviation * np.where(low, 1, -1) * ndtri(tail)
        return np.maximum(seconds, 0)

    @property
    def expected(self) -> float:
        """Mean after the cut, in seconds."""
        if not self.deviation:
            return self.mean
        z = self.mean / self.deviation
        above = math.erfc(-z / math.sqrt(2)) / 2
        return self.mean + self.deviation * math.exp(-z * z / 2) / math.sqrt(2 * math.pi) / above

    @property
    def constant(self) -> float | None:
        """The mean if nothing deviates from it, else None."""
        return None if self.deviation else self.mean


class LogNormal(DurationLaw):
    """Its logarithm is normal."""

    kind: Literal["lognormal"] = "lognormal"
    median: Seconds
    """Median, in seconds."""
    sigma: Annotated[float, Field(ge=0, le=10)]
    """Standard deviation of the natural logarithm; 0.3 is within 10 % of a relative deviation of 0.3."""

    def quantile(self, uniform: Floats) -> Floats:
        """Exponential of a normal quantile (see `DurationLaw`)."""
        from scipy.special import ndtri

        seconds: Floats = self.median * np.exp(self.sigma * ndtri(uniform))
        return seconds

    @property
    def expected(self) -> float:
        """Mean, in seconds."""
        return self.median * math.exp(self.sigma**2 / 2)

    @property
    def constant(self) -> float | None:
        """The median if nothing deviates from it, else None."""
        return None if self.sigma and self.median else self.median


class Pareto(DurationLaw):
    """P(longer than x) = (minimum / x)^shape: now and then far longer than usual."""

    kind: Literal["pareto"] = "pareto"
    minimum: Seconds
    """Shortest duration, in seconds."""
    shape: Annotated[float, Field(gt=1, le=1e6)]
    """Tail exponent, above 1 so that the mean is finite; the smaller, the heavier the tail."""

    def quantile(self, uniform: Floats) -> Floats:
        """A power of the tail probability (see `DurationLaw`)."""
        seconds: Floats = self.minimum * (1 - uniform) ** (-1 / self.shape)
        return seconds

    @property
    def expected(self) -> float:
        """Mean, in seconds."""
        return self.minimum * self.shape / (self.shape - 1)

    @property
    def constant(self) -> float | None:
        """Zero if the minimum is, else None."""
        return None if self.minimum else 0.0


_NUMBER: TypeAdapter[float] = TypeAdapter(Annotated[Seconds, Field(strict=True, allow_inf_nan=False)])
BuiltIn = Constant | Uniform | Normal | LogNormal | Pareto


def duration_law(value: Any, laws: Registry = DURATIONS) -> Any:
    """Validate a duration as a user writes it.

    Parameters
    ----------
    value
        A number of seconds, a mapping with `kind`, or a law, which passes as it is.
    laws
        What `kind` may name.

    Returns
    -------
    DurationLaw
        Or another class of `laws`.

    Raises
    ------
    PydanticCustomError, ValidationError
        It is none of these.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Constant(seconds=_NUMBER.validate_python(value))
    try:
        return laws.validate(value)
    except PydanticCustomError:
        message = f"must be a number of seconds, or a mapping with kind: {', '.join(laws.names())}"
        raise PydanticCustomError("mistake", "{text}", {"text": message}) from None


Duration = Annotated[
    DurationLaw,
    PlainValidator(duration_law, json_schema_input_type=float | BuiltIn),
    PlainSerializer(dumped),
]
"""A field that holds a duration: a number of seconds, or a law chosen by its `kind`."""
