"""The inventory of a deployment, derived from the installed kolla-ansible's own.

kolla-ansible ships `multinode`, which maps its some 200 service groups onto a few that
name machines (control, network, compute, storage, monitoring, deployment). Those few
are filled from the testbed; any other role of the experiment overrides the group of
that name, so `nova-conductor: 5` puts that service on those five machines.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from enos.ansible.inventory import (
    Group,
    Inventory,
    connection,
    interfaces,
    testbed_groups,
)
from enos.errors import ConfigError
from enos.testbed import Testbed

FALLBACKS: Mapping[str, str] = {
    "network": "control",
    "storage": "control",
    "monitoring": "control",
}
"""Machine group → the one whose hosts it gets when the experiment has none for it."""

MACHINES = frozenset({"control", "network", "compute", "storage", "monitoring"})
EVERYWHERE = frozenset({"baremetal", "common"})
"""Groups that every machine with a service of OpenStack must be in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KollaInventory:
    """An inventory and the choices made on the way, a sentence each."""

    inventory: Inventory
    decisions: tuple[str, ...]


def parse_multinode(text: str) -> tuple[Group, ...]:
    """Return the groups of kolla-ansible's `multinode`, in order.

    Its example hosts are dropped. Sections other than groups and `:children` are not
    in the file; ValueError tells of a line that is neither.
    """
    hosts: dict[str, list[str]] = {}
    children: dict[str, list[str]] = {}
    order: dict[str, None] = {}
    target: list[str] | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.partition("#")[0].strip()
        if line.startswith("["):
            name, _, kind = line.strip("[]").partition(":")
            order[name] = None
            target = (children if kind == "children" else hosts).setdefault(name, [])
        elif line and target is None:
            msg = f"line {number} of the inventory is in no group: {line}"
            raise ValueError(msg)
        elif line and target is not None:
            target.append(line.split()[0])
    return tuple(
        Group(name=name, children=tuple(children.get(name, ()))) for name in order
    )


def plan_inventory(
    testbed: Testbed,
    base: Iterable[Group],
    *,
    python: str,
    variables: Mapping[str, Mapping[str, str]] | None = None,
) -> KollaInventory:
    """Return the inventory for a testbed over the groups of `multinode`.

    `python` is the interpreter of kolla-ansible's own environment, for localhost;
    `variables` are added to those of the hosts they name. Raises ConfigError when no
    host has the role `control`.
    """
    if not testbed.with_role("control"):
        message = "no machine has the role `control`"
        hint = "give at least one machine the role `control` under `resources:`"
        raise ConfigError(message, hint=hint)
    base = tuple(base)
    given = {group.name: group for group in testbed_groups(testbed)}
    filled, decisions = _fill(given)
    machine_groups = {group.name: group for group in filled}
    groups = [machine_groups.pop(g.name, g) for g in base]
    decisions += tuple(
        f"`{name}` runs on {', '.join(group.hosts)} only, as its role says"
        for name, group in given.items()
        if name in {g.name for g in base if g.children}
    )
    outside = _outside(testbed, filled)
    groups = [_with_hosts(g, outside if g.name in EVERYWHERE else ()) for g in groups]
    added = tuple(machine_groups.values())
    more = variables or {}
    hosts = {
        host.name: {
            **connection(host),
            **interfaces(testbed, host),
            **more.get(host.name, {}),
        }
        for host in testbed.hosts
    }
    local = {"ansible_connection": "local", "ansible_python_interpreter": python}
    hosts["localhost"] = {**local, "ansible_become": "false"}
    inventory = Inventory(hosts=hosts, groups=(*groups, *added))
    return KollaInventory(inventory=inventory, decisions=decisions)


def _fill(
    given: Mapping[str, Group],
) -> tuple[tuple[Group, ...], tuple[str, ...]]:
    filled = dict(given)
    decisions = []
    for name, instead in FALLBACKS.items():
        if name in filled:
            continue
        hosts = filled[instead].hosts
        filled[name] = Group(name=name, hosts=hosts)
        decisions.append(
            f"no machine has the role `{name}`: {', '.join(hosts)} plays it"
        )
    filled.setdefault("compute", Group(name="compute"))
    filled["deployment"] = Group(name="deployment", hosts=("localhost",))
    return tuple(filled.values()), tuple(decisions)


def _outside(testbed: Testbed, filled: Iterable[Group]) -> tuple[str, ...]:
    inside = {
        host for group in filled if group.name in MACHINES for host in group.hosts
    }
    return tuple(host.name for host in testbed.hosts if host.name not in inside)


def _with_hosts(group: Group, hosts: tuple[str, ...]) -> Group:
    return replace(group, hosts=(*group.hosts, *hosts)) if hosts else group
