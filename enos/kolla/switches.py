"""Which services are on: kolla's `enable_…` variables, worked out without Ansible.

Their defaults are Jinja expressions over each other. Asking Ansible takes seconds;
here the few that matter are rendered directly. What cannot be worked out is unknown,
and the caller must then assume that the service is on.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import yaml
from jinja2 import meta

from enos.kolla.globals import is_on

DEPTH = 20  # of expressions that refer to each other


class Unknown(Exception):  # noqa: N818  # an answer, not an error
    """The value depends on something only Ansible knows."""


def defaults(ansible: Path) -> dict[str, Any]:
    """Return kolla-ansible's variables for all hosts.

    `group_vars/all` is one file up to 2025.1 and a folder of files since 2025.2.
    """
    folder = ansible / "group_vars" / "all"
    files = (
        sorted(folder.glob("*.yml"))
        if folder.is_dir()
        else [folder.with_suffix(".yml")]
    )
    values: dict[str, Any] = {}
    for file in files:
        values |= yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    return values


def switch(name: str, values: Mapping[str, Any]) -> bool | None:
    """Return whether a variable is true; None when only Ansible can tell."""
    try:
        return is_on(_value(name, values, DEPTH))
    except (Unknown, jinja2.TemplateError):
        return None


def word(name: str, values: Mapping[str, Any]) -> str | None:
    """Return a variable's value as a word; None when only Ansible can tell."""
    try:
        return str(_value(name, values, DEPTH)).lower()
    except (Unknown, jinja2.TemplateError):
        return None


def _value(name: str, values: Mapping[str, Any], depth: int) -> object:
    if name not in values or not depth:
        raise Unknown(name)
    raw = values[name]
    if not isinstance(raw, str) or "{" not in raw:
        return raw
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)  # noqa: S701  # no HTML
    environment.filters["bool"] = is_on
    needed = meta.find_undeclared_variables(environment.parse(raw))
    known = {other: _value(other, values, depth - 1) for other in needed}
    return environment.from_string(raw).render(known).strip()
