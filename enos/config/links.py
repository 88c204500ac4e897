"""Names that refer to other parts of the file: groups and roles in constraints."""

from collections.abc import Iterable, Iterator
from typing import Any

from enos.config.constraints import ConstraintSpec, NetworkConstraints, expand, pairs
from enos.config.sections import Constraint, Constraints
from enos.config.source import Document, attempt
from enos.config.yamltree import Loc, Problem
from enos.errors import one_of

KEYS = ("network_constraints", "network constraints")


def constraints(
    document: Document, known: Iterable[str]
) -> tuple[NetworkConstraints, tuple[Problem, ...]]:
    """Return the network constraints of a file and what is wrong with them.

    Args:
        document: the experiment file.
        known: the groups and roles there are; empty to take any name.

    """
    key = next((key for key in KEYS if document.value.get(key) is not None), "")
    if not key:
        return NetworkConstraints(), ()
    section, problems = attempt(document, Constraints, document.value[key], (key,))
    wrong = tuple(
        document.problem(loc, *said)
        for loc, name in _names(document.value[key], (key,))
        for said in _unknown(name, tuple(known))
    )
    if section is None or wrong:
        return NetworkConstraints(), (*problems, *wrong)
    return _values(section), ()


def _names(written: Any, loc: Loc) -> Iterator[tuple[Loc, str]]:  # noqa: ANN401 - YAML
    """Yield all names of groups and roles in the section, well formed or not."""
    if isinstance(written, list):
        for number, one in enumerate(written):
            yield from _names(one, (*loc, number))
    elif isinstance(written, dict):
        for key in ("src", "dst", "dest", "constraints", "except", "exclude", "groups"):
            yield from _names(written.get(key), (*loc, key))
    elif isinstance(written, str) and len(loc) > 1 and loc[-2] != "constraints":
        yield loc, written


def _unknown(name: str, known: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    try:
        names = expand(name)
    except ValueError as bad:
        return ((str(bad), ""),)
    missing = [one for one in names if known and one not in known]
    return tuple(
        (f"no group or role is called `{one}`", one_of(one, known)) for one in missing
    )


def _values(section: Constraints) -> NetworkConstraints:
    specs = (spec for one in section.constraints for spec in _specs(one))
    return NetworkConstraints(
        enable=section.enable,
        default_delay=section.default_delay,
        default_rate=section.default_rate,
        default_loss=section.default_loss,
        constraints=tuple(specs),
        exclude=_expanded(section.exclude),
        groups=_expanded(section.groups),
        network=section.network,
    )


def _specs(one: Constraint) -> tuple[ConstraintSpec, ...]:
    return tuple(
        ConstraintSpec(
            src=src,
            dst=dst,
            delay=one.delay,
            rate=one.rate,
            loss=one.loss,
            jitter=one.jitter,
            symmetric=one.symmetric,
            network=one.network,
        )
        for src, dst in pairs(one.src, one.dst)
    )


def _expanded(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(one for name in names for one in expand(name))
