"""What a provider gave: hosts with roles and groups, and networks. Values only."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Nic:
    """A network interface of a host.

    Attributes:
        device: kernel name, e.g. ``eth0``.
        network: name of the Network it is on, empty when unknown.
        addresses: in CIDR notation, e.g. ``("172.30.0.2/24",)``; may be empty.
        mac: lower case with colons, empty when unknown.

    """

    device: str
    network: str = ""
    addresses: tuple[str, ...] = ()
    mac: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A machine that enos reaches by SSH.

    Attributes:
        name: unique in the testbed and the machine's own host name.
        address: what SSH connects to.
        groups: groups of the experiment (`grp1`), the units of network constraints.
        roles: roles it plays (`control`, `compute`), Ansible groups later on.
        key: private key file, None for the agent or SSH's defaults.
        jump: ``[user@]host[:port]`` of an SSH jump host, or empty.
        sudo: True when `user` is not root and becomes root by sudo.
        extra: Ansible host variables the provider wants to add.

    """

    name: str
    address: str
    user: str = "root"
    port: int = 22
    key: Path | None = None
    jump: str = ""
    sudo: bool = False
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    nics: tuple[Nic, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)

    def nic_on(self, network: str) -> Nic | None:
        """Return the first interface on the network of that name."""
        return next(iter(self.nics_on(network)), None)

    def nics_on(self, network: str) -> tuple[Nic, ...]:
        """Return all interfaces on the network of that name."""
        return tuple(nic for nic in self.nics if nic.network == network)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network the hosts share.

    Attributes:
        roles: `api` (SSH, OpenStack's own traffic), `external` (Neutron's provider
            network) or `tunnel` (tenant traffic); one network may carry several.
        pool: first and last address free for VIPs and floating addresses.

    """

    name: str
    cidr: str
    roles: tuple[str, ...]
    gateway: str = ""
    pool: tuple[str, str] | None = None
    dns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Testbed:
    """Everything acquired: the hosts, the networks and facts about the machine room.

    Attributes:
        facts: what the provider probed and decided (kernel, cgroup version, …),
            recorded with the results.

    """

    __test__ = False  # not a test class, whatever pytest thinks of its name

    provider: str
    hosts: tuple[Host, ...]
    networks: tuple[Network, ...]
    facts: Mapping[str, str] = field(default_factory=dict)

    def host(self, name: str) -> Host | None:
        """Return the host of that name."""
        return next((host for host in self.hosts if host.name == name), None)

    def with_role(self, role: str) -> tuple[Host, ...]:
        """Return the hosts that play a role, in testbed order."""
        return tuple(host for host in self.hosts if role in host.roles)

    def in_group(self, group: str) -> tuple[Host, ...]:
        """Return the hosts of a group, in testbed order."""
        return tuple(host for host in self.hosts if group in host.groups)

    def network(self, role: str) -> Network | None:
        """Return the first network that carries a role."""
        return next((net for net in self.networks if role in net.roles), None)

    def address(self, host: Host, role: str) -> str:
        """Return a host's address on a network of that role, SSH's if it has none."""
        names = (net.name for net in self.networks if role in net.roles)
        nics = (host.nic_on(name) for name in names)
        known = (nic.addresses[0] for nic in nics if nic and nic.addresses)
        return next(known, host.address).partition("/")[0]


def to_json(testbed: Testbed) -> dict[str, Any]:
    """Return the testbed as JSON values (paths become strings)."""
    plain = asdict(testbed)
    for host in plain["hosts"]:
        host["key"] = str(host["key"]) if host["key"] else None
    return plain


def from_json(plain: Mapping[str, Any]) -> Testbed:
    """Return the testbed that `to_json` wrote."""
    return Testbed(
        provider=plain["provider"],
        hosts=tuple(_host(host) for host in plain["hosts"]),
        networks=tuple(_network(net) for net in plain["networks"]),
        facts=dict(plain["facts"]),
    )


def _host(plain: Mapping[str, Any]) -> Host:
    nics = tuple(
        Nic(**{**nic, "addresses": tuple(nic["addresses"])}) for nic in plain["nics"]
    )
    changed = {
        "key": Path(plain["key"]) if plain["key"] else None,
        "groups": tuple(plain["groups"]),
        "roles": tuple(plain["roles"]),
        "nics": nics,
    }
    return Host(**{**plain, **changed})


def _network(plain: Mapping[str, Any]) -> Network:
    pool = tuple(plain["pool"]) if plain["pool"] else None
    roles, dns = tuple(plain["roles"]), tuple(plain["dns"])
    return Network(**{**plain, "pool": pool, "roles": roles, "dns": dns})
