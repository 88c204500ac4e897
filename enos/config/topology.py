"""Machines: from the forms of `resources`, `topology` and `provider` to one Demand.

===========================================  =====================================
``resources: {control: 1}``                  role, number
``resources: {clusterA: {control: 1}}``      flavour, role, number
``resources: {grp1: {clusterA: {…}}}``       group, flavour, role, number
``topology: {grp1: {control: 1}}``           group, role, number
``topology: {"grp[2-4]": {clusterA: {…}}}``  group, flavour, role, number
``resources: {control: {address: …}}``       role, machine or list of machines
``topology: {grp1: {control: {…}}}``         group, role, machine or list of machines
``provider: {resources: {machines: […]}}``   a list, each machine with several roles
===========================================  =====================================

Machines without a group are in `default_group`. Each role counts machines of its own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from enos.config.advanced import advanced
from enos.config.reader import Reader
from enos.config.source import Document
from enos.config.yamltree import Problem
from enos.demand import Demand, MachineDemand
from enos.provider import ProviderSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """What a file demands.

    Attributes:
        names: groups and roles, also of machines that are impossible; empty when a
            part of the file could not be understood.
        problems: everything that is wrong with them.

    """

    demand: Demand
    names: tuple[str, ...]
    problems: tuple[Problem, ...]


def machines(document: Document, model: type[ProviderSettings]) -> Machines:
    """Return what a file demands.

    Args:
        document: the experiment file.
        model: the provider's `Machine`.

    """
    reader = Reader(document=document, model=model)
    provider = document.value.get("provider")
    long_form = isinstance(provider, dict) and provider.get("resources") is not None
    keys = [key for key in ("topology", "resources") if document.value.get(key)]
    if long_form:
        advanced(reader, document.value["provider"]["resources"])
        for key in keys:
            hint = "keep these, or the ones under `provider`"
            reader.misshapen((key,), f"`{key}`: machines are given twice", hint)
    elif keys:
        reader.section(keys[0])
    else:
        reader.lost = True
        reader.problems.append(_no_machines(document))
    demand = Demand(machines=_merged(reader))
    names = () if reader.lost else tuple(dict.fromkeys(reader.names))
    return Machines(demand=demand, names=names, problems=tuple(reader.problems))


def groups(demand: Demand) -> tuple[str, ...]:
    """Return the groups of a demand, each once, in the order of the file."""
    return tuple(dict.fromkeys(machine.group for machine in demand.machines))


def roles(demand: Demand) -> tuple[str, ...]:
    """Return the roles of a demand, each once, in the order of the file."""
    every = (role for machine in demand.machines for role in machine.roles)
    return tuple(dict.fromkeys(every))


def _no_machines(document: Document) -> Problem:
    empty = next(
        (key for key in ("resources", "topology") if key in document.value), ""
    )
    if not empty:
        hint = "add `resources:` with `flavour: {role: number}` under it"
        return document.problem((), "the file asks for no machines", hint)
    hint = (
        "indent what follows it by two spaces more, or write `flavour: {role: number}`"
    )
    message = f"`{empty}` holds no machines"
    return document.problem((empty,), message, hint, key=True)


def _merged(reader: Reader) -> tuple[MachineDemand, ...]:
    """Return the machines; one written out under two roles is one with both."""
    result: list[MachineDemand] = []
    for placed in reader.found:
        machine = placed.machine
        same = _index(result, machine.extra) if reader.one_by_one else None
        if same is None:
            result.append(machine)
        elif result[same].group != machine.group:
            what = "one machine is in two groups"
            hint = f"`{result[same].group}` and `{machine.group}`: keep one"
            reader.wrong(placed.loc, what, hint)
        else:
            both = dict.fromkeys((*result[same].roles, *machine.roles))
            result[same] = replace(result[same], roles=tuple(both))
    return tuple(result)


def _index(several: Iterable[MachineDemand], extra: Mapping[str, Any]) -> int | None:
    matches = (n for n, one in enumerate(several) if one.extra == extra)
    return next(matches, None)
