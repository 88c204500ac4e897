"""What pydantic found, in words for the author of the file."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

from enos.config.yamltree import Loc
from enos.errors import meant, one_of

SECRET = re.compile("pass|secret|token|credential", re.IGNORECASE)
KINDS = {
    "bool": "`true` or `false`",
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "list": "a list",
    "tuple": "a list",
    "dict": "a mapping",
    "model": "a mapping",
    "mapping": "a mapping",
}
"""First word of a pydantic error type → what was wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """A message with its hint, and whether it is about the key or its value."""

    message: str
    hint: str = ""
    about_the_key: bool = False


def kind_of(value: object) -> str:
    """Return how a message names a value: the value itself, or what it is.

    >>> kind_of(-1), kind_of([1]), kind_of({}), kind_of(None), kind_of(True)
    ('`-1`', 'a list', 'a mapping', 'nothing', '`true`')
    """
    match value:
        case None:
            return "nothing"
        case bool():
            return f"`{str(value).lower()}`"
        case list() | tuple():
            return "a list"
        case Mapping():
            return "a mapping"
        case _:
            text = " ".join(str(value).split())
            return f"`{text[:60]}…`" if len(text) > 60 else f"`{text}`"  # noqa: PLR2004


def worded(
    error: Mapping[str, Any], model: type[BaseModel], within: Loc = ()
) -> Wording:
    """Return what to tell of one of pydantic's errors about a model at a place."""
    loc: Loc = error["loc"]
    name = _named((*within, *loc))
    match error["type"]:
        case "extra_forbidden":
            return _unknown(str(loc[-1]), model_at(model, loc[:-1]))
        case "missing":
            return Wording(message=f"{name} is missing", about_the_key=True)
        case "literal_error" | "enum":
            return _no_choice(error, name)
        case "string_pattern_mismatch" | "too_short":
            return _bad_example(error, name, model)
        case _:
            return Wording(message=_wrong_kind(error, name))


def _no_choice(error: Mapping[str, Any], name: str) -> Wording:
    choices = re.findall(r"'([^']*)'", error["ctx"]["expected"])
    message = f"{name} cannot be {kind_of(error['input'])}"
    return Wording(message=message, hint=one_of(str(error["input"]), choices))


def _bad_example(
    error: Mapping[str, Any], name: str, model: type[BaseModel]
) -> Wording:
    loc: Loc = error["loc"]
    given = kind_of(error["input"])
    message = f"{name} cannot be {given}" if error["input"] else f"{name} is empty"
    field = _fields(model_at(model, loc[:-1])).get(str(loc[-1]))
    if not field or not field.examples:
        return Wording(message=message)
    one = field.examples[0]
    example = one if isinstance(one, str) else json.dumps(one)
    return Wording(message=message, hint=f"for example `{example}`")


def _wrong_kind(error: Mapping[str, Any], name: str) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return f"{name}: {context['error']}"
    bounds = {
        "greater_than": "more than {gt}",
        "greater_than_equal": "{ge} or more",
        "less_than": "less than {lt}",
        "less_than_equal": "{le} or less",
    }
    wanted = bounds.get(kind, KINDS.get(kind.split("_")[0], "")).format(**context)
    given = "" if SECRET.search(name) else f", not {kind_of(error['input'])}"
    if wanted:
        return f"{name} must be {wanted}{given}"
    said = error["msg"].replace("Input should be", "it must be")
    return f"{name}: {said[0].lower()}{said[1:]}"


def model_at(model: type[BaseModel], loc: Iterable[str | int]) -> type[BaseModel]:
    """Return the model that describes the mapping at a place inside a model."""
    for part in loc:
        field = _fields(model).get(str(part))
        inner = _inner(field.annotation) if field else None
        model = inner or model
    return model


def keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the keys a model takes, the first spelling of each."""
    return tuple(several[0] for several in spellings(model))


def spellings(model: type[BaseModel]) -> tuple[tuple[str, ...], ...]:
    """Return all spellings of each key a model takes."""
    return tuple(_spellings(name, field) for name, field in model.model_fields.items())


def _unknown(key: str, model: type[BaseModel]) -> Wording:
    if key in _fields(model):
        field = _fields(model)[key]
        other = next(k for k in keys_of(model) if _fields(model)[k] is field)
        message = f"`{key}` and `{other}` are the same key, given twice"
        return Wording(message=message, hint="keep one of them", about_the_key=True)
    hint = meant(key, keys_of(model))
    return Wording(message=f"unknown key `{key}`", hint=hint, about_the_key=True)


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {
        spelling: field
        for name, field in model.model_fields.items()
        for spelling in _spellings(name, field)
    }


def _spellings(name: str, field: FieldInfo) -> tuple[str, ...]:
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    return (str(alias or name),)


def _inner(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - a type form
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_inner(part) for part in get_args(annotation))
    return next((one for one in found if one), None)


def _named(loc: Iterable[str | int]) -> str:
    text = ""
    for part in loc:
        text = f"{text}[{part}]" if isinstance(part, int) else str(part)
    return f"`{text}`" if text else "the file"
