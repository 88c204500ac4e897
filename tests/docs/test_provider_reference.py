"""The tables of the reference have the keys of the providers' settings, no others."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from enos import plugins

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "providers.md"
SECTION = re.compile(
    r"^## `(?P<name>\w+)`\n(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL
)
ROW = re.compile(
    r"^\| (?P<keys>`[^|]+) \| (?P<default>[^|]*) \| [^|]*\|$", re.MULTILINE
)
SECTIONS = {
    match["name"]: match["text"]
    for match in SECTION.finditer(PAGE.read_text(encoding="utf-8"))
}
SHIPPED = ("local", "static")


def documented(text: str) -> dict[str, str]:
    """Return key → what its default cell says; `a[].b`, `c` means `a[].b`, `a[].c`."""
    found = {}
    for row in ROW.finditer(text):
        keys = re.findall(r"`([^`]+)`", row["keys"])
        prefix = keys[0].rpartition(".")[0]
        defaults = [cell.strip() for cell in row["default"].split(",")]
        for number, key in enumerate(keys):
            full = key if "." in key or not prefix else f"{prefix}.{key}"
            found[full] = defaults[number if len(defaults) == len(keys) else 0]
    return found


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}", field
        for inner in get_args(field.annotation):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from fields(inner, f"{prefix}{name}[].")


@pytest.mark.parametrize("name", SHIPPED)
def test_every_key_of_a_provider_is_documented(name: str) -> None:
    kind = plugins.provider(name)
    real = dict([*fields(kind.Settings), *fields(kind.Machine)])
    told = documented(SECTIONS[name])

    assert set(told) == set(real)
    for key, field in real.items():
        assert (told[key] == "required") == field.is_required(), key
        if exact := re.fullmatch(r"`(.+)`|(\d+)", told[key]):
            assert str(field.default) == (exact[1] or exact[2]), key


def test_every_shipped_provider_has_a_section() -> None:
    assert set(SECTIONS) == set(SHIPPED)
