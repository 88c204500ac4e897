"""What was set by hand between groups: read, written, told.

Kept in the experiment directory in the words of the experiment file, so that later
commands, `enos status` and the archive know of it. `enos tc` alone forgets it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from pydantic import ValidationError

from enos.config.constraints import QUANTITIES, ConstraintSpec, pairs
from enos.config.links import spec_of
from enos.config.sections import Constraint
from enos.config.wording import spellings, worded
from enos.errors import ConfigError, StateError, meant
from enos.state.directory import Directory, write_atomically

FILE = "tc-set.yml"
FORM = "write `--set grp1,grp2 delay=50ms`"
ENDS = 2
Written = Mapping[str, Any]
"""A constraint as a file would have it."""


def wish(between: str, words: Sequence[str], *, one_way: bool) -> dict[str, Any]:
    """Return the constraint that a command line asks for.

    Args:
        between: two groups or roles, ``grp1,grp2``.
        words: quantities, ``delay=50ms``; values are YAML.
        one_way: only from the first to the second.

    Raises:
        ConfigError: a word is no quantity, or its value is wrong.

    """
    ends = [end.strip() for end in between.split(",")]
    if len(ends) != ENDS or not all(ends):
        raise ConfigError(f"`{between}` is not two groups", hint=FORM)
    if not words:
        raise ConfigError(f"nothing is asked between `{between}`", hint=FORM)
    asked = dict(_quantity(word) for word in words)
    found = {"src": ends[0], "dst": ends[1], **asked, "symmetric": not one_way}
    specs(found)
    return found


def _quantity(word: str) -> tuple[str, Any]:
    name, equals, value = word.partition("=")
    known = [
        spelling
        for several in spellings(Constraint)
        if several[0] in (*QUANTITIES, "network")
        for spelling in several
    ]
    if name not in known:
        raise ConfigError(f"`{name}` is not a quantity", hint=meant(name, known))
    if not equals or not value:
        raise ConfigError(f"`{name}` has no value", hint=FORM)
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"`{word}` is not `quantity=value`", hint=FORM) from None


def specs(written: Written) -> tuple[ConstraintSpec, ...]:
    """Return the plain values of a constraint; raises ConfigError for wrong ones."""
    try:
        one = Constraint.model_validate(written)
        return tuple(spec_of(one, *ends) for ends in pairs(one.src, one.dst))
    except ValidationError as wrong:
        told = [worded(dict(e), Constraint) for e in wrong.errors(include_url=False)]
        raise ConfigError(
            f"what is set is wrong: {told[0].message}",
            hint=told[0].hint,
            details="\n".join(one.message for one in told[1:]),
        ) from None
    except ValueError as wrong:
        raise ConfigError(f"what is set is wrong: {wrong}", hint=FORM) from None


def read(directory: Directory) -> tuple[Written, ...]:
    """Return what was set, in its order; raises StateError for a broken file."""
    file = directory.path / FILE
    if not file.exists():
        return ()
    try:
        plain = yaml.safe_load(file.read_text(encoding="utf-8"))
        return tuple(dict(one) for one in plain["constraints"])
    except (yaml.YAMLError, TypeError, KeyError, ValueError) as bad:
        raise StateError(
            f"`{file}` cannot be read: {bad}",
            hint="remove it, then shape the network again with `enos tc`",
        ) from bad


def write(directory: Directory, several: Sequence[Written]) -> None:
    """Keep what is set; nothing is no file."""
    file = directory.path / FILE
    if not several:
        file.unlink(missing_ok=True)
        return
    plain = {"constraints": [dict(one) for one in several]}
    head = "# Set by hand (enos tc --set), over what experiment.yml asks.\n"
    write_atomically(file, head + yaml.safe_dump(plain, sort_keys=False))


def rows(several: Sequence[Written]) -> tuple[str, ...]:
    """Return a line for each constraint that was set.

    >>> rows([{"src": "a", "dst": "b", "delay": "5ms", "symmetric": True}])
    ('set by hand: a <-> b delay=5ms',)
    """
    return tuple(f"set by hand: {_line(one)}" for one in several)


def _line(one: Written) -> str:
    arrow = "<->" if one.get("symmetric") else "->"
    words = [
        f"{name}={_value(value)}"
        for name, value in one.items()
        if name not in {"src", "dst", "symmetric"}
    ]
    return " ".join((str(one["src"]), arrow, str(one["dst"]), *words))


def _value(value: Any) -> str:  # noqa: ANN401 - any YAML value
    if not isinstance(value, dict):
        return str(value)
    inside = ", ".join(f"{key}: {one}" for key, one in value.items())
    return f"{{{inside}}}"
