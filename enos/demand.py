"""What an experiment asks of a provider. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineDemand:
    """A number of alike machines.

    Attributes:
        group: group of the experiment they belong to.
        roles: roles each of them plays.
        flavour: the testbed's own word for the kind of machine (cluster, size,
            flavor); empty for the provider's default.
        number: how many.
        networks: names of the networks they are attached to; empty for all.
        extra: provider-specific keys of the advanced form, verbatim.

    """

    group: str
    roles: tuple[str, ...]
    flavour: str = ""
    number: int = 1
    networks: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """All the machines of an experiment, in the order of the file."""

    machines: tuple[MachineDemand, ...]

    @property
    def number(self) -> int:
        """Return how many machines are asked for in all."""
        return sum(machine.number for machine in self.machines)


def host_names(demand: Demand) -> tuple[tuple[str, MachineDemand], ...]:
    """Return a stable host name for each machine: ``control-1``, ``compute-2``.

    The name comes from the first role and counts over the whole experiment, so
    that adding machines at the end of a file never renames the ones before.

    >>> compute = MachineDemand(group="grp1", roles=("compute",), number=2)
    >>> [name for name, _ in host_names(Demand(machines=(compute,)))]
    ['compute-1', 'compute-2']
    """
    seen: dict[str, int] = {}
    named: list[tuple[str, MachineDemand]] = []
    for machine in demand.machines:
        stem = machine.roles[0].replace("_", "-").lower()
        for _ in range(machine.number):
            seen[stem] = seen.get(stem, 0) + 1
            named.append((f"{stem}-{seen[stem]}", machine))
    return tuple(named)
