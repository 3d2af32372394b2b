"""Byzantine nodes: how many, and how they vote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, TypeAdapter
from pydantic_core import PydanticCustomError

from sim.base.model import FrozenModel

Behaviour = Literal["silent", "random", "collude", "amplify", "equivocate"]

_NUMBER: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(strict=True, ge=0)])
_MAPPING: TypeAdapter[dict[str, int]] = TypeAdapter(dict[str, Annotated[int, Field(strict=True, ge=0)]])


def _number_or_mapping(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _MAPPING.validate_python(value)
    if isinstance(value, bool) or not isinstance(value, int):
        message = "must be a whole number, or a mapping from group to whole number"
        raise PydanticCustomError("mistake", "{text}", {"text": message})
    return _NUMBER.validate_python(value)


class Faults(FrozenModel):
    """Byzantine nodes and their behaviour.

    With the honest results sorted by votes, G1 >= G2 >= ...: `silent` nodes do not vote; `random` ones each invent a
    result of their own; `collude` puts all behind one invented result; `amplify` adds them to G2, the second most
    common honest result; `equivocate` votes for both G1 and G2.
    """

    byzantine: Annotated[
        int | dict[str, int],
        PlainValidator(_number_or_mapping, json_schema_input_type=int | dict[str, int]),
    ] = 0
    """Number of Byzantine nodes; where there are several groups, a mapping from group to number."""
    behaviour: Behaviour = "silent"
    """How they vote."""

    def of(self, group: str) -> int:
        """Number of Byzantine nodes in a group (in a scenario of one group, the plain number is that group's)."""
        return self.byzantine.get(group, 0) if isinstance(self.byzantine, Mapping) else self.byzantine
