"""Fractions read exactly: `1/3`, `33 %`, `0.25` are 1/3, 33/100 and 1/4, never the nearest double.

A threshold decides by ceil(t n) whether a node more or less may fail; with 1/3 as a double that is wrong for
some n, with the fraction never.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any, Self

from pydantic import PlainSerializer, PlainValidator
from pydantic_core import PydanticCustomError

TEXT_CHARACTERS_MAX = 60
_WANTED = "must be a fraction such as 1/3, a percentage such as 33 %, or a decimal"
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?"
_FORM = re.compile(rf"([+-]?{_NUMBER})\s*(?:/\s*({_NUMBER})|(%))?", re.ASCII)


class WrittenFloat(float):
    """A float that remembers its digits, so that `0.333333333333333333333` is read as written."""

    text: str

    def __new__(cls, text: str) -> Self:
        """Read the digits as a double, and keep them."""
        number = super().__new__(cls, text)
        number.text = text
        return number


def exact_fraction(value: object) -> Fraction:
    """Read a fraction exactly.

    Parameters
    ----------
    value
        A `Fraction`, an integer, a float (its shortest decimal is meant), or a text: `1/3`, `33 %`, `0.25`.

    Returns
    -------
    Fraction
        The exact value.

    Raises
    ------
    ValueError
        The value is not a fraction, a percentage or a decimal.

    Examples
    --------
    >>> exact_fraction("33 %"), exact_fraction(0.1), exact_fraction("1/3")
    (Fraction(33, 100), Fraction(1, 10), Fraction(1, 3))
    """
    if isinstance(value, Fraction):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(_WANTED)  # noqa: TRY004 -- one kind of error, whatever was written
    text = value if isinstance(value, str) else getattr(value, "text", None) or repr(value)
    match = _FORM.fullmatch(text.strip()) if len(text) <= TEXT_CHARACTERS_MAX else None
    if match is None:
        raise ValueError(_WANTED)
    whole, below, percent = match.groups()
    divisor = Fraction(below) if below else Fraction(100 if percent else 1)
    if not divisor:
        raise ValueError("must not divide by zero")
    return Fraction(whole) / divisor


def _validated(value: Any) -> Fraction:
    try:
        return exact_fraction(value)
    except ValueError as error:
        raise PydanticCustomError("mistake", "{text}", {"text": str(error)}) from None


ExactFraction = Annotated[
    Fraction,
    PlainValidator(_validated, json_schema_input_type=str | float),
    PlainSerializer(str, return_type=str),
]
"""A field that holds an exact fraction and is written `N/D`."""
