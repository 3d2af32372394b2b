"""A model tells every mistake at once, and checks what spans fields on whatever validated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from sim.base.model import FrozenModel, Mistake, problems_of


class Part(FrozenModel):
    low: Annotated[int, Field(ge=0)]
    high: Annotated[float, Field(lt=100)] = 50.0
    kind: Literal["small", "large"] = "small"

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        yield from super().cross_checks(fields, data)
        if {"low", "high"} <= fields.keys() and fields["low"] > fields["high"]:
            yield Mistake(("low",), "must not be above high", fields["low"])


class Whole(FrozenModel):
    name: str = "unnamed"
    label: str = ""
    parts: dict[str, Part]
    single: Part = Part(low=1)
    limit: int = 10

    @classmethod
    def with_defaults(cls, data: dict[str, Any]) -> dict[str, Any]:
        data.setdefault("label", data.get("name", "unnamed"))
        return data

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        yield from super().cross_checks(fields, data)
        total = sum(part.low for part in fields.get("parts", {}).values())
        if "limit" in fields and total > fields["limit"]:
            yield Mistake(("parts",), f"must sum to at most {fields['limit']} (sum is {total})")


def told(data: object, model: type[FrozenModel] = Whole) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(data)
    return sorted(str(problem) for problem in problems_of(caught.value))


def test_mistakes_in_fields_and_between_fields_are_told_together() -> None:
    parts = {
        "a": {"low": 60},
        "b": {"low": -1, "hihg": 3},
        "c": {"low": "x", "kind": "smal"},
        "d": 5,
        "e": {"low": 11},
    }
    assert told({"parts": parts, "name": 3, "other": 1}) == sorted(
        [
            "name: must be a text (got 3)",
            "label: must be a text (got 3)",
            "parts.a.low: must not be above high (got 60)",
            "parts.b.low: must be at least 0 (got -1)",
            "parts.b.hihg: unknown key, did you mean high?",
            "parts.c.low: must be a whole number (got 'x')",
            "parts.c.kind: must be one of small, large; did you mean small? (got 'smal')",
            "parts.d: must be a mapping (got 5)",
            "parts: must sum to at most 10 (sum is 11)",
            "other: unknown key, known: label, limit, name, parts, single",
        ]
    )


def test_a_check_between_fields_runs_on_the_good_entries_of_a_mapping() -> None:
    assert told({"parts": {"a": {"low": 11}, "b": {"low": "x"}}}) == [
        "parts.b.low: must be a whole number (got 'x')",
        "parts: must sum to at most 10 (sum is 11)",
    ]


def test_a_check_between_fields_does_not_use_a_field_with_a_mistake() -> None:
    assert told({"parts": {"a": {"low": 20}}, "limit": "x"}) == ["limit: must be a whole number (got 'x')"]


def test_a_check_between_fields_uses_defaults_where_a_field_is_absent() -> None:
    assert told({"low": 51, "kind": "huge"}, Part) == [
        "kind: must be one of small, large (got 'huge')",
        "low: must not be above high (got 51)",
    ]


def test_a_part_with_a_mistake_hides_none_of_its_neighbours() -> None:
    assert told({"parts": {}, "single": {"low": 70}, "limit": True}) == [
        "limit: must be a whole number (got true)",
        "single.low: must not be above high (got 70)",
    ]


def test_defaults_that_depend_on_other_keys_are_filled_in_without_touching_the_data() -> None:
    data = {"parts": {}, "name": "x"}
    assert Whole.model_validate(data).label == "x"
    assert data == {"parts": {}, "name": "x"}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("low", 1.0, "must be a whole number (got 1.0)"),
        ("low", True, "must be a whole number (got true)"),
        ("low", "1", "must be a whole number (got '1')"),
        ("low", None, "must be a whole number (got null)"),
        ("high", "1", "must be a number (got '1')"),
        ("high", float("nan"), "must be a finite number (got .nan)"),
        ("high", float("inf"), "must be a finite number (got .inf)"),
        ("high", 100, "must be less than 100 (got 100)"),
        ("kind", ["small"], "must be one of small, large (got [small])"),
    ],
)
def test_values_are_never_converted(field: str, value: object, message: str) -> None:
    assert told({"low": 1} | {field: value}, Part) == [f"{field}: {message}"]


@pytest.mark.parametrize("data", [None, 3, "x", [1]])
def test_what_is_no_mapping_is_told(data: object) -> None:
    assert [line.partition(" (got")[0] for line in told(data)] == ["must be a mapping"]


def test_a_model_cannot_be_changed() -> None:
    part = Part(low=1)
    with pytest.raises(ValidationError, match="frozen"):
        part.low = 2  # type: ignore[misc]


def test_instances_are_checked_like_mappings() -> None:
    assert Whole(parts={"a": Part(low=1)}) == Whole.model_validate({"parts": {"a": {"low": 1}}})
    with pytest.raises(ValidationError, match="must sum to at most 10"):
        Whole(parts={"a": Part(low=9), "b": Part(low=9)})
