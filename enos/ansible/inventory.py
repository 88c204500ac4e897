"""Testbed → Ansible inventory: groups and host variables as values, INI as text."""

import shlex
from collections.abc import Iterable, Mapping
from configparser import ConfigParser
from dataclasses import dataclass, field

from enos.remote import jump_command
from enos.testbed import Host, Testbed

PYTHON = "/usr/bin/python3"
_HOSTS = "lines of hosts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of an inventory: its hosts and its child groups, in order."""

    name: str
    hosts: tuple[str, ...] = ()
    children: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Hosts with their variables, then groups.

    Attributes:
        hosts: host name → variables.

    """

    hosts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    groups: tuple[Group, ...] = ()

    def group(self, name: str) -> Group | None:
        """Return the group of that name."""
        return next((group for group in self.groups if group.name == name), None)

    def members(self, name: str) -> tuple[str, ...]:
        """Return the hosts of a group and of its children, each once, in order."""
        group = self.group(name)
        if group is None:
            return ()
        below = (host for child in group.children for host in self.members(child))
        return tuple(dict.fromkeys((*group.hosts, *below)))


def render(inventory: Inventory) -> str:
    """Return the inventory in Ansible's INI format."""
    lines = ["# Written by enos; changes are lost at the next run.", ""]
    lines += [_host_line(name, values) for name, values in inventory.hosts.items()]
    for group in inventory.groups:
        if group.hosts or not group.children:
            lines += ["", f"[{group.name}]", *group.hosts]
        if group.children:
            lines += ["", f"[{group.name}:children]", *group.children]
    return "\n".join(lines) + "\n"


def parse(text: str) -> Inventory:
    """Return the groups of an inventory that `render` wrote, without its hosts."""
    found = ConfigParser(
        allow_no_value=True, delimiters=("=",), interpolation=None, strict=False
    )
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read_string(f"[{_HOSTS}]\n{text}")

    def lines(section: str) -> tuple[str, ...]:
        return tuple(found[section]) if found.has_section(section) else ()

    names = (section.partition(":")[0] for section in found.sections()[1:])
    return Inventory(
        groups=tuple(
            Group(name=name, hosts=lines(name), children=lines(f"{name}:children"))
            for name in dict.fromkeys(names)
        )
    )


def testbed_groups(testbed: Testbed) -> tuple[Group, ...]:
    """Return one group per role and per group of the experiment, in testbed order."""
    names = dict.fromkeys(
        name for host in testbed.hosts for name in (*host.roles, *host.groups)
    )
    return tuple(
        Group(name=name, hosts=tuple(_named(testbed.hosts, name))) for name in names
    )


def connection(host: Host) -> dict[str, str]:
    """Return the variables by which Ansible reaches a host and becomes root there."""
    values = {
        "ansible_host": host.address,
        "ansible_port": str(host.port),
        "ansible_user": host.user,
        "ansible_become": "true" if host.sudo else "false",
        "ansible_python_interpreter": PYTHON,
    }
    if host.key:
        values["ansible_ssh_private_key_file"] = str(host.key)
    arguments = ["-o StrictHostKeyChecking=no"]
    if host.key:
        arguments.append("-o IdentitiesOnly=yes")
    if host.jump:
        arguments.append("-o " + shlex.quote(f"ProxyCommand={jump_command(host)}"))
    values["ansible_ssh_common_args"] = " ".join(arguments)
    return {**values, **host.extra}


def interfaces(testbed: Testbed, host: Host) -> dict[str, str]:
    """Return the kolla-ansible variables that name a host's network interfaces.

    `network_interface` is the one on the network with role `api`,
    `neutron_external_interface` the one on `external`, `tunnel_interface` the one on
    `tunnel`; a variable is left out when the host has no such interface, and what the
    host's own variables say of it goes before.
    """
    wanted = {
        "network_interface": "api",
        "neutron_external_interface": "external",
        "tunnel_interface": "tunnel",
    }
    found = {}
    for variable, role in wanted.items():
        device = host.extra.get(variable) or device_on(testbed, host, role)
        if device:
            found[variable] = device
    if "network_interface" in found:
        found["api_interface"] = found["network_interface"]
    return found


def device_on(testbed: Testbed, host: Host, role: str) -> str:
    """Return the device of a host on a network that carries a role, or empty."""
    networks = [network.name for network in testbed.networks if role in network.roles]
    nics = (host.nic_on(name) for name in networks)
    return next((nic.device for nic in nics if nic), "")


def _host_line(name: str, values: Mapping[str, str]) -> str:
    pairs = (f"{key}={shlex.quote(value)}" for key, value in values.items())
    return " ".join((name, *pairs))


def _named(hosts: Iterable[Host], name: str) -> Iterable[str]:
    return (h.name for h in hosts if name in h.roles or name in h.groups)
