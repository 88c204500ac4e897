"""The kinds of values in the files people write: quantities, names, strict mappings.

What the sections of the experiment file are made of; see `enos.config.sections`.
"""

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainValidator,
    WithJsonSchema,
)

from enos.config.wording import kind_of, spellings
from enos.units import Duration, Percent, Rate

LEAST_BITS = 100
"""Per second: slower yet, two packets last longer than the 32 bits tc gives a burst."""


def _refuse_nothing(value: object) -> object:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    raise ValueError(f"{kind_of(value)} is not a quantity: write a number and a unit")


def _rate(value: str | float) -> Rate:
    rate = Rate.parse(value)
    if not rate.bits:
        raise ValueError("a rate of 0 lets nothing through: leave it out for no limit")
    if rate.bits < LEAST_BITS:
        raise ValueError(f"`{value}` is below {LEAST_BITS}bit, the least that tc keeps")
    return rate


def several(value: object) -> object:
    """Return a list of one for a word that stands alone."""
    return [value] if isinstance(value, str) else value


def typed(value: object) -> object:
    """Return a section for a word that stands for its `type`."""
    return {"type": value} if isinstance(value, str) else value


def sourced(value: object) -> object:
    """Return a section for a word that stands for its `source`."""
    return {"source": value} if isinstance(value, str) else value


def text(value: object) -> object:
    """Return a number as it was written."""
    return str(value) if isinstance(value, int | float) else value


def whole(value: object) -> object:
    """Refuse `true`, which pydantic would take for 1."""
    if isinstance(value, bool):
        raise ValueError(f"{kind_of(value)} is not a number")  # noqa: TRY004 - pydantic's
    return value


def _quantity(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": ["string", "number"], "pattern": pattern, "examples": [example]}
    )


Delay = Annotated[
    Duration,
    PlainValidator(Duration.parse),
    BeforeValidator(_refuse_nothing),
    _quantity(r"^\s*[0-9.]+\s*(us|ms|s)?\s*$", "25ms"),
]
Bandwidth = Annotated[
    Rate,
    PlainValidator(_rate),
    BeforeValidator(_refuse_nothing),
    _quantity(r"^\s*[0-9.]+\s*([kKmMgGtT]?(bit|bps))\s*$", "10Gbit"),
]
Loss = Annotated[
    Percent,
    PlainValidator(Percent.parse),
    BeforeValidator(_refuse_nothing),
    _quantity(r"^\s*[0-9.]+\s*%?\s*$", "0.1%"),
]
Names = Annotated[
    list[str],
    BeforeValidator(several),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}},
            ]
        }
    ),
]
Whole = Annotated[int, BeforeValidator(whole)]


def _all_spellings(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Add the other spellings of a model's keys to its JSON Schema."""
    for several in spellings(model):
        first, *others = several
        if first not in schema["properties"] or not others:
            continue
        for other in others:
            schema["properties"][other] = schema["properties"][first]
        if first in schema.get("required", ()):
            schema["required"].remove(first)
            either = {"anyOf": [{"required": [one]} for one in several]}
            schema["allOf"] = [*schema.get("allOf", ()), either]


class Strict(BaseModel):
    """A mapping of the file: unknown keys are errors, numbers may stand for text."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        coerce_numbers_to_str=True,
        json_schema_extra=_all_spellings,
    )
