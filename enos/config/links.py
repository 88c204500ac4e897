"""Names that refer to other parts of the file: groups and roles in constraints."""

from collections.abc import Iterable, Iterator
from typing import Any

from enos.config.constraints import (
    QUANTITIES,
    ConstraintSpec,
    NetworkConstraints,
    contradiction,
    expand,
    pairs,
)
from enos.config.sections import Constraint, Constraints, LossModel
from enos.config.source import Document, attempt
from enos.config.wording import spellings
from enos.config.yamltree import Loc, Problem
from enos.errors import one_of
from enos.units import GilbertElliott, Percent

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
    if section is not None:
        wrong += tuple(_contradictions(document, section, (key,)))
    if section is None or wrong:
        return NetworkConstraints(), (*problems, *wrong)
    return _values(section), ()


def _contradictions(
    document: Document, section: Constraints, loc: Loc
) -> Iterator[Problem]:
    """Yield quantities that contradict others of their constraint or the defaults."""
    defaults = {"delay": section.default_delay, "loss": section.default_loss}
    for place, one in enumerate(section.constraints):
        own = {name: getattr(one, name) for name in QUANTITIES}
        asked = own | {
            name: value for name, value in defaults.items() if own[name] is None
        }
        name, why = contradiction({**asked, "loss": loss_of(asked["loss"])})
        if name:
            around = (*loc, "constraints", place)
            written = _as_written(document, around, name)
            yield document.problem((*around, written), f"`{written}`: {why}")


def _as_written(document: Document, around: Loc, name: str) -> str:
    """Return the spelling of a key that the file uses."""
    several = next(one for one in spellings(Constraint) if name in one)
    place = document.at(around)
    used = (one for one in several if document.at((*around, one)) != place)
    return next(used, name)


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
    return tuple(spec_of(one, src, dst) for src, dst in pairs(one.src, one.dst))


def spec_of(one: Constraint, src: str, dst: str) -> ConstraintSpec:
    """Return what a constraint asks between two of the names it stands for."""
    asked = {name: getattr(one, name) for name in QUANTITIES}
    asked["loss"] = loss_of(one.loss)
    return ConstraintSpec(
        src=src, dst=dst, symmetric=one.symmetric, network=one.network, **asked
    )


def loss_of(
    written: Percent | LossModel | GilbertElliott | None,
) -> Percent | GilbertElliott | None:
    """Return a loss as a plain value."""
    if not isinstance(written, LossModel):
        return written
    shares = {"p": written.p, "bad": written.bad, "good": written.good}
    asked = {name: share for name, share in shares.items() if share is not None}
    return GilbertElliott(r=written.r, **asked)


def _expanded(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(one for name in names for one in expand(name))
