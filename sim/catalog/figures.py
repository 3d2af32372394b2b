"""A figure, and where it is from: nothing in the catalog is without a source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from sim.base.fractions import ExactFraction
from sim.base.model import FrozenModel, Mistake
from sim.base.text import has_control_characters

Known = Literal["article", "read", "abstract", "vendor", "memory", "fitted"]
"""How well a figure is known: the article says it; read in the source; read in an abstract or at second hand; a vendor
claims it; from memory; fitted by this project to what the source has (`sim calibrate`)."""


class Sourced(FrozenModel):
    """What a value of the catalog has beside it."""

    source: Annotated[str, Field(min_length=1, max_length=500)]
    """Where the value is from."""
    known: Known
    """How well it is known."""

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """A source says something."""
        yield from super().cross_checks(fields, data)
        source = fields.get("source")
        if source is not None and (not source.strip() or has_control_characters(source)):
            yield Mistake(("source",), "must say where the value is from", source)


class Figure(Sourced):
    """A number, and the range in which sources put it."""

    value: Annotated[float, Field(ge=0, le=1e30)]
    """The number."""
    low: Annotated[float, Field(ge=0, le=1e30)] | None = None
    """Smallest that a source gives."""
    high: Annotated[float, Field(ge=0, le=1e30)] | None = None
    """Largest that a source gives."""

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """The value lies in its range."""
        yield from super().cross_checks(fields, data)
        value, low, high = (fields.get(key) for key in ("value", "low", "high"))
        if value is not None and low is not None and low > value:
            yield Mistake(("low",), f"must be at most the value ({value:g})", low)
        if value is not None and high is not None and high < value:
            yield Mistake(("high",), f"must be at least the value ({value:g})", high)


class Positive(Figure):
    """A number above zero: what others are divided by."""

    value: Annotated[float, Field(ge=1e-12, le=1e30)]
    """The number."""


class Factor(Figure):
    """How many times more something takes: at least 1."""

    value: Annotated[float, Field(ge=1, le=1e6)]
    """The number."""


class Part(Figure):
    """What is left of something: at most 1."""

    value: Annotated[float, Field(ge=0, le=1)]
    """The number."""


class Count(Figure):
    """A whole number of at least 1."""

    value: Annotated[float, Field(ge=1, le=1e6, multiple_of=1)]
    """The number."""


class Threshold(Sourced):
    """A fault threshold, kept as an exact fraction."""

    value: ExactFraction
    """A fraction, a percentage or a decimal, greater than 0 and less than 1/2."""

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """It is a threshold."""
        yield from super().cross_checks(fields, data)
        if "value" in fields and not 0 < 2 * fields["value"] < 1:
            yield Mistake(("value",), "must be greater than 0 and less than 1/2", data.get("value"))


class Flag(Sourced):
    """A yes or no."""

    value: bool
    """Whether."""


class Word(Sourced):
    """A word of the scenario's schema."""

    value: Annotated[str, Field(min_length=1, max_length=100)]
    """The word."""
