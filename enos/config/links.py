"""Names that refer to other parts of the file: groups and roles in constraints."""

from collections.abc import Iterable, Mapping
from typing import Any

from enos.config.constraints import ConstraintSpec, NetworkConstraints, expand, pairs
from enos.config.sections import Constraint, Constraints
from enos.config.source import Document, attempt
from enos.config.yamltree import Loc, Problem
from enos.errors import listed, meant

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
    if section is None:
        return NetworkConstraints(), problems
    places = _names(document.value[key], section, (key,))
    wrong = tuple(
        document.problem(loc, *said)
        for loc, name in places
        for said in _unknown(name, tuple(known))
    )
    return (NetworkConstraints() if wrong else _values(section)), wrong


def _names(
    written: Mapping[str, Any], section: Constraints, loc: Loc
) -> tuple[tuple[Loc, str], ...]:
    found: list[tuple[Loc, str]] = []
    for number, one in enumerate(section.constraints):
        place = (*loc, "constraints", number)
        content = (
            written["constraints"][number] if "constraints" in written else written
        )
        dst = "dst" if "dst" in content else "dest"
        found += [((*place, "src"), one.src), ((*place, dst), one.dst)]
    except_ = "except" if "except" in written else "exclude"
    found += [((*loc, except_, n), name) for n, name in enumerate(section.exclude)]
    found += [((*loc, "groups", n), name) for n, name in enumerate(section.groups)]
    return tuple(found)


def _unknown(name: str, known: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    try:
        names = expand(name)
    except ValueError as bad:
        return ((str(bad), ""),)
    missing = [one for one in names if known and one not in known]
    return tuple(
        (f"no group or role is called `{one}`", _hint(one, known)) for one in missing
    )


def _hint(name: str, known: tuple[str, ...]) -> str:
    close = meant(name, known)
    return f"{close} Known: {listed(known)}" if close.startswith("did") else close


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
