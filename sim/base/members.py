"""Some of the nodes, by group: the first few of a group, or those at given places in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, PlainSerializer, PlainValidator, Strict, TypeAdapter, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from sim.base.text import did_you_mean

INDICES_MAX = 100_000

_Index = Annotated[int, Strict(), Field(ge=0)]
_NUMBER: TypeAdapter[int] = TypeAdapter(_Index)
_INDICES: TypeAdapter[tuple[int, ...]] = TypeAdapter(Annotated[tuple[_Index, ...], Field(max_length=INDICES_MAX)])


def _as_it_is(chosen: Any) -> Any:
    return chosen


def _chosen(value: Any) -> int | tuple[int, ...]:
    if isinstance(value, int) and not isinstance(value, bool):
        return _NUMBER.validate_python(value)
    if not isinstance(value, (list, tuple)):
        message = "must be a whole number (that many of the group's nodes), or a list of indices within the group"
        raise PydanticCustomError("mistake", "{text}", {"text": message})
    indices = _INDICES.validate_python(value)
    seen: set[int] = set()
    for place, index in enumerate(indices):
        if index in seen:
            error = PydanticCustomError("mistake", "must not be named twice")
            detail = InitErrorDetails(type=error, loc=(place,), input=index)
            raise ValidationError.from_exception_data("indices", [detail])
        seen.add(index)
    return indices


Members = dict[
    str,
    Annotated[
        int | tuple[int, ...],
        PlainValidator(_chosen, json_schema_input_type=Annotated[int, Field(ge=0)] | list[Annotated[int, Field(ge=0)]]),
        PlainSerializer(_as_it_is),
    ],
]
"""A field that maps groups to their first k nodes, or to a list of indices within the group."""


def numbers(members: Members, numbering: Mapping[str, range]) -> list[int]:
    """Number the nodes meant.

    Parameters
    ----------
    members
        Validated, and without mistakes (see `member_mistakes`).
    numbering
        Global numbers of each group's nodes.

    Returns
    -------
    list of int
        Global node numbers, ascending.

    Examples
    --------
    >>> numbers({"b": 2, "a": (0, 4)}, {"a": range(5), "b": range(5, 9)})
    [0, 4, 5, 6]
    """
    return sorted(
        numbering[group][index]
        for group, chosen in members.items()
        for index in (range(chosen) if isinstance(chosen, int) else chosen)
    )


def member_mistakes(members: Members, counts: Mapping[str, int]) -> Iterator[tuple[tuple[str | int, ...], str, object]]:
    """Yield groups that do not exist, and nodes that the groups do not have.

    Parameters
    ----------
    members
        Validated.
    counts
        Number of nodes of each group.

    Yields
    ------
    tuple
        Path below `members`, message, value: the fields of a `Mistake`.
    """
    for group, chosen in members.items():
        if group not in counts:
            yield (group,), f"is no group; {did_you_mean(group, counts)}", None
        elif isinstance(chosen, int):
            if chosen > counts[group]:
                yield (group,), f"must be at most the {counts[group]} nodes of group {group}", chosen
        else:
            for place, index in enumerate(chosen):
                if index >= counts[group]:
                    message = f"must be below the {counts[group]} nodes of group {group}, which count from 0"
                    yield (group, place), message, index
