"""Which networks and containers an experiment gets here. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from enos.demand import Demand, MachineDemand, host_names
from enos.errors import ProviderError
from enos.testbed import Host, Network, Nic

NETWORKS = ("api", "external", "tunnel")  # on eth0, eth1, eth2
SESSION = "enos.session"
NODE = "enos.node"
NETWORK = "enos.network"
INDEX = "enos.index"
FIRST = 2  # .1 is the host's end of the bridge
MACHINES = 126  # .2 to .127; the upper half of each network is the pool
NONLOCAL = "net.ipv4.ip_nonlocal_bind=1"
"""haproxy listens on the controllers' common address wherever it is at the moment, also
after a node was stopped and started; ip-sysctl of the kernel's documentation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """One of the experiment's networks, a Docker bridge."""

    name: str
    docker_name: str
    cidr: IPv4Network

    @property
    def device(self) -> str:
        """Return the interface nodes have on it."""
        return f"eth{NETWORKS.index(self.name)}"

    @property
    def gateway(self) -> IPv4Address:
        """Return the host's own address on it."""
        return self.cidr[1]

    def address(self, index: int) -> IPv4Address:
        """Return the address of the node of that index."""
        return self.cidr[FIRST + index]

    def network(self) -> Network:
        """Return it as the testbed knows it; the pool is never given to nodes."""
        return Network(
            name=self.name,
            cidr=str(self.cidr),
            roles=(self.name,),
            gateway=str(self.gateway),
            pool=(str(self.cidr[MACHINES + FIRST]), str(self.cidr[-2])),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A machine to be, a container.

    Attributes:
        index: its place in every network, kept as a label on the container.

    """

    name: str
    container: str
    index: int
    machine: MachineDemand


def wires(session: str, cidrs: Mapping[str, IPv4Network]) -> tuple[Wire, ...]:
    """Return the networks of a session."""
    return tuple(
        Wire(name=name, docker_name=f"{session}-{name}", cidr=cidrs[name])
        for name in NETWORKS
    )


def free_subnets(
    pool: IPv4Network, taken: Iterable[IPv4Network]
) -> Iterator[IPv4Network]:
    """Yield the /24 networks of a pool that overlap nothing taken, in order."""
    occupied = tuple(taken)
    prefix = max(24, pool.prefixlen)
    for subnet in pool.subnets(new_prefix=prefix):
        if not any(subnet.overlaps(other) for other in occupied):
            yield subnet


def nodes(session: str, demand: Demand, indexes: Mapping[str, int]) -> tuple[Node, ...]:
    """Return the machines of a demand; those that exist keep their index.

    Raises ProviderError for more machines than a network has room for and for
    networks that are not there.
    """
    check(demand)
    used = set(indexes.values())
    spare = (index for index in range(MACHINES) if index not in used)
    return tuple(
        Node(
            name=name,
            container=f"{session}-{name}",
            index=indexes[name] if name in indexes else next(spare),
            machine=machine,
        )
        for name, machine in host_names(demand)
    )


def check(demand: Demand) -> None:
    """Raise ProviderError for a demand that no computer could meet here."""
    if demand.number > MACHINES:
        message = f"{demand.number} machines are asked for, one computer has room for"
        raise ProviderError(f"{message} {MACHINES}", hint="ask for fewer machines")
    for machine in demand.machines:
        unknown = [name for name in machine.networks if name not in NETWORKS]
        if unknown:
            message = f"group `{machine.group}` asks for the network `{unknown[0]}`"
            hint = f"the provider `local` has the networks {', '.join(NETWORKS)}"
            raise ProviderError(message, hint=hint)


def attached(node: Node, all_wires: tuple[Wire, ...]) -> tuple[Wire, ...]:
    """Return the networks a node is on: those it asks for, `api` always."""
    wanted = {"api", *(node.machine.networks or NETWORKS)}
    return tuple(wire for wire in all_wires if wire.name in wanted)


def host(node: Node, all_wires: tuple[Wire, ...], key: Path) -> Host:
    """Return a node as the testbed knows it; `external` carries no address."""
    nics = tuple(
        Nic(
            device=wire.device,
            network=wire.name,
            addresses=()
            if wire.name == "external"
            else (f"{wire.address(node.index)}/{wire.cidr.prefixlen}",),
        )
        for wire in attached(node, all_wires)
    )
    return Host(
        name=node.name,
        address=str(all_wires[0].address(node.index)),
        key=key,
        groups=(node.machine.group,),
        roles=node.machine.roles,
        nics=nics,
    )


def with_macs(
    host: Host, all_wires: Iterable[Wire], container: Mapping[str, Any]
) -> Host:
    """Return the host with what `docker inspect` knows of its interfaces' addresses."""
    joined = container["NetworkSettings"]["Networks"]
    macs = {
        wire.name: joined.get(wire.docker_name, {}).get("MacAddress", "")
        for wire in all_wires
    }
    nics = (replace(nic, mac=macs.get(nic.network, "")) for nic in host.nics)
    return replace(host, nics=tuple(nics))


def hosts_file(all_nodes: Iterable[Node], api: Wire) -> str:
    """Return /etc/hosts: each name exactly once, with its address on `api`."""
    lines = [f"{api.address(node.index)} {node.name}" for node in all_nodes]
    return "\n".join(["127.0.0.1 localhost", "::1 localhost", *lines, ""])


def create_network(session: str, wire: Wire) -> tuple[str, ...]:
    """Return the argv that makes a network; Docker itself hands out its lower half."""
    lower, _ = wire.cidr.subnets(prefixlen_diff=1)
    return (
        *("docker", "network", "create", "--driver", "bridge"),
        *("--subnet", str(wire.cidr), "--gateway", str(wire.gateway)),
        *("--ip-range", str(lower), "--opt", "com.docker.network.driver.mtu=1500"),
        *("--label", f"{SESSION}={session}", "--label", f"{NETWORK}={wire.name}"),
        wire.docker_name,
    )


def create_node(
    session: str,
    node: Node,
    all_wires: tuple[Wire, ...],
    *,
    image: str,
    flags: tuple[str, ...],
) -> tuple[tuple[str, ...], ...]:
    """Return the argvs that make a node, which is not started yet, in order."""
    first, *others = attached(node, all_wires)
    label = f"{SESSION}={session}"
    volume = (
        f"type=volume,src={node.container},dst=/var/lib/docker,volume-label={label}"
    )
    create = (
        *("docker", "create", "--name", node.container, "--hostname", node.name),
        *("--label", label, "--label", f"{NODE}={node.name}"),
        *("--label", f"{INDEX}={node.index}", "--mount", volume),
        *("--network", first.docker_name, "--ip", str(first.address(node.index))),
        *("--sysctl", NONLOCAL),
        *("--env", f"ENOS_NICS={_nics(node, (first, *others))}"),
        *("--env", f"ENOS_GATEWAY={first.gateway}"),
        *("--env", "ENOS_FLUSH=" + " ".join(_flushed(others))),
        *flags,
        image,
    )
    connect = tuple(
        (
            *("docker", "network", "connect", "--ip", str(wire.address(node.index))),
            *(wire.docker_name, node.container),
        )
        for wire in others
    )
    return (create, *connect)


def _nics(node: Node, on: Iterable[Wire]) -> str:
    return " ".join(f"{wire.device}={wire.address(node.index)}" for wire in on)


def _flushed(others: Iterable[Wire]) -> Iterator[str]:
    return (wire.device for wire in others if wire.name == "external")
