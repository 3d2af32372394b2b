"""Byzantine nodes: how many, and how they vote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, TypeAdapter
from pydantic_core import PydanticCustomError

from sim.base.members import Members
from sim.base.model import FrozenModel, Mistake
from sim.base.text import has_control_characters
from sim.statistics.durations import Duration

ANSWER_CHARACTERS_MAX = 10_000
Behaviour = Literal["silent", "random", "collude", "amplify", "equivocate", "withhold", "delay"]
TIMED: tuple[Behaviour, ...] = ("withhold", "delay")
"""Behaviours that mean nothing without messages and time."""
NEEDS_TIME = "crashes, delays and withheld votes need messages and time"
"""Why an engine that knows only votes refuses."""

_NUMBER: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(strict=True, ge=0)])
_MAPPING: TypeAdapter[dict[str, int]] = TypeAdapter(dict[str, Annotated[int, Field(strict=True, ge=0)]])


def _number_or_mapping(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _MAPPING.validate_python(value)
    if isinstance(value, bool) or not isinstance(value, int):
        message = "must be a whole number, or a mapping from group to whole number"
        raise PydanticCustomError("mistake", "{text}", {"text": message})
    return _NUMBER.validate_python(value)


class Crash(FrozenModel):
    """Nodes that stop working for a while: they say nothing, and messages to them are lost."""

    nodes: Members
    """Which ones, by group: a number, the group's first nodes; or a list of indices within the group."""
    at: Annotated[float, Field(ge=0, le=1e9)]
    """When they stop, in seconds."""
    until: Annotated[float, Field(ge=0, le=1e9)] | None = None
    """When they work again, with all that they knew; left out, never."""

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """They recover after they stop."""
        yield from super().cross_checks(fields, data)
        until = fields.get("until")
        if until is not None and until <= fields.get("at", -1):
            yield Mistake(("until",), f"must be later than at ({fields['at']:g})", data["until"])


class Faults(FrozenModel):
    """Byzantine nodes, and how they behave."""

    byzantine: Annotated[
        int | dict[str, int],
        PlainValidator(_number_or_mapping, json_schema_input_type=int | dict[str, int]),
    ] = 0
    """Number of Byzantine nodes; where there are several groups, a mapping from group to number."""
    behaviour: Behaviour = "silent"
    """How they vote, with the honest results sorted by votes, G1 >= G2 >= ...: `silent` nodes do not; `random` ones
    each invent a result of their own; `collude` puts all behind one invented result; `amplify` adds them to G2, the
    second most common honest result; `equivocate` votes for both G1 and G2. Message by message, `withhold` says nothing
    in round 0 of a height, and `delay` says everything late (see `sim.consensus.attackers`)."""
    answer: Annotated[str, Field(min_length=1, max_length=ANSWER_CHARACTERS_MAX)] | None = None
    """What colluding nodes answer, where answers are recorded; left out, something that no rule matches."""
    shift: Annotated[float, Field(ge=-1e100, le=1e100)] | None = None
    """How far the number of colluding nodes is off the true value, where answers are numbers; left out, so far that no
    rule accepts it."""
    noise: Annotated[float, Field(ge=0, le=1e6)] | None = None
    """Noise of the cheaper model that colluding nodes run, in that of honest ones, where matching is margin; left out,
    they post what nobody accepts."""
    delay: Duration | None = None
    """By how many seconds `delay` holds back each message of a Byzantine node, a number or a law."""
    crashes: Annotated[tuple[Crash, ...], Field(strict=False, max_length=10_000)] | None = None
    """Nodes that stop at given times, and may recover."""

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:
        """A delay where it is needed, and only there."""
        yield from super().cross_checks(fields, data)
        late = fields.get("behaviour") == "delay"
        if late and data.get("delay") is None:
            yield Mistake(("delay",), "is required where behaviour is delay: by how many seconds")
        elif not late and "behaviour" in fields and data.get("delay") is not None:
            yield Mistake(("delay",), f"goes with behaviour delay (it is {fields['behaviour']})")
        for key in ("answer", "shift", "noise"):
            if data.get(key) is not None and fields.get("behaviour", "collude") != "collude":
                yield Mistake((key,), f"goes with behaviour collude (it is {fields['behaviour']})")
        if has_control_characters(fields.get("answer") or "", allow="\n\t"):
            yield Mistake(("answer",), "must not hold control characters", fields["answer"])

    @property
    def timed(self) -> bool:
        """Whether any of it needs messages and time."""
        return bool(self.crashes) or self.behaviour in TIMED

    def of(self, group: str) -> int:
        """Number of Byzantine nodes in a group (in a scenario of one group, the plain number is that group's)."""
        return self.byzantine.get(group, 0) if isinstance(self.byzantine, Mapping) else self.byzantine
