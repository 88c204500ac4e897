"""The tables of the reference are the schema's: `--update-golden` writes them anew."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from enos.config.advanced import AdvancedMachine
from enos.config.evententry import EventEntry
from enos.config.monitoring import MonitoringSection
from enos.config.schema import ExperimentFile
from enos.config.sections import (
    Constraint,
    Constraints,
    Guest,
    Images,
    LossModel,
    Registry,
)
from enos.config.wording import spellings
from enos.units import Duration, Percent, Rate

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "experiment-file.md"
MODELS: dict[str, type[BaseModel]] = {
    model.__name__: model
    for model in (
        AdvancedMachine,
        Constraint,
        Constraints,
        EventEntry,
        ExperimentFile,
        Guest,
        Images,
        LossModel,
        MonitoringSection,
        Registry,
    )
}
WORDS = {
    str: "text",
    int: "number",
    float: "moment",
    bool: "boolean",
    Duration: "delay",
    Rate: "rate",
    Percent: "share",
}


def kind(annotation: Any) -> str:  # noqa: ANN401 - a type form
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(shown(choice) for choice in inner)
    if origin is list:
        return "list" if inner[0] not in WORDS else f"list of {WORDS[inner[0]]}"
    if origin in (Annotated, Union, UnionType):
        return kind(inner[0])
    return WORDS.get(annotation, "mapping")


def shown(value: object) -> str:
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if isinstance(field.default, BaseModel) or not field.default:
        return "`false`" if field.default is False else ""
    return shown(field.default)


def table(model: type[BaseModel]) -> Iterator[str]:
    yield "| key | type | default | meaning | example |"
    yield "| --- | --- | --- | --- | --- |"
    fields = zip(spellings(model), model.model_fields.values(), strict=True)
    for names, field in fields:
        if not field.deprecated:
            keys = ", ".join(f"`{name}`" for name in names)
            cells = (
                keys,
                kind(field.annotation),
                default(field),
                field.description,
                shown((field.examples or [""])[0]),
            )
            yield f"| {' | '.join(map(str, cells))} |"


def deprecated() -> Iterator[str]:
    yield "| key | why |"
    yield "| --- | --- |"
    for prefix, model in (("", ExperimentFile), ("registry: ", Registry)):
        for name, field in model.model_fields.items():
            if field.deprecated:
                yield f"| `{prefix}{name}` | {field.deprecated} |"


def written(page: str) -> str:
    def fill(match: re.Match[str]) -> str:
        lines = table(MODELS[match["model"]]) if match["model"] else deprecated()
        return "\n".join([match["head"], *lines, "<!-- end -->"])

    head = r"(?P<head><!-- (?:keys (?P<model>\w+)|deprecated) -->)"
    return re.sub(head + r"\n(?:\|.*\n)*<!-- end -->", fill, page)


def test_the_reference_has_every_key_of_the_schema(
    request: pytest.FixtureRequest,
) -> None:
    page = PAGE.read_text(encoding="utf-8")
    expected = written(page)
    if request.config.getoption("--update-golden"):
        PAGE.write_text(expected, encoding="utf-8")
        page = expected
    assert page == expected


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_reference_has_a_table_of_every_section(name: str) -> None:
    assert f"<!-- keys {name} -->" in PAGE.read_text(encoding="utf-8")
