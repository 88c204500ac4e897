"""Rally tasks are Jinja templates: rendering one, and what is missing for it. Pure.

The rules are those of `rally task start`: Python's built-in functions, `min`, `max`,
`round` and `ceil` may be used, and an argument that has no default must be given.
"""

import builtins
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta
import yaml

from enos.errors import ConfigError

_FUNCTIONS = {
    "min": min,
    "max": max,
    "round": round,
    "ceil": math.ceil,
}


def missing(source: str, given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the arguments a template needs, that are not given and have no default.

    >>> missing("a: {{ a }}, b: {{ b | default(1) }}, c: {{ c }}", {"c": 1})
    ('a',)
    """
    names = jinja2.meta.find_undeclared_variables(_environment().parse(source))
    known = {*given, *_FUNCTIONS, *dir(builtins)}
    return tuple(
        sorted(name for name in names - known if not _has_default(name, source))
    )


def rendered(path: Path, given: Mapping[str, Any]) -> str:
    """Return a task with its arguments filled in.

    Raises:
        ConfigError: the template cannot be parsed or rendered, lacks an argument, or
            what comes out is not a mapping in YAML.

    """
    source = path.read_text(encoding="utf-8")
    try:
        lacking = missing(source, given)
        if lacking:
            names = ", ".join(f"`{name}`" for name in lacking)
            hint = f"add {names} to the `args` of the scenario or of the section"
            raise ConfigError(f"`{path.name}` needs the argument {names}", hint=hint)
        template = _environment(path.parent).from_string(source)
        text = template.render({**vars(builtins), **given})
    except jinja2.TemplateSyntaxError as error:
        message = f"`{path.name}` is not a template: line {error.lineno}: {error}"
        raise ConfigError(message) from None
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        raise ConfigError(f"`{path.name}` cannot be rendered: {error}") from None
    _check(path, text)
    return text


def _check(path: Path, text: str) -> None:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        hint = "see what it becomes with its arguments filled in"
        raise ConfigError(
            f"`{path.name}` is not YAML once rendered", hint=hint, details=str(error)
        ) from None
    if not isinstance(value, dict):
        raise ConfigError(f"`{path.name}` is not a Rally task: no mapping at the top")


def _environment(folder: Path | None = None) -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(folder) if folder else None
    made = jinja2.Environment(loader=loader, autoescape=False)  # noqa: S701 - YAML, not HTML
    made.globals.update(_FUNCTIONS)
    return made


def _has_default(name: str, source: str) -> bool:
    word = re.escape(name)
    return bool(
        re.search(rf"\b{word}\s*\|\s*default\(", source)
        or re.search(rf"{{%-?\s*set\s+{word}\s*=\s*{word}\b", source)
    )
