"""The base of all that a user can write: frozen, strict, and telling every mistake at once.

pydantic reports the mistakes of single fields together, but runs checks that span fields only when all of them
are right. `FrozenModel` runs `cross_checks` on whatever validated, so that a wrong rate does not hide a clash
between two other keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, ClassVar, NamedTuple, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ModelWrapValidatorHandler,
    SerializationInfo,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from sim.base.errors import Problem
from sim.base.text import did_you_mean


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
"""Reads 1e9 as the whole number it is."""
MISTAKE = "mistake"  # the type of errors whose text is ours and ready to show
MISTAKE_WITHOUT_VALUE = "mistake_without_value"


class Mistake(NamedTuple):
    """A clash between fields: the path below this model, what is wrong, the offending value if there is one."""

    path: tuple[str | int, ...]
    message: str
    value: object = None


class FrozenModel(BaseModel):
    """A strict, frozen pydantic model that reports field mistakes and cross-field mistakes together."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        ser_json_inf_nan="constants",
    )

    @classmethod
    def with_defaults(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Fill in the defaults that depend on other keys; `data` is a copy of what the user wrote."""
        return data

    @classmethod
    def cross_checks(cls, fields: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Mistake]:  # noqa: ARG003
        """Yield the clashes between fields.

        Parameters
        ----------
        fields
            The validated values; a field with a mistake of its own is absent, and a mapping field lacks its bad
            entries.
        data
            What the user wrote, defaults filled in, not validated.
        """
        yield from ()

    @model_validator(mode="wrap")
    @classmethod
    def _every_mistake_at_once(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(data, dict):
            return handler(data)
        data = cls.with_defaults(dict(data))
        model: Self | None = None
        details: list[InitErrorDetails] = []
        try:
            model = handler(data)
            fields: dict[str, Any] = {name: getattr(model, name) for name in cls.model_fields}
        except ValidationError as error:
            errors = _without_echoes(error.errors(include_url=False))
            details = [_retold(detail, cls) for detail in errors]
            fields = _valid_fields(cls, data, errors)
        details += [_told(mistake) for mistake in cls.cross_checks(fields, data)]
        if details or model is None:
            raise ValidationError.from_exception_data(cls.__name__, details)
        return model


def _without_echoes(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out that a list is too short where its entries are what is wrong."""
    places = [detail["loc"] for detail in errors]
    return [
        detail
        for detail in errors
        if detail["type"] != "too_short"
        or not any(len(place) > len(detail["loc"]) and place[: len(detail["loc"])] == detail["loc"] for place in places)
    ]


def _told(mistake: Mistake) -> InitErrorDetails:
    kind = MISTAKE_WITHOUT_VALUE if mistake.value is None else MISTAKE
    return InitErrorDetails(
        type=PydanticCustomError(kind, "{text}", {"text": mistake.message}),
        loc=mistake.path,
        input=mistake.value,
    )


def _retold(detail: ErrorDetails, model: type[BaseModel]) -> InitErrorDetails:
    """Turn a reported error back into one that can be raised again, with our words where pydantic's are poor."""
    kind, loc = detail["type"], detail["loc"]
    if kind == "extra_forbidden" and len(loc) == 1:
        kind, detail["msg"] = (
            MISTAKE_WITHOUT_VALUE,
            f"unknown key, {did_you_mean(str(loc[0]), model.model_fields)}",
        )
    if kind in {MISTAKE, MISTAKE_WITHOUT_VALUE}:
        custom = PydanticCustomError(kind, "{text}", {"text": detail["msg"]})
        return InitErrorDetails(type=custom, loc=loc, input=detail["input"])
    return InitErrorDetails(type=kind, loc=loc, input=detail["input"], ctx=detail.get("ctx", {}))


@lru_cache(maxsize=512)
def _adapter(model: type[BaseModel], name: str) -> TypeAdapter[Any]:
    field = model.model_fields[name]
    annotation: Any = field.annotation
    for constraint in field.metadata:
        annotation = Annotated[annotation, constraint]
    return TypeAdapter(tuple[annotation], config=ConfigDict(strict=True, allow_inf_nan=False))


def _valid_fields(model: type[BaseModel], data: dict[str, Any], errors: list[ErrorDetails]) -> dict[str, Any]:
    """Validate again, one by one, the fields that had no mistake, and the good entries of those that had."""
    bad_entries: dict[Any, set[Any]] = {}
    for detail in errors:
        loc = detail["loc"]
        if loc:
            bad_entries.setdefault(loc[0], set()).add(loc[1] if len(loc) > 1 else None)
    fields: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        if name not in data:
            if name not in bad_entries and not info.is_required():
                fields[name] = info.get_default(call_default_factory=True, validated_data={})
            continue
        value, bad = data[name], bad_entries.get(name, set())
        if bad and not (isinstance(value, dict) and None not in bad):
            continue
        if bad:
            value = {key: entry for key, entry in value.items() if key not in bad}
        try:
            (fields[name],) = _adapter(model, name).validate_python((value,))
        except ValidationError:
            continue  # a sub-model with a mistake: its keys are not the entries of a mapping
    return fields


def dumped(model: BaseModel, info: SerializationInfo) -> dict[str, Any]:
    """Serialise a model by its own class, for fields that hold one of several, outside packages' among them."""
    return model.model_dump(mode=info.mode, exclude_none=bool(info.exclude_none))


def without_default(schema: dict[str, Any]) -> None:
    """Leave a default out of the JSON Schema that depends on other keys."""
    schema.pop("default", None)


def problems_of(error: ValidationError) -> list[Problem]:
    """Tell each error of a validation in our words, without a position.

    Parameters
    ----------
    error
        What pydantic raised for a `FrozenModel`.

    Returns
    -------
    list of Problem
        In the order found.
    """
    return [_problem(detail) for detail in error.errors(include_url=False)]


def _problem(detail: ErrorDetails) -> Problem:
    path = ".".join(str(part) for part in detail["loc"] if part != "[key]")
    if detail["type"] in {"missing", MISTAKE_WITHOUT_VALUE}:
        message = "is required" if detail["type"] == "missing" else detail["msg"]
        return Problem(path, message)
    return Problem(path, _message(detail), detail["input"])


_PLAIN = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be a text",
    "string_unicode": "must not hold characters that are not Unicode",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "mapping_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "int_parsing_size": "is too large",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be greater than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
}


def _message(detail: ErrorDetails) -> str:
    ctx = detail.get("ctx", {})
    if detail["type"] == "literal_error":
        words = ctx["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        hint = did_you_mean(detail["input"], words) if isinstance(detail["input"], str) else ""
        return f"must be one of {', '.join(words)}" + (f"; {hint}" if hint.startswith("did") else "")
    template = _PLAIN.get(detail["type"])
    bounds = {key: f"{bound:g}" if isinstance(bound, float) else bound for key, bound in ctx.items()}
    return template.format(**bounds) if template else detail["msg"].removeprefix("Value error, ")
