"""Members are named by group, numbered once, and checked against the groups there are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sim.base.members import INDICES_MAX, Members, member_mistakes, numbers
from sim.base.model import FrozenModel, problems_of

COUNTS = {"a": 4, "b": 3}
NUMBERING = {"a": range(4), "b": range(4, 7)}


class Holder(FrozenModel):
    members: Members


def told(members: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Holder.model_validate({"members": members})
    (problem,) = problems_of(caught.value)
    return str(problem)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"b": 2}, [4, 5]),
        ({"a": 0}, []),
        ({"b": [2, 0], "a": [3]}, [3, 4, 6]),
        ({"b": 1, "a": 4}, [0, 1, 2, 3, 4]),
        ({}, []),
    ],
)
def test_members_are_numbered_in_order_whatever_the_order_written(members: Any, expected: list[int]) -> None:
    held = Holder.model_validate({"members": members})
    assert numbers(held.members, NUMBERING) == expected
    assert not list(member_mistakes(held.members, COUNTS))
    assert Holder.model_validate_json(held.model_dump_json()) == held


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "members: must be a mapping (got [])"),
        ({"a": -1}, "members.a: must be at least 0 (got -1)"),
        ({"a": [0, -1]}, "members.a.1: must be at least 0 (got -1)"),
        ({"a": [0, 1, 0]}, "members.a.2: must not be named twice (got 0)"),
        ({"a": [0, True]}, "members.a.1: must be a whole number (got true)"),
        ({"a": [1.0]}, "members.a.0: must be a whole number (got 1.0)"),
    ],
)
def test_what_names_no_members_is_told_at_its_place(members: Any, message: str) -> None:
    assert told(members) == message


@pytest.mark.parametrize("value", [True, 1.0, "1", None, {"x": 1}])
def test_a_group_takes_a_number_or_a_list(value: Any) -> None:
    assert told({"a": value}).startswith("members.a: must be a whole number (that many of the group's nodes), or a li")


def test_a_list_has_a_bound() -> None:
    assert f"at most {INDICES_MAX}" in told({"a": list(range(INDICES_MAX + 1))})


def test_what_the_groups_do_not_have_is_told_at_its_place() -> None:
    found = list(member_mistakes({"aa": 1, "a": 5, "b": (2, 3, 7)}, COUNTS))
    assert [(path, value) for path, _, value in found] == [
        (("aa",), None),
        (("a",), 5),
        (("b", 1), 3),
        (("b", 2), 7),
    ]
    assert [message for _, message, _ in found][:2] == [
        "is no group; did you mean a?",
        "must be at most the 4 nodes of group a",
    ]


CHOSEN = st.one_of(st.integers(0, 9), st.lists(st.integers(0, 9), unique=True))


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), CHOSEN))
def test_members_without_mistakes_are_all_that_fit_and_can_be_numbered(members: Any) -> None:
    held = Holder.model_validate({"members": members}).members
    largest = {
        group: chosen if isinstance(chosen, int) else 1 + max(chosen, default=-1) for group, chosen in held.items()
    }
    fits = all(group in COUNTS and most <= COUNTS[group] for group, most in largest.items())
    assert fits != any(member_mistakes(held, COUNTS))
    if fits:
        found = numbers(held, NUMBERING)
        assert len(found) == sum(chosen if isinstance(chosen, int) else len(chosen) for chosen in held.values())
        assert sorted(set(found)) == found
